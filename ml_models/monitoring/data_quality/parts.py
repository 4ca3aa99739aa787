"""Orders that some values of a segment lose while the others go on: a region, a kind of till, the stores of one loader.

Each store by itself is too noisy to show that a third of its orders is missing, and where customers keep to one store,
theirs come less. So two questions are asked of all stores together.

*Are there two groups?* A feed that loses orders loses the same share of them in every store that it reaches, and none
elsewhere. What the world does differs from store to store. So the orders of all stores are explained twice, by one
change and by two, and what counts is by how much better two do: a logarithm of likelihoods, of counts that scatter as
wide as this table's do. The second change must be a step against the last healthy week as well, not where a slope got.

*Did customers change?* Within the stores that lost, orders that are lost on the way are lost whoever made them. Where
customers stay away, some do and others do not, and that shows (`within_sql` says in which number). What is clearly
uneven is the world's. What is undecided is inspected, and nothing learns from it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.observation import Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    MINIMUM_WINDOWS,
    OUTAGE_VALUES,
    PART_GAIN,
    PART_ORDERS,
    RECENT,
    SEGMENT_DEVIATIONS,
    SEGMENT_MASS,
    VOLUME_FACTOR,
)
from ml_models.monitoring.data_quality.window import Window
from ml_models.monitoring.thresholds import DEVIATION_OF_MAD

_SHARES = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])
_KEPT = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8])


@dataclass(frozen=True)
class _Split:
    """Values of a segment in two groups: which lost orders (`low`), and by how much better two explain than one."""

    gain: float
    low: Mask
    high: Mask


def judge_parts(window: Window) -> None:
    """Judge whether some values of a segment lost the same share of their orders while the others go on."""
    table = window.table
    for column in table.segments:
        found = any(one.kind == "volume" and one.segment_column == column for one in window.anomalies)
        if table.entity and column not in table.categories and not found and not window.affected(column):
            _judge(window, column)


def _judge(window: Window, column: str) -> None:
    orders, labels = _of(window, "orders", column)
    position = window.position
    # A former build did not measure it: of its weeks nothing is known.
    measured: Mask = np.asarray(orders.any(axis=1))
    healthy = window.healthy[measured[window.healthy]]
    if len(healthy) < MINIMUM_WINDOWS + RECENT // 2 or not measured[position]:
        return
    usual, now = orders[healthy[-RECENT:]].mean(axis=0), orders[position]
    # Each healthy week against those before it: how far counts scatter, and what two groups gain by chance.
    pairs = [(orders[place], _before(orders, healthy, index)) for index, place in enumerate(healthy) if index >= 4]
    scatter = max(float(np.median([_scatter(*pair) for pair in pairs])), 1.0)
    split = _split(now, usual, scatter)
    still = window.goes_on("volume", f"@{column}")
    limit = still * PART_GAIN
    if split.gain > limit:
        gains = np.array([_split(*pair, scatter).gain for pair in pairs])
        limit = still * max(PART_GAIN, float(gains.mean() + DEVIATIONS * gains.std(ddof=1)))
    low = split.low
    change, step = _apart(now, usual, split), _apart(now, orders[healthy[-1]], split)
    together = low.sum() >= OUTAGE_VALUES and usual[low].sum() > SEGMENT_MASS * usual.sum()
    wrong = bool(split.gain > limit and together and step < change / 2)
    if wrong and _of_customers(window, column, low):
        wrong, window.customers_changed = False, True
    seen = Observation(split.gain, 0.0, limit, float(now.sum()))
    window.note("volume", "", "orders lost in part", seen, wrong, segment=column)
    if wrong:
        window.drop_losses()
        where = Segment(column, tuple(label for label, lost in zip(labels, low, strict=True) if lost))
        rate, replay = 1 - math.exp(change), Replay("drop", per=window.table.group)
        sentence = messages.parts_lost(window.table.asset, where, window.span("volume", f"@{column}"), rate)
        window.anomaly("volume", "", sentence, seen, rate=rate, segment=where, replay=replay)


def _of(window: Window, measure: str, column: str) -> tuple[Array, list[str]]:
    """Return a measure within the values of a segment (weeks x values, 0 where there is none), and the values."""
    values, _, labels = window.history.series(measure, lambda name: name == f"@{column}", column)
    return np.nan_to_num(values), [key for _, key in labels]


def _before(orders: Array, healthy: npt.NDArray[np.int64], index: int) -> Array:
    mean: Array = orders[healthy[max(index - RECENT, 0) : index]].mean(axis=0)
    return mean


def _scatter(now: Array, before: Array) -> float:
    """Return the variance of counts over their mean, where all change alike."""
    expected = before * now.sum() / max(before.sum(), 1e-9)
    return float(((now - expected) ** 2).sum() / max(now.sum(), 1.0))


def _split(now: Array, before: Array, scatter: float) -> _Split:
    """Return the two groups that explain this week's counts best, over one change for all.

    One group holds the share f of what was sold and keeps k of it, the other keeps all; both lie on a grid. Values that
    gained by far more than the others take no part, as a store that opened is no loss of all others; and neither do
    those that lost nearly all, which is for `outages` to judge: one store that closes says nothing of others.
    """
    sells = before > PART_ORDERS
    usual = float(np.median(now[sells] / before[sells])) if sells.any() else 1.0
    expected, chance = usual * before, DEVIATIONS * np.sqrt(before)
    opened, closed = now > VOLUME_FACTOR * expected + chance, now < np.minimum(_KEPT[0] * expected, expected - chance)
    known = sells & ~opened & ~closed
    n, p = now[known], before[known]
    low = np.zeros(len(now), dtype=bool)
    if not n.sum():
        return _Split(0.0, low, low)
    rate = n.sum() / p.sum()
    share, kept = (axis.ravel()[:, None] for axis in np.meshgrid(_SHARES, _KEPT))
    base = rate / (1 - share * (1 - kept))
    # Over that of one change for all; the counts' factorials are the same in each.
    as_the_others = (n * np.log(base / rate) - (base - rate) * p) / scatter
    as_the_low = (n * np.log(kept * base / rate) - (kept * base - rate) * p) / scatter
    fewer, others = np.log(share) + as_the_low, np.log1p(-share) + as_the_others
    gains = np.logaddexp(fewer, others).sum(axis=1)
    best = int(np.argmax(gains))
    low[known] = fewer[best] > others[best]
    split = _Split(max(float(gains[best]), 0.0), low, known & ~low)
    # Where the others only gained, nothing was lost.
    lost = math.log(max(now[low].sum(), 0.5) / max(before[low].sum(), 0.5))
    return split if lost < _apart(now, before, split) / 2 else replace(split, gain=0.0)


def _apart(now: Array, before: Array, split: _Split) -> float:
    """Return the logarithm of what one group kept of its orders, over what the other did."""
    sums = [max(float(values[which].sum()), 0.5) for which in (split.low, split.high) for values in (now, before)]
    return math.log(sums[0] / sums[1]) - math.log(sums[2] / sums[3])


def _of_customers(window: Window, column: str, low: Mask) -> bool:
    """Whether customers of these values came clearly more unevenly than they do: then it is they who changed."""
    strays, labels = _of(window, "strays", column)
    scales, others = _of(window, "strays_scale", column)
    if labels != others or not low.any():
        return False
    with np.errstate(invalid="ignore", divide="ignore"):
        uneven = strays[:, low].sum(axis=1) / scales[:, low].sum(axis=1)
    past = uneven[window.healthy]
    past = past[np.isfinite(past)]
    if len(past) < MINIMUM_WINDOWS:
        return False
    # Weeks in which customers had changed already may be among them: the middle of the past, not its mean.
    now, usual = float(uneven[window.position]), float(np.median(past))
    spread = DEVIATION_OF_MAD * float(np.median(np.abs(past - usual)))
    limit = SEGMENT_DEVIATIONS * spread * (1 + 2 / len(past))
    seen = Observation(now, usual, limit, float(strays[window.position, low].sum()))
    window.note("volume", "", "uneven among their customers", seen, now - usual > limit, segment=column)
    return now - usual > limit
