"""Who is about to lapse: the newest cutoff, scored by the champion, once."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from assets.reporting import Materialized, in_mlflow, predicted, table, without_retries
from ml_models.problems.contract import REASONS
from resources.clock import Clock
from resources.company import company
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.champions import POOL
from steps.ownership import owner_of
from steps.problem import problem
from steps.tables import CANDIDATE, CHAMPION, FEATURE_FRAME, FEED, PREDICTIONS, SHADOW_PREDICTIONS, described
from steps.weekly_scoring import current_cutoff, score_as_shadow, score_due_cutoff

SCORED_CURRENT_CUTOFF = dg.AssetCheckKey(PREDICTIONS, "scored_current_cutoff")


class ScoreConfig(dg.Config):
    """What to score.

    `cutoff`: an ISO date; empty for the newest cutoff. A missed week is scored only when somebody asks for it here.
    `rescore`: replace the cutoff's predictions by the present champion's. Refused once the outcome is known, because
    nobody decided anything on a prediction made afterwards.
    `batch_rows`: how many rows are held at a time, 0 for the usual 200,000; more than that are streamed.
    """

    cutoff: str = ""
    rescore: bool = False
    batch_rows: int = 0


@dg.multi_asset(
    pool=POOL,
    name=PREDICTIONS.to_python_identifier(),
    specs=[
        dg.AssetSpec(
            PREDICTIONS,
            deps=[FEATURE_FRAME, CHAMPION],
            group_name="predictions",
            owners=[owner_of(PREDICTIONS)],
            kinds={"scikitlearn", "duckdb"},
            description=(
                "One row a customer and cutoff: the probability that the customer does not shop in the next "
                f"{company().question.horizon_days} days, with the model version that said so and three reasons. "
                "Written by the champion, a cutoff at a time and once; `trained_through` tells which predictions may "
                "count as performance. Read by customers_at_risk, accuracy_over_time and anyone with SQL."
            ),
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(
            SCORED_CURRENT_CUTOFF.name,
            asset=PREDICTIONS,
            description=(
                "The newest cutoff that the clock allows is there and has predictions. With older data nothing is "
                "scored: a list of customers at risk as of last week would be acted on as if it were today's."
            ),
            metadata={"owner": owner_of(FEED)},
        )
    ],
)
def lapse_predictions(
    context: dg.AssetExecutionContext,
    config: ScoreConfig,
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Score one cutoff with the champion; a cutoff that is already there stays as it is."""
    with without_retries():
        done = score_due_cutoff(
            warehouse,
            registry,
            clock,
            cutoff=config.cutoff,
            rescore=config.rescore,
            batch_rows=config.batch_rows,
        )
    context.log.info(done.what)
    metadata: dict[str, Any] = {
        **described(warehouse, PREDICTIONS),
        "dagster/column_lineage": predicted(problem()),
        "what_happened": done.what,
    }
    if done.scored:
        metadata |= done.scored.metadata
    # Also where the newest cutoff was scored before: the page shows the newest materialisation.
    metadata |= _newest(warehouse, registry)
    yield dg.MaterializeResult(asset_key=PREDICTIONS, metadata=metadata)
    passed, sentence, newest = current_cutoff(warehouse, registry, clock)
    yield dg.AssetCheckResult(
        asset_key=PREDICTIONS,
        check_name=SCORED_CURRENT_CUTOFF.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence,
        metadata={
            "newest_cutoff": str(newest) if newest else "none",
            "owner": owner_of(FEED),
            **figures(int(not passed), 0, "cutoffs that are due and not scored, at most"),
        },
    )


@dg.asset(
    key=SHADOW_PREDICTIONS,
    deps=[FEATURE_FRAME, CANDIDATE, PREDICTIONS],
    group_name="predictions",
    owners=[owner_of(SHADOW_PREDICTIONS)],
    kinds={"scikitlearn", "duckdb"},
    description=(
        "What a challenger that passed the gate, and waits for its promotion, says of the newest cutoff, beside what "
        "the champion said. Nobody is served from it. A promotion with `after_shadow` waits for such a cutoff."
    ),
)
def shadow_predictions(
    context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry
) -> Materialized:
    """Score the newest served cutoff with the waiting challenger, if there is one."""
    done = score_as_shadow(warehouse, registry)
    context.log.info(done.what)
    metadata: dict[str, Any] = {**described(warehouse, SHADOW_PREDICTIONS), "what_happened": done.what}
    if done.scored and done.cutoff:
        metadata |= {**done.scored.metadata, **_agreement(warehouse, done.cutoff)}
    if done.version:
        metadata |= {"model_version": done.version.version, **in_mlflow(registry, done.version.version)}
    return dg.MaterializeResult(metadata=metadata)


def _newest(warehouse: Warehouse, registry: ModelRegistry) -> dict[str, Any]:
    """Return what a person looks at first of the newest cutoff: who scored it, the mean score, who is most at risk."""
    newest = warehouse.read(
        "select cutoff_date, max(model_version) as version, avg(score) as mean from predictions.lapse_predictions "
        "group by cutoff_date order by cutoff_date desc limit 1"
    )
    if newest.empty:
        return {}
    cutoff, version = newest["cutoff_date"].iloc[0].date(), int(newest["version"].iloc[0])
    highest = warehouse.read(
        f"select customer_id, score, {', '.join(REASONS)} from predictions.lapse_predictions where cutoff_date = ? "
        "order by score desc, customer_id limit 10",
        [cutoff],
    )
    return {
        "newest_cutoff": str(cutoff),
        "model_version": version,
        **in_mlflow(registry, version),
        "mean_score": round(float(newest["mean"].iloc[0]), 4),
        "ten_most_at_risk": table(highest),
    }


def _agreement(warehouse: Warehouse, cutoff: date) -> dict[str, Any]:
    """Return how far the challenger agrees with the champion on a cutoff that both scored."""
    both = warehouse.read(
        "select score, champion_score from predictions.shadow_predictions "
        "where cutoff_date = ? and champion_score is not null",
        [cutoff],
    )
    if len(both) < 2:
        return {}
    return {
        "mean_score": round(float(both["score"].mean()), 4),
        "champions_mean_score": round(float(both["champion_score"].mean()), 4),
        "rank_correlation": round(float(both["score"].corr(both["champion_score"], method="spearman")), 4),
    }


PREDICTION_ASSETS = [lapse_predictions, shadow_predictions]
