"""What is known of a week of next product: whether lists hold, and whether product types are still those of before."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.company import company
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.champions import previous_champion
from steps.further.decisions import Evidence
from steps.migrations import ensure
from steps.next_product.keys import DRIFT, NAME, PERFORMANCE, PREDICTIONS
from steps.next_product.lists import bought_from, lists_held, pairs_of
from steps.next_product.training import SEED
from steps.ownership import owner_of
from steps.problem import problem, settings
from steps.tables import ProblemTables

if TYPE_CHECKING:
    from ml_models.monitoring.decision.further import Broken

WORTH = 0.01
"""Share of the champion's nDCG that the version before must be better by: less is worth no change."""


def list_evidence(warehouse: Warehouse, registry: ModelRegistry, of: ProblemTables, cutoff: date) -> Evidence:
    """Return what is known of a week; `registry` is the problem's own."""
    from ml_models.monitoring.types import Verdict

    ensure(warehouse, PERFORMANCE, DRIFT, PREDICTIONS)
    held = lists_held(
        warehouse.read(
            f"select * from {NAME}.performance where evidence = 'live' and slice_name = 'cutoff' "
            "and cast(slice_value as date) <= cast(? as date)",
            [cutoff - timedelta(days=problem().horizon_days)],
        )
    )
    status = "insufficient evidence" if held.observed is None else "pass" if held.passed else "fail"
    return Evidence(
        Verdict(status, "lists" if status == "fail" else "", held.sentence),
        former=_former_is_better(warehouse, registry, of, cutoff),
        broken=_broken(warehouse, cutoff),
        columns={"gained_high": held.observed},
    )


def _broken(warehouse: Warehouse, cutoff: date) -> "Broken | None":
    """Return what of the product types is to be looked at before anything is trained."""
    from ml_models.monitoring.decision.further import Broken

    found = warehouse.read(f"select decision, sentence from {NAME}.drift where cutoff_date = ?", [cutoff])
    if found.empty or found["decision"].iloc[0] != "inspect":
        return None
    products = company().products
    # Without a list of products each line says what it is of.
    table = dg.AssetKey(["raw", (products and products.table) or company().order_lines.table])
    return Broken(
        str(found["sentence"].iloc[0]), table.to_user_string(), owner_of(table), f"make rebuild FROM={cutoff}"
    )


def _former_is_better(warehouse: Warehouse, registry: ModelRegistry, of: ProblemTables, cutoff: date) -> str:
    """Return that the version before the champion would have been better, in words; empty: it is not, or is too old."""
    import pandas as pd

    from ml_models.problems.next_product.measures import judged, paired
    from ml_models.problems.next_product.rankings import lists_of
    from ml_models.problems.next_product.training import scorer

    champion, former = registry.by_alias(CHAMPION_ALIAS), previous_champion(registry, warehouse, of=of)
    if champion is None or former is None:
        return ""
    days = _judged_days(warehouse, champion.version, former.trained_through, cutoff)
    if not days or (cutoff - days[0]).days > settings().comparison_days(problem().horizon_days):
        return ""
    ours: list[pd.DataFrame] = []
    theirs: list[pd.DataFrame] = []
    score = scorer(registry.load(former))
    for day in days:
        parts = [lists_of(pairs, score(pairs)) for pairs in pairs_of(warehouse, day)]
        if not parts:
            # Its pairs were not kept: nothing can be listed of them again.
            continue
        bought = bought_from(warehouse, day)
        served = warehouse.read(
            "select customer_id, cutoff_date, product_type, place, customer_days "
            f"from {NAME}.predictions where cutoff_date = ? and model_version = ?",
            [day, champion.version],
        )
        ours.append(judged(served, bought))
        mine = served[["customer_id", "cutoff_date"]].drop_duplicates()
        theirs.append(judged(pd.concat(parts).merge(mine, on=["customer_id", "cutoff_date"]), bought))
    if not ours:
        return ""
    rows, other = pd.concat(ours, ignore_index=True), pd.concat(theirs, ignore_index=True)
    shared = rows[["customer_id", "cutoff_date"]].merge(other[["customer_id", "cutoff_date"]])
    found = paired(other.merge(shared), rows.merge(shared), seed=SEED)
    if not found.low > 0 or found.value < WORTH * rows["ndcg"].mean():
        return ""
    return f"on {len(shared):,} lists that neither had seen its nDCG is larger by {found.value:+.4f}"


def _judged_days(warehouse: Warehouse, version: int, former_through: date, cutoff: date) -> list[date]:
    """Return the cutoffs of the champion's lists, ascending, whose outcome is known and neither version had seen."""
    horizon = timedelta(days=problem().horizon_days)
    found = warehouse.read(
        f"select distinct cutoff_date from {NAME}.predictions where model_version = ? "
        "and cutoff_date > trained_through and cutoff_date >= ? and cutoff_date <= ? and cutoff_date in "
        f"(select cutoff_date from {NAME}.outcomes) order by 1",
        [version, former_through + horizon, cutoff - horizon],
    )
    return [stamp.date() for stamp in found["cutoff_date"]]
