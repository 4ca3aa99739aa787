"""The values that pass between the packages of the judgement, in the order in which a week makes them.

Quality finds an `Anomaly` (with a `Perturbation` that re-enacts it). Diagnosis turns anomalies and alarms into a
`Diagnosis`. The decision reads a `Situation`, with an `Effect` where two models were compared, and returns a
`Decision`.
Only values belong here: no table, no statistic, no policy.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from ml_models.model_version import ModelInfo

Cause = Literal["none", "data quality", "pipeline", "covariate", "concept", "mixed", "insufficient evidence"]
"""`data quality`: what arrived is wrong. `pipeline`: what arrived is right, and our own code or state makes it wrong (a
leak, labels closed early, a champion trained on bad rows). `covariate`: customers changed in what we see. `concept`:
the same customers behave differently from what their features promise."""

Action = Literal["continue", "improve", "inspect", "rollback"]

Window = Literal["expanding", "recent"]
"""What a retraining learns from: all clean matured cutoffs, or the newest of them (settings.recent_cutoffs)."""

Remedy = Literal["", "retrain", "recalibrate"]
"""How a champion is improved: its recipe is fitted again, or its log-odds are moved. Empty: nothing is improved."""

AnomalyKind = Literal[
    "schema",  # a column is missing, or has another type
    "keys",  # a key repeats or is null
    "stale",  # nothing, or less than whole days, arrived lately
    "volume",  # too few or too many rows, as a whole or in a segment
    "hours",  # the histogram of the hour of day moved
    "nulls",  # more (or fewer) nulls
    "stuck",  # one value holds more of the rows than it used to
    "categories",  # values never seen before, or a set of values that collapsed
    "range",  # values outside of what the past allows (negative, too large, another scale)
    "orphans",  # keys without a partner in the table that they refer to
    "ids",  # the entities are not those of the weeks before
    "replay",  # content of earlier days came again
    "future",  # a row knows what its cutoff could not
    "labels",  # an outcome contradicts the orders that it is made of
]


@dataclass(frozen=True)
class Perturbation:
    """A change of rows, described so that it can be made anywhere: in a drill, and in a healthy window by attribution.

    `table` is `schema/name` as in an asset key; `operation` one of `faults.OPERATIONS`; `where` a SQL predicate
    over the table's columns; `rate` the share of matching units that are hit, chosen by a hash (never at random);
    `per` the column whose values are hit as a whole ("" : single rows). `first_day` and `last_day` are inclusive days
    of the table's own time, None when open; a table without a time is changed from `first_day` on as delivered.
    """

    table: str
    operation: str
    column: str = ""
    where: str = ""
    rate: float = 1.0
    per: str = ""
    first_day: date | None = None
    last_day: date | None = None
    value: object = None

    def moved(self, days: int) -> "Perturbation":
        """Return the same change, `days` later (negative: earlier)."""
        shift = timedelta(days=days)
        return replace(
            self,
            first_day=self.first_day + shift if self.first_day else None,
            last_day=self.last_day + shift if self.last_day else None,
        )


@dataclass(frozen=True)
class Reach:
    """What is computed from a table, so how far it spoils what is made of it.

    `features`: those that are computed from it, None: any of them. `labels`: whether the label is. `dated`: its rows
    have a time of their own; else it is delivered as a whole, and each delivery replaces the one before.
    """

    features: tuple[str, ...] | None = None
    labels: bool = True
    dated: bool = True


@dataclass(frozen=True)
class Anomaly:
    """One failing observation of quality.

    `asset` is `schema/name`, the table it was seen on. `rate` is the share of rows hit within the segment and days.
    `replay` re-enacts what was seen, for attribution; None when it cannot be re-enacted (a missing column). `reach`:
    what is computed from the table. `rebuilt_from`: what is made of these days was computed again from this cutoff on,
    of rows that are whole by now; None: it was not.
    """

    kind: AnomalyKind
    asset: str
    column: str
    observed: float
    expected: float
    threshold: float
    n: int
    sentence: str
    first_day: date
    last_day: date
    segment_column: str = ""
    segment_values: tuple[str, ...] = ()
    rate: float = 1.0
    replay: Perturbation | None = None
    reach: Reach = Reach()
    rebuilt_from: date | None = None

    @property
    def check(self) -> str:
        """The check that shows it, as `asset:kind`."""
        return f"{self.asset}:{self.kind}"


@dataclass(frozen=True)
class InputChange:
    """A raw table that holds other rows today than when a week was served.

    `part_of` tells what is counted: `day`, `key`, or `table` where rows have neither. `parts` changed, `examples` are
    some of them; `first_day` and `last_day` bound the days, None where no days are counted.
    """

    asset: str
    part_of: str
    parts: int
    examples: tuple[str, ...]
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True)
class Verdict:
    """What the newest matured predictions of a problem beside the first say.

    `status`: pass, fail, or insufficient evidence. `cause`: what does not hold, empty: nothing. `sentence`: in words.
    """

    status: str
    cause: str
    sentence: str


@dataclass(frozen=True)
class Diagnosis:
    """What explains the evidence of one week.

    `explained` is the share, 0 to 1, that replaying the quality anomalies reproduces (nan: nothing to explain, or it
    could not be replayed). `first_bad_asset` is the furthest upstream asset that is bad while all that it reads is
    clean. `next_command` is what repairs the cause; once a decision is taken, what fits the decision.
    """

    cause: Cause
    explained: float
    first_bad_asset: str
    owner: str
    failing_check: str
    next_command: str
    sentence: str
    evidence: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Saving:
    """Money that one model saves over another, a customer and decision; bounded at 95 %, bootstrapped by customer."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A difference in log-loss between two models on the same rows, positive: the first is better.

    `low` and `high` bound it at 95 %, bootstrapped by customer. `value` is nan when there were too few rows, and
    `note` says so. `saving`: the same in money, None where the company names no prices.
    """

    value: float
    low: float
    high: float
    rows: int
    cutoffs: tuple[date, ...]
    note: str = ""
    saving: Saving | None = None

    @property
    def known(self) -> bool:
        """Whether there was enough evidence."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Recalibration:
    """What moving the champion's log-odds would bring, without fitting anything else again.

    `gain` is over the champion, `over_retraining` over the retraining that it is an alternative to, on the same rows.
    `base_rate_only`: nothing but the rate of outcomes moved, as far as these rows tell; `sentence` says why or why not.
    """

    gain: Effect
    over_retraining: Effect
    base_rate_only: bool
    sentence: str


@dataclass(frozen=True)
class Situation:
    """What a decision is taken from; everything in it is computed before.

    `anomalies`: this week's failing quality anomalies. `alarm`: drift or performance left its range. `labelled`:
    matured cutoffs, ascending. `effect`: champion against predecessor on clean rows since the promotion, None when
    there is none to compare. `gain(window)` measures what a retraining on this window would have brought; it is called
    only if the decision depends on it. `window_days`, `horizon_days`: length of a feature window and of a label.
    `recalibration(window)` measures what a recalibration would bring instead; None where there is nothing to move.
    `customers`: how many are scored at the cutoff.
    """

    cutoff: date
    diagnosis: Diagnosis
    anomalies: tuple[Anomaly, ...]
    alarm: bool
    labelled: tuple[date, ...]
    champion: ModelInfo | None
    previous: ModelInfo | None
    effect: Effect | None
    gain: Callable[[Window], Effect]
    window_days: int
    horizon_days: int
    recalibration: Callable[[Window], Recalibration | None] = lambda _window: None
    customers: int = 0


@dataclass(frozen=True)
class Decision:
    """Exactly one a week.

    `event_id` stays the same while one cause goes on. `window` tells what a retraining learns from. Cutoffs from
    `quarantine_from` to `quarantine_to` (inclusive, None: none) are kept out of training; their labels count for
    nothing. `helps` is the measured gain in log-loss that the remedy would have brought (nan: not computed), `saves`
    the money that it would have saved until the next one is possible (nan: no prices). `remedy`: how it is improved.
    """

    cutoff: date
    event_id: str
    action: Action
    diagnosis: Diagnosis
    reason: str
    window: Window = "expanding"
    quarantine_from: date | None = None
    quarantine_to: date | None = None
    helps: float = float("nan")
    override_of: Action | None = None
    remedy: Remedy = ""
    saves: float = float("nan")
