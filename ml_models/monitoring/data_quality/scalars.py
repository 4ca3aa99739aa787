"""Measures of the whole table, column by column: nulls, stuck values, ranges, keys, orphans, replays, rows of groups.

Each is one number held against one limit, by `rules.RULES`; only the sentence and the re-enactment differ.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality.arithmetic import Array, nanmedian, rounded, scaled, share_floor, wrong_side
from ml_models.monitoring.data_quality.profile_sql import kind_of
from ml_models.monitoring.data_quality.thresholds import MINIMUM_ROWS, RECENT, SIZES, Rule
from ml_models.monitoring.data_quality.window import Window, typed
from ml_models.monitoring.types import AnomalyKind


def judge_scalars(window: Window, rules: Mapping[str, Rule]) -> None:
    """Judge each column's measures of the whole table; one anomaly a column and kind, the clearest."""
    found: dict[tuple[str, AnomalyKind], list[tuple[float, str, float, float, float, float, float]]] = {}
    for measure, (kind, scale, floor, side) in rules.items():
        values, counts, labels = window.history.series(measure, lambda name: "@" not in name, "whole")
        if not labels:
            continue
        if scale == "log":
            reference = np.array([_scale_of(window, name) for name, _ in labels])
            if measure in ("distinct", "rows_per_group", "rows"):
                with np.errstate(divide="ignore"):
                    compared = np.log(np.maximum(values, 0.5))
            else:
                compared = np.column_stack([scaled(values[:, i], reference[i]) for i in range(len(labels))])
            least: Array = np.full(len(labels), floor)
        else:
            compared = values
            past = values[window.healthy]
            centre = nanmedian(past)
            quiet = np.nanmax(np.where(np.isnan(past), 0, past), axis=0) <= 0
            least = share_floor(floor, centre, counts[window.position], quiet)
        difference, centre, limit = window.compare(compared, least)
        if measure == "distinct" and window.table.time_sql:
            # Fewer rows hold fewer values.
            fall, _, _ = window.compare(np.log(np.maximum(window.history.one("rows")[:, None], 0.5)), 0.0)
            difference = difference + max(0.0, -float(np.nan_to_num(fall[0])))
        limit = limit * np.array([window.goes_on(kind, name) for name, _ in labels])
        wrong = wrong_side(difference, limit, side)
        enough = counts[window.position] >= (MINIMUM_ROWS if measure != "rows" else 0)
        if measure in ("null_share", "null_key_share", "duplicate_share"):
            enough = counts[window.position] >= min(MINIMUM_ROWS, 20 if not window.table.time_sql else MINIMUM_ROWS)
        for place, (column, _) in enumerate(labels):
            if not enough[place] or np.isnan(limit[place]):
                continue
            past = values[window.healthy, place]
            expected = float(np.nanmedian(past[-RECENT:])) if np.isfinite(past[-RECENT:]).any() else float("nan")
            observed = float(values[window.position, place])
            window.note(
                kind,
                column,
                "",
                measure,
                observed,
                expected,
                float(limit[place]),
                int(counts[window.position, place]),
                bool(wrong[place]),
            )
            if wrong[place]:
                excess = abs(difference[place]) / max(limit[place], 1e-12)
                found.setdefault((column, kind), []).append(
                    (
                        excess,
                        measure,
                        observed,
                        expected,
                        float(limit[place]),
                        counts[window.position, place],
                        float(difference[place]),
                    )
                )
    for (column, kind), hits in found.items():
        sizes = [hit for hit in hits if hit[1] in SIZES]
        if kind == "range" and len(sizes) == len(hits) and not _agree(sizes):
            continue
        _scalar_anomaly(window, column, kind, sorted(hits, reverse=True))


def _scale_of(window: Window, column: str) -> float:
    mean = window.history.one("mean", column)[window.healthy]
    return float(np.nanmedian(np.abs(mean))) if np.isfinite(mean).any() else 1.0


def _agree(sizes: Sequence[tuple[float, str, float, float, float, float, float]]) -> bool:
    """Whether two measures of size moved to one side: one quantile alone may sit between two crowds of values."""
    return max(sum(hit[6] > 0 for hit in sizes), sum(hit[6] < 0 for hit in sizes)) >= 2


def _scalar_anomaly(
    window: Window, column: str, kind: AnomalyKind, hits: list[tuple[float, str, float, float, float, float, float]]
) -> None:
    _, measure, observed, expected, limit, n, _ = hits[0]
    asset, table = window.table.asset, window.table
    measures = {name: (seen, usual) for _, name, seen, usual, *_ in hits}
    common = (observed, expected, limit, n)
    days = (
        f"from {window.since(kind, column)} to {window.end}"
        if table.time_sql
        else f"as delivered before {window.end + timedelta(days=1)}"
    )
    if kind == "nulls":
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = f"{observed:.1%} of {asset}.{column} is null {days}, usually {expected:.1%}."
        window.anomaly("nulls", column, sentence, *common, rate=max(rate, 0), operation="null" if rate > 0 else "")
    elif kind == "orphans":
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = (
            f"{observed:.2%} of {asset}.{column} have no partner in the table they refer to "
            f"{days}, usually {expected:.2%}."
        )
        if kind_of(table.columns[column]) == "text":
            window.anomaly("orphans", column, sentence, *common, rate=rate, operation="map_values", value="unknown {}")
        else:
            window.anomaly("orphans", column, sentence, *common, rate=rate, operation="rekey")
    elif kind == "stuck" and measure == "modal_share":
        value = window.history.modal(column, window.position)
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = (
            f"{observed:.1%} of {asset}.{column} is {value} {days}; the most frequent value "
            f"usually holds {expected:.1%}."
        )
        window.anomaly(
            "stuck", column, sentence, *common, rate=rate, operation="set", value=typed(value, table.columns[column])
        )
    elif kind == "stuck":
        sentence = f"{asset}.{column} has {observed:.0f} different values {days}, usually {expected:.0f}."
        window.anomaly("stuck", column, sentence, *common, operation="")
    elif kind == "range" and ("negative_share" in measures):
        seen, usual = measures["negative_share"]
        rate = abs(seen - usual)
        sentence = f"{seen:.1%} of {asset}.{column} is negative {days}, usually {usual:.1%}."
        window.anomaly("range", column, sentence, seen, usual, limit, n, rate=rate, operation="negate")
    elif kind == "range":
        _scale_anomaly(window, column, hits, days)
    elif kind == "volume" and measure == "rows":
        sentence = f"{asset} holds {observed:,.0f} rows {days}, {expected:,.0f} before."
        window.anomaly(
            "volume", "", sentence, *common, rate=1 - observed / max(expected, 1), operation="drop", target=""
        )
    elif kind == "volume":
        ratio = observed / max(expected, 1e-9)
        what = "lost" if ratio < 1 else "gained"
        sentence = f"Groups of {asset} ({column}) {what} rows: {observed:.1f} rows each {days}, usually {expected:.1f}."
        if ratio < 1:
            window.anomaly("volume", column, sentence, *common, rate=1 - ratio, operation="drop", target="")
        else:
            window.anomaly(
                "volume", column, sentence, *common, rate=min(ratio - 1, 1), operation="duplicate", target=""
            )
    elif kind == "keys" and measure == "null_key_share":
        sentence = f"{observed:.1%} of the rows of {asset} have no key ({column}) {days}, usually {expected:.1%}."
        window.anomaly("keys", column, sentence, *common, rate=observed, operation="")
    elif kind == "keys":
        sentence = f"{observed:.1%} of the rows of {asset} repeat a key ({column}) {days}, usually {expected:.1%}."
        window.anomaly(
            "keys",
            column,
            sentence,
            *common,
            rate=min(observed / max(1 - observed, 1e-9), 1),
            operation="duplicate",
            target="",
        )
    elif kind == "replay" and measure == "repeated_content_share":
        sentence = (
            f"{observed:.1%} of the rows of {asset} equal another row in all but the key "
            f"{table.group} {days}, usually {expected:.1%}."
        )
        window.anomaly(
            "replay",
            table.group,
            sentence,
            *common,
            rate=min(observed / max(1 - observed, 1e-9), 1),
            operation="duplicate",
        )
    else:
        history, position = window.history, window.position
        lag = history.one("replayed_lag", table.group)[position]
        again = round(float(lag)) if np.isfinite(lag) else 0
        sentence = (
            f"{observed:.0%} of the {table.group}s of {asset} {days} repeat the content of others"
            f"{f', {again} days older' if again else ' of the same day'}, under new keys; usually {expected:.1%}."
        )
        if again:
            first = window.start
            window.anomaly(
                "replay",
                table.group,
                sentence,
                *common,
                rate=observed,
                first=first,
                operation="replay_days",
                value={"days": again, "shift": again},
            )
        else:
            window.anomaly(
                "replay",
                table.group,
                sentence,
                *common,
                rate=min(observed / max(1 - observed, 1e-9), 1),
                operation="duplicate",
            )


def _scale_anomaly(
    window: Window, column: str, hits: list[tuple[float, str, float, float, float, float, float]], days: str
) -> None:
    """Tell a change of all values (a unit) from one of a few (a share of the rows), by which quantiles moved alike."""
    asset = window.table.asset
    measures = {name: (seen, usual) for _, name, seen, usual, *_ in hits}
    _, measure, observed, expected, limit, n, _ = hits[0]
    ratios = {name: seen / usual for name, (seen, usual) in measures.items() if usual > 0 and seen > 0}
    middle = [ratios[name] for name in ("p25", "p50", "p75") if name in ratios]
    if measure in ("zero_share", "fraction_share") and not middle:
        word = "zero" if measure == "zero_share" else "not whole"
        sentence = f"{observed:.1%} of {asset}.{column} is {word} {days}, usually {expected:.1%}."
        rate = (observed - expected) / max(1 - expected, 1e-9)
        if measure == "zero_share" and rate > 0:
            window.anomaly("range", column, sentence, observed, expected, limit, n, rate=rate, operation="set", value=0)
        else:
            window.anomaly("range", column, sentence, observed, expected, limit, n, rate=abs(rate), operation="")
        return
    sentence = (
        f"{asset}.{column} left its range {days}: "
        + "; ".join(f"{name} {seen:,.4g}, usually {usual:,.4g}" for name, (seen, usual) in list(measures.items())[:3])
        + "."
    )
    if middle:
        factor = float(np.median(middle))
        window.anomaly(
            "range", column, sentence, observed, expected, limit, n, operation="scale", value=rounded(factor)
        )
        return
    mean = ratios.get("mean")
    top = max((ratios.get(name, 1.0) for name in ("p99", "max")), default=1.0)
    if mean and top > mean > 1:
        factor = rounded(top)
        window.anomaly(
            "range",
            column,
            sentence,
            observed,
            expected,
            limit,
            n,
            rate=(mean - 1) / (factor - 1),
            operation="scale",
            value=factor,
        )
    elif mean:
        window.anomaly("range", column, sentence, observed, expected, limit, n, operation="scale", value=rounded(mean))
    else:
        window.anomaly("range", column, sentence, observed, expected, limit, n, operation="")
