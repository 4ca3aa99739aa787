"""Pictures as PNG bytes, drawn without a display: reliability, accuracy over time, drift.

Figures are made from `Figure` directly, not through pyplot, so nothing global is kept alive between runs.
"""

import io

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ml_models.monitoring.drift import DriftVerdict
from ml_models.monitoring.drift.thresholds import NULL_FLOOR
from ml_models.monitoring.performance import PerformanceVerdict
from ml_models.monitoring.performance.segments import FOUND, OVERALL

BLUE, RED, GREY, ORANGE = "#2f6db5", "#c8403a", "#8a8f98", "#d98a1f"


def reliability_plot(calibration: pd.DataFrame, title: str = "Predicted against observed, on the holdout") -> bytes:
    """Draw observed rate against mean score, one point a bin (columns n, mean_score, observed_rate).

    Bars are ± 1.96 standard errors of a rate with that many rows.
    """
    figure, axes = _figure(title, width=5.2, height=4.8)
    top = float(max(calibration["mean_score"].max(), calibration["observed_rate"].max(), 0.01)) * 1.1
    rate, n = calibration["observed_rate"], calibration["n"].clip(lower=1)
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    axes.errorbar(
        calibration["mean_score"],
        rate,
        yerr=1.96 * np.sqrt(rate * (1 - rate) / n),
        color=BLUE,
        marker="o",
        markersize=5,
        linewidth=1.5,
        capsize=2,
        label="model, one point a tenth of the rows",
    )
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted probability", ylabel="observed share")
    percent(axes, "x")
    percent(axes, "y")
    axes.legend(frameon=False, loc="upper left")
    return png(figure)


def accuracy_over_time_plot(weeks: pd.DataFrame, title: str = "Accuracy over time: did the predictions hold?") -> bytes:
    """Draw the AUC of each cutoff, the recency rule's beside it, and predicted against observed rate below.

    Columns: cutoff_date, model_version, auc, mean_score, base_rate, and optionally recency_rule_auc and evidence
    ('live' rows are drawn solid, others, such as 'holdout', as faint points, and the picture says so where there are no
    live ones). A dotted line marks the first cutoff of each
    model version. Null metrics leave gaps.
    """
    figure = Figure(figsize=(8.8, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    style(upper, title)
    style(lower, "")
    dates = weeks.assign(cutoff_date=pd.to_datetime(weeks["cutoff_date"])).sort_values(["cutoff_date", "model_version"])
    live = dates[dates["evidence"] == "live"] if "evidence" in dates.columns else dates
    other = dates.drop(live.index)
    if len(other):
        upper.scatter(other["cutoff_date"], other["auc"], s=14, color=BLUE, alpha=0.25, label="model, before it served")
    if len(live):
        _draw_weeks(upper, lower, live)
    else:
        # What a version was judged by before it served says nothing of what was served.
        _draw_weeks(upper, lower, other, before=True)
        for axes in (upper, lower):
            axes.text(
                0.5, 0.5, "no served week has a known outcome yet", color=GREY, ha="center", transform=axes.transAxes
            )
    shown = live if len(live) else other
    for number, (version, rows) in enumerate(shown.groupby("model_version")):
        first = rows["cutoff_date"].min()
        for axes in (upper, lower):
            axes.axvline(first, color=RED, linewidth=0.8, linestyle=":")
        upper.annotate(
            f"v{version}",
            (first, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -10 - 11 * (number % 2)),
            textcoords="offset points",
            fontsize=8,
            color=RED,
        )
    upper.set(ylabel="AUC")
    lower.set(ylabel="share that lapsed", xlabel="cutoff: the Monday for which was predicted")
    percent(lower, "y")
    locator = AutoDateLocator()
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    for axes in (upper, lower):
        axes.margins(y=0.25)
        axes.legend(frameon=False, loc="lower left", ncols=3)
    return png(figure)


def _draw_weeks(upper: Axes, lower: Axes, weeks: pd.DataFrame, *, before: bool = False) -> None:
    """Draw the model and the rule above, what was predicted and observed below; faint what was `before` it served."""
    day, alpha = weeks["cutoff_date"], 0.3 if before else 1.0
    line, when = ("none", ", before it served") if before else ("-", "")
    if not before:
        upper.plot(day, weeks["auc"], color=BLUE, marker="o", markersize=4, label="model")
    if "recency_rule_auc" in weeks.columns:
        rule, named = weeks["recency_rule_auc"], f"recency rule{when}"
        upper.plot(day, rule, color=GREY, marker=".", linewidth=1, linestyle="--", label=named, alpha=alpha)
    for column, color, named in (("base_rate", ORANGE, "observed"), ("mean_score", BLUE, "predicted")):
        lower.plot(
            day,
            weeks[column],
            color=color,
            linestyle=line,
            marker="o",
            markersize=4,
            label=f"{named}{when}",
            alpha=alpha,
        )


def drift_plot(verdict: DriftVerdict, most: int = 15) -> bytes:
    """Draw the columns nearest to or beyond their thresholds: bar = distance, tick = the column's own threshold."""
    table = verdict.table.head(most).iloc[::-1].reset_index(drop=True)
    figure, axes = _figure(
        f"Drift at {verdict.cutoff}: {verdict.status}", width=8, height=1.8 + 0.27 * max(len(table), 1)
    )
    if table.empty or table["statistic"].isna().all():
        axes.text(0.5, 0.5, verdict.sentence, ha="center", va="center", wrap=True, transform=axes.transAxes)
        axes.set_axis_off()
        return png(figure)
    colours = np.where(table["alarm"], RED, np.where(table["violated"], ORANGE, BLUE))
    positions = np.arange(len(table))
    axes.barh(positions, table["statistic"].fillna(0), color=list(colours), height=0.68)
    judged = table["threshold"].notna()
    axes.scatter(
        table.loc[judged, "threshold"],
        positions[judged],
        marker="|",
        s=130,
        color="black",
        label="threshold from its own past",
    )
    emptied = table["null_change"].fillna(0) > NULL_FLOOR
    for position in positions[emptied]:
        axes.annotate(
            f"nulls {table['null_share'].iloc[position]:.0%}",
            (table["statistic"].fillna(0).iloc[position], position),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=8,
            color=RED,
        )
    inside = table["segment"] if "segment" in table.columns else pd.Series("", index=table.index)
    names = [f"{name}, {where}" if where else name for name, where in zip(table["column_name"], inside, strict=True)]
    axes.set_yticks(positions, names, fontsize=8)
    axes.set(xlabel="distance to the cutoffs two to five weeks before")
    axes.margins(x=0.08, y=0.02)
    handles, _ = axes.get_legend_handles_labels()
    meaning = {RED: "alarm: two of the last three windows", ORANGE: "above its threshold now only", BLUE: "as usual"}
    handles += [Patch(color=colour, label=text) for colour, text in meaning.items() if colour in colours]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=2, fontsize=8)
    return png(figure)


def performance_plot(history: pd.DataFrame, verdict: PerformanceVerdict) -> bytes:
    """Draw how predictions held over the cutoffs, and where they did not.

    `history` comes from `performance.performance_history`. Above: log-loss of each matured window with its 95 % band by
    customers, beside what the scores promised. Middle: observed minus expected share, realised and by the early label.
    Below: the segments furthest from their own past, in units of their thresholds. Windows that the model learned from
    are shaded; what was not known at the verdict's cutoff is left out.
    """
    known = history[(history["known_on"] <= pd.Timestamp(verdict.cutoff)) & (history["segment_column"] == OVERALL)]
    worst = verdict.table[(verdict.table["note"] == "") & (verdict.table["kind"] != "estimated")].copy()
    worst = worst[worst["deviations"].notna()]
    worst["ratio"] = worst["deviations"].abs() / worst["threshold"]
    worst = worst.sort_values("ratio", ascending=False).head(8).iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(9.2, 8.2), layout="constrained")
    loss, gap, bars = figure.subplots(3, 1, height_ratios=[3, 2.4, 2.6])
    style(loss, f"Do the predictions hold? {verdict.cutoff}: {verdict.status}")
    style(gap, "Observed minus expected share")
    style(bars, "Segments furthest from their own past")
    if known.empty:
        loss.text(0.5, 0.5, verdict.sentence, ha="center", va="center", wrap=True, transform=loss.transAxes)
        for axes in (loss, gap, bars):
            axes.set_axis_off()
        return png(figure)
    parts = {
        kind: known[known["kind"] == kind].sort_values("cutoff_date") for kind in ("realised", "proxy", "estimated")
    }
    real, promised = parts["realised"], parts["estimated"]
    loss.fill_between(real["cutoff_date"], real["log_loss_low"], real["log_loss_high"], color=BLUE, alpha=0.18, lw=0)
    loss.plot(real["cutoff_date"], real["log_loss"], color=BLUE, marker="o", markersize=4, label="realised, 95 % band")
    loss.plot(
        promised["cutoff_date"],
        promised["expected_log_loss"],
        color=GREY,
        linestyle="--",
        linewidth=1.2,
        label="what the scores promised",
    )
    loss.set(ylabel="log-loss")
    for kind, colour in (("realised", BLUE), ("proxy", ORANGE)):
        rows = parts[kind]
        name = "realised (± 2 standard errors)" if kind == "realised" else "early label (± 2 standard errors)"
        gap.errorbar(
            rows["cutoff_date"],
            rows["observed"] - rows["expected"],
            yerr=2 * rows["noise"],
            color=colour,
            marker="o",
            markersize=3.5,
            linewidth=1.2,
            elinewidth=0.7,
            label=name,
        )
    gap.axhline(0, color="black", linewidth=0.8)
    gap.yaxis.set_major_formatter(lambda value, _position: f"{100 * value:+.0f} %")
    learned = known.loc[known["learned"].astype(bool), "cutoff_date"]
    for axes in (loss, gap):
        if len(learned):
            axes.axvspan(learned.min(), learned.max(), color=GREY, alpha=0.12, lw=0, label="model learned from these")
        axes.set_xlim(
            known["cutoff_date"].min() - pd.Timedelta(days=4), known["cutoff_date"].max() + pd.Timedelta(days=4)
        )
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.margins(y=0.2)
        axes.legend(frameon=False, loc="upper left", ncols=3, fontsize=8)
    if worst.empty:
        bars.text(0.5, 0.5, verdict.sentence, ha="center", va="center", wrap=True, transform=bars.transAxes)
        bars.set_axis_off()
        return png(figure)
    colours = np.where(worst["alarm"].astype(bool), RED, np.where(worst["violated"].astype(bool), ORANGE, BLUE))
    bars.barh(np.arange(len(worst)), worst["ratio"], color=list(colours), height=0.68)
    bars.axvline(1, color="black", linewidth=1.2)
    bars.set_yticks(np.arange(len(worst)), [_segment_name(row) for _, row in worst.iterrows()], fontsize=8)
    bars.set(xlabel="distance from its own past, 1 = threshold")
    meaning = {RED: "alarm", ORANGE: "above its threshold now only", BLUE: "as usual"}
    handles = [Patch(color=colour, label=text) for colour, text in meaning.items() if colour in colours]
    bars.legend(handles=handles, frameon=False, loc="lower right", fontsize=8)
    return png(figure)


def _segment_name(row: "pd.Series") -> str:
    place = (
        row["segment_value"]
        if row["segment_column"] in (OVERALL, FOUND)
        else f"{row['segment_column']} {row['segment_value']}"
    )
    what = "" if row["statistic"] == "calibration" else f" ({row['statistic'].replace('_', '-')})"
    early = ", early label" if row["kind"] == "proxy" else ""
    return f"{place}{what}{early}"


def percent(axes: Axes, which: str) -> None:
    """Show an axis (`x` or `y`) of shares in percent."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(lambda value, _position: f"{100 * value:.0f} %")


def _figure(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    style(axes, title)
    return figure, axes


def style(axes: Axes, title: str) -> None:
    """Give axes the look of all pictures here."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG: the same figure, the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def backtest_plot(weeks: pd.DataFrame, title: str = "What each policy would have cost") -> bytes:
    """Draw what each policy saved against never retraining, added up over the cutoffs, dots where it retrained.

    Columns: policy, cutoff_date, action, log_loss (null where the outcome is not known), rows. Above zero: fewer
    log-loss points lost than by the policy `never`, as a mean over the rows so far.
    """
    figure, axes = _figure(title, width=8.8, height=4.2)
    dates = weeks.assign(cutoff_date=pd.to_datetime(weeks["cutoff_date"])).dropna(subset=["log_loss"])
    losses = dates.pivot(index="cutoff_date", columns="policy", values="log_loss")
    rows = dates.groupby("cutoff_date")["rows"].max().reindex(losses.index)
    base = losses["never"] if "never" in losses.columns else losses.iloc[:, 0]
    # Policies that never acted lie on one another, so their dashes differ.
    styles = zip([BLUE, GREY, ORANGE, RED, "#3c8f5a", "#7a56a8"], ["--", "-", ":", "-", "-.", "--"], strict=True)
    for policy, (colour, dashes) in zip(losses.columns, styles, strict=False):
        saved = ((base - losses[policy]) * rows).cumsum() / rows.cumsum()
        width = 1.8 if policy == "ours" else 1.2
        axes.plot(saved.index, saved, color=colour, linestyle=dashes, linewidth=width, label=str(policy))
        mine = dates[(dates["policy"] == policy) & (dates["action"] == "improve")]["cutoff_date"]
        axes.scatter(mine, saved.reindex(mine), color=colour, s=26, zorder=3)
    axes.set_ylabel("log-loss saved a customer,\nmean so far (dots: retrained)")
    axes.xaxis.set_major_locator(AutoDateLocator())
    axes.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))
    axes.legend(frameon=False, loc="upper left")
    return png(figure)
