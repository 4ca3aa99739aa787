"""What is measured of a table each week, as SQL text: one long table of numbers from which quality is judged.

Measures are taken of the seven days before a cutoff as they stood at that cutoff. They are appended and never computed
again, so a judgement of the past stays what it was. A week costs some scans of that week and a few of the twelve weeks
before it, however long the history is. Only names of functions differ between engines; see `sql_functions`.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from ml_models.monitoring.data_quality.column_names import with_own_names, with_stand_ins
from ml_models.monitoring.data_quality.monitored_tables import (
    TECHNICAL,
    MonitoredTable,
    Price,
    Reference,
    kind_of,
)
from ml_models.monitoring.data_quality.overlap_sql import OVERLAP_BACK, overlap
from ml_models.monitoring.data_quality.snapshot_sql import snapshot
from ml_models.monitoring.data_quality.sql_functions import SqlFunctions, between, unnested, weeks_from
from ml_models.monitoring.data_quality.thresholds import (
    LOOK_BACK,
    PRICED_ROWS,
    REPLAY_BACK,
    SEGMENT_ROWS,
    WEEK,
)
from ml_models.monitoring.data_quality.within_sql import visits_within

MEASURE_COLUMNS = ["asset", "column_name", "measure", "value_key", "period_start", "n", "value"]
_PROFILE_TYPES = {"period_start": "datetime64[us]", "n": "int64", "value": "float64"}

QUANTILES = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "max": 1.0}


def furthest_back() -> int:
    """Return how many days before its first week a statement of `measure_sql` reads at most."""
    return max(LOOK_BACK, REPLAY_BACK, OVERLAP_BACK)


def as_profile(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return what the measuring statements gave as one frame of MEASURE_COLUMNS with the profile's types."""
    # An empty part has no types to give, and would turn those of its neighbours into objects.
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=MEASURE_COLUMNS).astype(_PROFILE_TYPES)
    frame = pd.concat(filled, ignore_index=True).fillna({"value_key": "", "n": 0})
    return frame[MEASURE_COLUMNS].astype(_PROFILE_TYPES)


def measure_sql(table: MonitoredTable, first_day: date, last_day: date, dialect: str = "duckdb") -> list[str]:
    """Return the statements that measure the weeks from `first_day` on, seven days each, up to and with `last_day`.

    Each gives MEASURE_COLUMNS; `period_start` is a week's first day, and the day itself for measures that begin with
    `day_`. `n` is the number of rows (or of what the measure counts) behind `value`. Weeks with no row at all still
    give the rows of the measure `rows`, with value 0. For a snapshot `last_day` is ignored: it is measured as it
    stands, dated `first_day`.
    """
    table, own = with_stand_ins(table)
    return [with_own_names(one, own) for one in _statements(table, first_day, last_day, SqlFunctions(dialect))]


def _statements(table: MonitoredTable, first_day: date, last_day: date, words: SqlFunctions) -> list[str]:
    if not table.time_sql:
        return snapshot(table, first_day, words, QUANTILES)
    days = (last_day - first_day).days + 1
    if days <= 0 or days % WEEK:
        raise ValueError(
            f"Expected whole weeks to measure in {table.asset}, and {first_day} to {last_day} are {days} days; begin "
            "seven days before a cutoff and end the day before one."
        )
    starts = [first_day + timedelta(days=WEEK * number) for number in range(days // WEEK)]
    plan = _Plan(table, starts, words)
    statements = [plan.overall(), *([plan.columns()] if table.judged else [])]
    if not table.of:
        statements += [plan.days(), plan.again()]
        if table.ids:
            statements.append(overlap(table, plan.lines(OVERLAP_BACK), starts, words))
        if table.group and table.keys:
            statements.append(plan.replayed())
        statements.append(plan.repeated_keys())
    statements += [plan.values(column) for column in dict.fromkeys([*table.segments, *table.categories])]
    for column in table.segments:
        if not table.of:
            statements += [plan.segment_days(column), plan.segment(column)]
            if table.entity and column not in table.categories:
                statements.append(visits_within(table, column, plan.lines(LOOK_BACK), plan.weeks(), words))
        if table.price and column not in table.price.columns:
            statements.append(plan.prices(column, table.price))
    statements += [plan.orphans(one) for one in table.references]
    return statements


class _Plan:
    """The statements for one table and some weeks."""

    def __init__(self, table: MonitoredTable, starts: Sequence[date], words: SqlFunctions) -> None:
        self.table, self.starts, self.words = table, starts, words
        self.first, self.end = starts[0], starts[-1] + timedelta(days=WEEK)

    def lines(self, back: int = 0, extra: str = "") -> str:
        """Return the rows from `back` days before the first week on, with `d_` (day), `w_` (week) and `h_` (hour)."""
        first = self.first - timedelta(days=back)
        week = self.words("add_days", f"date '{self.first}'", f"7 * floor({self._since('d_')} / 7.0)")
        stored, exact = self.table.time_column, between("t_", first, self.end)
        rough = ""
        if kind_of(self.table.columns.get(stored, "")) == "time":
            # The wall clock is never further from the stored time than two days, and to read it is dear: rows further
            # from both ends are told by the stored time. A text is no time yet.
            days = timedelta(days=2)
            rough = f" where {between(stored, first - days, self.end + days)}"
            exact = f"({between(stored, first + days, self.end - days)} or {exact})"
        return (
            f"select *, {week} as w_ from (select *, {self.words('day', 't_')} as d_, extract(hour from "
            f"t_) as h_{extra} "
            f"from (select *, {self.table.time_sql} as t_ from {self.table.measured}{rough}) "
            f"where {exact})"
        )

    def _since(self, day: str) -> str:
        return self.words("days_between", f"date '{self.first}'", day)

    def weeks(self) -> str:
        """Return the weeks to measure, as `w_`."""
        return weeks_from(self.starts)

    def overall(self) -> str:
        """Sizes and signs of numbers; rows, groups, entities."""
        table, words = self.table, self.words
        entries = [("", "rows", "''", "count(l.w_)", "count(l.w_)")]
        for role, name in (("group", table.group), ("entity", table.entity)):
            if name:
                entries.append((name, f"{role}s", "''", "count(l.w_)", f"count(distinct l.{name})"))
                if role == "group" and kind_of(table.columns[name]) == "number":
                    # Where orders are numbered one after another, this is one, and grows when some are missing.
                    span = f"(max(l.{name}) - min(l.{name}) + 1.0) / nullif(count(distinct l.{name}), 0)"
                    entries.append((name, "number_span", "''", f"count(distinct l.{name})", span))
                entries.append(
                    (
                        name,
                        f"rows_per_{role}",
                        "''",
                        f"count(distinct l.{name})",
                        f"count(l.{name}) / nullif(count(distinct l.{name}), 0)",
                    )
                )
        if table.group and table.entity:
            groups = f"count(distinct l.{table.group})"
            entries.append(
                (
                    table.entity,
                    "groups_per_entity",
                    "''",
                    f"count(distinct l.{table.entity})",
                    f"{groups} / nullif(count(distinct l.{table.entity}), 0)",
                )
            )
        shares = list(QUANTILES.values())
        for name in table.numbers:
            column, sized = f"l.{name}", f"nullif(l.{name}, 0)"
            for measure, condition in (("negative", "< 0"), ("zero", "= 0"), ("fraction", f"<> floor({column})")):
                share = f"avg(case when {column} {condition} then 1 when {column} is not null then 0 end)"
                entries.append((name, f"{measure}_share", "''", f"count({column})", share))
            # Of what is not zero: how often something happens and how large it is are two things.
            entries.append((name, "mean", "''", f"count({sized})", f"avg({sized})"))
            entries += [
                (name, quantile, "''", f"count({sized})", words("one_of_quantiles", sized, shares, place))
                for place, quantile in enumerate(QUANTILES, start=1)
            ]
        entries.append(("", "hour_mean", "''", "count(l.w_)", "avg(h_)"))
        inner = (
            f"with lines as ({self.lines()}), weeks as ({self.weeks()}) select weeks.w_, {words.rows(entries)} as "
            "entries from weeks left join lines as l on l.w_ = weeks.w_ group by weeks.w_"
        )
        return unnested(table.asset, inner)

    def columns(self) -> str:
        """Nulls, modal value and distinct values of each column."""
        table, words, entries = self.table, self.words, []
        for place, name in enumerate(table.judged):
            here = f"c{place}_"
            known = f"coalesce({here}.known_, 0)"
            entries += [
                (name, "null_share", "''", "rows_", f"(rows_ - {known}) / nullif(rows_, 0)"),
                (name, "modal_share", words("text", f"{here}.mode_"), known, f"{here}.most_ / {here}.known_"),
                (name, "distinct", "''", known, f"coalesce({here}.distinct_, 0)"),
            ]
        joins = "".join(f" left join c{place}_ using (w_)" for place in range(len(table.judged)))
        inner = (
            f"with lines as ({self.lines()}), weeks as ({self.weeks()}), rows_of as (select weeks.w_, count(lines.w_) "
            f"as rows_ from weeks left join lines on lines.w_ = weeks.w_ group by weeks.w_), "
            f"{', '.join(self._values_of(table.judged))} select w_, {words.rows(entries)} as entries "
            f"from rows_of{joins}"
        )
        return unnested(table.asset, inner)

    def _values_of(self, columns: Sequence[str]) -> list[str]:
        """Return, as `c0_`, `c1_` …, of each column a week: its modal value, how often that is there, and all others.

        Each value is counted once; without that a mode with an order sorts all rows.
        """
        return [
            f"c{place}_ as (select w_, {self.words('most_frequent', name)} as mode_, max(n_) as most_, "
            "sum(n_) as known_, count(*) as distinct_ from (select w_, "
            f"{name}, count(*) as n_ from lines where {name} is not null group by w_, {name}) as counted group by w_)"
            for place, name in enumerate(columns)
        ]

    def days(self) -> str:
        """Rows and entities a day, and rows by hour of the day."""
        table = self.table
        entity = f"count(distinct {table.entity})" if table.entity else "count(*)"
        return (
            f"with lines as ({self.lines()})\n"
            f"select '{table.asset}' as asset, '' as column_name, 'day_rows' as measure, '' as "
            "value_key, d_ as period_start, "
            f"count(*) as n, {self.words('double', 'count(*)')} as value from lines group by d_\n"
            f"union all select '{table.asset}', '{table.entity}', 'day_entities', '', d_, count(*), "
            f"{self.words('double', entity)} from lines group by d_\n"
            f"union all select '{table.asset}', '', 'day_hour_rows', {self.words('text', 'h_')}, d_, count(*), "
            f"{self.words('double', 'count(*)')} from lines group by d_, h_"
        )

    def again(self) -> str:
        """Rows of the days before the week as they stand now: what came late, twice, or went away."""
        return (
            f"with lines as (select d_, count(*) as n from ({self.lines(LOOK_BACK)}) group by d_), "
            f"weeks as ({self.weeks()})\n"
            f"select '{self.table.asset}' as asset, '' as column_name, 'again_rows' as measure, "
            f"{self.words('text', 'd_')} as value_key, "
            f"weeks.w_ as period_start, n, {self.words('double', 'n')} as value from weeks join lines on d_ < weeks.w_ "
            f"and d_ >= {self.words('add_days', 'weeks.w_', -LOOK_BACK)}"
        )

    def _content(self) -> str:
        item = [name for name in self.table.keys if name != self.table.group]
        return ", ".join([*item, *self.table.numbers])

    def replayed(self) -> str:
        """Share of groups of three and more rows whose content stood under another key in the five weeks before."""
        table, words = self.table, self.words
        entity = table.entity or table.group
        seen = (
            f"select w_, {table.group} as g_, min({entity}) as e_, min(d_) as d_, count(*) as n_, "
            f"{words('bit_xor', words('hash', self._content()))} as c_ from lines where {table.group} is not null "
            f"group by w_, {table.group} having count(*) >= 3"
        )
        # Per content: how many groups hold it within the five weeks that end with this one; all but one are copies.
        again = (
            f"select weeks.w_, c_, n_, count(*) as groups_, sum(case when g.w_ = weeks.w_ then 1 else 0 end) as now_, "
            f"max(d_) as last_, min(d_) as first_ "
            "from weeks join g on g.w_ <= weeks.w_ and g.w_ >= "
            f"{words('add_days', 'weeks.w_', -REPLAY_BACK)} group by weeks.w_, c_, n_"
        )
        copies = "sum(case when groups_ > 1 then groups_ - 1 else 0 end)"
        lag = words("days_between", "first_", "last_")
        entries = [
            (table.group, "replayed_groups", "''", "sum(groups_)", copies),
            (
                table.group,
                "replayed_share",
                "''",
                "sum(now_)",
                "sum(case when groups_ > 1 then least(now_, groups_ - 1) else 0 end) / nullif(sum(now_), 0)",
            ),
            (
                table.group,
                "replayed_lag",
                "''",
                "sum(case when groups_ > 1 then 1 else 0 end)",
                f"median(case when groups_ > 1 then {lag} end)",
            ),
            (
                table.group,
                "replayed_first",
                "''",
                "sum(case when groups_ > 1 then 1 else 0 end)",
                f"min(case when groups_ > 1 then {words('days_between', 'w_', 'first_')} end)",
            ),
        ]
        inner = (
            f"with lines as ({self.lines(REPLAY_BACK)}), weeks as ({self.weeks()}), g as ({seen}), "
            f"a as ({again}) select w_, {words.rows(entries)} as entries from a group by w_"
        )
        return unnested(table.asset, inner)

    def repeated_keys(self) -> str:
        """Share of rows whose key is there more than once, is null, or that equal another row but for their key.

        Rows with a null in their key are counted as such only, not as repetitions of each other. Where a table has no
        key, a row is its own: what repeats is the row as a whole.
        """
        table = self.table
        if not table.keys:
            whole_row = ", ".join(name for name in table.columns if not TECHNICAL.search(name))
            entries = [("", "duplicate_share", "''", "count(*)", self._repeated(whole_row, "true", "count(*)"))]
            return self._of_lines(entries)
        label, key = "+".join(table.keys), ", ".join(table.keys)
        whole = " and ".join(f"{name} is not null" for name in table.keys)
        rest = ", ".join(name for name in table.columns if name != table.group and not TECHNICAL.search(name))
        keyed = f"sum(case when {whole} then 1 else 0 end)"
        entries = [
            (label, "null_key_share", "''", "count(*)", f"1 - {keyed} / count(*)"),
            (label, "duplicate_share", "''", keyed, self._repeated(key, whole, keyed)),
        ]
        if table.group:
            entries.append((label, "repeated_content_share", "''", keyed, self._repeated(rest, whole, keyed)))
        return self._of_lines(entries)

    def _of_lines(self, entries: Sequence[tuple[str, str, str, str, str]]) -> str:
        rows = self.words.rows(entries)
        inner = f"with lines as ({self.lines()}) select w_, {rows} as entries from lines group by w_"
        return unnested(self.table.asset, inner)

    def _repeated(self, columns: str, whole: str, keyed: str) -> str:
        return f"1 - count(distinct case when {whole} then {self.words('hash', columns)} end) / nullif({keyed}, 0)"

    def values(self, column: str) -> str:
        """Rows by value of a column with few values."""
        return (
            f"select '{self.table.asset}' as asset, '{column}' as column_name, 'value_rows' as measure, "
            f"{self.words('text', column)} as value_key, "
            f"w_ as period_start, count(*) as n, {self.words('double', 'count(*)')} as value from ({self.lines()}) "
            f"where {column} is not null group by w_, {column}"
        )

    def segment_days(self, column: str) -> str:
        """Rows by day and value of a segment."""
        return (
            f"select '{self.table.asset}' as asset, '{column}' as column_name, 'day_value_rows' as "
            f"measure, {self.words('text', column)} as value_key, "
            f"d_ as period_start, count(*) as n, {self.words('double', 'count(*)')} as value from ({self.lines()}) "
            f"where {column} is not null group by d_, {column}"
        )

    def segment(self, column: str) -> str:
        """Each column's measures within each value of a segment; `column_name` is `column@segment`."""
        table, words = self.table, self.words
        entries = []
        key = words("text", "s_")
        if table.group:
            entries.append(
                (
                    f"@{column}",
                    "rows_per_group",
                    key,
                    f"count(distinct l.{table.group})",
                    f"count(*) / nullif(count(distinct l.{table.group}), 0)",
                )
            )
        entries.append((f"@{column}", "hour_mean", key, "count(*)", "avg(h_)"))
        for name in table.judged:
            if name == column:
                continue
            value = f"l.{name}"
            entries.append(
                (f"{name}@{column}", "null_share", key, "count(*)", f"avg(case when {value} is null then 1 else 0 end)")
            )
            entries.append(
                (
                    f"{name}@{column}",
                    "modal_share",
                    key,
                    f"count({value})",
                    f"avg(case when {value} = m_{name} then 1 when {value} is not null then 0 end)",
                )
            )
        for name in table.numbers:
            value, sized = f"l.{name}", f"nullif(l.{name}, 0)"
            negative = f"avg(case when {value} < 0 then 1 when {value} is not null then 0 end)"
            entries += [
                (f"{name}@{column}", "mean", key, f"count({sized})", f"avg({sized})"),
                (f"{name}@{column}", "p50", key, f"count({sized})", words("quantile", sized, 0.5)),
                (f"{name}@{column}", "negative_share", key, f"count({value})", negative),
            ]
        others = [name for name in table.judged if name != column]
        modes = "".join(f", c{place}_.mode_ as m_{name}" for place, name in enumerate(others))
        joins = "".join(f" left join c{place}_ using (w_)" for place in range(len(others)))
        inner = (
            # Kept as a whole it would be slower: each column is counted by itself.
            f"with lines as not materialized ({self.lines(extra=f', {column} as s_')}), weeks as ({self.weeks()}), "
            f"{''.join(f'{one}, ' for one in self._values_of(others))}"
            f"modes as (select w_ as mw_{modes} from weeks{joins}) "
            f"select l.w_, {words.rows(entries)} as entries from lines as l join modes on mw_ = l.w_ "
            f"where s_ is not null group by l.w_, s_ having count(*) >= {SEGMENT_ROWS}"
        )
        return unnested(table.asset, inner)

    def prices(self, column: str, price: Price) -> str:
        """Return the logarithm of unit prices within each value of a segment, over those of the same items outside.

        Each item counts as its two sides can tell: n m / (n + m) for n rows inside and m outside, the inverse of the
        difference's variance. `n` is the sum of that.
        """
        amount, quantity, item = price.columns
        words = self.words
        key = f"ln({amount} / {quantity})"
        cells = (
            f"select w_, {column} as s_, {item} as i_, {words('double', 'count(*)')} as n_, sum({key}) as p_ "
            f"from lines where {column} is not null and {item} is not null and {amount} > 0 and {quantity} > 0 "
            f"group by w_, {column}, {item}"
        )
        all_of = "over (partition by w_, i_)"
        both = f"select *, sum(n_) {all_of} - n_ as m_, sum(p_) {all_of} - p_ as q_ from cells"
        weight = "(n_ * m_ / (n_ + m_))"
        entry = (
            f"{amount}@{column}",
            "price_ratio",
            words("text", "s_"),
            f"sum({weight})",
            f"sum({weight} * (p_ / n_ - q_ / m_)) / sum({weight})",
        )
        inner = (
            f"with lines as ({self.lines()}), cells as ({cells}), both_ as ({both}) "
            f"select w_, {words.rows([entry])} as entries from both_ where m_ > 0 group by w_, s_ "
            f"having sum({weight}) >= {PRICED_ROWS}"
        )
        return unnested(self.table.asset, inner)

    def orphans(self, reference: Reference) -> str:
        """Share of rows whose partner is missing."""
        inner = (
            f"with lines as ({self.lines()}) select w_, "
            + self.words.rows(
                [
                    (
                        reference.column,
                        "orphan_share",
                        f"'{reference.relation}.{reference.key}'",
                        f"count(l.{reference.column})",
                        f"avg(case when l.{reference.column} is null then null when p.k_ is null then 1 else 0 end)",
                    )
                ]
            )
            + f" as entries from lines as l left join (select distinct {reference.key} as k_ from "
            f"{reference.relation}) as p on p.k_ = l.{reference.column} group by w_"
        )
        return unnested(self.table.asset, inner)
