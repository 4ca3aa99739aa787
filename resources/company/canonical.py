"""The canonical tables: what staging must give, whatever the source. Everything behind them knows these names only."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "cents", "flag", "timestamp", "date", "instant"]

TYPES: dict[Kind, dict[str, str]] = {
    "text": {"duckdb": "varchar", "bigquery": "string"},
    "number": {"duckdb": "double", "bigquery": "float64"},
    "cents": {"duckdb": "bigint", "bigquery": "int64"},
    "flag": {"duckdb": "boolean", "bigquery": "bool"},
    "timestamp": {"duckdb": "timestamp", "bigquery": "datetime"},
    "date": {"duckdb": "date", "bigquery": "date"},
    "instant": {"duckdb": "timestamp with time zone", "bigquery": "timestamp"},
}
"""By kind: its type on each engine. `timestamp` is the shops' wall clock without a zone, `instant` has one."""


@dataclass(frozen=True)
class CanonicalColumn:
    """A column. `needed`: it may not be null."""

    name: str
    kind: Kind
    description: str
    needed: bool = False


@dataclass(frozen=True)
class CanonicalTable:
    """A table of staging. `part`: the optional part of a company that it belongs to; empty: every company has it."""

    name: str
    description: str
    columns: tuple[CanonicalColumn, ...]
    part: str = ""
    open: bool = False
    """Whether a company may add columns of its own."""


_C = CanonicalColumn

ORDER_LINES = CanonicalTable(
    "stg_order_lines",
    "What was bought and what came back: one row a line of an order, or an order where lines are not known.",
    (
        _C("customer_id", "text", "Who ordered.", needed=True),
        _C("order_id", "text", "The order: what was bought at once.", needed=True),
        _C("product_id", "text", "The product; null where products are not known."),
        _C("store_id", "text", "The store; null where stores are not known."),
        _C("ordered_at", "timestamp", "Time of the order by the shop's wall clock, without a zone.", needed=True),
        _C("ordered_on", "date", "Local day of the order.", needed=True),
        _C("quantity", "number", "Pieces; below zero or zero for what came back; null where it is not known."),
        _C("amount_cents", "cents", "What was paid for the line, in cents; of a return, what was paid back."),
        _C("discount_cents", "cents", "By how much the shop lowered the amount, in cents, zero or positive."),
        _C("coupon_cents", "cents", "By how much coupons lowered the amount, in cents, zero or positive."),
        _C("is_return", "flag", "Whether the line came back. An order of returns alone is no visit.", needed=True),
        _C("extracted_at", "instant", "When the row was read at the source.", needed=True),
        _C("extracted_on", "date", "Local day on which the row was read.", needed=True),
    ),
)

PRODUCTS = CanonicalTable(
    "stg_products",
    "One row a product, with up to three levels of an assortment.",
    (
        _C("product_id", "text", "The product.", needed=True),
        _C("department", "text", "The coarsest level; null where it is not known."),
        _C("department_group", "text", "The name under which the company counts the department, else `other`."),
        _C("category", "text", "The level below; null where it is not known."),
        _C("product_type", "text", "The finest level; null where it is not known."),
        _C("is_private_label", "flag", "Whether it is sold under a brand of the company's own."),
    ),
    part="products",
    open=True,
)

CUSTOMERS = CanonicalTable(
    "stg_customers",
    "One row a customer of whom attributes are known. For slices and lists; nothing of it may become a feature.",
    (_C("customer_id", "text", "The customer.", needed=True),),
    part="customers",
    open=True,
)

CAMPAIGNS = CanonicalTable(
    "stg_campaigns",
    "One row a marketing campaign.",
    (
        _C("campaign_id", "text", "The campaign.", needed=True),
        _C("campaign_type", "text", "What kind of campaign."),
        _C("sent_on", "date", "Its first day."),
        _C("ends_on", "date", "Its last day."),
    ),
    part="campaigns",
    open=True,
)

CONTACTS = CanonicalTable(
    "stg_campaign_contacts",
    "One row a campaign and customer it was sent to.",
    (
        _C("customer_id", "text", "Who received it.", needed=True),
        _C("campaign_id", "text", "The campaign.", needed=True),
    ),
    part="campaigns",
)

COUPONS = CanonicalTable(
    "stg_coupons",
    "One row a coupon, product that it is valid for, and campaign.",
    (
        _C("coupon_id", "text", "The coupon.", needed=True),
        _C("product_id", "text", "A product that it is valid for."),
        _C("campaign_id", "text", "The campaign that it belongs to."),
    ),
    part="campaigns",
)

REDEMPTIONS = CanonicalTable(
    "stg_coupon_redemptions",
    "One row a use of a coupon.",
    (
        _C("customer_id", "text", "Who used it.", needed=True),
        _C("coupon_id", "text", "The coupon."),
        _C("campaign_id", "text", "Its campaign."),
        _C("redeemed_on", "date", "The day."),
    ),
    part="campaigns",
)

CALLS = CanonicalTable(
    "stg_calls",
    "One row a customer and day on which they were called, or reached in another way that was agreed.",
    (
        _C("customer_id", "text", "Who was called.", needed=True),
        _C("called_on", "date", "Local day of the call.", needed=True),
    ),
    part="calls",
)

TABLES = (ORDER_LINES, PRODUCTS, CUSTOMERS, CALLS, CAMPAIGNS, CONTACTS, COUPONS, REDEMPTIONS)
"""All canonical tables."""
