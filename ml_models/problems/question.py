"""What is asked of the data, and of which shares of the spend: what features, labels, splits and texts are made of."""

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["binary", "regression", "ranking"]
"""What a prediction is: the probability of a yes, an amount, or an order of things."""

PERIODS = 12
"""Into how many periods a look-back of 84 days or more is divided."""

WEEK = 7


@dataclass(frozen=True)
class Question:
    """Who of those seen lately will not come again within the horizon.

    - `horizon_days`: the outcome covers [cutoff, cutoff + horizon_days).
    - `early_days`: the early proxy of it covers [cutoff, cutoff + early_days).
    - `active_within_days`: rows are customers with a visit in [cutoff - active_within_days, cutoff).
    - `look_back_days`: features cover [cutoff - look_back_days, cutoff). 28, 56 or a multiple of 84.
    - `cadence_days`: from one cutoff to the next.
    """

    horizon_days: int = 28
    early_days: int = 14
    active_within_days: int = 28
    look_back_days: int = 84
    cadence_days: int = 7

    @property
    def period_days(self) -> int:
        """A twelfth of the look-back, but a week at least.

        >>> Question(look_back_days=336).period_days, Question(look_back_days=56).period_days
        (28, 7)
        """
        return self.look_back_days // PERIODS if self.look_back_days >= PERIODS * WEEK else WEEK

    @property
    def periods(self) -> int:
        """How many periods the look-back has."""
        return self.look_back_days // self.period_days

    @property
    def horizon_cutoffs(self) -> int:
        """How many cutoffs a horizon spans: so many neighbouring labels look at a day together.

        >>> Question().horizon_cutoffs, Question(horizon_days=30).horizon_cutoffs
        (4, 5)
        """
        return math.ceil(self.horizon_days / self.cadence_days)

    @property
    def windows(self) -> tuple[int, ...]:
        """Windows that features count in: 1, 2, 4 and 8 periods, and the whole look-back. Ascending, in days.

        >>> Question().windows, Question(look_back_days=28).windows
        ((7, 14, 28, 56, 84), (7, 14, 28))
        """
        within = (periods * self.period_days for periods in (1, 2, 4, 8))
        return (*(days for days in within if days < self.look_back_days), self.look_back_days)

    @property
    def month_days(self) -> int:
        """Four periods: the window that is held against the whole look-back."""
        return 4 * self.period_days


@dataclass(frozen=True)
class DepartmentShare:
    """A share of the spend that is a feature, with what people read; `trips`: the share of orders with it, too."""

    name: str
    label: str = ""
    trips: bool = False

    @property
    def told(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ")
