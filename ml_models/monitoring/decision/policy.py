"""When is a week *rollback*, *inspect*, *improve* or *continue*? The policy on one page: `_choose`.

In goes a Situation (types.py), with everything measured before, and the ledger of past decisions; out comes exactly one
Decision. In this order; the first that applies decides:

1. *rollback*: the champion learned from rows now known to be bad, and its predecessor from none or less than half as
   many; or, on clean rows that neither model knew, the champion does worse than its predecessor since the promotion.
2. *inspect*: a quality anomaly stands; days that were bad are still inside the feature windows and something is out of
   its range; or the champion learned from bad rows, no clean predecessor is left, and there are too few clean cutoffs
   to train on. Retraining is vetoed each time.
3. *improve*: no champion yet; a champion that learned from bad rows, without a clean predecessor but with enough clean
   cutoffs; covariate or concept shift where a retraining would measurably have helped, or a recalibration where only
   the base rate moved; a champion outgrown by labels. Once an event, never during a cool-down. Where the company names
   prices, what is saved must be more than it costs, and a retraining that pays needs no other reason.
4. *continue*: everything else, with the reason why nothing is done.
"""

import math
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from ml_models.model_version import RECALIBRATE_COMMAND, RETRAIN_COMMAND, ModelInfo, promote_command
from ml_models.monitoring.bad_periods import BadPeriod
from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.events import WORTH_IT, event_of, model_topic, open_event
from ml_models.monitoring.decision.ledger import before
from ml_models.monitoring.decision.quarantine import bad_periods, clean_cutoffs, quarantine_range
from ml_models.monitoring.decision.remedies import best_option, not_worth_it, worth
from ml_models.monitoring.decision.rollback import champion_fault
from ml_models.monitoring.decision.waiting import cooldown, still_grows
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Action, Decision, Diagnosis, Remedy, Situation, Window


@dataclass(frozen=True)
class Choice:
    """An action with its reason. `topic` names its event, where that is not what the diagnosis says."""

    action: Action
    reason: str
    window: Window = "expanding"
    helps: float = math.nan
    topic: str = ""
    remedy: Remedy = "retrain"
    saves: float = math.nan


def decide(
    situation: Situation, ledger: pd.DataFrame, settings: Settings = SETTINGS, override: Action | None = None
) -> Decision:
    """Return the week's one decision.

    `ledger`: past decisions (ledger.LEDGER_COLUMNS); rows of this cutoff and later are ignored, so that judging a week
    again gives the same answer. `override`: what a person asks for instead; recorded in `override_of` if it differs.
    """
    past = before(ledger, situation.cutoff)
    periods = bad_periods(past, situation.anomalies)
    choice = _choose(situation, past, periods, settings)
    event = event_of(situation, past, choice.topic, settings)
    first, last = quarantine_range(periods, situation, event)
    reason, override_of = choice.reason, None
    if override is not None and override != choice.action:
        reason, override_of = messages.overridden(override, choice.action, choice.reason), choice.action
    action = override or choice.action
    # What a person asks for beyond the judgement is the ordinary way.
    remedy: Remedy = "" if action != "improve" else choice.remedy if choice.action == "improve" else "retrain"
    command = command_for(action, situation.diagnosis, situation.previous, remedy)
    return Decision(
        cutoff=situation.cutoff,
        event_id=event,
        action=action,
        diagnosis=replace(situation.diagnosis, next_command=command),
        reason=reason,
        window=choice.window,
        quarantine_from=first,
        quarantine_to=last,
        helps=choice.helps,
        override_of=override_of,
        remedy=remedy,
        saves=choice.saves,
    )


def command_for(action: Action, diagnosis: Diagnosis, previous: ModelInfo | None, remedy: Remedy = "retrain") -> str:
    """Return the command that fits a decision; empty where nothing is to be run.

    What would repair the cause (`diagnosis.next_command`) is due only where a person has to repair something: nobody is
    asked to retrain in a week whose decision is to go on.
    """
    if action == "improve":
        return RECALIBRATE_COMMAND if remedy == "recalibrate" else RETRAIN_COMMAND
    if action == "rollback":
        return promote_command(previous.version) if previous is not None else diagnosis.next_command
    return diagnosis.next_command if action == "inspect" and diagnosis.next_command != RETRAIN_COMMAND else ""


def _choose(situation: Situation, past: pd.DataFrame, periods: list[BadPeriod], settings: Settings) -> Choice:
    """Walk the order of the module's docstring."""
    champion, diagnosis = situation.champion, situation.diagnosis
    fault = champion_fault(situation, periods, settings)
    in_window = [one for one in periods if one.touches_window(situation.cutoff, situation.window_days)]
    clean = clean_cutoffs(situation, periods)
    needed = settings.needed_cutoffs(situation.horizon_days)
    enough = len(clean) >= needed

    if champion is not None and fault is not None and fault.return_to is not None:
        return Choice("rollback", fault.reason, helps=_saved(situation), topic=f"champion-{champion.version}")

    if situation.anomalies:
        return Choice("inspect", messages.bad_data(diagnosis))
    if in_window and (situation.alarm or fault is not None):
        return Choice("inspect", messages.alarm_over_bad_days(in_window, diagnosis))

    if champion is None and in_window:
        return Choice("continue", messages.NO_MODEL_AND_BAD_DAYS)
    if champion is None and not enough:
        return Choice("continue", messages.too_few_cutoffs(len(clean), needed))
    if champion is None:
        return _maintenance(situation, past, "no-champion", messages.no_champion(len(clean)), settings)

    if fault is not None and not enough:
        return Choice("inspect", messages.no_way_back_and_few_rows(diagnosis))
    if fault is not None:
        return _maintenance(situation, past, "contaminated", messages.no_way_back(diagnosis), settings)

    if situation.alarm:
        return _on_shift(situation, past, settings)

    if in_window:
        return Choice("continue", messages.QUIET_BUT_BAD_DAYS)
    paid = _where_it_pays(situation, past, settings) if enough else None
    if paid is not None:
        return paid
    outgrown = _outgrown(champion, clean, needed, settings)
    if outgrown:
        return _maintenance(situation, past, "labels", outgrown, settings)
    return Choice("continue", messages.QUIET)


def _on_shift(situation: Situation, past: pd.DataFrame, settings: Settings) -> Choice:
    """Improve if a retraining would measurably have helped: once an event, and not before a small gain has grown."""
    cause, diagnosis = situation.diagnosis.cause, situation.diagnosis
    if cause == "insufficient evidence":
        return Choice("continue", diagnosis.sentence)
    event = open_event(situation, past, model_topic(cause), settings)
    improved = past[(past["event_id"] == event) & (past["action"] == "improve")] if event else past.iloc[:0]
    if len(improved):
        return Choice("continue", messages.improved_already(improved["cutoff"].iloc[-1], diagnosis))
    waiting = cooldown(situation, past, settings)
    if waiting:
        return Choice("continue", f"{waiting} {diagnosis.sentence}")
    # Where customers behave otherwise, old rows teach what is no longer so.
    windows: list[Window] = ["recent", "expanding"] if cause in ("concept", "mixed") else ["expanding"]
    option = best_option(situation, windows)
    gain, value = option.gain, worth(option.gain, situation, settings)
    if not gain.known:
        return Choice("continue", messages.gain_unknown(gain, diagnosis))
    saves = math.nan if value is None else value.saved
    measured = messages.priced(option.words, "" if value is None else value.sentence)
    why_not = not_worth_it(gain, value, settings)
    if why_not:
        return Choice("continue", f"{measured}: {why_not}.", option.window, gain.value, saves=saves)
    if still_grows(situation, past, event, gain.value, settings):
        later = "The gain is small and may still grow; an event is improved once, so it waits."
        return Choice("continue", f"{measured}. {later}", option.window, gain.value, saves=saves)
    return Choice("improve", f"{measured}.", option.window, gain.value, remedy=option.remedy, saves=saves)


def _where_it_pays(situation: Situation, past: pd.DataFrame, settings: Settings) -> Choice | None:
    """Improve a champion that nothing is wrong with where that pays by the company's prices; None: not measured.

    Asked every quiet week, so that the price decides how often is retrained, and no count of labels does.
    """
    if settings.prices is None or cooldown(situation, past, settings):
        return None
    gain = situation.gain("expanding")
    value = worth(gain, situation, settings)
    if value is None:
        return None
    why_not = not_worth_it(gain, value, settings)
    if why_not:
        reason = messages.quiet_and_not_worth_it(gain, why_not, value.sentence)
        return Choice("continue", reason, helps=gain.value, saves=value.saved)
    reason = messages.quiet_but_pays(gain, value.sentence)
    return Choice("improve", reason, helps=gain.value, topic=WORTH_IT, saves=value.saved)


def _maintenance(situation: Situation, past: pd.DataFrame, topic: str, reason: str, settings: Settings) -> Choice:
    """Improve for a reason that is no alarm, unless the cool-down forbids it."""
    waiting = cooldown(situation, past, settings)
    if waiting:
        return Choice("continue", f"{reason} {waiting}", topic=topic)
    return Choice("improve", reason, topic=topic)


def _outgrown(champion: ModelInfo, clean: list[date], needed: int, settings: Settings) -> str:
    """Return that the champion is outgrown by labels, as a sentence; empty when it is not."""
    learned = len(champion.learned_from(clean))
    # A champion of a recent window left the older cutoffs out on purpose.
    since = len([day for day in clean if champion.trained_from is None or day >= champion.trained_from])
    if since >= needed and since >= settings.growth * learned:
        return messages.outgrown(champion, since, learned)
    return ""


def _saved(situation: Situation) -> float:
    """Return the log-loss that going back saves; nan where it was not measured."""
    effect = situation.effect
    return -effect.value if effect is not None and effect.known else math.nan
