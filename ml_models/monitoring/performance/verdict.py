"""The verdict on one week: what one model's evidence, taken together, says about its predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.performance import messages
from ml_models.monitoring.performance.alarms import TABLE_COLUMNS, judge_kind
from ml_models.monitoring.performance.explained import most_of_the_loss
from ml_models.monitoring.performance.segments import OVERALL
from ml_models.problems.question import Question

Kind = Literal["estimated", "proxy", "realised"]
Status = Literal["fail", "moved", "warn", "pass", "insufficient evidence"]


@dataclass(frozen=True)
class PerformanceVerdict:
    """The judgement of one week on how predictions hold.

    `kind` is the evidence that decided. `table` has one row a kind, segment and statistic (calibration, log_loss, auc)
    of the newest window of each kind, alarms first: value and past mean, `deviations` and `threshold` in standard
    deviations of the past, `harm` (log-loss that knowing the gap would gain, over all rows), violated, violated_windows
    (of the last three), alarm, note. `segments` are the alarmed ones as (segment_column, segment_value), worst first;
    the overall one is ("all", "all"). `explains`: the split that explains most of the loss, as a sentence; "" where
    nothing failed. `warn`: only the estimate moved, on which nothing should be done yet.
    `moved`: it fails among new customers alone (judge_predictions).
    """

    status: Status
    kind: Kind
    cutoff: date
    table: pd.DataFrame
    sentence: str
    segments: tuple[tuple[str, str], ...] = ()
    explains: str = ""


def judge_performance(
    history: pd.DataFrame, cutoff: object, question: Question, exclude: Sequence[date] = ()
) -> PerformanceVerdict:
    """Judge the newest windows known on the morning of `cutoff` against the same model's own past.

    `history` comes from `performance_history`; windows that were not known by then are ignored. `question` says how
    many neighbouring windows share outcome days. Windows in `exclude` (known faults) neither count as past nor raise an
    alarm. Fails on proxy or realised evidence, warns on an estimate. "insufficient evidence": no window after training
    can be judged yet, for lack of rows or of six past windows.
    """
    stamp = cutoff_dates([cutoff]).iloc[0]
    excluded = cutoff_dates(exclude) if len(exclude) else pd.Series([], dtype="datetime64[us]")
    as_of = history[(history["known_on"] <= stamp) & ~history["cutoff_date"].isin(excluded)]
    parts = [judge_kind(as_of[as_of["kind"] == kind], kind, question) for kind in ("realised", "proxy", "estimated")]
    parts = [part for part in parts if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=TABLE_COLUMNS)
    strength = (table["deviations"].abs() / table["threshold"]).astype("float64").fillna(-1.0)
    table = table.assign(_strength=strength).sort_values(["alarm", "_strength"], ascending=False, kind="stable")
    return _verdict(stamp.date(), table.drop(columns="_strength").reset_index(drop=True))


def _verdict(cutoff: date, table: pd.DataFrame) -> PerformanceVerdict:
    alarmed = table[table["alarm"].astype(bool)]
    failed = alarmed[alarmed["kind"] != "estimated"]
    if len(failed):
        kind = _best_kind(failed)
        explained = most_of_the_loss(table, kind)
        explains = "" if explained is None else messages.explained(explained)
        failed = failed.drop_duplicates(["segment_column", "segment_value"])
        segments = tuple(zip(failed["segment_column"], failed["segment_value"], strict=True))
        fell = messages.fell(cutoff, kind, failed.iloc[0], len(segments))
        sentence = f"{explains} {fell}".strip()
        return PerformanceVerdict("fail", kind, cutoff, table, sentence, segments, explains)
    if len(alarmed):
        sentence = messages.may_change(cutoff, alarmed.iloc[0])
        return PerformanceVerdict("warn", "estimated", cutoff, table, sentence, ((OVERALL, OVERALL),))
    by_outcomes = table[table["kind"] != "estimated"]
    judged = by_outcomes[(by_outcomes["note"] == "") & by_outcomes["deviations"].notna()]
    if judged.empty:
        sentence = messages.not_judgeable(cutoff, by_outcomes["note"].iloc[0] if len(by_outcomes) else "")
        return PerformanceVerdict("insufficient evidence", "estimated", cutoff, table, sentence)
    kind = _best_kind(judged)
    newest = judged.loc[judged["kind"] == kind, "cutoff_date"].iloc[0].date()
    sentence = messages.holds(cutoff, kind, newest, len(judged), int(judged["violated"].sum()))
    return PerformanceVerdict("pass", kind, cutoff, table, sentence)


def _best_kind(rows: pd.DataFrame) -> Kind:
    return "realised" if (rows["kind"] == "realised").any() else "proxy"
