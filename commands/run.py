"""The main job: everything from the sync to the predictions for the newest cutoff, then a summary for a person."""

import argparse
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

from commands.lost import lost_history, lost_models, lost_runs
from commands.sentences import sentences
from commands.session import embedded_only, execute, first_failure, instance, load_definitions, quiet
from ml_models.model_card.made import WORDS
from resources.company import Company, company
from resources.company.model import PARTS
from resources.profiles import home
from resources.registry import CHALLENGER, CHAMPION, ModelRegistry
from resources.warehouse.contract import Warehouse
from sensors.jobs import EVERYTHING

if TYPE_CHECKING:
    import pandas as pd

    from resources.registry import ModelRegistry
    from resources.warehouse import Warehouse


def main() -> None:
    """Run the job `everything` and print what came of it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only-summary", action="store_true", help="run nothing, show what is there")
    only_summary = arguments.parse_args().only_summary
    began = time.monotonic()
    quiet()
    with sentences():
        # The summary only reads, wherever the tables are.
        if not only_summary:
            embedded_only("run")
        definitions = load_definitions()
        resources: Any = definitions.resources
        if only_summary:
            summarise(resources["warehouse"], resources["registry"])
            return
        runs = lost_runs(home())
        with instance() as opened:
            warehouse = resources["warehouse"]
            for lost in (runs, lost_history(opened, warehouse), lost_models(warehouse, resources["registry"])):
                if lost:
                    print(lost, flush=True)
            result = execute(opened, definitions, EVERYTHING)
        if not result.success:
            sys.exit(
                f"error: {first_failure(result)}\nThe tables that were there before are intact. Details: make ui, "
                f"then run {result.run_id}."
            )
        summarise(resources["warehouse"], resources["registry"])
        print(
            f"\ndone in {time.monotonic() - began:.0f} s. State: {home()}. Web UI: make ui, then http://127.0.0.1:3000"
        )


def summarise(warehouse: Warehouse, registry: ModelRegistry) -> None:
    """Print counts, the model beside its baselines, and the customers most at risk."""
    import pandas as pd

    ours = company()
    counts = warehouse.read(
        "select (select count(*) from staging.stg_order_lines) as lines, "
        "(select count(*) from marts.orders) as orders, "
        "(select count(*) from marts.customers) as customers, (select count(*) from features.feature_frame) as rows, "
        "(select count(distinct cutoff_date) from features.feature_frame) as cutoffs, "
        "(select count(distinct cutoff_date) from outcomes.customer_outcomes) as matured, "
        "(select max(watermark_date) from features.cutoffs) as watermark, "
        "(select sum(amount_cents) from marts.orders) as cents"
    ).iloc[0]
    _title("data")
    print(
        f"{counts.lines:,} order lines, {counts.orders:,} orders, {counts.customers:,} customers, "
        f"{ours.money.currency} {counts.cents / 100:,.0f} spent; whole through "
        f"{counts.watermark:%Y-%m-%d}\n{counts.rows:,} feature rows at {counts.cutoffs} weekly cutoffs, "
        f"{counts.matured} of them with a known outcome"
    )
    print(_parts(ours))
    champion = registry.by_alias(CHAMPION)
    if champion is None:
        print(_why_no_model(registry))
        return
    evidence = registry.evidence(champion)
    _title(
        f"model: {champion.name} version {champion.version} ({champion.algorithm}), trained through "
        f"{champion.trained_through}"
    )
    holdout = evidence["holdout"]
    print(
        f"judged on cutoffs {holdout[0]} to {holdout[-1]}, by a fit that had seen outcomes of {evidence['train'][0]} "
        f"to {evidence['train'][-1]} only:"
    )
    print(_table(_named(pd.DataFrame(evidence["comparison"]), champion.algorithm)))
    slices = pd.DataFrame(evidence["slices"])
    slices = slices[slices["slice_name"] == "activity"]
    print(
        f"\nby shopping days in {ours.question.look_back_days} "
        "(the headline AUC mostly separates light from heavy shoppers):"
    )
    print(_table(slices[["slice_value", "n", "base_rate", "auc", "log_loss", "lift_at_10"]]))
    _title("most at risk")
    print(_most_at_risk(warehouse, ours.question.horizon_days))


def _parts(ours: Company) -> str:
    """Say which parts the company has, and which it lacks: features, checks and reasons of those are left out."""
    has = [name.replace("_", " ") for name in sorted(ours.parts)]
    lacks = [name.replace("_", " ") for name in sorted(PARTS - ours.parts)]
    without = f"; without {', '.join(lacks)}" if lacks else ""
    return f"{ours.title} has {', '.join(has) or 'orders only'}{without}"


def _why_no_model(registry: ModelRegistry) -> str:
    """Say that nothing serves, and what the newest candidate was refused for."""
    challenger = registry.by_alias(CHALLENGER)
    if challenger is None:
        return "no model has been promoted yet"
    refused = [gate for gate in registry.evidence(challenger)["gates"] if not gate["passed"]]
    why = "\n".join(
        textwrap.fill(f"  {gate['name']}: {gate['sentence']}", 118, subsequent_indent="    ") for gate in refused
    )
    return (
        f"no model has been promoted yet, so nothing is scored: version {challenger.version} ({challenger.algorithm}) "
        f"was refused by {len(refused)} check(s) of the gate; everything else has run\n{why}"
    )


def _named(comparison: "pd.DataFrame", chosen: str) -> "pd.DataFrame":
    named = [WORDS.get(name, name) + (" (chosen)" if name == chosen else "") for name in comparison["model"]]
    columns = ["auc", "pr_auc", "log_loss", "brier", "calibration_error", "lift_at_10"]
    return comparison.assign(model=named)[["model", *columns]]


def _most_at_risk(warehouse: Warehouse, horizon_days: int) -> str:
    rows = warehouse.read(
        "select customer_id, cutoff_date, score, reason_1, reason_2, reason_3 from predictions.lapse_predictions "
        "where cutoff_date = (select max(cutoff_date) from predictions.lapse_predictions) "
        "order by score desc, customer_id limit 10"
    )
    if rows.empty:
        return "nothing was scored yet"
    lines = [
        f"ten customers least likely to shop in the {horizon_days} days from {rows['cutoff_date'].iloc[0]:%Y-%m-%d} on:"
    ]
    for row in rows.itertuples():
        reasons = "; ".join(reason for reason in (row.reason_1, row.reason_2, row.reason_3) if isinstance(reason, str))
        lines.append(
            textwrap.fill(f"  {row.customer_id:>6}  {row.score:6.1%}  {reasons}", 118, subsequent_indent=" " * 18)
        )
    return "\n".join(lines)


def _table(frame: "pd.DataFrame") -> str:
    shown = frame.copy().astype(object)
    for column in frame.columns[frame.dtypes == "float64"]:
        digits = 2 if column.startswith("lift") else 4
        # A dash where nothing can be said.
        shown[column] = [f"{value:.{digits}f}" if value == value else "-" for value in frame[column]]
    return textwrap.indent(shown.to_string(index=False, justify="right"), "  ")


def _title(text: str) -> None:
    print(f"\n{text}\n{'─' * len(text)}")


if __name__ == "__main__":
    main()
