"""What decisions cost: prices of a company, and what one model saves over another by them.

A customer is contacted where the expected loss of not doing so is higher than the contact: from the probability
`contact / missed_customer` on. That is the threshold of Elkan (2001), "The Foundations of Cost-Sensitive Learning", for
costs that are `contact` whatever happens then, and `missed_customer` for one who lapses and was not contacted. What a
model costs on a row is then `contact` at or above the threshold, and below it `missed_customer` if the customer lapsed.

So `missed_customer` is what is lost *because* nobody called: the customer's value times the share that a contact keeps.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_models.metrics import grouped_mean
from ml_models.monitoring.types import Effect, Saving

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prices:
    """Prices in one currency: of a retraining or recalibration, of contacting a customer, of missing one who lapses."""

    retraining: float
    contact: float
    missed_customer: float
    currency: str = "USD"

    @property
    def threshold(self) -> float:
        """The probability (0 to 1) from which a contact is worth its price."""
        return self.contact / self.missed_customer

    def times(self, factor: float) -> "Prices":
        """Return the same prices, with a retraining that costs `factor` times as much."""
        return replace(self, retraining=factor * self.retraining)

    def costs(self, outcome: npt.ArrayLike, score: npt.ArrayLike) -> Array:
        """Return what each row costs by these scores, (n,); an outcome between 0 and 1 counts as an expected one.

        >>> Prices(100, 2, 40).costs([0, 1, 0, 1], [0.01, 0.01, 0.05, 0.9]).tolist()
        [0.0, 40.0, 2.0, 2.0]
        """
        missed = self.missed_customer * np.asarray(outcome, dtype="float64")
        return np.where(np.asarray(score) >= self.threshold, self.contact, missed)


def saving_of(prices: Prices, outcome: Array, new: Array, old: Array, groups: npt.ArrayLike) -> Saving:
    """Return what acting by `new` scores saves over `old` ones, in money a row, bootstrapped by group."""
    found = grouped_mean(prices.costs(outcome, old) - prices.costs(outcome, new), groups)
    return Saving(found.value, found.low, found.high)


@dataclass(frozen=True)
class Worth:
    """What an improvement comes to until the next one is possible, in money.

    `customers` are decided on once a horizon, `rounds` times. `saved`, `low`, `high`: expected, and its 95 % interval.
    """

    saved: float
    low: float
    high: float
    customers: int
    rounds: float
    prices: Prices

    @property
    def pays(self) -> bool:
        """Whether more is saved than the improvement costs."""
        return self.saved > self.prices.retraining

    @property
    def sentence(self) -> str:
        """The amounts, and what they are made of."""
        money, price = self.prices.currency, self.prices.retraining
        return (
            f"Contacting customers from {self.prices.threshold:.1%} on, that would save {money} {self.saved:,.0f} "
            f"(95 % interval {self.low:,.0f} to {self.high:,.0f}) on {self.customers:,} customers in {self.rounds:.2g} "
            f"rounds, until the next improvement is possible; it costs {money} {price:,.0f}"
        )


def worth_of(effect: Effect, prices: Prices, customers: int, rounds: float) -> Worth | None:
    """Return what an effect is worth; None where it was not measured in money."""
    if effect.saving is None:
        return None
    one, many = effect.saving, customers * rounds
    return Worth(many * one.value, many * one.low, many * one.high, customers, rounds, prices)
