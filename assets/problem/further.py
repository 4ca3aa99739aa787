"""What each problem beside the first has, whatever its kind: champion, ledger of decisions, cards of versions."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.problem.promotion import PromotionConfig
from assets.reporting import Materialized, in_mlflow, table, without_retries
from ml_models.problems.about import About
from resources.clock import Clock
from resources.figures import figures
from resources.registry import CHALLENGER, ModelRegistry
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse import Warehouse
from steps.candidates import span_of
from steps.champions import promote_challenger, roll_back
from steps.further.cards import keep_further_cards
from steps.further.decisions import Look, further_due, judge_further_week
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.tables import DECISIONS, ProblemTables, described

if TYPE_CHECKING:
    from ml_models.model_card.card import Card
    from ml_models.model_card.further import FurtherCardFacts

WEEKS = 8


class DecideConfig(dg.Config):
    """`again`: decide a week anew that was decided before; otherwise its decision stands."""

    again: bool = False


def champion_of(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    """Return what says which version of a problem serves."""

    @dg.asset(
        key=of.champion,
        group_name=about.name,
        owners=[owner_of(of.champion)],
        kinds={"mlflow"},
        deps=[of.candidate],
        pool=f"{about.name}_champion",
        description=(
            "One row a promotion: which version serves from when, through which cutoff it was trained, and why. A "
            f"challenger that failed a gate is not promoted. The job `rollback_{about.name}` goes back."
        ),
    )
    def champion(
        context: dg.AssetExecutionContext, config: PromotionConfig, warehouse: Warehouse, registry: ModelRegistry
    ) -> Materialized:
        """Promote the challenger if its gates passed, or return to the champion before."""
        ours, cause = registry.of(about.name), config.reason or context.run.tags.get("baton/cause", "")
        with without_retries():
            if config.rollback:
                bad = span_of(config.exclude_from, config.exclude_to)
                _, runs = context.instance.get_run_group(context.run_id) or ("", ())
                repeats = {run.run_id for run in runs}
                reason = cause or "a person asked for it"
                what = roll_back(ours, warehouse, bad, reason=reason, run_id=context.run_id, retries=repeats, of=of)
            elif ours.by_alias(CHALLENGER) is None:
                what = "nothing to promote: no version has been trained yet"
            else:
                reason = cause or "passed the gate"
                what = promote_challenger(ours, warehouse, reason=reason, run_id=context.run_id, of=of)
        context.log.info(what)
        ensure(warehouse, of.champion)
        metadata: dict[str, Any] = {**described(warehouse, of.champion), "what_happened": what}
        serving = ours.by_alias(CHAMPION_ALIAS)
        if serving is not None:
            metadata |= {
                "model_version": serving.version,
                **in_mlflow(ours, serving.version),
                "algorithm": serving.algorithm,
                "trained_through": serving.trained_through.isoformat(),
            }
        return dg.MaterializeResult(metadata=metadata)

    return champion


def decisions_of(about: About, of: ProblemTables, look: Look) -> dg.AssetsDefinition:
    """Return the ledger of a problem, of whose weeks its kind knows what `look` gathers."""
    check = of.no_action_due.name

    @dg.asset(
        key=of.decisions,
        group_name=about.name,
        owners=[owner_of(of.decisions)],
        kinds={"pandas", "duckdb"},
        deps=[DECISIONS, of.performance, of.drift, of.champion],
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=of.decisions,
                description=(
                    "The newest week asks for nothing. Failed, its metadata says what is due: improve, rollback, or "
                    "inspect (the data are broken, nothing is trained)."
                ),
                metadata={"owner": owner_of(of.decisions)},
            )
        ],
        description=(
            "The ledger: exactly one of continue, improve, inspect, rollback a week, and why. Whether the data are "
            "sound is read of monitoring/decisions, which is judged once for all problems: broken data veto a "
            "training here too."
        ),
    )
    def decisions(
        context: dg.AssetExecutionContext,
        config: DecideConfig,
        warehouse: Warehouse,
        registry: ModelRegistry,
        clock: Clock,
    ) -> Materialized:
        """Decide the week that is due once."""

        def finished_run(tags: Mapping[str, str]) -> str | None:
            runs = context.instance.get_runs(dg.RunsFilter(tags=tags), limit=1)
            return runs[0].run_id if runs and runs[0].is_finished else None

        judge_further_week(
            warehouse,
            registry.of(about.name),
            clock,
            of,
            look,
            finished_run=finished_run,
            log=context.log.info,
            again=config.again,
        )
        ledger = warehouse.read(f"select * from {'.'.join(of.decisions.path)} order by cutoff desc limit ?", [WEEKS])
        due = further_due(ledger)
        result = dg.AssetCheckResult(
            asset_key=of.decisions,
            check_name=check,
            passed=due.decision == "continue",
            severity=dg.AssetCheckSeverity.WARN,
            description=due.sentence,
            metadata={
                "decision": due.decision,
                **due.evidence,
                **figures(int(due.decision != "continue"), 0, "weeks that ask for something, at most"),
            },
        )
        return dg.MaterializeResult(
            metadata={**described(warehouse, of.decisions), "newest": table(ledger)}, check_results=[result]
        )

    return decisions


def model_card_of(
    about: About, of: ProblemTables, card_of: "Callable[[FurtherCardFacts], Card]"
) -> dg.AssetsDefinition:
    """Return the cards of a problem; `card_of` writes one."""
    check = "model_card_complete"

    @dg.asset(
        key=of.model_card,
        group_name=about.name,
        owners=[owner_of(of.model_card)],
        kinds={"mlflow", "markdown"},
        deps=[of.candidate, of.champion, of.performance, of.decisions],
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=of.model_card,
                blocking=False,
                description="No section of a card lacks anything. Failed, it names version and section.",
                metadata={"owner": owner_of(of.model_card)},
            )
        ],
        description=(
            "One row a registered version: its card, also beside the version in MLflow. What it is for, how good it is "
            "beside plain rules, what the gate said, and what became of it."
        ),
    )
    def model_card(context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry) -> Materialized:
        """Write the cards that are due, and say whether they are complete."""
        ours = registry.of(about.name)
        done = keep_further_cards(warehouse, ours, of, card_of)
        context.log.info(done.what)
        metadata: dict[str, Any] = {**described(warehouse, of.model_card), "what_happened": done.what}
        if done.version is not None:
            metadata |= {"card": dg.MetadataValue.md(done.markdown), "model_version": done.version}
            metadata |= in_mlflow(ours, done.version)
        result = dg.AssetCheckResult(
            asset_key=of.model_card,
            check_name=check,
            passed=not done.missing and not done.away,
            severity=dg.AssetCheckSeverity.WARN if done.away else dg.AssetCheckSeverity.ERROR,
            description="; ".join(done.missing) or done.what,
            metadata=figures(len(done.missing), 0, "sections of cards that lack something, at most"),
        )
        return dg.MaterializeResult(metadata=metadata, check_results=[result])

    return model_card
