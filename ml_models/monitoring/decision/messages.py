"""The sentences of a decision: what stands in `reason`, and in the ledger's `grade`.

Each function returns whole sentences for people who read `monitoring.why` without Python. The policy chooses which.
"""

from collections.abc import Sequence
from datetime import date

import pandas as pd

from ml_models.model_version import ModelInfo
from ml_models.monitoring.bad_periods import BadPeriod
from ml_models.monitoring.types import Action, Diagnosis, Effect, Recalibration, Window

QUIET = "Nothing is out of its range."
QUIET_BUT_BAD_DAYS = (
    "Nothing is out of its range; days known to be bad are still inside the windows, so nothing is trained."
)
NO_MODEL_AND_BAD_DAYS = "No model yet, and days known to be bad are inside the feature windows: wait."


def overridden(override: Action, asked: Action, reason: str) -> str:
    """Return that a person decided otherwise than the judgement."""
    return f"A person asked for {override} instead of {asked}. The judgement had said: {reason}"


def bad_data(diagnosis: Diagnosis) -> str:
    """Return why a week with quality anomalies is inspected."""
    return f"{diagnosis.sentence} Retraining waits until the data are clean again."


def alarm_over_bad_days(periods: Sequence[BadPeriod], diagnosis: Diagnosis) -> str:
    """Return why an alarm is inspected while bad days are in the feature windows."""
    days = f"{min(one.first_day for one in periods)} to {max(one.last_day for one in periods)}"
    return (
        f"The days {days} are known to be bad and are still inside the feature windows, so what moved is looked at "
        f"before anything learns from it. {diagnosis.sentence}"
    )


def too_few_cutoffs(clean: int, needed: int) -> str:
    """Return why the first model is not trained yet."""
    return f"No model yet: {clean} clean labelled cutoffs, {needed} are needed."


def no_champion(clean: int) -> str:
    """Return why the first model is trained."""
    return f"There is no champion and there are {clean} labelled cutoffs to learn from."


def contaminated(champion: ModelInfo, share: float) -> str:
    """Return that the champion learned from bad rows, without the full stop."""
    return f"Version {champion.version} learned from rows now known to be bad ({share:.0%} of its training days)"


def cleaner(previous: ModelInfo, share: float) -> str:
    """Return that the predecessor learned from no bad rows, or from fewer, without the full stop."""
    if not share:
        return f"version {previous.version} did not"
    return f"version {previous.version} learned from fewer ({share:.1%})"


def did_harm(champion: ModelInfo, previous: ModelInfo, effect: Effect) -> str:
    """Return that the champion does worse than its predecessor would have done."""
    return (
        f"Since its promotion on {champion.promoted_on} version {champion.version} has a log-loss {-effect.value:.4f} "
        f"higher than version {previous.version} would have had on the same {effect.rows:,} rows (95 % interval "
        f"{-effect.high:.4f} to {-effect.low:.4f})."
    )


def no_way_back_and_few_rows(diagnosis: Diagnosis) -> str:
    """Return why a contaminated champion stays for now."""
    return (
        f"{diagnosis.sentence} No clean predecessor is left to return to, and there are not yet enough clean rows to "
        "train on."
    )


def no_way_back(diagnosis: Diagnosis) -> str:
    """Return why a contaminated champion is replaced by a new model."""
    return f"{diagnosis.sentence} No clean predecessor is left to return to, so a model is trained on clean rows."


def outgrown(champion: ModelInfo, labelled: int, learned: int) -> str:
    """Return that there are many more labels than the champion learned from."""
    return f"{labelled} clean labelled cutoffs; version {champion.version} learned from {learned}."


def cooldown_after_action(row: pd.Series, days: int) -> str:
    """Return why nothing is retrained so soon after the ledger's `row`."""
    return (
        f"Cool-down: {row['action']} on {row['cutoff']:%Y-%m-%d}, and its effect is seen only when labels mature "
        f"({days} days)."
    )


def cooldown_after_promotion(champion: ModelInfo) -> str:
    """Return why nothing is retrained so soon after a promotion."""
    return f"Cool-down: version {champion.version} has served only since {champion.promoted_on}."


def improved_already(on: pd.Timestamp, diagnosis: Diagnosis) -> str:
    """Return why an event is not improved a second time."""
    return f"Improved once already for this event, on {on:%Y-%m-%d}. {diagnosis.sentence}"


def gain_unknown(effect: Effect, diagnosis: Diagnosis) -> str:
    """Return that what a retraining would bring could not be measured."""
    return f"Whether a retraining would help cannot be told yet: {effect.note}. {diagnosis.sentence}"


def gain_measured(effect: Effect, window: Window, diagnosis: Diagnosis) -> str:
    """Return what a retraining would bring, without the full stop."""
    return f"{diagnosis.sentence} Refitted on the {window} window, the recipe {_would_have_changed(effect)}"


def recalibration_measured(retrained: str, other: Recalibration) -> str:
    """Return what a recalibration would bring beside a retraining (`gain_measured`), without the full stop."""
    gain, over = other.gain, other.over_retraining
    return (
        f"{retrained}. {other.sentence} Moving the champion's log-odds instead would have changed log-loss by "
        f"{-gain.value:+.4f} on the same rows (95 % interval {-gain.high:+.4f} to {-gain.low:+.4f}); the retraining's "
        f"is {over.value:+.4f} from that ({over.low:+.4f} to {over.high:+.4f}), no better beyond noise, so "
        "recalibrating is the remedy"
    )


def priced(reason: str, amounts: str) -> str:
    """Return a reason with what it comes to in money, without the full stop."""
    return f"{reason}. {amounts}" if amounts else reason


def quiet_but_pays(gain: Effect, amounts: str) -> str:
    """Return why a retraining is due although nothing is out of its range: it pays."""
    return f"{QUIET} A retraining {_would_have_changed(gain)}. {amounts}."


def quiet_and_not_worth_it(gain: Effect, why: str, amounts: str) -> str:
    """Return why a quiet week goes on where prices decide."""
    return f"{QUIET} A retraining {_would_have_changed(gain)}: {why}. {amounts}."


def _would_have_changed(gain: Effect) -> str:
    return (
        f"would have changed log-loss by {-gain.value:+.4f} on the {gain.rows:,} newest matured rows (95 % interval "
        f"{-gain.high:+.4f} to {-gain.low:+.4f})"
    )


def grade_of_effect(effect: Effect) -> str:
    """Return the grade of an improve or a rollback from what it came to."""
    measured = f"{effect.value:+.4f} [{effect.low:+.4f}, {effect.high:+.4f}] log-loss saved on {effect.rows:,} rows"
    if effect.low > 0:
        return f"right: {measured}"
    return f"wrong: {measured}" if effect.high < 0 else f"no difference: {measured}"


def late(asset: str, since: date) -> str:
    """Return the grade of a continue that missed bad days."""
    return f"late: {asset} was bad since {since}"


NOT_PROMOTED = "no promotion: the gate kept the champion"
CONFIRMED = "right: confirmed"
SEEN_ONCE = "unconfirmed: seen once"
RIGHT = "right"
