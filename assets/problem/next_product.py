"""What a customer buys next: training set, candidate with its gate, champion, lists, and whether they held."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.problem.further import champion_of, decisions_of, model_card_of
from assets.problem.training_set import TrainingConfig
from assets.reporting import Materialized, column_schema, in_mlflow, table, unjudged, without_retries
from ml_models.problems.about import About
from ml_models.problems.next_product.gates import GATES
from resources.clock import Clock
from resources.company import company
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.candidates import span_of
from steps.next_product import keys
from steps.next_product.decisions import list_evidence
from steps.next_product.lists import lists_held, make_lists, measure_drift, measure_performance
from steps.next_product.training import (
    TRAINING_PAIRS,
    find_candidate,
    make_training_set,
)
from steps.ownership import owner_of
from steps.tables import described, tables_of

if TYPE_CHECKING:
    from ml_models.model_card.card import Card
    from ml_models.model_card.further import FurtherCardFacts


class PairsConfig(TrainingConfig):
    """What to learn from; `most_rows` are pairs here."""

    most_rows: int = TRAINING_PAIRS


class ListsConfig(dg.Config):
    """`rescore`: make the newest cutoff's lists again by the present champion; refused once its outcome is known."""

    rescore: bool = False


@dg.asset(
    key=keys.TRAINING_SET,
    deps=[keys.CANDIDATES, keys.OUTCOMES],
    group_name=keys.NAME,
    owners=[owner_of(keys.TRAINING_SET)],
    kinds={"pandas", "duckdb"},
    description=(
        "Candidates joined to what was bought, of cutoffs a horizon apart, with a strict time split: `train` and "
        "`holdout`. No training label reaches into the holdout. Cutoffs that the ledger holds to be bad are kept out, "
        "and those whose types were renamed or lost. Used by the candidate only."
    ),
)
def training_set(context: dg.AssetExecutionContext, config: PairsConfig, warehouse: Warehouse) -> Materialized:
    """Join, split and write."""
    with without_retries():
        made = make_training_set(
            warehouse,
            window=config.window,
            exclude=span_of(config.exclude_from, config.exclude_to),
            repaired=config.repaired,
            most_pairs=config.most_rows,
        )
    if made.rows is None:
        context.log.info(f"next product: nothing to learn from: {made.why_none}")
        return dg.MaterializeResult(metadata={"what_happened": f"nothing to learn from: {made.why_none}"})
    parts = made.rows.groupby("split")["cutoff_date"].agg(["min", "max"])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(made.rows),
            "dagster/table_name": "next_product.training_set",
            "dagster/column_schema": column_schema(made.rows),
            "bought": round(float(made.rows["bought"].mean()), 4),
            "share_of_customers": made.share,
            "window": config.window,
            "quarantined_cutoffs": ", ".join(map(str, made.quarantined)) or "none",
            "reason": config.reason or context.run.tags.get("baton/cause", "none given"),
            **{str(name): f"{row['min']:%Y-%m-%d} to {row['max']:%Y-%m-%d}" for name, row in parts.iterrows()},
            **warehouse.costs(),
        }
    )


@dg.multi_asset(
    name="next_product_candidate",
    specs=[
        dg.AssetSpec(
            keys.CANDIDATE,
            deps=[keys.TRAINING_SET, keys.OUTCOMES],
            group_name=keys.NAME,
            owners=[owner_of(keys.CANDIDATE)],
            kinds={"scikitlearn", "mlflow"},
            description=(
                "One row a registered version of the model of next product: its measures on the holdout, with "
                "intervals, and the gates that it failed. It is in MLflow as `challenger`. The gate's "
                "checks decide on it."
            ),
        ),
        dg.AssetSpec(
            keys.HOLDOUT_LISTS,
            deps=[keys.TRAINING_SET],
            group_name=keys.NAME,
            owners=[owner_of(keys.HOLDOUT_LISTS)],
            kinds={"scikitlearn", "duckdb"},
            description="Each version's lists on the holdout, by the fit that had not seen it: what the gate judged.",
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            name,
            asset=keys.CANDIDATE,
            blocking=False,
            description=text,
            metadata={"owner": owner_of(keys.CANDIDATE)},
        )
        for name, text in GATES.items()
    ],
)
def candidate(
    context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Fit, judge, compare, register; the same data and recipe are not judged twice against one champion."""
    import pandas as pd

    found = find_candidate(warehouse, registry, log=context.log.info, run_id=context.run_id)
    metadata: dict[str, Any] = described(warehouse, keys.CANDIDATE)
    if found.version is None:
        metadata["what_happened"] = f"nothing was trained: {found.why_none}"
    else:
        evidence = found.evidence
        slices = pd.DataFrame(evidence["slices"])
        metadata |= {
            "model_version": found.version.version,
            **in_mlflow(registry.of(keys.NAME), found.version.version),
            "algorithm": found.version.algorithm,
            "trained_through": found.version.trained_through.isoformat(),
            **{name: round(evidence["metrics"][name], 4) for name in ("recall", "ndcg", "coverage")},
            "models_on_the_holdout": table(pd.DataFrame(evidence["comparison"])),
            "slices": table(slices[slices["slice_name"] != "cutoff"]),
        }
    yield dg.MaterializeResult(asset_key=keys.CANDIDATE, metadata=metadata)
    yield dg.MaterializeResult(asset_key=keys.HOLDOUT_LISTS, metadata=described(warehouse, keys.HOLDOUT_LISTS))
    verdicts = {gate["name"]: gate for gate in found.evidence.get("gates", [])}
    for name in GATES:
        yield _verdict(name, verdicts.get(name), found.why_none)


def _verdict(name: str, gate: Mapping[str, Any] | None, why_none: str) -> dg.AssetCheckResult:
    if gate is None:
        return unjudged(why_none)._replace(asset_key=keys.CANDIDATE, check_name=name)
    return dg.AssetCheckResult(
        asset_key=keys.CANDIDATE,
        check_name=name,
        passed=gate["passed"],
        severity=dg.AssetCheckSeverity.WARN,
        description=gate["sentence"],
        metadata=figures(gate["observed"], gate["bound"], "as the sentence says"),
    )


@dg.asset(
    key=keys.PREDICTIONS,
    deps=[keys.CANDIDATES, keys.CHAMPION],
    group_name=keys.NAME,
    owners=[owner_of(keys.PREDICTIONS)],
    kinds={"scikitlearn", "duckdb"},
    description=(
        "Ten product types a customer and cutoff, best first: what the customer is expected to buy in the next "
        f"{company().question.horizon_days} days, with the probability, and whether it is a habit or new. A customer "
        "of one shopping day gets what most customers buy, and the row says so. Made once a cutoff."
    ),
)
def predictions(
    context: dg.AssetExecutionContext,
    config: ListsConfig,
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
) -> Materialized:
    """Make the newest cutoff's lists, once."""
    with without_retries():
        done = make_lists(warehouse, registry, clock, rescore=config.rescore)
    context.log.info(done.what)
    metadata: dict[str, Any] = {**described(warehouse, keys.PREDICTIONS), "what_happened": done.what}
    if done.cutoff:
        most = warehouse.read(
            "select product_type, count(*) as lists, avg(score) as mean_score, avg(is_repeat) as repeats "
            "from next_product.predictions where cutoff_date = ? group by product_type "
            "order by lists desc, product_type limit 20",
            [done.cutoff],
        )
        metadata |= {"newest_cutoff": str(done.cutoff), "most_listed": table(most)}
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    key=keys.PERFORMANCE,
    deps=[keys.PREDICTIONS, keys.OUTCOMES, keys.HOLDOUT_LISTS, keys.CANDIDATES],
    group_name=keys.NAME,
    owners=[owner_of(keys.PERFORMANCE)],
    kinds={"pandas", "duckdb"},
    description=(
        "How the lists held: recall and nDCG at ten, types bought before and new ones apart, as a whole, by activity "
        "and by cutoff, with intervals over customers. `live` are lists that were served before the outcome was known; "
        "`holdout` is what the gate saw. Personal frequency on the same candidates stands beside them."
    ),
    check_specs=[
        dg.AssetCheckSpec(
            "lists_hold",
            asset=keys.PERFORMANCE,
            description="The newest judged lists are no worse than personal frequency, beyond noise.",
            metadata={"owner": owner_of(keys.PREDICTIONS)},
        )
    ],
)
def performance(warehouse: Warehouse, registry: ModelRegistry) -> Materialized:
    """Judge every list whose outcome is known."""
    result = measure_performance(warehouse, registry)
    held = lists_held(result)
    check = dg.AssetCheckResult(
        asset_key=keys.PERFORMANCE,
        check_name="lists_hold",
        passed=held.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=held.sentence,
        metadata=figures(held.observed, 0 if held.observed is not None else None, "nDCG gained, upper end, at least"),
    )
    metadata = {**described(warehouse, keys.PERFORMANCE), "by_slice": table(result)}
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


@dg.asset(
    key=keys.DRIFT,
    deps=[keys.POPULAR_TYPES],
    group_name=keys.NAME,
    owners=[owner_of(keys.DRIFT)],
    kinds={"pandas", "duckdb"},
    description=(
        "Whether product types are the ones that were there a horizon before: renamed, vanished, or bought otherwise "
        "of late. Each cutoff is judged by its own past, and says what follows."
    ),
    check_specs=[
        dg.AssetCheckSpec(
            "types_as_usual",
            asset=keys.DRIFT,
            description="No product type was renamed, vanished or came beyond what is usual.",
            metadata={"owner": owner_of(keys.POPULAR_TYPES)},
        )
    ],
)
def drift(warehouse: Warehouse) -> Materialized:
    """Judge the types of every cutoff."""
    found = measure_drift(warehouse)
    newest = found.sort_values("cutoff_date").iloc[-1] if len(found) else None
    bad = newest is not None and newest["decision"] == "inspect"
    check = dg.AssetCheckResult(
        asset_key=keys.DRIFT,
        check_name="types_as_usual",
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=newest["sentence"]
        if newest is not None
        else "insufficient evidence: no two cutoffs to compare yet.",
        metadata=figures(int(bad), 0, "changes of types to look at, at most"),
    )
    return dg.MaterializeResult(
        metadata={**described(warehouse, keys.DRIFT), "by_cutoff": table(found)}, check_results=[check]
    )


def list_assets(about: About) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """Return the assets of the problem that makes lists, in the order in which its data flows."""
    of = tables_of(about.name)
    return [
        training_set,
        candidate,
        champion_of(about, of),
        predictions,
        performance,
        drift,
        decisions_of(about, of, list_evidence),
        model_card_of(about, of, _card),
    ]


def _card(facts: "FurtherCardFacts") -> "Card":
    from ml_models.model_card.lists import list_card

    return list_card(facts)
