"""What a replay's share says about the cause: the rule that docs/monitoring.md shows as a table.

A share of the loss is proof, one way or the other: outcomes are known. A share of the shift is not: anomalies of this
week are a fault even where they reproduce little of what moved, or where nothing moved yet.
"""

from typing import Literal

from ml_models.monitoring.diagnosis.case import Basis
from ml_models.monitoring.diagnosis.thresholds import EXPLAINED, PARTLY

Verdict = Literal["data", "mixed", "world"]
"""`data`: what was found explains it; the first bad table says whether that is data quality or the pipeline. `mixed`:
it explains a part. `world`: something else, so covariate or concept."""


def verdict_of(
    basis: Basis, share: float, *, alarm: bool, this_week: bool, all_replayed: bool, moves_elsewhere: bool
) -> Verdict:
    """Return what explains the evidence of a week with anomalies.

    `share`, 0 to 1, is of the `basis`: of the rise of the loss, or of the shift; nothing is known for "none". `alarm`:
    drift or performance left its range. `this_week`: anomalies stand now; else only those of earlier weeks are still in
    the windows. `all_replayed`: each could be re-enacted, else the share is a lower bound. `moves_elsewhere`: most of
    what moved is not touched by the replay.

    >>> shown = {"alarm": True, "this_week": True, "all_replayed": True, "moves_elsewhere": False}
    >>> [verdict_of("loss", share, **shown) for share in (0.6, 0.3, 0.1)]
    ['data', 'mixed', 'world']
    >>> [verdict_of("shift", share, **shown) for share in (0.6, 0.3, 0.1)]
    ['data', 'data', 'data']
    """
    if basis == "none" or not alarm or share > EXPLAINED:
        return "data"
    if basis == "loss":
        return "world" if share <= PARTLY and all_replayed else "mixed"
    if share > PARTLY:
        return "data"
    if not this_week:
        # The bad days are over and no secret; what moves now is something else.
        return "world" if all_replayed else "mixed"
    return "mixed" if moves_elsewhere else "data"
