"""What each reason for choosing training rows would have been worth: `make backtest ROWS=1`, as text for a person."""

from typing import TYPE_CHECKING

from resources.profiles import resources_for
from steps.rows_chosen import backtest_of_rows

if TYPE_CHECKING:
    from ml_models.training.rows_backtest import RowsBacktest


def report_on_rows() -> str:
    """Live through the recorded weeks with each reason, and return the tables.

    Raises:
        StepRefusedError: the home has no outcomes yet, or too few.
    """
    return shown(backtest_of_rows(resources_for()["warehouse"], print))


def shown(found: "RowsBacktest") -> str:
    """Return the three tables for a person."""
    worth = [["rows", "judged on", "rows changed", "log-loss", "95 % interval", "AUC", "verdict"]]
    for row in found.worth.to_dict("records"):
        verdict = "better" if row["high"] < 0 else "worse" if row["low"] > 0 else "worth nothing"
        cells = [f"{row['difference']:+.4f}", f"{row['low']:+.4f} to {row['high']:+.4f}", f"{row['auc']:+.4f}", verdict]
        worth.append([str(row["variant"]), str(row["judged_on"]), f"{row['changed']:.1%}", *cells])
    forgot = [["champion to", "candidate to", "window", "worst season", "forgotten", "95 % interval"]]
    for row in found.forgot.to_dict("records"):
        cells = [f"{row['share']:.2%}", f"{row['low']:.2%} to {row['high']:.2%}"]
        forgot.append([str(row[name]) for name in ("champion", "candidate", "window", "season")] + cells)
    suspects = [["labels", "rule", "wrong", "flagged", "of all lapses", "precision", "recall"]]
    for row in found.suspects.to_dict("records"):
        cells = ["-" if row[name] != row[name] else f"{row[name]:.0%}" for name in ("precision", "recall")]
        counts = [f"{row['wrong']:,}", f"{row['flagged']:,}", f"{row['of_rare_class']:.1%}"]
        suspects.append([str(row["world"]), str(row["rule"]), *counts, *cells])
    tables = {
        "What each would have been worth, against ordinary rows:": worth,
        "What later candidates forgot:": forgot,
        "Which labels each rule calls suspect:": suspects,
    }
    return "\n".join(line for title, cells in tables.items() for line in ("", title, *aligned(cells)))


def aligned(cells: list[list[str]]) -> list[str]:
    """Return lines of a table whose columns stand under each other; the first row is the heading."""
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
