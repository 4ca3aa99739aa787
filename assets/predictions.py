"""Who is about to lapse: the newest cutoff, scored by the champion, once."""

import io
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from assets.features import FEATURE_FRAME
from assets.ownership import owner_of
from assets.reporting import table
from assets.tables import described, ensure
from assets.training import CHAMPION
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, ModelVersion
from resources.warehouse import DuckDBWarehouse

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = dg.AssetKey(["predictions", "lapse_predictions"])
CUSTOMERS_AT_RISK = dg.AssetKey(["marts", "customers_at_risk"])


class ScoreConfig(dg.Config):
    """What to score.

    `cutoff`: an ISO date; empty for the newest cutoff. A missed week is scored only when somebody asks for it here.
    `rescore`: replace the cutoff's predictions by the present champion's. Refused once the outcome is known, because
    nobody decided anything on a prediction made afterwards.
    """

    cutoff: str = ""
    rescore: bool = False


@dg.asset(
    key=PREDICTIONS,
    deps=[FEATURE_FRAME, CHAMPION],
    group_name="predictions",
    owners=[owner_of(PREDICTIONS)],
    kinds={"scikitlearn", "duckdb"},
    description=(
        "One row a customer and cutoff: the probability that the customer does not shop in the next 28 days, with the "
        "model version that said so and three reasons. Written by the champion, a cutoff at a time and once; "
        "`trained_through` tells which predictions may count as performance. Read by customers_at_risk, "
        "accuracy_over_time and anyone with SQL."
    ),
)
def lapse_predictions(
    context: dg.AssetExecutionContext, config: ScoreConfig, warehouse: DuckDBWarehouse, registry: ModelRegistry
) -> dg.MaterializeResult:
    """Score one cutoff with the champion; a cutoff that is already there stays as it is."""
    champion = registry.by_alias(CHAMPION_ALIAS)
    cutoff = date.fromisoformat(config.cutoff) if config.cutoff else _newest_cutoff(warehouse)
    if champion is None or cutoff is None:
        why = "no model has been promoted yet" if champion is None else "the feature frame has no cutoff yet"
        context.log.info(f"nothing to score: {why}")
        return _report(warehouse, None, f"nothing to score: {why}")
    if _is_scored(warehouse, cutoff) and not config.rescore:
        context.log.info(f"cutoff {cutoff} is already scored and stays as it is")
        return _report(warehouse, None, f"cutoff {cutoff} was already scored")
    if config.rescore and _outcome_is_known(warehouse, cutoff):
        raise dg.Failure(
            f"Expected a cutoff whose outcome is still open to score again, but the outcome of {cutoff} is known. "
            "Score the newest cutoff instead; history stays as it was decided on.",
            allow_retries=False,
        )
    frame = warehouse.read("select * from features.feature_frame where cutoff_date = ? order by customer_id", [cutoff])
    if frame.empty:
        raise dg.Failure(
            f"Expected rows for cutoff {cutoff} in features.feature_frame and found none. Materialise the feature "
            "frame up to that cutoff (`make run`), or name a cutoff that is there.",
            allow_retries=False,
        )
    scored = score(frame, champion, registry)
    warehouse.replace_partitions("predictions", "lapse_predictions", scored, column="cutoff_date", values=[cutoff])
    context.log.info(f"scored {len(scored):,} customers at {cutoff} with version {champion.version}")
    return _report(warehouse, scored, f"cutoff {cutoff} scored by version {champion.version}")


def score(frame: "pd.DataFrame", champion: ModelVersion, registry: ModelRegistry) -> "pd.DataFrame":
    """Return predictions for the rows of a feature frame: the table's columns, one row a row of `frame`."""
    import pandas as pd

    from ml_models.explain import top_reasons
    from ml_models.lapse.problem import PROBLEM

    pipeline = registry.load(champion)
    # What "typical" meant to the model when it was trained, not what is typical today.
    reference = pd.read_csv(io.StringIO(registry.text(champion, "reference.csv")), index_col=0)
    reasons = top_reasons(pipeline, frame, reference, PROBLEM)
    return frame[["customer_id", "cutoff_date"]].assign(
        score=pipeline.predict_proba(frame[list(PROBLEM.features)])[:, 1],
        model_name=champion.name,
        model_version=champion.version,
        trained_through=_timestamp(champion.trained_through),
        scored_at=_timestamp(datetime.now(UTC)),
        **{name: reasons[name].to_numpy() for name in ("reason_1", "reason_2", "reason_3")},
    )


def _timestamp(moment: date) -> "pd.Timestamp":
    import pandas as pd

    return pd.Timestamp(moment)


def _newest_cutoff(warehouse: DuckDBWarehouse) -> date | None:
    newest = warehouse.read("select max(cutoff_date) as newest from features.feature_frame")["newest"].iloc[0]
    return None if newest != newest else newest.date()


def _is_scored(warehouse: DuckDBWarehouse, cutoff: date) -> bool:
    if not warehouse.exists("predictions", "lapse_predictions"):
        return False
    found = warehouse.read("select count(*) as n from predictions.lapse_predictions where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _outcome_is_known(warehouse: DuckDBWarehouse, cutoff: date) -> bool:
    found = warehouse.read("select count(*) as n from outcomes.customer_outcomes where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _report(warehouse: DuckDBWarehouse, scored: "pd.DataFrame | None", what: str) -> dg.MaterializeResult:
    ensure(warehouse, PREDICTIONS)
    metadata: dict = {**described(warehouse, PREDICTIONS), "what_happened": what}
    if scored is not None:
        highest = scored.nlargest(10, "score")[["customer_id", "score", "reason_1", "reason_2", "reason_3"]]
        metadata |= {
            "rows_scored": len(scored),
            "mean_score": round(float(scored["score"].mean()), 4),
            "model_version": int(scored["model_version"].iloc[0]),
            "ten_most_at_risk": table(highest),
        }
    return dg.MaterializeResult(metadata=metadata)


PREDICTION_ASSETS = [lapse_predictions]
