"""What a company says about itself: the fields of `companies/<name>/company.toml`, strict.

Every field is described here, once. The JSON schema and the page of fields are made from these descriptions. Whoever
needs a horizon, a zone, a closed day or an owner asks for it here; no second place holds one.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ml_models.problems import question as asked
from ml_models.problems.question import DepartmentShare

PART_COLUMNS = {
    "products": "product",
    "stores": "store",
    "quantity": "quantity",
    "discounts": "discount",
    "coupons": "coupon",
}
"""Parts that are there when order lines name a column for them."""

PARTS = frozenset(PART_COLUMNS) | {
    "departments",
    "categories",
    "private_label",
    "customers",
    "campaigns",
    "hours",
    "returns",
    "lines",
    "calls",
    "product_types",
}
"""All parts that a company may have."""

SOURCES = ("parquet", "csv", "duckdb", "postgres", "bigquery")
"""Where a table that is there already may be."""

AMOUNT_FORMATS = ("", ".", ",")
"""How an amount is written: as engines write numbers, with decimals after a point, or after a comma."""

CLOCKS = ("epoch", "epoch_ms", "excel")
"""Formats of times that are numbers: seconds or milliseconds since 1970 in UTC, days since 1899-12-30."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Team = Annotated[str, Field(pattern=r"^(team:[\w.-]+|[^@\s]+@[^@\s]+)$")]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")]
"""A raw table: a stream may have landed it, and its name may have capitals."""
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class Strict(BaseModel):
    """Refuses a key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(Strict):
    """What is asked: who of those seen lately will not come again within the horizon."""

    horizon_days: int = Field(
        asked.Question.horizon_days,
        ge=2,
        le=364,
        description="What is predicted: no order in [cutoff, cutoff + horizon_days).",
    )
    early_days: int | None = Field(
        None, ge=1, description="The early proxy of it, for judging sooner. Default: half the horizon."
    )
    active_within_days: int = Field(
        asked.Question.active_within_days,
        ge=1,
        le=364,
        description="Who is scored: customers with an order in [cutoff - active_within_days, cutoff).",
    )
    look_back_days: int = Field(
        asked.Question.look_back_days,
        ge=28,
        le=672,
        description="Features look back over [cutoff - look_back_days, cutoff): 28, 56, or a multiple of 84, which is "
        "divided into twelve periods.",
    )
    cadence_days: Literal[7] = Field(7, description="Days from one cutoff to the next.")
    first_cutoff: date | None = Field(
        None,
        description="The first cutoff. Default: the first Monday that has look_back_days of orders before it.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Question":
        if self.early_days is not None and self.early_days >= self.horizon_days:
            raise ValueError(
                f"early_days must be below horizon_days ({self.horizon_days}); it is {self.early_days}: an early proxy "
                "is known before the outcome"
            )
        if self.look_back_days not in (28, 56) and self.look_back_days % 84:
            raise ValueError(
                f"look_back_days must be 28, 56 or a multiple of 84, such as 84 or 336; it is {self.look_back_days}"
            )
        if self.active_within_days > self.look_back_days:
            raise ValueError(
                f"active_within_days must be at most look_back_days ({self.look_back_days}); it is "
                f"{self.active_within_days}: who is scored must have been seen within the window"
            )
        return self

    @property
    def asked(self) -> asked.Question:
        """The question as plain Python knows it."""
        return asked.Question(
            horizon_days=self.horizon_days,
            early_days=self.early_days or max(1, self.horizon_days // 2),
            active_within_days=self.active_within_days,
            look_back_days=self.look_back_days,
            cadence_days=self.cadence_days,
        )


class Time(Strict):
    """The clock and the calendar of the shops."""

    zone: str = Field("UTC", description="The shops open and close by this clock; an IANA name: Europe/Paris.")
    closed_weekdays: tuple[Weekday, ...] = Field((), description="Weekdays on which nobody can buy.")
    closed_days: tuple[date, ...] = Field((), description="Days on which nobody could or can buy: 2024-12-25.")

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"must be an IANA time zone, such as Europe/Paris or UTC; it is {zone!r}") from None
        return zone


class Money(Strict):
    """What amounts are counted in."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code; it stands before amounts in texts.")
    returns: Literal["none", "negative", "column"] = Field(
        "none",
        description="How a return is told: none comes, its amount is negative, or a column of order lines says so. A "
        "return lowers the spend of its day; an order of returns alone is no visit.",
    )


class Prices(Strict):
    """What decisions cost, in the company's currency: what is worth a retraining, and who is worth a call."""

    retraining: float | None = Field(
        None,
        ge=0,
        description="One retraining or recalibration: machines, and the time of who looks at it. With it and "
        "`missed_customer` money decides what is worth a retraining.",
    )
    contact: float = Field(gt=0, description="Contacting one customer, whether the contact was needed or not.")
    missed_customer: float | None = Field(
        None,
        gt=0,
        description="What is lost where a customer lapses and was not contacted, and a contact would have saved: the "
        "value of a customer times the share that a contact keeps.",
    )
    won_back: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The share (0 to 1) of customers about to lapse whom a contact keeps. With it "
        "`marts.customers_at_risk` says who is worth calling.",
    )

    @model_validator(mode="after")
    def _whole(self) -> "Prices":
        if (self.retraining is None) != (self.missed_customer is None):
            given, lacking = ("retraining", "missed_customer")[:: 1 if self.missed_customer is None else -1]
            raise ValueError(
                f"`prices.{given}` is there, and `prices.{lacking}` is not: what a retraining is worth needs both; "
                "give both, or neither"
            )
        if self.missed_customer is None and self.won_back is None:
            raise ValueError(
                "the price of a contact alone decides nothing: give won_back, for who is worth calling, or retraining "
                "and missed_customer, for what is worth a retraining"
            )
        if self.missed_customer is not None and self.contact >= self.missed_customer:
            raise ValueError(
                f"contact must be below missed_customer ({self.missed_customer:g}); it is {self.contact:g}: otherwise "
                "no customer would ever be worth a contact"
            )
        return self


class ModelCard(Strict):
    """What the company adds to every model's card, sentence by sentence; the problem's own stand there anyway."""

    purpose: tuple[str, ...] = Field((), description="What the company uses the predictions for.")
    out_of_scope: tuple[str, ...] = Field((), description="What nobody here may use them for.")
    data: tuple[str, ...] = Field((), description="What a reader must know of the data: origin, gaps, agreements.")
    limits: tuple[str, ...] = Field((), description="Where the company knows the predictions to err.")


class LearnFrom(Strict):
    """Which training rows count otherwise than once; `make backtest ROWS=1` says what each would be worth."""

    uncertain: bool = Field(False, description="Rows whose probability is nearest to one half count twice.")
    known_error: bool = Field(False, description="Rows whose outcome was thought unlikely count twice.")
    weak_slice: bool = Field(False, description="Rows of the segment that the model tells least of count twice.")
    label_suspect: bool = Field(False, description="Rows whose label later rows contradict are not learned from.")
    as_served: bool = Field(False, description="Features are as many whole weeks old as lately when scores were made.")


class Owners(Strict):
    """The teams to whom a finding goes: `team:name`, or an address."""

    raw: Team = Field("team:data-engineering", description="Who loads: raw tables.")
    tables: Team = Field("team:analytics-engineering", description="Who shapes: staging, marts, features, outcomes.")
    models: Team = Field("team:ml-engineering", description="Who predicts: frames, training, predictions, monitoring.")


class Column(Strict):
    """A column of a raw table and how it is read where it is text. A plain name stands for `{column = "name"}`."""

    column: str = Field(description="Its name in the raw table.")
    format: str = Field(
        "",
        description="How a text is read. Times: strptime codes, `epoch`, `epoch_ms` or `excel`. Amounts: `.` or `,`, "
        "the sign before the decimals; other signs, spaces and currencies are taken away.",
    )
    zone: str = Field(
        "", description="For a time without a zone: the zone that it was written in. Default: the shops'."
    )
    unit: Literal["major", "minor"] = Field("major", description="For an amount: dollars (major) or cents (minor).")


Named = Annotated[
    Column,
    BeforeValidator(
        lambda value: {"column": value} if isinstance(value, str) else value, json_schema_input_type=Column | str
    ),
]


class OrderLines(Strict):
    """Which raw columns are what. Customer, time and amount are needed; an absent one takes its features along."""

    table: TableName = Field(description="The raw table that holds orders or their lines.")
    grain: Literal["order", "line"] = Field("line", description="What one row is.")
    customer: Named = Field(description="Who bought.")
    order: Named | None = Field(
        None, description="What belongs to one purchase. Default: a customer's rows of one moment are one order."
    )
    time: Named = Field(description="When it was bought.")
    amount: Named = Field(description="What was paid for the row, in all, or for one piece (`amount_is`).")
    amount_is: Literal["row", "unit"] = Field(
        "row", description="Whether `amount` is for the row in all, or for one piece and is multiplied by `quantity`."
    )
    product: Named | None = Field(None, description="What was bought.")
    store: Named | None = Field(None, description="Where.")
    quantity: Named | None = Field(None, description="How many.")
    discount: Named | None = Field(None, description="By how much the shop lowered the amount.")
    coupon: Named | None = Field(None, description="By how much coupons lowered the amount.")
    hours: bool = Field(True, description="Whether `time` knows the time of day; false where it is a date.")
    returned: Named | None = Field(None, description='True for a return, with `returns = "column"`.')

    @model_validator(mode="after")
    def _readable(self) -> "OrderLines":
        if self.time.format and self.time.format not in CLOCKS and "%" not in self.time.format:
            raise ValueError(
                f"time.format must be strptime codes such as %d/%m/%Y %H:%M, or one of {', '.join(CLOCKS)}; it is "
                f"{self.time.format!r}"
            )
        for name in ("amount", "discount", "coupon", "quantity"):
            column = getattr(self, name)
            if column is not None and column.format not in AMOUNT_FORMATS:
                raise ValueError(
                    f'{name}.format must be "." where a point stands before the decimals (1,234.50), "," where a comma '
                    f"does (1.234,50), or left out for plain numbers; it is {column.format!r}"
                )
        return self

    @model_validator(mode="after")
    def _countable(self) -> "OrderLines":
        if self.amount_is == "unit" and self.quantity is None:
            raise ValueError('amount_is = "unit" needs quantity: the amount of a row is the product of both')
        return self


class Products(Strict):
    """The product list, or the columns of order lines that say what a product is. Up to three levels."""

    table: TableName | None = Field(
        None, description="The raw table of products. Default: order lines hold the levels."
    )
    product: Named | None = Field(None, description="Its key, with `table`.")
    department: Named | None = Field(None, description="The coarsest level.")
    category: Named | None = Field(None, description="The level below.")
    product_type: Named | None = Field(None, description="The finest level.")
    private_label: Named | None = Field(None, description="True for a brand of the company's own.")


class NextProduct(Strict):
    """What a customer buys next, which is asked where products have a `product_type`."""

    learned_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the customers to learn from, 0 to 1. All are scored. Half costs half.",
    )


class Department(Strict):
    """A share of the spend that becomes a feature: departments under one name."""

    name: Identifier = Field(description="The feature's name begins with it: garden_share_84d.")
    values: tuple[str, ...] = Field(min_length=1, description="The departments that it covers.")
    label: str = Field("", description="What people read. Default: the name.")
    trips: bool = Field(False, description="Whether the share of orders with it is a feature, too.")


class Customers(Strict):
    """Attributes of customers, for slices and lists; never features."""

    table: TableName = Field(description="The raw table.")
    customer: Named = Field(description="Its key.")
    attributes: tuple[str, ...] = Field(
        (), description="Columns that are kept; the first three stand in the list of customers at risk."
    )


class Calls(Strict):
    """A campaign whose effect is measured: chance holds out a share of those worth a call, and nobody calls them."""

    held_out: float = Field(
        gt=0,
        le=0.5,
        description="The share (0 to 0.5) of customers worth a call whom chance holds out: they are marked, stand in "
        "no list of whom to call, and tell what a call changes. Without this section nobody is held out.",
    )
    table: TableName | None = Field(
        None,
        description="The raw table of calls that were made. Default: none is known, and who was to be called counts "
        "as called.",
    )
    customer: Named | None = Field(None, description="Who was called, with `table`.")
    time: Named | None = Field(None, description="When, with `table`.")

    @model_validator(mode="after")
    def _recorded(self) -> "Calls":
        lacking = [name for name in ("table", "customer", "time") if getattr(self, name) is None]
        if lacking and len(lacking) < 3:
            raise ValueError(
                f"calls.table, calls.customer and calls.time belong together, and {' and '.join(lacking)} "
                f"{'is' if len(lacking) == 1 else 'are'} not there: give all three, or none where there is no record"
            )
        return self


class RawTable(Strict):
    """A table that is there already: where it is, and how its arrival is known."""

    source: str = Field(
        description="`parquet:path`, `csv:path` (globs allowed), `duckdb:file:table`, `postgres:table` or "
        "`bigquery:project.dataset.table`. A path is taken from the company's folder."
    )
    description: str = Field("", description="What one row is.")
    keys: tuple[str, ...] = Field((), description="The columns that identify a row, if any do.")
    arrived: str = Field(
        "", description="The column that says when a row arrived. Default: a digest of each day tells what changed."
    )
    time: str = Field("", description="The column of the event's time; without one the table is replaced as a whole.")
    connection: str = Field(
        "", description="The environment variable that holds the address of the database, for `postgres:`."
    )
    delimiter: str = Field(
        "", description="For `csv:`. One blank: columns are aligned by blanks. Default: found by looking."
    )
    encoding: str = Field("", description="For `csv:`. Default: utf-8.")
    fresh_days: float = Field(2, gt=0, description="How old its newest load may get before the table is stale.")

    @model_validator(mode="after")
    def _reachable(self) -> "RawTable":
        kind, _, place = self.source.partition(":")
        if kind not in SOURCES or not place:
            raise ValueError(f"source must begin with {', '.join(f'{one}:' for one in SOURCES)}; it is {self.source!r}")
        if kind == "duckdb" and not all(place.rpartition(":")[::2]):
            raise ValueError(f"source must be duckdb:file:table; it is {self.source!r}")
        if (kind == "postgres") != bool(self.connection):
            raise ValueError(
                "connection and a source postgres: belong together: name the environment variable that holds the "
                'database\'s address, such as connection = "SHOP_DATABASE"'
            )
        return self


class Connector(Strict):
    """An Airbyte connection that the embedded engine syncs: a connector of `connectors/`, or a published one."""

    source: str = Field(description="The connector's command, and its folder in `connectors/`.")
    package: str = Field("", description="A published connector: its package. The set-up installs it on its own.")
    version: str = Field("", description="The package's exact version.")
    streams: tuple[str, ...] = Field((), description="Which streams; none named: all.")
    prefix: str = Field("", description="Put before the tables' names.")
    config: dict[str, Any] = Field(
        default_factory=dict, description="Its configuration; `${env:NAME}` is a secret, `${clock}` the present."
    )
    environment: tuple[str, ...] = Field(
        (), description="Variables of the environment that the connector gets beside its configuration."
    )
    fresh_days: dict[str, float] = Field(
        default_factory=dict, description="By stream: how old its table may get. Default: 2."
    )

    @model_validator(mode="after")
    def _pinned(self) -> "Connector":
        if bool(self.package) != bool(self.version):
            raise ValueError(
                "package and version belong together: give both, or neither for a connector of connectors/"
            )
        return self


class Company(Strict):
    """A company's file."""

    title: str = Field(description="The company's name as people say it.")
    question: Question = Field(default_factory=lambda: Question.model_validate({}))
    time: Time = Field(default_factory=lambda: Time.model_validate({}))
    money: Money = Field(default_factory=lambda: Money.model_validate({}))
    prices: Prices | None = None
    calls: Calls | None = None
    owners: Owners = Field(default_factory=lambda: Owners.model_validate({}))
    learn_from: LearnFrom = Field(default_factory=lambda: LearnFrom.model_validate({}))
    model_card: ModelCard = Field(default_factory=lambda: ModelCard.model_validate({}))
    order_lines: OrderLines = Field(description="Which columns are what.")
    products: Products | None = None
    next_product: NextProduct = Field(default_factory=lambda: NextProduct.model_validate({}))
    departments: tuple[Department, ...] = Field((), description="Shares of the spend that become features.")
    customers: Customers | None = None
    campaigns: bool = Field(False, description="Whether staging of its own gives campaigns, coupons and contacts.")
    tables: dict[Identifier, RawTable] = Field(
        default_factory=dict, description="Tables that are there already, by the name of the raw table."
    )
    airbyte: dict[Identifier, Connector] = Field(default_factory=dict, description="Airbyte connections by name.")
    recording_ends: datetime | None = Field(
        None, description="For a recording: the instant at which its clock stands. Default: the wall clock."
    )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns of customers' attributes, as staging names them: small letters, digits and _."""
        given = self.customers.attributes if self.customers else ()
        return tuple(re.sub(r"\W+", "_", name.strip().lower()) for name in given)

    @property
    def levels_in_lines(self) -> bool:
        """Whether each order line says itself what its product is; a list of products says it of all lines at once."""
        return self.products is not None and self.products.table is None

    @property
    def department_shares(self) -> tuple[DepartmentShare, ...]:
        """The shares of the spend that are features."""
        return tuple(DepartmentShare(one.name, one.label, one.trips) for one in self.departments)

    @property
    def parts(self) -> frozenset[str]:
        """What this company has of what a company may have; features, checks and reasons of the others are left out."""
        lines, products = self.order_lines, self.products
        found = {part for part, column in PART_COLUMNS.items() if getattr(lines, column) is not None}
        if products and products.department:
            found.add("departments")
        if products and products.category:
            found.add("categories")
        if products and products.private_label:
            found.add("private_label")
        if products and products.product_type and "products" in found and lines.grain == "line":
            found.add("product_types")
        if self.customers:
            found.add("customers")
        if self.campaigns:
            found.add("campaigns")
        if self.order_lines.hours:
            found.add("hours")
        if self.money.returns != "none":
            found.add("returns")
        if self.order_lines.grain == "line":
            found.add("lines")
        if self.calls and self.calls.table:
            found.add("calls")
        return frozenset(found)

    @model_validator(mode="after")
    def _whole(self) -> "Company":
        if self.departments and not (self.products and self.products.department):
            raise ValueError(
                "departments are named, and products name no department column: name it, or leave them out"
            )
        if (self.money.returns == "column") != (self.order_lines.returned is not None):
            raise ValueError('money.returns = "column" and order_lines.returned belong together: give both, or neither')
        if self.products and not self.products.table and not self.order_lines.product:
            raise ValueError("products are described, and order_lines name no product column: name it")
        if self.products and self.products.table and not self.products.product:
            raise ValueError("products.table is named, and products.product, its key, is not: name it")
        if self.calls and not (self.prices and self.prices.won_back):
            raise ValueError(
                "calls.held_out is drawn of the customers worth a call, and no prices say who is: give contact and "
                "won_back under [prices], or leave [calls] out"
            )
        return self
