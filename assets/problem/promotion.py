"""The champion: the candidate that passed the gate serves, or the champion before it returns; and SQL may call it."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, in_mlflow, without_retries
from resources.figures import figures
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse.contract import Warehouse
from steps.candidates import span_of
from steps.champions import POOL, promote_challenger, roll_back
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.publishing import SQL_PARITY, Publication, keep_published
from steps.tables import CANDIDATE, CHAMPION, described


class PromotionConfig(dg.Config):
    """How the champion changes.

    `rollback`: instead of promoting the challenger, return to the champion before the present one, which then stays
    away. `exclude_from`, `exclude_to`: cutoffs known bad; a rollback passes over versions that learned from them.
    `after_shadow`: promote only a challenger that has scored a cutoff in predictions/shadow_predictions. `reason`: why.
    """

    rollback: bool = False
    exclude_from: str = ""
    exclude_to: str = ""
    after_shadow: bool = False
    reason: str = ""


@dg.asset(
    key=CHAMPION,
    deps=[CANDIDATE],
    group_name="training",
    owners=[owner_of(CHAMPION)],
    kinds={"mlflow"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            SQL_PARITY.name,
            asset=CHAMPION,
            description=(
                "The champion's SQL function says what scikit-learn says, to 1e-9, on the newest rows and on rows made "
                "to break it. Failed, it is not published, and the alias calls no older version either."
            ),
            metadata={"owner": owner_of(CHAMPION)},
        )
    ],
    description=(
        "One row a promotion: which version serves from when, through which cutoff it was trained, and why. The newest "
        "row is what MLflow's alias `champion` points to. A challenger that failed a gate is not promoted. The job "
        "`rollback` and `make promote VERSION=n` go back to an older one."
    ),
)
def champion(
    context: dg.AssetExecutionContext, config: PromotionConfig, warehouse: Warehouse, registry: ModelRegistry
) -> Materialized:
    """Promote the challenger if its gates passed, or return to the champion before; publish what serves then."""
    before = registry.by_alias(CHAMPION_ALIAS)
    cause = config.reason or context.run.tags.get("baton/cause", "")
    with without_retries():
        if config.rollback:
            bad = span_of(config.exclude_from, config.exclude_to)
            reason = cause or "a person asked for it"
            # None but itself, where it was not launched to repeat another.
            _, runs = context.instance.get_run_group(context.run_id) or ("", ())
            repeats = {run.run_id for run in runs}
            what = roll_back(registry, warehouse, bad, reason=reason, run_id=context.run_id, retries=repeats)
        else:
            reason = cause or "passed the gate"
            what = promote_challenger(
                registry, warehouse, after_shadow=config.after_shadow, reason=reason, run_id=context.run_id
            )
    context.log.info(what)
    ensure(warehouse, CHAMPION)
    serving = registry.by_alias(CHAMPION_ALIAS)
    metadata: dict[str, Any] = {**described(warehouse, CHAMPION), "what_happened": what}
    metadata["previous_version"] = before.version if before else "none"
    published = Publication(True, "There is no champion yet.")
    if serving is not None:
        metadata |= {
            "model_version": serving.version,
            **in_mlflow(registry, serving.version),
            "algorithm": serving.algorithm,
            "trained_through": serving.trained_through.isoformat(),
        }
        published = keep_published(warehouse, registry, serving)
    parity = dg.AssetCheckResult(
        asset_key=CHAMPION,
        check_name=SQL_PARITY.name,
        passed=published.passed,
        severity=published.severity,
        description=published.sentence,
        metadata=figures(published.differs_by, published.bound, "largest difference of two scores, at most"),
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[parity])
