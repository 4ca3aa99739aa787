"""Who is about to lapse: the newest cutoff, scored by the champion, once."""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from assets.problem.frame import FEATURE_FRAME
from assets.problem.training import CANDIDATE, CHAMPION, POOL, obstacle_of
from assets.reporting import table
from resources.clock import Clock
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse import Warehouse
from steps.ownership import owner_of
from steps.scoring import REASONS, SHADOW, rows_of, score_cutoff
from steps.shop_time import today
from steps.tables import described, ensure

PREDICTIONS = dg.AssetKey(["predictions", "lapse_predictions"])
SHADOW_PREDICTIONS = dg.AssetKey(["predictions", "shadow_predictions"])
CUSTOMERS_AT_RISK = dg.AssetKey(["marts", "customers_at_risk"])
SCORED_CURRENT_CUTOFF = dg.AssetCheckKey(PREDICTIONS, "scored_current_cutoff")

FEED = dg.AssetKey(["raw", "transactions"])
"""What a current cutoff waits for: its owner is told when there is none."""

CUTOFF_STEP_DAYS = 7


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
                "One row a customer and cutoff: the probability that the customer does not shop in the next 28 days, "
                "with the model version that said so and three reasons. Written by the champion, a cutoff at a time "
                "and once; `trained_through` tells which predictions may count as performance. Read by "
                "customers_at_risk, accuracy_over_time and anyone with SQL."
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
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Score one cutoff with the champion; a cutoff that is already there stays as it is."""
    ensure(warehouse, PREDICTIONS)
    champion = registry.by_alias(CHAMPION_ALIAS)
    newest = _newest_cutoff(warehouse)
    cutoff = date.fromisoformat(config.cutoff) if config.cutoff else newest
    stale = stale_feed(newest, clock)
    if champion is None or cutoff is None:
        why = "no model has been promoted yet" if champion is None else "the feature frame has no cutoff yet"
        yield _report(context, warehouse, {}, f"nothing to score: {why}")
    elif stale and not config.cutoff:
        yield _report(context, warehouse, {}, f"nothing is scored: {stale}")
    elif _is_scored(warehouse, cutoff) and not config.rescore:
        yield _report(context, warehouse, {}, f"cutoff {cutoff} was already scored")
    else:
        _refuse(warehouse, cutoff, config)
        scored = score_cutoff(warehouse, registry, champion, cutoff, batch_rows=config.batch_rows)
        said = f"cutoff {cutoff} scored by version {champion.version}, {scored.choice.path}"
        record = scored.metadata | {"model_version": champion.version, **_shown(warehouse, cutoff)}
        yield _report(context, warehouse, record, said)
    yield _current(warehouse, champion, newest, stale)


def stale_feed(newest: date | None, clock: Clock) -> str:
    """Return why the newest cutoff is not the one that the clock asks for, in words; empty when it is.

    `newest` is the newest cutoff of the feature frame, None before the first: then there is nothing to be late.
    """
    due = due_cutoff(newest, clock)
    if newest is None or due == newest:
        return ""
    return (
        f"today is {today(clock)} and the cutoff of {due} is due, but the data delivered so far allow none after "
        f"{newest}; sync the feed, or ask its owner why it stopped"
    )


def due_cutoff(newest: date | None, clock: Clock) -> date | None:
    """Return the newest cutoff that the clock asks for, delivered or not; None before the first."""
    if newest is None:
        return None
    return newest + timedelta(days=max(0, (today(clock) - newest).days) // CUTOFF_STEP_DAYS * CUTOFF_STEP_DAYS)


def _refuse(warehouse: Warehouse, cutoff: date, config: ScoreConfig) -> None:
    if config.batch_rows < 0:
        raise dg.Failure(
            f"Expected batch_rows to be a number of rows, or 0 for the usual; got {config.batch_rows}. Correct the run "
            "config.",
            allow_retries=False,
        )
    if config.rescore and _outcome_is_known(warehouse, cutoff):
        raise dg.Failure(
            f"Expected a cutoff whose outcome is still open to score again, but the outcome of {cutoff} is known. "
            "Score the newest cutoff instead; history stays as it was decided on.",
            allow_retries=False,
        )
    if not rows_of(warehouse, cutoff):
        raise dg.Failure(
            f"Expected rows for cutoff {cutoff} in features.feature_frame and found none. Materialise the feature "
            "frame up to that cutoff (`make run`), or name a cutoff that is there.",
            allow_retries=False,
        )


def _current(
    warehouse: Warehouse, champion: ModelVersion | None, newest: date | None, stale: str
) -> dg.AssetCheckResult:
    scored = newest is not None and _is_scored(warehouse, newest)
    waiting = champion is None or newest is None
    if stale:
        sentence = f"The feed is stale: {stale}."
    elif waiting:
        sentence = "There is nothing to score yet: no model, or no cutoff."
    else:
        sentence = f"Cutoff {newest} is current and {'scored' if scored else 'not scored'}."
    return dg.AssetCheckResult(
        asset_key=PREDICTIONS,
        check_name=SCORED_CURRENT_CUTOFF.name,
        passed=not stale and (scored or waiting),
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence,
        metadata={"newest_cutoff": str(newest) if newest else "none", "owner": owner_of(FEED)},
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
) -> dg.MaterializeResult:
    """Score the newest served cutoff with the waiting challenger, if there is one."""
    ensure(warehouse, PREDICTIONS, SHADOW_PREDICTIONS)
    challenger, champion = registry.by_alias(CHALLENGER), registry.by_alias(CHAMPION_ALIAS)
    cutoff = _newest_cutoff(warehouse)
    waits = challenger is not None and champion is not None and challenger != champion
    if not waits or challenger is None or cutoff is None or obstacle_of(registry, challenger):
        context.log.info("no challenger waits for its promotion")
        return dg.MaterializeResult(
            metadata={**described(warehouse, SHADOW_PREDICTIONS), "what_happened": "no challenger waits"}
        )
    scored = score_cutoff(warehouse, registry, challenger, cutoff, SHADOW)
    what = f"cutoff {cutoff} scored as a shadow by version {challenger.version}"
    context.log.info(what)
    both = warehouse.read(
        "select score, champion_score from predictions.shadow_predictions "
        "where cutoff_date = ? and champion_score is not null",
        [cutoff],
    )
    agreement: dict = {}
    if len(both) > 1:
        agreement = {
            "mean_score": round(float(both["score"].mean()), 4),
            "champions_mean_score": round(float(both["champion_score"].mean()), 4),
            "rank_correlation": round(float(both["score"].corr(both["champion_score"], method="spearman")), 4),
        }
    record = {"what_happened": what, **scored.metadata, **agreement}
    return dg.MaterializeResult(metadata={**described(warehouse, SHADOW_PREDICTIONS), **record})


def _newest_cutoff(warehouse: Warehouse) -> date | None:
    newest = warehouse.read("select max(cutoff_date) as newest from features.feature_frame")["newest"].iloc[0]
    return None if newest != newest else newest.date()


def _is_scored(warehouse: Warehouse, cutoff: date) -> bool:
    if not warehouse.exists("predictions", "lapse_predictions"):
        return False
    found = warehouse.read("select count(*) as n from predictions.lapse_predictions where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _outcome_is_known(warehouse: Warehouse, cutoff: date) -> bool:
    found = warehouse.read("select count(*) as n from outcomes.customer_outcomes where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _shown(warehouse: Warehouse, cutoff: date) -> dict:
    """Return what a person looks at first: the mean score and who is most at risk."""
    mean = warehouse.read(
        "select avg(score) as mean from predictions.lapse_predictions where cutoff_date = ?", [cutoff]
    )
    highest = warehouse.read(
        f"select customer_id, score, {', '.join(REASONS)} from predictions.lapse_predictions where cutoff_date = ? "
        "order by score desc, customer_id limit 10",
        [cutoff],
    )
    return {"mean_score": round(float(mean["mean"].iloc[0]), 4), "ten_most_at_risk": table(highest)}


def _report(context: dg.AssetExecutionContext, warehouse: Warehouse, record: dict, what: str) -> dg.MaterializeResult:
    context.log.info(what)
    return dg.MaterializeResult(
        asset_key=PREDICTIONS, metadata={**described(warehouse, PREDICTIONS), "what_happened": what, **record}
    )


PREDICTION_ASSETS = [lapse_predictions, shadow_predictions]
