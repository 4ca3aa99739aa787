"""What is decided of a problem that predicts an amount, and the card of each of its versions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.reporting import Materialized, in_mlflow, table
from ml_models.problems.about import About
from resources.clock import Clock
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.amounts.cards import keep_amount_cards
from steps.amounts.decisions import amount_due, judge_amount_week
from steps.ownership import owner_of
from steps.problem import problem_named
from steps.tables import DECISIONS, ProblemTables, described

WEEKS = 8


class DecideConfig(dg.Config):
    """`again`: decide a week anew that was decided before; otherwise its decision stands."""

    again: bool = False


def decisions_of(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    """Return the ledger of a problem that predicts an amount."""
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

        judge_amount_week(
            warehouse,
            registry.of(about.name),
            clock,
            problem_named(about.name),
            of,
            finished_run=finished_run,
            log=context.log.info,
            again=config.again,
        )
        ledger = warehouse.read(f"select * from {'.'.join(of.decisions.path)} order by cutoff desc limit ?", [WEEKS])
        due = amount_due(ledger)
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


def model_card_of(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    """Return the cards of a problem that predicts an amount."""
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
        done = keep_amount_cards(warehouse, ours, problem_named(about.name), of)
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
