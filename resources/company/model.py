"""What a company says about itself: the fields of `companies/<name>/company.toml`, strict.

Every field is described here, once. The JSON schema and the page of fields are made from these descriptions. Whoever
needs a horizon, a zone, a closed day or an owner asks for it here; no second place holds one.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PART_COLUMNS = {
    "products": "product",
    "stores": "store",
    "quantity": "quantity",
    "discounts": "discount",
    "coupons": "coupon",
}
"""Parts that are there when order lines name a column for them."""

PARTS = frozenset(PART_COLUMNS) | {"departments", "categories", "private_label", "customers", "campaigns", "hours"}
"""All parts that a company may have."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class Strict(BaseModel):
    """Refuses a key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(Strict):
    """What is asked: who of those seen lately will not come again within the horizon."""

    horizon_days: int = Field(
        28, ge=2, le=364, description="What is predicted: no order in [cutoff, cutoff + horizon_days)."
    )
    early_days: int | None = Field(
        None, ge=1, description="The early proxy of it, for judging sooner. Default: half the horizon."
    )
    active_within_days: int = Field(
        28, ge=1, le=364, description="Who is scored: customers with an order in [cutoff - active_within_days, cutoff)."
    )
    look_back_days: int = Field(
        84,
        ge=28,
        le=672,
        description="Features look back over [cutoff - look_back_days, cutoff): 28, 56, or a multiple of 84, which is "
        "divided into twelve periods.",
    )
    cadence_days: Literal[7] = Field(7, description="Days from one cutoff to the next.")
    first_cutoff: date | None = Field(
        None,
        description="The first cutoff: the first Monday that has look_back_days of orders before it. Nothing is built "
        "without it.",
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
    def early(self) -> int:
        """The early proxy's days."""
        return self.early_days or max(1, self.horizon_days // 2)


class Time(Strict):
    """The clock and the calendar of the shops."""

    zone: str = Field("UTC", description="The shops open and close by this clock; an IANA name: Europe/Paris.")
    closed_weekdays: tuple[Weekday, ...] = Field((), description="Weekdays on which nobody can buy.")
    closed_days: tuple[date, ...] = Field((), description="Days on which nobody could or can buy: 2017-12-25.")

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


class OrderLines(Strict):
    """Which raw columns are what. Customer, time and amount are needed; the others are optional parts."""

    table: Identifier = Field(description="The raw table that holds orders or their lines.")
    grain: Literal["order", "line"] = Field("line", description="What one row is.")
    customer: str = Field(description="Who bought.")
    order: str | None = Field(None, description="What belongs to one purchase.")
    time: str = Field(description="When it was bought.")
    amount: str = Field(description="What was paid for the row, in all.")
    product: str | None = Field(None, description="What was bought.")
    store: str | None = Field(None, description="Where.")
    quantity: str | None = Field(None, description="How many.")
    discount: str | None = Field(None, description="By how much the shop lowered the amount.")
    coupon: str | None = Field(None, description="By how much coupons lowered the amount.")
    hours: bool = Field(True, description="Whether `time` knows the time of day; false where it is a date.")


class Products(Strict):
    """The product list, with up to three levels."""

    table: Identifier | None = Field(None, description="The raw table of products.")
    product: str | None = Field(None, description="Its key, with `table`.")
    department: str | None = Field(None, description="The coarsest level.")
    category: str | None = Field(None, description="The level below.")
    product_type: str | None = Field(None, description="The finest level.")
    private_label: str | None = Field(None, description="True for a brand of the company's own.")


class Customers(Strict):
    """Attributes of customers, for slices and lists; never features."""

    table: Identifier = Field(description="The raw table.")
    customer: str = Field(description="Its key.")
    attributes: tuple[str, ...] = Field((), description="Columns that are shown.")


class Connector(Strict):
    """An Airbyte connection that the embedded engine syncs."""

    source: str = Field(description="The connector's command, and its folder in `connectors/`.")
    streams: tuple[str, ...] = Field((), description="Which streams; none named: all.")
    prefix: str = Field("", description="Put before the tables' names.")
    config: dict[str, Any] = Field(
        default_factory=dict, description="Its configuration; `${env:NAME}` is a secret, `${clock}` the present."
    )


class Company(Strict):
    """A company's file."""

    title: str = Field(description="The company's name as people say it.")
    question: Question = Field(default_factory=lambda: Question.model_validate({}))
    time: Time = Field(default_factory=lambda: Time.model_validate({}))
    money: Money = Field(default_factory=lambda: Money.model_validate({}))
    order_lines: OrderLines = Field(description="Which columns are what.")
    products: Products | None = None
    customers: Customers | None = None
    campaigns: bool = Field(False, description="Whether staging of its own gives campaigns, coupons and contacts.")
    airbyte: dict[Identifier, Connector] = Field(default_factory=dict, description="Airbyte connections by name.")
    recording_ends: datetime | None = Field(
        None, description="For a recording: the instant at which its clock stands. Default: the wall clock."
    )

    @property
    def parts(self) -> frozenset[str]:
        """What this company has of what a company may have; the summary tells them."""
        lines, products = self.order_lines, self.products
        found = {part for part, column in PART_COLUMNS.items() if getattr(lines, column) is not None}
        if products and products.department:
            found.add("departments")
        if products and products.category:
            found.add("categories")
        if products and products.private_label:
            found.add("private_label")
        if self.customers:
            found.add("customers")
        if self.campaigns:
            found.add("campaigns")
        if self.order_lines.hours:
            found.add("hours")
        return frozenset(found)
