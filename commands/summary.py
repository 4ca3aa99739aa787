"""What the last run came to, for a person at a terminal: the data, the week, the model, and whom to look at first."""

import textwrap
from typing import TYPE_CHECKING

from ml_models.model_card.made import WORDS
from resources.company import Company, company
from resources.company.model import PARTS
from resources.registry import CHALLENGER, CHAMPION, ModelRegistry
from resources.warehouse.contract import Warehouse
from steps.tables import ACCURACY_OVER_TIME, CUSTOMERS_AT_RISK, PREDICTIONS, WHY

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 118


def summarise(warehouse: Warehouse, registry: ModelRegistry) -> None:
    """Print counts, the week's decision, the model beside its baselines, and the customers most at risk."""
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
    _title("this week")
    print("\n".join([_decided(warehouse), _held(warehouse), _at_stake(warehouse, ours)]))
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
        textwrap.fill(f"  {gate['name']}: {gate['sentence']}", WIDTH, subsequent_indent="    ") for gate in refused
    )
    return (
        f"no model has been promoted yet, so nothing is scored: version {challenger.version} ({challenger.algorithm}) "
        f"was refused by {len(refused)} check(s) of the gate; everything else has run\n{why}"
    )


def _decided(warehouse: Warehouse) -> str:
    """Say what the newest judgement decided, why, and what to do about it."""
    from ml_models.monitoring.report import action_of

    if not warehouse.exists(*WHY.path):
        return "no week has been judged yet"
    rows = warehouse.read(
        "select cutoff, decision, remedy, reason, next_command from monitoring.why order by cutoff desc limit 1"
    )
    if rows.empty:
        return "no week has been judged yet"
    row = rows.iloc[0]
    command = f" First: {row.next_command}" if row.next_command else ""
    return textwrap.fill(
        f"{action_of(row.to_dict())} (judged {row.cutoff:%Y-%m-%d}): {row.reason}{command}",
        WIDTH,
        subsequent_indent="  ",
    )


def _held(warehouse: Warehouse) -> str:
    """Say how the newest predictions whose truth is known held, beside the rule that needs no model."""
    unknown = "what was served has no known outcome yet: how well it holds is known in some weeks"
    # It is made with the weekly judgement; a first training comes before.
    if not warehouse.exists(*ACCURACY_OVER_TIME.path):
        return unknown
    rows = warehouse.read(
        "select cutoff_date, customers, auc, recency_rule_auc, mean_score, base_rate "
        "from marts.accuracy_over_time where evidence = 'live' order by cutoff_date desc limit 1"
    )
    if rows.empty:
        return unknown
    row = rows.iloc[0]
    ranked = f"AUC {row.auc:.3f} (recency rule {row.recency_rule_auc:.3f})" if row.auc == row.auc else "no AUC"
    return (
        f"held: {row.customers:,} customers scored for {row.cutoff_date:%Y-%m-%d}, {ranked}; {row.mean_score:.1%} were "
        f"expected to lapse, {row.base_rate:.1%} did"
    )


def _at_stake(warehouse: Warehouse, ours: Company) -> str:
    """Say how many customers are most at risk, how many of them will lapse, and what they spent."""
    unscored = "nothing was scored yet"
    if not warehouse.exists(*CUSTOMERS_AT_RISK.path):
        return unscored
    days = ours.question.look_back_days
    row = warehouse.read(
        f"select count(*) as customers, sum(score) as expected, sum(spend_cents_{days}d) / 100 as spent "
        "from marts.customers_at_risk where risk_band = 'high'"
    ).iloc[0]
    if not row.customers:
        return unscored
    return (
        f"at risk: the {row.customers:,.0f} customers most at risk, of whom {row.expected:,.0f} are expected to lapse; "
        f"they spent {ours.money.currency} {row.spent:,.0f} in the last {days} days"
    )


def _named(comparison: "pd.DataFrame", chosen: str) -> "pd.DataFrame":
    named = [WORDS.get(name, name) + (" (chosen)" if name == chosen else "") for name in comparison["model"]]
    columns = ["auc", "pr_auc", "log_loss", "brier", "calibration_error", "lift_at_10"]
    return comparison.assign(model=named)[["model", *columns]]


def _most_at_risk(warehouse: Warehouse, horizon_days: int) -> str:
    if not warehouse.exists(*PREDICTIONS.path):
        return "nothing was scored yet"
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
            textwrap.fill(f"  {row.customer_id:>6}  {row.score:6.1%}  {reasons}", WIDTH, subsequent_indent=" " * 18)
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
