"""What the pages read of the serving copy: one short question each, on a copy that is opened for one page.

A table or a column that the copy does not have is an empty answer: the page says so in a sentence, and the rest works.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_models.problems.contract import REASONS
from resources.serving_copy import open_copy
from resources.warehouse import Warehouse
from resources.warehouse.contract import plain_value

if TYPE_CHECKING:
    import pandas as pd

ROWS_A_PAGE = 25
_TAKEN = 1_000
"""Rows that are taken at a time: a list of all customers need not be in memory as a whole."""

BANDS = ("high", "medium", "low")
WEEKS = 60
"""So many judged weeks are told one by one: a year, and what is left of the quarter before."""

_NEWEST = "cutoff_date = (select max(cutoff_date) from marts.customers_at_risk)"

Row = Mapping[str, Any]

Ask = Callable[[str, Sequence[object]], Iterator[Row]]
"""Asks a query, with a value for each of its question marks. The rows come as they are taken, until the next query."""


@dataclass(frozen=True)
class Order:
    """One order of the list: what people call it, and the column by which it goes."""

    name: str
    title: str
    column: str
    descending: bool


ORDERS = (
    Order("loss", "most money to lose first", "expected_loss", True),
    Order("risk", "most likely to stay away first", "score", True),
    Order("spend", "biggest spenders first", "{spend}", True),
    Order("away", "longest away first", "recency_days", True),
    Order("customer", "by customer", "customer_id", False),
)


@dataclass(frozen=True)
class Asked:
    """What a person asked of the list: text to find, a band ("": all), the name of an order, and which page from 1."""

    find: str = ""
    band: str = ""
    order: str = ""
    page: int = 1


class Copy:
    """An open serving copy. `spend` names the column of a customer's spend, in cents, where the company has money."""

    def __init__(self, ask: Ask, frame: "Callable[[str], pd.DataFrame]", look_back_days: int) -> None:
        self._ask, self._frame = ask, frame
        self.spend = f"spend_cents_{look_back_days}d"
        self._columns: dict[str, list[str]] = {}
        for name, column in self._named():
            self._columns.setdefault(name, []).append(column)

    def _named(self) -> Iterator[tuple[str, str]]:
        """Yield each table with each of its columns, in the order in which they stand in it."""
        named = self._rows(
            # Not information_schema.columns: it takes four times as long, for each page anew.
            "select schema_name || '.' || table_name as name, column_name from duckdb_columns() where not internal "
            "order by column_index"
        )
        yield from ((row["name"], row["column_name"]) for row in named)

    def about(self) -> Row:
        """Return what the copy says of itself."""
        return self._rows("select * from published.serving_copy")[0]

    def complete_through(self) -> date | None:
        """Return the newest day of which everything had arrived."""
        if "watermark_date" not in self.columns("features.cutoffs"):
            return None
        newest: date | None = self._rows("select max(watermark_date) as day from features.cutoffs")[0]["day"]
        return newest

    def columns(self, table: str) -> Sequence[str]:
        """Return the names of a table's columns; none where the copy has no such table."""
        return self._columns.get(table, ())

    def weeks(self) -> list[Row]:
        """Return what was judged, newest week first, with what became of each decision."""
        judged = self._all("monitoring.why", "order by cutoff desc limit ?", WEEKS)
        ledger = {row["cutoff"]: row for row in self._all("monitoring.decisions")}
        return [{**ledger.get(row["cutoff"], {}), **row} for row in judged]

    def orders(self) -> list[Order]:
        """Return the orders that this company's list can have; the first is the usual one."""
        there = self.columns("marts.customers_at_risk")
        return [order for order in ORDERS if self._by(order) in there]

    def at_risk(self, asked: Asked) -> tuple[list[Row], int]:
        """Return one page of the newest scored customers, and how many there are on all pages."""
        where, order, given = self._chosen(asked)
        if not order:
            return [], 0
        [counted] = self._rows(f"select count(*) as n from marts.customers_at_risk where {where}", *given)
        rows = self._rows(
            f"select * from {self._listed()} where {where} order by {self._held_out_last(order)} "
            f"limit {ROWS_A_PAGE} offset {(asked.page - 1) * ROWS_A_PAGE}",
            *given,
        )
        return rows, counted["n"]

    def kept_back(self, asked: Asked) -> int:
        """Return how many of these customers are held out, and so in no file."""
        where, order, given = self._chosen(asked)
        if not order:
            return 0
        held_out = f"not ({self._not_held_out()})"
        [row] = self._rows(f"select count(*) as n from {self._listed()} where {where} and {held_out}", *given)
        return int(row["n"])

    def all_at_risk(self, asked: Asked) -> Iterator[Row]:
        """Yield these customers of all pages but those held out; nothing else is asked of the copy meanwhile."""
        where, order, given = self._chosen(asked)
        if order:
            yield from self._ask(
                f"select * from {self._listed()} where {where} and {self._not_held_out()} order by {order}", given
            )

    def list_columns(self) -> list[str]:
        """Return the columns of a file of whom to call; where chance holds some out, since when one is on the list."""
        columns = list(self.columns("marts.customers_at_risk"))
        return [*columns, "on_list_since"] if self.campaign() else columns

    def called(self, most: int = 0) -> Iterator[Row]:
        """Yield who is to be called, by what is expected to be lost: all, or `most`; nothing else is asked meanwhile.

        Whoever is worth a call and not held out; where no prices say who is worth one, the tenth most at risk.
        """
        where, order = self._to_call()
        if order:
            limit = f" limit {most}" if most else ""
            yield from self._ask(f"select * from {self._listed()} where {where} order by {order}{limit}", [])

    def to_call(self) -> Row | None:
        """Return how many are to be called, what is expected to be lost with them, and by what they were chosen.

        None where there is no list.
        """
        where, order = self._to_call()
        if not order:
            return None
        there = self.columns("marts.customers_at_risk")
        loss = "sum(expected_loss)" if "expected_loss" in there else "null"
        by = "max(worth_calling_by)" if "worth_calling_by" in there else "null"
        asked = f"count(*) as n, {loss} as loss, {by} as chosen_by"
        [row] = self._rows(f"select {asked} from {self._listed()} where {where}")
        return {**row, "priced": self._priced()}

    def campaign(self) -> Row | None:
        """Return of the newest scored week how many were drawn, and how many of them are held out.

        None where chance holds nobody out.
        """
        if not self._has_campaign():
            return None
        [row] = self._rows(
            "select count(*) as n, sum(case when arm = 'held out' then 1 else 0 end) as held_out "
            f"from campaigns.assignment where {_NEWEST}"
        )
        return row if row["n"] else None

    def effect(self) -> tuple[Row, list[Row]] | None:
        """Return what all weeks of a campaign say together, and each week, newest first; None before any is known."""
        rows = self._all("campaigns.effect", "order by cutoff_date desc")
        whole = [row for row in rows if row["cutoff_date"] is None]
        return (whole[0], [row for row in rows if row["cutoff_date"] is not None]) if whole else None

    def highest_tenth(self) -> Row | None:
        """Return how many customers are in the tenth most at risk, how many are expected to lapse, and their spend."""
        if not self.columns("marts.customers_at_risk"):
            return None
        spent = f"sum({self.spend})" if self.spend in self.columns("marts.customers_at_risk") else "null"
        return self._rows(
            f"select count(*) as customers, sum(score) as expected, {spent} as spent, "
            "(select count(*) from marts.customers_at_risk) as everyone "
            "from marts.customers_at_risk where risk_band = 'high'"
        )[0]

    def at_stake(self) -> Row | None:
        """Return what is expected to be lost, and what of it a tenth of the calls reaches by either order.

        `everyone`: expected loss of all; `by_risk` and `by_loss`: of the tenth that comes first; `tenth` customers are
        in it, and `both` in both; `unknown` customers have no expected loss. `worth`: customers worth a call, of
        `priced` of whom that is said. `new`: new customers, of `told` of whom the data can tell.

        None: the list has no money.
        """
        there = self.columns("marts.customers_at_risk")
        if not {"expected_loss", "loss_rank", "worth_calling", "segment"} <= set(there):
            return None
        [row] = self._rows(
            "with tenth as (select *, risk_rank - 1 < 0.1 * count(*) over () as first_by_risk, "
            "    loss_rank - 1 < 0.1 * count(*) over () as first_by_loss from marts.customers_at_risk) "
            "select sum(expected_loss) as everyone, count(*) filter (where expected_loss is null) as unknown, "
            "count(*) filter (where first_by_loss) as tenth, "
            "count(*) filter (where first_by_risk and first_by_loss) as both, "
            "sum(expected_loss) filter (where first_by_risk) as by_risk, "
            "sum(expected_loss) filter (where first_by_loss) as by_loss, "
            "count(*) filter (where worth_calling) as worth, count(worth_calling) as priced, "
            "max(worth_calling_by) as prices, count(segment) as told, "
            "count(*) filter (where segment = 'new') as new, "
            "count(*) filter (where segment = 'new' and first_by_loss) as new_in_tenth "
            "from tenth"
        )
        return row if row["everyone"] is not None else None

    def spend_accuracy(self) -> list[Row]:
        """Return how the expected spend held, of all (`decile` 0) first and then by tenths, the lowest first."""
        return self._all("marts.expected_spend_accuracy", "order by decile")

    def since_last_week(self) -> Row | None:
        """Return the two newest scored weeks, and how many of today's highest tenth were not in last week's.

        None: fewer than two weeks are scored.
        """
        changed = self._rows(
            "with weeks as (select distinct cutoff_date from predictions.lapse_predictions "
            "               order by cutoff_date desc limit 2), "
            "ranked as (select customer_id, cutoff_date, "
            "  row_number() over (partition by cutoff_date order by score desc, customer_id) - 1 "
            "    < 0.1 * count(*) over (partition by cutoff_date) as high "
            "  from predictions.lapse_predictions where cutoff_date in (select cutoff_date from weeks)), "
            "now as (select * from ranked where cutoff_date = (select max(cutoff_date) from weeks)), "
            "before as (select * from ranked where cutoff_date < (select max(cutoff_date) from weeks)) "
            "select (select max(cutoff_date) from before) as before, "
            "(select count(*) from now) as scored, (select count(*) from before) as scored_before, "
            "(select count(*) from now where high) as high, "
            "(select count(*) from now where high and customer_id not in "
            "   (select customer_id from before where high)) as entered "
        )[0]
        return changed if changed["before"] is not None else None

    def accuracy(self) -> list[Row]:
        """Return how predictions held by week, oldest first: those that served, and the champion's test weeks."""
        rows = self._all("marts.accuracy_over_time", "order by cutoff_date, model_version")
        serving = self.about()["champion_version"]
        return [row for row in rows if row["evidence"] == "live" or row["model_version"] == serving]

    def slices(self) -> list[Row]:
        """Return how predictions held by kind of customer, of what served where any of it is judged."""
        rows = self._all("monitoring.performance", "where slice_name not in ('all', 'cutoff')")
        live = [row for row in rows if row["evidence"] == "live"]
        newest = max((row["model_version"] for row in live or rows), default=None)
        return [row for row in live or rows if row["model_version"] == newest]

    def champions(self) -> list[Row]:
        """Return which version served from when, newest first."""
        return self._all("training.champion", "order by promoted_at desc")

    def cards(self) -> list[int]:
        """Return the numbers of the versions that have a card, newest first."""
        if not self.columns("training.model_card"):
            return []
        rows = self._rows("select model_version from training.model_card order by model_version desc")
        return [int(row["model_version"]) for row in rows]

    def card(self, version: int) -> str:
        """Return the card of a version that has one, as JSON."""
        [row] = self._rows("select card from training.model_card where model_version = ?", version)
        return str(row["card"])

    def customer(self, customer_id: str) -> tuple[Row, list[Row]] | None:
        """Return what is known of a customer, and the scored weeks, newest first, with what came of them.

        None: nobody is called so.
        """
        known: dict[str, Any] = {}
        for table in ("marts.customers", "marts.customers_at_risk"):
            for row in self._all(table, "where customer_id = ?", customer_id):
                known |= row
        if self._has_campaign():
            for row in self._rows(
                f"select arm, ends_on from campaigns.assignment where customer_id = ? and {_NEWEST}", customer_id
            ):
                known |= row
        weeks = self._all(
            "predictions.lapse_predictions", "where customer_id = ? order by cutoff_date desc", customer_id
        )
        came = {
            row["cutoff_date"]: row["lapsed"]
            for row in self._all("outcomes.customer_outcomes", "where customer_id = ?", customer_id)
        }
        if not known and not weeks:
            return None
        return known, [{**week, "lapsed": came.get(week["cutoff_date"])} for week in weeks]

    def next_products(self, customer_id: str) -> list[Row]:
        """Return the customer's newest list of what is bought next, best first; none where there is none."""
        return self._all(
            "next_product.predictions",
            "where customer_id = ? and cutoff_date = (select max(cutoff_date) from next_product.predictions) "
            "order by place",
            customer_id,
        )

    def features(self) -> list[Row]:
        """Return what is known of each feature, by name; none where the copy has no catalogue."""
        return self._all("features.catalogue", "order by feature")

    def drift_of(self, feature: str) -> list[Row]:
        """Return how far a feature moved and how often it was null, a row a measured week, oldest first."""
        return self._all(
            "monitoring.drift",
            "where layer = 'features' and column_name = ? and coalesce(segment, '') = '' order by cutoff_date",
            feature,
        )

    def versions(self) -> list[int]:
        """Return the numbers of the registered versions, newest first."""
        rows = self._all("training.candidate", "order by model_version desc")
        return [int(row["model_version"]) for row in rows]

    def frame_row(self, customer_id: str, cutoff: date) -> dict[str, float] | None:
        """Return a customer's features at a cutoff, nulls as nan; None where the customer was not scored then."""
        rows = self._all("features.feature_frame", "where customer_id = ? and cutoff_date = ?", customer_id, cutoff)
        return (
            {
                name: math.nan if value is None else float(value)
                for name, value in rows[0].items()
                if name not in ("customer_id", "cutoff_date")
            }
            if rows
            else None
        )

    def known_rows(self) -> "pd.DataFrame | None":
        """Return the rows whose outcome is known, with their features and outcome; None where the copy has none."""
        return self._frame("select * from training.training_set") if self.columns("training.training_set") else None

    def _all(self, table: str, rest: str = "", *given: object) -> list[Row]:
        return self._rows(f"select * from {table} {rest}", *given) if self.columns(table) else []

    def _has_campaign(self) -> bool:
        return bool(self.columns("campaigns.assignment")) and bool(self.columns("marts.customers_at_risk"))

    def _listed(self) -> str:
        """Return the list with the part that chance gave each customer, null where it gave none."""
        if not self._has_campaign():
            return "marts.customers_at_risk"
        return (
            "(select r.*, a.arm, a.ends_on, a.drawn_on as on_list_since from marts.customers_at_risk as r "
            f"left join (select * from campaigns.assignment where {_NEWEST}) as a "
            "on a.customer_id = r.customer_id) as listed"
        )

    def _not_held_out(self) -> str:
        return "coalesce(arm, '') <> 'held out'" if self._has_campaign() else "true"

    def _held_out_last(self, order: str) -> str:
        return f"case when {self._not_held_out()} then 0 else 1 end, {order}" if self._has_campaign() else order

    def _priced(self) -> bool:
        """Tell whether prices say who is worth a call."""
        if "worth_calling" not in self.columns("marts.customers_at_risk"):
            return False
        [row] = self._rows("select count(worth_calling) as n from marts.customers_at_risk")
        return bool(row["n"])

    def _to_call(self) -> tuple[str, str]:
        """Return the condition and the order of who is to be called; the order is empty where there is no list."""
        _, order, _ = self._chosen(Asked())
        where = "worth_calling" if order and self._priced() else "risk_band = 'high'"
        return f"{where} and {self._not_held_out()}", order

    def _by(self, order: Order) -> str:
        return order.column.format(spend=self.spend)

    def _chosen(self, asked: Asked) -> tuple[str, str, list[object]]:
        """Return condition, order and values; the order is empty where there is no list."""
        orders = self.orders()
        if not orders:
            return "", "", []
        where, given = ["true"], list[object]()
        if asked.find:
            texts = ("customer_id", *REASONS)
            where.append("(" + " or ".join(f"contains(lower({text}), lower(?))" for text in texts) + ")")
            given += [asked.find] * len(texts)
        if asked.band:
            where.append("risk_band = ?")
            given.append(asked.band)
        chosen = next((order for order in orders if order.name == asked.order), orders[0])
        way = "desc" if chosen.descending else "asc"
        return " and ".join(where), f"{self._by(chosen)} {way} nulls last, risk_rank", given

    def _rows(self, sql: str, *given: object) -> list[Row]:
        return list(self._ask(sql, given))


class Tables(Copy):
    """The tables of a warehouse that many may read at a time, asked as a copy of them would be."""

    def __init__(self, warehouse: Warehouse, look_back_days: int) -> None:
        self._shapes = warehouse.shapes(["published", "marts", "monitoring", "features", "training", "campaigns"])

        def ask(sql: str, given: Sequence[object]) -> Iterator[Row]:
            with contextlib.closing(warehouse.batches(sql, list(given))) as frames:
                for frame in frames:
                    for row in frame.to_dict("records"):
                        yield {str(name): _plain(value) for name, value in row.items()}

        super().__init__(ask, warehouse.read, look_back_days)

    def _named(self) -> Iterator[tuple[str, str]]:
        for (schema, table), shape in self._shapes.items():
            yield from ((f"{schema}.{table}", column) for column in shape.columns)


def _plain(value: Any) -> Any:
    """Return a value as a page writes it: no marks of pandas, and days as days."""
    value = plain_value(value)
    if value is None or value != value:
        return None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.date()
    return value


@contextlib.contextmanager
def opened(file: Path, look_back_days: int) -> Iterator[Copy]:
    """Open the serving copy for one page.

    Raises:
        WarehouseError: there is none, or it is none that this baton reads.
    """
    with open_copy(file) as connection:

        def ask(sql: str, given: Sequence[object]) -> Iterator[Row]:
            answer = connection.execute(sql, list(given))
            names = [column[0] for column in answer.description or ()]
            while rows := answer.fetchmany(_TAKEN):
                yield from (dict(zip(names, row, strict=True)) for row in rows)

        yield Copy(ask, lambda sql: connection.execute(sql).fetchdf(), look_back_days)
