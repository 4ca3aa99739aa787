"""How unlike each other the customers of one value of a segment change their visits: the statement that measures it.

Orders that are lost on the way are lost whoever made them. So within a store that loses some, customers come as unlike
each other as ever, once fewer orders are allowed for; where customers stay away themselves, some do more than others.
"""

from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.sql_functions import SqlFunctions, unnested
from ml_models.monitoring.data_quality.thresholds import BLOCK_WEEKS, WEEK


def visits_within(table: MonitoredTable, column: str, lines: str, weeks: str, words: SqlFunctions) -> str:
    """Return the visits within each value of a segment; `column_name` is `@column`.

    `lines` and `weeks` are statements: rows with `w_` (week) that reach four weeks back, and the weeks to measure.
    `orders` are those of the week. `strays` is the sum of (v - r past)^2 - v over those who came in the four weeks
    before: v visits now, past then, r the share of all of this value. `strays_scale`, the sum of r^2 past, is what it
    is proportional to: their ratio does not change when orders are lost at random. `n` are the visits of those known.
    """
    visits = f"count(distinct {table.group})" if table.group else "count(*)"
    cells = (
        f"select w_, {table.entity} as e_, {column} as s_, {visits} as v_ from lines where {table.entity} is not null "
        f"and {column} is not null group by w_, {table.entity}, {column}"
    )
    pairs = (
        "select weeks.w_, e_, s_, sum(case when cells.w_ = weeks.w_ then v_ else 0 end) as now_, "
        "sum(case when cells.w_ < weeks.w_ then v_ else 0 end) as past_ from weeks join cells on cells.w_ <= weeks.w_ "
        f"and cells.w_ >= {words('add_days', 'weeks.w_', -WEEK * BLOCK_WEEKS)} group by weeks.w_, e_, s_"
    )
    of_known = "case when past_ > 0 then now_ else 0 end"
    value = "over (partition by w_, s_)"
    rated = f"select *, 1.0 * sum({of_known}) {value} / nullif(sum(past_) {value}, 0) as r_ from pairs"
    key, known = words("text", "s_"), f"sum({of_known})"
    stray = "(now_ - r_ * past_) * (now_ - r_ * past_) - now_"
    entries = [
        (f"@{column}", "orders", key, "sum(now_)", words("double", "sum(now_)")),
        (f"@{column}", "strays", key, known, f"sum(case when past_ > 0 then {stray} else 0 end)"),
        (f"@{column}", "strays_scale", key, known, "sum(case when past_ > 0 then r_ * r_ * past_ else 0 end)"),
    ]
    inner = (
        f"with lines as ({lines}), weeks as ({weeks}), cells as ({cells}), pairs as ({pairs}), rated as ({rated}) "
        f"select w_, {words.rows(entries)} as entries from rated group by w_, s_"
    )
    return unnested(table.asset, inner)
