"""The sentences of a diagnosis, for people, and the commands that repair its cause; other modules hand over numbers."""

from collections.abc import Sequence
from datetime import date

from ml_models.monitoring.diagnosis.thresholds import MINIMUM_ROWS, REASON_LENGTH

NO_HEALTHY_WEEK = "There is no healthy week before it to replay it on."
NOT_VISIBLE = "It has not reached the features visibly."
NOTHING_MOVED = "Nothing moved."
TOO_LITTLE_HISTORY = "Too little history to judge."


def load_again(asset: str) -> str:
    """Return the command that loads an asset, and all that is made of it."""
    return f"dagster asset materialize -m definitions --select 'key:\"{asset}\"+'"


def rebuild_from(day: date) -> str:
    """Return the command that computes features and outcomes anew, from this cutoff on."""
    return f"make rebuild FROM={day}"


def still_in_window(sentence: str) -> str:
    """Return an anomaly's sentence, when its days are over but still inside the feature windows."""
    return f"Still inside the feature windows: {sentence}"


def not_replayable(reason: str = "") -> str:
    """Return that anomalies cannot be re-enacted, and why; a long reason is cut off."""
    short = " ".join(reason.split())
    if len(short) > REASON_LENGTH:
        short = f"{short[:REASON_LENGTH]} …"
    return f"It cannot be re-enacted{f' ({short})' if short else ''}, so its share stays unknown."


def share_of_shift(reference: date, share: float) -> str:
    """Return what share of the shift a replay reproduces."""
    return f"Replayed on {reference}, it reproduces {share:.0%} of the shift in features and scores."


def share_of_loss(reference: date, share: float, rise: float, newest: date) -> str:
    """Return what share of the rise in log-loss, measured at the `newest` affected cutoff, a replay reproduces."""
    return f"Replayed on {reference}, it reproduces {share:.0%} of the rise in log-loss ({rise:+.4f} at {newest})."


def outcomes_disagree(kind: str) -> str:
    """Return that outcomes of this kind (proxy, realised) are not what the scores promise."""
    return f"Outcomes no longer agree with what the scores promise ({kind})."


def customers_changed(what: str) -> str:
    """Return that features moved and outcomes say nothing against the model."""
    return f"Customers changed in what we see ({what}); outcomes do not disagree so far."


def loss_split(parts: Sequence[float], errors: Sequence[float], overlap: float) -> str:
    """Return a loss change, its covariate and its concept part, each with its standard error."""
    change, covariate, concept = (f"{part:+.4f} (± {error:.4f})" for part, error in zip(parts, errors, strict=True))
    return (
        f"The loss changed by {change}: {covariate} because of different customers, {concept} because similar "
        f"customers behave differently; overlap {overlap:.0%}."
    )


def not_splittable(reason: str) -> str:
    """Return that a loss change cannot be split, and why."""
    return f"The loss change cannot be split: {reason}."


def too_few_rows(n: int) -> str:
    """Return why a window is too small to be compared."""
    return f"{n} rows on the smaller side, at least {MINIMUM_ROWS} are needed"
