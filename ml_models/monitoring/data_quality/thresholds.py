"""What counts as wrong: every threshold of this package, with its meaning and unit, and the rules of each measure.

Only constants belong here, as they are tuned together. What is done with them is in the module of each kind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from ml_models.monitoring.types import AnomalyKind

# --- time ------------------------------------------------------------------------------------------------------------

WEEK = 7
"""Days that are measured and judged together, up to the day before a cutoff."""

HISTORY = 26
"""Healthy weeks (or cutoffs) from whose scatter a limit is made."""

RECENT = 8
"""Healthy weeks (or cutoffs) whose median is what is usual."""

MINIMUM_WINDOWS = 6
"""Healthy weeks (or cutoffs) below which nothing can be judged."""

KEPT_WEEKS = 40
"""Weeks of the profile that a judgement reads: 26 healthy ones, some bad ones, and the 12 that identities look back."""

LOOK_BACK = 28
"""Days before a week whose rows are counted again: what came late, twice, or went away."""

BLOCKS = 3
"""Blocks of four weeks with which the identities of a week are compared."""

BLOCK_WEEKS = 4
"""Weeks of such a block."""

REPLAY_BACK = 35
"""Days within which the content of a group may come again to be called a replay."""

# --- chance ----------------------------------------------------------------------------------------------------------

DEVIATIONS = 4.0
"""Standard deviations of its healthy past by which a measure of a whole table must differ."""

SEGMENT_DEVIATIONS = 2.5
"""Standard deviations by which a measure of one segment must differ; many such segments are needed to count."""

DESIGN_EFFECT = 3.0
"""By how much fewer independent rows there are than rows: rows of one customer resemble each other. [ratio]"""

CLUSTER = 7.0
"""The same for categories, because what is bought together resembles itself even more. [ratio]"""

MINIMUM_ROWS = 200
"""Rows below which a week's shares and sizes say nothing."""

FEW_ROWS = 30
"""Rows from which a week is judged by what can be told of few rows: how many there are, sizes, shares, and whether
customers are known. Below MINIMUM_ROWS the least difference that counts grows as chance does: amounts in cents, a file
loaded twice and new identifiers show in a shop of forty orders a week."""

SEGMENT_ROWS = 50
"""Rows of one segment in a week from which it is measured."""

STILL = 0.6
"""What a limit is multiplied by while last week's fault goes on, so that one at the limit does not flicker. [ratio]"""

# --- which columns are judged as what --------------------------------------------------------------------------------

SEGMENT_VALUES = 600
"""Values above which a column is no segment: each would be too small to be judged by itself."""

CLOCK_LIVES = 2.5
"""Weeks that the values of a number live at most if it counts weeks or months; such a number moves by nature."""

FREE_TEXT = 0.2
"""Share of the rows that a text's number of values exceeds when it is free text."""

GROUP_LIVES = 1.2
"""Weeks that the values of a key column live at most if they name one event, such as an order."""

# --- measures of a whole table ---------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """How a measure is judged.

    `scale`: "share" compares by difference, "log" by ratio (see `arithmetic.scaled`). `floor`: the least difference
    that counts. `side`: where it is wrong. Floors of ratios lie above what prices, seasons and promotions do in a week.
    """

    kind: AnomalyKind
    scale: Literal["share", "log"]
    floor: float
    side: Literal["up", "down", "both"]


RULES: Mapping[str, Rule] = {
    "null_share": Rule("nulls", "share", 0.01, "both"),
    "orphan_share": Rule("orphans", "share", 0.004, "up"),
    "modal_share": Rule("stuck", "share", 0.1, "up"),
    "distinct": Rule("stuck", "log", math.log(2), "down"),
    "negative_share": Rule("range", "share", 0.004, "both"),
    "zero_share": Rule("range", "share", 0.1, "both"),
    "fraction_share": Rule("range", "share", 0.1, "down"),
    "mean": Rule("range", "log", math.log(1.5), "both"),
    "p25": Rule("range", "log", math.log(1.5), "both"),
    "p50": Rule("range", "log", math.log(1.5), "both"),
    "p75": Rule("range", "log", math.log(1.5), "both"),
    "p95": Rule("range", "log", math.log(1.6), "both"),
    "p99": Rule("range", "log", math.log(3), "both"),
    "max": Rule("range", "log", math.log(20), "up"),
    "rows_per_group": Rule("volume", "log", 0.2, "both"),
    "duplicate_share": Rule("keys", "share", 0.001, "up"),
    "null_key_share": Rule("keys", "share", 0.001, "up"),
    "repeated_content_share": Rule("replay", "share", 0.005, "up"),
    "replayed_share": Rule("replay", "share", 0.02, "up"),
}
"""The rules of a table with a time. Floors are shares of rows, or logarithms of ratios."""

SNAPSHOT_RULES: Mapping[str, Rule] = {
    **{name: RULES[name] for name in ("null_share", "negative_share", "mean", "p50", "orphan_share")},
    "duplicate_share": RULES["duplicate_share"],
    "null_key_share": RULES["null_key_share"],
    "distinct": RULES["distinct"],
    "rows": Rule("volume", "log", 0.1, "down"),
}
"""The rules of a table that is replaced as a whole. Floors are shares of rows, or logarithms of ratios."""

SNAPSHOT_ROWS = 20
"""Rows of a table that is replaced as a whole below which its nulls and keys say nothing."""

SIZES = tuple(measure for measure, rule in RULES.items() if (rule.kind, rule.scale) == ("range", "log"))
"""Measures of size: those that RULES judges as a range, by their ratio. Two of them must move to the same side before a
number has left its range."""

FEW_RULES: Mapping[str, Rule] = {
    measure: rule for measure, rule in RULES.items() if measure in SIZES or rule.scale == "share"
}
"""The rules of a week of FEW_ROWS to MINIMUM_ROWS rows: those whose limit grows as chance does."""

# --- rows ------------------------------------------------------------------------------------------------------------

VOLUME_FACTOR = 2.0
"""Factor by which the rows of a week or of a day must differ: less is what customers do."""

DAY_ROWS = 50
"""Usual rows of a day from which the day is judged by itself."""

MADE_UP = 0.65
"""Share of what a day lacks that the days before it must have sold more than usual for the day to count as closed."""

SHARE_OF_FEED = 0.02
"""Logarithm by which a table must hold less of a raw table's rows than usual to have lost some of them itself, and by
which its share of them may scatter for it to hold them at all. [logarithm]"""

CLOSED_MONTHS = 3
"""Months in a row in which a day of the month was without rows, each time, for it to be known as closed. [months]"""

EASTER_REACH = 60
"""Days from Easter within which holidays may move with it: Corpus Christi is the last one."""

CLOSED_DAYS_TOGETHER = 4
"""Days in a row that lack rows up to which they may be holidays that recur; more of them are an outage."""

GROWN_FACTOR = 1.25
"""Factor by which a day that was delivered before must change."""

GROWN_WORSE = 1.2
"""Factor by which that change must lead away from what is usual."""

CREEP_ALLOWANCE = 1.0
"""Standard deviations that a week may lack without adding to the sum of what the weeks lack: half of the smallest shift
that is to be seen soon."""

CREPT = 5.0
"""Sum of what the weeks lack, in standard deviations, from which lines are lost little by little."""

NUMBERED = 0.05
"""Standard deviation of the span of orders' numbers over their count, as a logarithm, up to which orders are numbered
one after another. [ratio]"""

GAPLESS = 0.02
"""Share of orders' numbers below which so few are usually missing that a gap is an order that did not come. [share]"""

GAPS = 0.02
"""Logarithm by which orders must be fewer for as many numbers for gaps to be told by themselves. [ratio]"""

NUMBERS_APART = 2.0
"""Numbers between a week's first and last order over its orders from which they are given with gaps. [ratio]"""

SAME_ROWS = 0.02
"""Ratio, as a logarithm, up to which two tables have the rows of each week in common. [ratio]"""

MOST_MISSING = 0.5
"""Share (0 to 1) of the missing rows from which one value is said to explain them."""

APART = 3.0
"""Ratio of what that value lost of its rows to what the others lost of theirs: less is everywhere alike."""

ROWS_WRONG = frozenset({"keys", "stale", "replay", "volume", "ids"})
"""Kinds of anomalies after which a week's rows, or whose they are, say nothing about later ones."""

# --- segments --------------------------------------------------------------------------------------------------------

SEGMENT_RULES: Mapping[str, Rule] = {
    "null_share": Rule("nulls", "share", 0.05, "both"),
    "modal_share": Rule("stuck", "share", 0.2, "up"),
    "negative_share": Rule("range", "share", 0.05, "both"),
    "size": Rule("range", "log", 0.2, "both"),
    "rows_per_group": Rule("volume", "log", 0.3, "down"),
    "hour_mean": Rule("hours", "share", 2.0, "both"),
}
"""The rules within segments: what a single segment must differ by. The floor of `hour_mean` is in hours."""

SEGMENT_MASS = 0.08
"""Share of a table's rows that segments which are off together must hold."""

OUTAGE_VALUES = 3
"""Segments that must be off together."""

SILENT_MASS = 0.06
"""Usual share of rows of segments that fell silent together for a week; three times as much for a single day."""

SILENT_SHARE = 0.02
"""Share of its usual rows below which a segment is silent."""

SILENT_WEEK_ROWS = 20.0
"""Usual rows a week from which a segment can fall silent."""

SILENT_DAY_ROWS = 40.0
"""Usual rows on a weekday from which a segment can fall silent on that day."""

UNEVEN_ROWS = 100
"""Usual rows a week from which a segment's loss is compared with that of the others."""

UNEVEN_FACTOR = 1.6
"""Factor by which a segment must lose more rows than the table as a whole."""

PART_ORDERS = 0.5
"""Usual orders a week from which a segment's value takes part when it is asked which of them lost a part. [orders]"""

PART_GAIN = 5.0
"""By how much better two changes must explain the orders of a segment's values than one: the logarithm of the ratio of
their likelihoods. By chance some one week in three hundred exceeds it, and few of those are a step that kept still.
[logarithm of a ratio]"""

# --- prices ----------------------------------------------------------------------------------------------------------

PRICED_ROWS = 20
"""Rows of one value of a segment, as far as their items are sold outside of it too, from which its prices are compared
with those outside."""

PRICE_FLOOR = 0.06
"""Logarithm by which the unit prices of two groups of values must have moved apart: taxes and currencies do by more,
and what stores decide about single items by less. [ratio]"""

PRICE_GROUPS = 4.0
"""How far apart two groups of values must be, over the scatter within them. [ratio]"""

# --- hours -----------------------------------------------------------------------------------------------------------

HOURS_FLOOR = 0.08
"""Share of rows that must lie in other hours than usual."""

SILENT_HOURS = 0.08
"""Share of a usual day's rows that must lie in hours without a row."""

SILENT_HOURS_RUN = 3
"""Empty hours of one day from which they count."""

SILENT_HOUR_ROWS = 20
"""Usual rows of an hour from which it can be empty."""

ONE_HOUR = 0.9
"""Share of rows in a single hour from which times have lost their hour."""

# --- categories ------------------------------------------------------------------------------------------------------

VALUES_NEW = 0.05
"""Share of rows with values never seen before."""

VALUES_LOST = 0.015
"""Usual share of rows of values that are gone."""

VALUES_MOVED = 0.05
"""Share of rows that changed their value."""

# --- identities ------------------------------------------------------------------------------------------------------

OVERLAP_FLOOR = 0.06
"""Share by which known identifiers must have become fewer."""

CONSERVED = 0.5
"""Share of the visits that newcomers bring beyond their usual ones that known customers must lack for them to be the
same people: all of them where they are, none where they are not. [share]"""

# --- arrival ---------------------------------------------------------------------------------------------------------

SILENCE_CHANCE = 1e-4
"""Probability of days without rows below which they are no chance.

Some ten tables are judged fifty times a year: less than one false alarm in ten years."""

# --- feature rows and outcomes ---------------------------------------------------------------------------------------
# Customers who come otherwise change how often a feature is zero, one or null, and that is for drift and performance to
# judge. Our own code's errors know no measure: of the rows that usually hold something else a gross share must be hit.

FRAME_NULLS = 0.02
"""Share of feature rows that must be null where nulls are rare."""

RARELY_NULL = 0.005
"""Usual share of nulls below which nulls are rare."""

NULLS_OF_OTHERS = 0.1
"""Share of the usually filled feature rows that must be null where nulls are natural."""

STUCK_OF_OTHERS = 0.5
"""Share of the feature rows that usually hold something else which one value must take."""

STUCK_OF_A_BAND = 0.8
"""The same within a segment of the customers. [share, 0 to 1]"""

SAME = 1e-9
"""Relative difference up to which a rebuilt feature is the same: more than rounding. [share, 0 to 1]"""

AWAY_CUSTOMERS = 30
"""Customers of a cutoff who stayed away at first from which some must have come back before the horizon ended."""

# --- order -----------------------------------------------------------------------------------------------------------

SEVERITY: Sequence[AnomalyKind] = (
    "schema", "keys", "stale", "replay", "volume", "hours", "ids", "range", "nulls", "stuck", "categories", "orphans",
    "future", "labels",
)  # fmt: skip
"""Kinds of anomalies, the most severe first."""
