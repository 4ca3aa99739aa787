"""How many of a week's customers, products and other identifiers were there before: the statement that measures it.

Each week is held against the four weeks before it, and the four before those, and before those. When values changed
five weeks ago, the nearest four weeks know the new values already, and only the others still show it.
"""

from collections.abc import Sequence
from datetime import date

from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.sql_functions import SqlFunctions, weeks_from
from ml_models.monitoring.data_quality.thresholds import BLOCK_WEEKS, BLOCKS, WEEK

OVERLAP_BACK = WEEK * BLOCK_WEEKS * BLOCKS
"""Days before a week that are read for it."""

Entry = tuple[str, str, str, str, str]


def overlap(table: MonitoredTable, lines: str, starts: Sequence[date], words: SqlFunctions) -> str:
    """Return how many of a week's values were there before, and of those of then are here again, of each identifier.

    `lines` is a statement: rows with `w_` (week) from OVERLAP_BACK days before the first of `starts` on.
    """
    labels = {name: name for name in table.ids}
    if table.entity:
        labels |= {f"{table.entity}+{name}": f"{table.entity}, {name}" for name in table.segments if name in table.ids}
    # To hold each value against its own row before is cheaper where most values come again within the weeks that are
    # measured; of a single week most rows are of the weeks before it.
    of = _by_week if len(starts) == 1 else _by_value
    body = "\nunion all ".join(
        f"select '{table.asset}' as asset, '{label}' as column_name, made.measure, '' as value_key, "
        "w_ as period_start, made.n, made.value from "
        f"({_visits(table, words) if label == table.entity else of(label, columns, words)}) as wide, "
        "unnest(wide.entries) as unnested(made)"
        for label, columns in labels.items()
    )
    return f"with lines as ({lines}), weeks as ({weeks_from(starts)})\n{body}"


def _cells(columns: str, more: str = "") -> str:
    """Return the rows of each value in each week."""
    present = " and ".join(f"{name} is not null" for name in columns.split(", "))
    return f"select w_, {columns}, count(*) as n_{more} from lines where {present} group by w_, {columns}"


def _lagged(columns: str, words: SqlFunctions, visits: str = "") -> str:
    """Return the cells of each week and of those before it, with `lag_`: how many weeks earlier."""
    lag = words("days_between", "b.w_", "weeks.w_")
    return (
        f"select weeks.w_, {columns}, n_{', came_' if visits else ''}, {lag} / {WEEK} as lag_ from weeks join "
        f"({_cells(columns, visits)}) as b on b.w_ <= weeks.w_ and b.w_ >= "
        f"{words('add_days', 'weeks.w_', -OVERLAP_BACK)}"
    )


def _sums() -> list[str]:
    """Return of one value in one week: rows now, and in each block the rows and in how many weeks there were any."""
    sums = ["sum(case when lag_ = 0 then n_ else 0 end) as now_"]
    for block in range(BLOCKS):
        low, high = block * BLOCK_WEEKS + 1, (block + 1) * BLOCK_WEEKS
        inside = f"case when lag_ between {low} and {high} then"
        sums += [f"sum({inside} n_ else 0 end) as b{block}_", f"sum({inside} 1 else 0 end) as s{block}_"]
    return sums


def _entries(label: str) -> list[Entry]:
    """Return the measures of one identifier, of the rows that `_sums` makes."""
    entries: list[Entry] = []
    for block in range(BLOCKS):
        steady = f"case when s{block}_ = {BLOCK_WEEKS} then"
        known = f"sum(case when b{block}_ > 0 then now_ else 0 end)"
        before = f"sum(case when now_ > 0 then b{block}_ else 0 end)"
        again = f"sum({steady} case when now_ > 0 then 1 else 0 end else 0 end)"
        entries += _of_block(
            label, block, "sum(now_)", known, f"sum(b{block}_)", before, f"sum({steady} 1 else 0 end)", again
        )
    return entries


def _of_block(
    label: str, block: int, now: str, known: str, then: str, before: str, steady: str, again: str
) -> list[Entry]:
    """Return the measures against one block of weeks.

    `now` are the week's rows, `known` those of values that were there; `then` the block's rows, `before` those of
    values that are here; `steady` the values that were there in all its weeks, `again` those of them that are here.
    """
    mark = f"_{block + 1}"
    return [
        (label, "known_share" + mark, "''", now, f"{known} / nullif({now}, 0)"),
        (label, "again_weight" + mark, "''", then, f"{before} / nullif({then}, 0)"),
        (label, "steady_again" + mark, "''", steady, f"{again} / nullif({steady}, 0)"),
    ]


def _by_week(label: str, columns: str, words: SqlFunctions) -> str:
    """Return the measures of each week: its cells and those of the weeks before it, put together by value."""
    return (
        f"select w_, {words.rows(_entries(label))} as entries from (select w_, {columns}, {', '.join(_sums())} from "
        f"({_lagged(columns, words)}) as lagged group by w_, {columns}) as seen group by w_"
    )


def _by_value(label: str, columns: str, words: SqlFunctions) -> str:
    """Return what `_by_week` does, looking back from each cell along its own value, which reads each cell once.

    What is counted of values that are not here any more follows from the weeks: the rows of a block are those of its
    weeks, and the steady values those whose fourth week in a row is its last.
    """
    along = f"partition by {columns} order by at_"
    sums = ["sum(n_) as now_", f"sum(case when run_ = {WEEK * (BLOCK_WEEKS - 1)} then 1 else 0 end) as runs_"]
    kept = ["sum(case when lag_ = 0 then now_ else 0 end) as now_"]
    backs: list[str] = []
    entries: list[Entry] = []
    for block in range(BLOCKS):
        near, far = WEEK * (block * BLOCK_WEEKS + 1), WEEK * (block + 1) * BLOCK_WEEKS
        frame = f"over ({along} range between {far} preceding and {near} preceding)"
        backs += [f"coalesce(sum(n_) {frame}, 0) as b{block}_", f"count(*) {frame} as s{block}_"]
        sums += [
            f"sum(case when b{block}_ > 0 then n_ else 0 end) as known{block}_",
            f"sum(b{block}_) as before{block}_",
            f"sum(case when s{block}_ = {BLOCK_WEEKS} then 1 else 0 end) as again{block}_",
        ]
        kept += [
            f"sum(case when lag_ between {near} and {far} then now_ else 0 end) as then{block}_",
            f"sum(case when lag_ = {near} then runs_ else 0 end) as steady{block}_",
            *(
                f"sum(case when lag_ = 0 then {name}{block}_ else 0 end) as {name}{block}_"
                for name in ("known", "before", "again")
            ),
        ]
        names = [f"{name}{block}_" for name in ("known", "then", "before", "steady", "again")]
        entries += _of_block(label, block, "now_", *names)
    at = words("days_between", "date '2000-01-03'", "w_")  # days as a number: a frame is counted in them
    lag = words("days_between", "by_week.w_", "weeks.w_")
    seen = f"select w_, n_, at_ - lag(at_, {BLOCK_WEEKS - 1}) over ({along}) as run_, {', '.join(backs)} from cells"
    return (
        f"with cells as (select *, {at} as at_ from ({_cells(columns)}) as counted), seen as ({seen}), "
        f"by_week as (select w_, {', '.join(sums)} from seen group by w_), "
        f"kept as (select w_, {', '.join(kept)} from (select weeks.w_, by_week.* exclude (w_), {lag} as lag_ "
        "from weeks join by_week on by_week.w_ <= weeks.w_ and by_week.w_ >= "
        f"{words('add_days', 'weeks.w_', -OVERLAP_BACK)}) as held group by w_) "
        f"select w_, {words.rows(entries)} as entries from kept"
    )


def _visits(table: MonitoredTable, words: SqlFunctions) -> str:
    """Return the measures of who acts: those of every identifier, and how their visits go on.

    Visits are orders where rows have any.
    """
    entity = table.entity
    any_ = " + ".join(f"coalesce(b{block}_, 0)" for block in range(BLOCKS))
    seen = f"sum(case when {any_} > 0 then now_ else 0 end)"
    fresh = f"case when {any_} = 0 and now_ > 0 then"
    here = "sum(case when now_ > 0 then 1 else 0 end)"
    entries = [
        *_entries(entity),
        (entity, "known_share_any", "''", "sum(now_)", f"{seen} / nullif(sum(now_), 0)"),
        *_again_and_spread(entity),
        (entity, "newcomers", "''", here, f"sum({fresh} 1 else 0 end)"),
        (entity, "newcomers_visits", "''", "sum(v_)", f"sum({fresh} v_ else 0 end)"),
    ]
    sums = [
        *_sums(),
        "sum(case when lag_ = 0 then came_ else 0 end) as v_",
        f"sum(case when lag_ between 1 and {BLOCK_WEEKS} then came_ else 0 end) as past_",
    ]
    visits = f", {f'count(distinct {table.group})' if table.group else 'count(*)'} as came_"
    return (
        f"select w_, {words.rows(entries)} as entries from (select w_, {entity}, {', '.join(sums)} from "
        f"({_lagged(entity, words, visits)}) as lagged group by w_, {entity}) as seen group by w_"
    )


def _again_and_spread(entity: str) -> list[Entry]:
    """Return how much of the visits of four weeks (`past_`) came again (`v_`), and how far each strays from it.

    The first is a share of a week's. The straying is a variance over its mean, as of Poisson counts: the sum of
    (v - r past)^2 over the sum of v, of those who came then.
    """
    of_known = "sum(case when past_ > 0 then v_ else 0 end)"
    share = f"(1.0 * {of_known} / nullif(sum(past_), 0))"
    squares = (
        f"(sum(case when past_ > 0 then 1.0 * v_ * v_ else 0 end) - 2 * {share} * sum(1.0 * v_ * past_) "
        f"+ {share} * {share} * sum(1.0 * past_ * past_))"
    )
    known = "sum(case when past_ > 0 then 1 else 0 end)"
    return [
        (entity, "again_of_visits", "''", "sum(past_)", f"{BLOCK_WEEKS} * {share}"),
        (entity, "spread_of_visits", "''", known, f"{squares} / nullif({of_known}, 0)"),
    ]
