"""The lists of next product: made once a cutoff by the champion, judged once outcomes are known, watched for drift."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from resources.clock import Clock
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, ModelVersion
from resources.warehouse.contract import Warehouse
from steps.as_of import newest_cutoff, stale_feed
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.next_product.keys import DRIFT, HOLDOUT_LISTS, NAME, PERFORMANCE, PREDICTIONS
from steps.next_product.training import SEED
from steps.problem import problem
from steps.tables import store, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.metrics import Array

BATCH_CUSTOMERS = 20_000
"""Lists are made for about so many customers at a time: 65 pairs each."""

JUDGED_CUTOFFS = 13
"""Served lists of so many newest cutoffs (a quarter) are judged each week; what was told of earlier ones is kept."""

_LIVE = (
    f"from {NAME}.predictions where cutoff_date > trained_through "
    f"and cutoff_date in (select cutoff_date from {NAME}.outcomes)"
)


class Listed(NamedTuple):
    """What happened, in words; and where lists were made, for which cutoff and how many customers."""

    what: str
    cutoff: date | None = None
    customers: int = 0


def make_lists(warehouse: Warehouse, registry: ModelRegistry, clock: Clock, *, rescore: bool = False) -> Listed:
    """Make the lists of the newest cutoff by the champion; a cutoff that has them keeps them unless `rescore`.

    Raises:
        StepRefusedError: `rescore`, and the cutoff's outcome is known.
    """
    ensure(warehouse, PREDICTIONS)
    own = registry.of(NAME)
    champion, newest = own.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    stale = stale_feed(newest, clock)
    if champion is None:
        return Listed("no list is made: no model of next product has been promoted yet")
    if newest is None:
        return Listed("no list is made: the feature frame has no cutoff yet")
    if stale:
        return Listed(f"no list is made: {stale}")
    there = warehouse.read(f"select count(*) as n from {NAME}.predictions where cutoff_date = ?", [newest])
    if there["n"].iloc[0] and not rescore:
        return Listed(f"the lists of {newest} were made already", newest)
    known = warehouse.read(f"select count(*) as n from {NAME}.outcomes where cutoff_date = ?", [newest])
    if known["n"].iloc[0]:
        raise StepRefusedError(
            f"Expected a cutoff whose outcome is still open, and what was bought after {newest} is known. What was "
            "served stays as it is."
        )
    from ml_models.problems.next_product.training import scorer

    if not _customers(warehouse, newest):
        return Listed(f"no list is made: next_product.candidates has no pair of {newest}")
    score, at = scorer(own.load(champion)), datetime.now(UTC)
    counted = []

    def batches() -> "Iterator[pd.DataFrame]":
        for pairs in pairs_of(warehouse, newest):
            lists = lists_by(champion, pairs, score(pairs), at)
            counted.append(int((lists["place"] == 1).sum()))
            yield typed(lists, PREDICTIONS)

    warehouse.replace_partitions_by(NAME, "predictions", batches(), column="cutoff_date", values=[newest])
    customers = sum(counted)
    return Listed(f"lists of {newest} for {customers:,} customers by version {champion.version}", newest, customers)


def lists_by(champion: ModelVersion, pairs: "pd.DataFrame", scores: "Array", at: datetime) -> "pd.DataFrame":
    """Return the lists of these pairs by a version's scores, (n,), as they are served at an instant."""
    import pandas as pd

    from ml_models.problems.next_product.rankings import lists_of

    lists = lists_of(pairs, scores)
    return lists.assign(
        is_repeat=(lists["days_bought"] > 0).astype("int64"),
        model_name=champion.name,
        model_version=champion.version,
        trained_through=pd.Timestamp(champion.trained_through),
        scored_at=pd.Timestamp(at),
    )


def _customers(warehouse: Warehouse, cutoff: date) -> int:
    counted = warehouse.read(
        f"select count(distinct customer_id) as n from {NAME}.candidates where cutoff_date = ?", [cutoff]
    )
    return int(counted["n"].iloc[0])


def pairs_of(warehouse: Warehouse, cutoff: date) -> "Iterator[pd.DataFrame]":
    """Yield the pairs of a cutoff, whole customers together, in parts by the customer's hash: memory stays flat."""
    parts, digits = -(-_customers(warehouse, cutoff) // BATCH_CUSTOMERS), warehouse.md5_of("customer_id")
    for part in range(parts):
        low, high = part * 16**8 // parts, (part + 1) * 16**8 // parts
        beyond = "" if part == parts - 1 else f" and {digits} < '{high:08x}'"
        pairs = warehouse.read(
            f"select * from {NAME}.candidates where cutoff_date = ? and {digits} >= '{low:08x}'{beyond} "
            "order by customer_id, product_type",
            [cutoff],
        )
        if len(pairs):
            yield pairs


def bought_from(warehouse: Warehouse, cutoff: date) -> "pd.DataFrame":
    """Return what customers bought within the horizon from a cutoff on: a row a customer and type."""
    return warehouse.read(
        f"select customer_id, cutoff_date, product_type, is_repeat from {NAME}.outcomes where cutoff_date = ?", [cutoff]
    )


def measure_performance(warehouse: Warehouse, registry: ModelRegistry) -> "pd.DataFrame":
    """Judge the lists whose outcome is known, live and of the champion's holdout; write `next_product.performance`.

    Live are lists of cutoffs that their model had not learned from: the newest JUDGED_CUTOFFS together and each by
    itself, as their outcomes stand today. Of earlier cutoffs the rows stay that were told; one that has none is judged.
    Beside each stands personal frequency, made of the same candidates.
    """
    import pandas as pd

    ensure(warehouse, PREDICTIONS, HOLDOUT_LISTS, PERFORMANCE)
    champion = registry.of(NAME).by_alias(CHAMPION_ALIAS)
    known = warehouse.read(f"select distinct cutoff_date {_LIVE} order by cutoff_date")["cutoff_date"]
    days = [pd.Timestamp(day).date() for day in known]
    newest, earlier = days[-JUDGED_CUTOFFS:], [str(day) for day in days[:-JUDGED_CUTOFFS]]
    told = warehouse.read(f"select * from {NAME}.performance where evidence = 'live' and slice_name = 'cutoff'")
    told = told[told["slice_value"].isin(earlier)]
    found = [told]
    for day in sorted({*earlier} - {*told["slice_value"]}):
        slices = _judged(warehouse, _live(warehouse, day, day))
        found.append(slices[slices["slice_name"] == "cutoff"].assign(evidence="live"))
    if newest:
        found.append(_judged(warehouse, _live(warehouse, newest[0], newest[-1])).assign(evidence="live"))
    if champion is not None:
        held = warehouse.read(f"select * from {NAME}.holdout_predictions where model_version = ?", [champion.version])
        found += [_judged(warehouse, held).assign(evidence="holdout")] if len(held) else []
    found = [rows for rows in found if len(rows)]
    result = typed(pd.concat(found) if found else pd.DataFrame(), PERFORMANCE)
    store(warehouse, PERFORMANCE, result)
    return result


def _live(warehouse: Warehouse, first: date | str, last: date | str) -> "pd.DataFrame":
    return warehouse.read(
        f"select customer_id, cutoff_date, product_type, place, customer_days, model_version {_LIVE} "
        f"and cutoff_date between date '{first}' and date '{last}'"
    )


def _judged(warehouse: Warehouse, lists: "pd.DataFrame") -> "pd.DataFrame":
    """Return the slices of these lists, each cutoff also against personal frequency."""
    import pandas as pd

    from ml_models.problems.next_product.baselines import top_frequency
    from ml_models.problems.next_product.measures import judged, paired
    from ml_models.problems.next_product.rankings import lists_of
    from ml_models.problems.next_product.training import slices_of

    rows, reference = [], []
    for cutoff, made in lists.groupby("cutoff_date"):
        day = pd.Timestamp(str(cutoff)).date()
        bought = bought_from(warehouse, day)
        mine = made[["customer_id", "cutoff_date"]].drop_duplicates()
        bought = bought.merge(mine, on=["customer_id", "cutoff_date"])
        rows.append(judged(made, bought))
        pairs = [part.merge(mine, on=["customer_id", "cutoff_date"]) for part in pairs_of(warehouse, day)]
        reference += [judged(lists_of(part, top_frequency(part)), bought) for part in pairs if len(part)]
    mine, other = pd.concat(rows, ignore_index=True), pd.concat(reference, ignore_index=True)
    # A part's customers are not all that bought.
    slices = slices_of(mine, lists, SEED)
    for place, row in slices[slices["slice_name"].isin(["all", "cutoff"])].iterrows():
        whole = row["slice_name"] == "all"
        stamp = None if whole else pd.Timestamp(row["slice_value"])
        ours = mine if whole else mine[mine["cutoff_date"] == stamp]
        theirs = other if whole else other[other["cutoff_date"] == stamp]
        shared = ours[["customer_id", "cutoff_date"]].merge(theirs[["customer_id", "cutoff_date"]])
        won = paired(ours.merge(shared), theirs.merge(shared), seed=SEED)
        slices.loc[place, ["frequency_ndcg", "gained", "gained_low", "gained_high"]] = [
            theirs["ndcg"].mean(),
            won.value,
            won.low,
            won.high,
        ]
    return slices.assign(model_version=int(lists["model_version"].max()))


class Held(NamedTuple):
    """Whether the newest judged lists held, in a sentence; the observed upper end of what they gained."""

    passed: bool
    sentence: str
    observed: float | None = None


def lists_held(performance: "pd.DataFrame") -> Held:
    """Judge the newest cutoff of live lists: no worse than personal frequency, beyond noise."""
    live = performance[(performance["evidence"] == "live") & (performance["slice_name"] == "cutoff")]
    if live.empty:
        return Held(True, "insufficient evidence: no list that was served has a known outcome yet.")
    newest = live.sort_values("slice_value").iloc[-1]
    passed = not newest["gained_high"] < 0
    return Held(
        passed,
        f"Lists of {newest['slice_value']} reached an nDCG of {newest['ndcg']:.3f}, {newest['gained']:+.4f} "
        f"({newest['gained_low']:+.4f} to {newest['gained_high']:+.4f}) against personal frequency. "
        + ("They hold." if passed else "A simple rule does better: train anew, or look at what changed in the types."),
        float(newest["gained_high"]),
    )


def measure_drift(warehouse: Warehouse) -> "pd.DataFrame":
    """Judge each cutoff's product types against those a horizon before, and write `next_product.drift`."""
    from ml_models.problems.next_product.assortment import changes

    popular = warehouse.read(f"select cutoff_date, product_type, buyers_lately from {NAME}.popular_types")
    found = typed(changes(popular, problem().horizon_days), DRIFT)
    store(warehouse, DRIFT, found)
    return found
