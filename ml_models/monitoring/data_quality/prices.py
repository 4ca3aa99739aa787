"""Unit prices within the values of a segment, against those of the same items outside: another currency, or net of tax.

What people buy differs from store to store and from week to week, and what an item costs does not. So a shopping spree,
which changes quantities, changes nothing here, and neither does a price rise that all stores share. Each value is held
against its own past, as some stores are always dearer.

*What moves alike.* Outside of a store lie also the stores that have the same fault, so every ratio is too small by the
mean of all. The difference between two groups is not: both lack the same. So the values are split into the two groups
that differ most, and the factor is what lies between the groups (Fisher 1958: in one dimension the best groups are
neighbours in order). One crowd splits as well: a hundred values by 2.8 of the scatter that is left within, and by 3.8
once in a thousand times. What the values do in healthy weeks is the limit besides.
"""

import math

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask, nanmedian, rounded
from ml_models.monitoring.data_quality.monitored_tables import Price
from ml_models.monitoring.data_quality.observation import Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    MINIMUM_WINDOWS,
    OUTAGE_VALUES,
    PRICE_FLOOR,
    PRICE_GROUPS,
    RECENT,
    SEGMENT_MASS,
)
from ml_models.monitoring.data_quality.window import Window
from ml_models.monitoring.types import Anomaly


def judge_prices(window: Window) -> None:
    """Judge unit prices within each value of each segment; what they say of amounts replaces what sizes say of them."""
    price = window.table.price
    if price is None:
        return
    for segment in window.table.segments:
        _judge(window, price, segment)


def _judge(window: Window, price: Price, segment: str) -> None:
    """Judge the unit prices within each value of one segment."""
    name = f"{price.amount}@{segment}"
    values, counts, pairs = window.history.series("price_ratio", lambda column: column == name, name)
    labels = [key for _, key in pairs]
    position, healthy = window.position, window.healthy
    known = (~np.isnan(values[healthy])).sum(axis=0) >= MINIMUM_WINDOWS
    here = known & ~np.isnan(values[position])
    if here.sum() < 2 * OUTAGE_VALUES:
        return
    change = (values - nanmedian(values[healthy[-RECENT:]]))[:, here]
    weights = np.where(np.isnan(change), 0.0, counts[:, here])
    low, apart, within = _two_groups(change[position], weights[position])
    past = [_two_groups(change[place], weights[place])[1] for place in healthy if weights[place].any()]
    usual = float(np.mean(past))
    still = window.goes_on("range", f"{price.amount}@{segment}")
    limit = still * max(usual + DEVIATIONS * float(np.std(past, ddof=1)), PRICE_FLOOR)
    # The smaller group is the odd one.
    heavy = weights[position][low].sum() > weights[position].sum() / 2
    odd = ~low if heavy else low
    mass = float(weights[position][odd].sum() / weights[position].sum())
    # One store alone may change its prices, unless it is far beyond what stores do.
    together = (odd.sum() >= OUTAGE_VALUES or apart > OUTAGE_VALUES * limit) and mass > SEGMENT_MASS / 2
    wrong = bool(apart > limit and apart > PRICE_GROUPS * within and together)
    seen = Observation(apart, usual, limit, float(counts[position, here].sum()))
    window.note("range", price.amount, "unit prices apart", seen, wrong, segment=segment)
    kept = [label for label, present in zip(labels, here, strict=True) if present]
    _without_sizes(window, price, segment, dict(zip(kept, change[position], strict=True)), limit, wrong)
    if not wrong:
        return
    factor = rounded(math.exp(apart if heavy else -apart))
    where = Segment(segment, tuple(kept[place] for place in np.flatnonzero(odd)))
    days = window.span("range", price.amount)
    sentence = messages.unit_prices(window.table.asset, price.amount, price.item, where, factor, days)
    window.anomaly("range", price.amount, sentence, seen, segment=where, replay=Replay("scale", factor))


def _without_sizes(
    window: Window, price: Price, segment: str, changes: dict[str, float], limit: float, explained: bool
) -> None:
    """Take back what sizes say of amounts and quantities within this segment, if prices did not change there.

    Sizes differ with what is bought, and with how much of it: both grow, and what an item costs stays. Sizes of amounts
    are taken back as well where prices explain them; a quantity in another unit would be the explanation itself.
    """

    def stays(one: Anomaly) -> bool:
        sizes = one.kind == "range" and one.segment_column == segment and one.column in (price.amount, price.quantity)
        if not sizes or one.replay is None or one.replay.operation != "scale":
            return True
        found = [changes[value] for value in one.segment_values if value in changes]
        bought = len(found) > 0 and abs(float(np.median(found))) < limit / 2
        return not (bought or (explained and one.column == price.amount))

    window.anomalies[:] = [one for one in window.anomalies if stays(one)]


def _two_groups(values: Array, weights: Array) -> tuple[Mask, float, float]:
    """Return which values belong to the lower of the two groups that differ most, their distance, and what is within.

    What is within is the standard deviation of the values around their own group. All is weighted.
    """
    order = np.argsort(values)  # nan sorts last, and weighs nothing
    x, w = np.nan_to_num(values[order]), weights[order]
    total = np.cumsum(w)
    sums = np.cumsum(w * x)
    with np.errstate(invalid="ignore", divide="ignore"):
        below, above = sums / total, (sums[-1] - sums) / (total[-1] - total)
        between = np.nan_to_num(total * (total[-1] - total) * (above - below) ** 2)
    split = int(np.argmax(between[:-1]))
    apart = float(above[split] - below[split])
    group = np.where(np.arange(len(x)) <= split, below[split], above[split])
    within = math.sqrt(float((w * (x - group) ** 2).sum() / max(total[-1], 1e-9)))
    low = np.zeros(len(values), dtype=bool)
    low[order[: split + 1]] = True
    return low, apart, within
