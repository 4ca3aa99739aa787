"""What counts as wrong: the thresholds, and for each measure its kind, its scale, its floor and its wrong side.

Only constants belong here, as they are tuned together; what is done with them is in the module of each kind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from ml_models.monitoring.types import AnomalyKind

DEVIATIONS = 4.0
MINIMUM_WINDOWS = 6
HISTORY, RECENT = 26, 8
# Twenty-six healthy weeks, some that were bad, and the twelve that identities look back.
KEPT_WEEKS = 40
# Rows below which a week's shares and sizes say nothing.
MINIMUM_ROWS = 200
# Rows of one customer resemble each other: shares scatter as if there were a third of the rows.
DESIGN_EFFECT = 3.0
# What is bought together resembles itself even more.
CLUSTER = 7.0

# How a measure is compared: "share" by difference, "log" by ratio (see arithmetic.scaled); the least difference
# that counts; and which side is wrong. Floors of ratios lie above what prices, seasons and promotions do in a week.
Rule = tuple[AnomalyKind, Literal["share", "log"], float, Literal["up", "down", "both"]]
RULES: Mapping[str, Rule] = {
    "null_share": ("nulls", "share", 0.01, "both"),
    "orphan_share": ("orphans", "share", 0.004, "up"),
    "modal_share": ("stuck", "share", 0.1, "up"),
    "distinct": ("stuck", "log", math.log(2), "down"),
    "negative_share": ("range", "share", 0.004, "both"),
    "zero_share": ("range", "share", 0.1, "both"),
    "fraction_share": ("range", "share", 0.1, "down"),
    "mean": ("range", "log", math.log(1.5), "both"),
    "p25": ("range", "log", math.log(1.5), "both"),
    "p50": ("range", "log", math.log(1.5), "both"),
    "p75": ("range", "log", math.log(1.5), "both"),
    "p95": ("range", "log", math.log(1.6), "both"),
    "p99": ("range", "log", math.log(3), "both"),
    "max": ("range", "log", math.log(20), "up"),
    "rows_per_group": ("volume", "log", 0.2, "both"),
    "duplicate_share": ("keys", "share", 0.001, "up"),
    "null_key_share": ("keys", "share", 0.001, "up"),
    "repeated_content_share": ("replay", "share", 0.005, "up"),
    "replayed_share": ("replay", "share", 0.02, "up"),
}
# What a limit shrinks to while last week's fault goes on.
STILL = 0.6
SIZES = ("mean", "p25", "p50", "p75", "p95", "p99", "max")
# Within segments: what a single value must deviate by.
SEGMENT_RULES: Mapping[str, Rule] = {
    "null_share": ("nulls", "share", 0.05, "both"),
    "modal_share": ("stuck", "share", 0.2, "up"),
    "negative_share": ("range", "share", 0.05, "both"),
    "size": ("range", "log", 0.2, "both"),
    "rows_per_group": ("volume", "log", 0.3, "down"),
    "hour_mean": ("hours", "share", 2.0, "both"),
}
# Of a table that is replaced as a whole.
SNAPSHOT_RULES: Mapping[str, Rule] = {
    **{name: RULES[name] for name in ("null_share", "negative_share", "mean", "p50", "orphan_share")},
    "duplicate_share": RULES["duplicate_share"],
    "null_key_share": RULES["null_key_share"],
    "distinct": RULES["distinct"],
    "rows": ("volume", "log", 0.1, "down"),
}
SEGMENT_DEVIATIONS = 2.5
SEGMENT_MASS = 0.08
OUTAGE_VALUES = 3
SILENT_MASS = 0.06
HOURS_FLOOR = 0.08
SILENT_HOURS = 0.08
VALUES_MOVED = 0.05
OVERLAP_FLOOR = 0.06
# The share of what a day lacks that the days before it must have sold more than usual.
MADE_UP = 0.65


# What is told first.
SEVERITY: Sequence[AnomalyKind] = (
    "schema", "keys", "stale", "replay", "volume", "hours", "ids", "range", "nulls", "stuck", "categories", "orphans",
    "future", "labels",
)  # fmt: skip
