"""What the source offers: its streams, their columns, and which rows an instant reveals.

This table is the promise that `catalog.json` publishes. Files that do not keep it are refused before a record is sent:
a renamed column would otherwise arrive as nulls and be noticed weeks later as a bad model.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["integer", "number", "string", "timestamp"]

STORE_TIME_ZONE = "America/New_York"
"""Where the shops are: a "day" of the recording is a day there, although transactions are stamped in UTC."""


@dataclass(frozen=True)
class Column:
    """One column: its name in the file and in the record, its kind, and what it holds."""

    name: str
    kind: Kind
    description: str

    def json_schema(self) -> dict[str, Any]:
        """Return the column's JSON schema, as Airbyte's destinations read it."""
        if self.kind == "timestamp":
            kind: dict[str, Any] = {
                "type": ["null", "string"],
                "format": "date-time",
                "airbyte_type": "timestamp_without_timezone",
            }
        else:
            kind = {"type": ["null", self.kind]}
        return {**kind, "description": self.description}


@dataclass(frozen=True)
class Stream:
    """One stream, read from the Parquet file of the same name.

    `visible` is the SQL condition on a row that `as_of` reveals; it may use `$instant` (naive UTC), `$local_date` (the
    shops' date at that instant) and `{campaign_descriptions}` (that file). `cursor` makes the stream incremental.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    visible: str | None = None
    needs: tuple[str, ...] = field(default=())

    def catalog_entry(self) -> dict[str, Any]:
        """Return the stream as `discover` publishes it."""
        entry: dict[str, Any] = {
            "name": self.name,
            "json_schema": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "description": self.description,
                "additionalProperties": True,
                "properties": {column.name: column.json_schema() for column in self.columns},
            },
            "supported_sync_modes": ["full_refresh", "incremental"] if self.cursor else ["full_refresh"],
            "source_defined_primary_key": [[name] for name in self.primary_key],
            "is_resumable": self.cursor is not None,
        }
        if self.cursor:
            entry |= {"source_defined_cursor": True, "default_cursor_field": [self.cursor]}
        return entry


STARTED_CAMPAIGNS = "campaign_id in (select campaign_id from {campaign_descriptions} where start_date <= $local_date)"

STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        Stream(
            "transactions",
            "One line of a shopping basket: what a household bought, where, when and for how much.",
            (
                Column("household_id", "integer", "The household that bought."),
                Column("store_id", "integer", "The shop."),
                Column("basket_id", "integer", "The basket; one visit to the till."),
                Column("product_id", "integer", "The product; once a basket."),
                Column("quantity", "integer", "Units bought; for fuel, a volume. Do not sum across products."),
                Column("sales_value", "number", "Dollars that the shop received for the line."),
                Column("retail_disc", "number", "Dollars taken off by the loyalty card."),
                Column("coupon_disc", "number", "Dollars taken off by a manufacturer's coupon."),
                Column("coupon_match_disc", "number", "Dollars that the shop added to a manufacturer's coupon."),
                Column("week", "integer", "Week of the recording, 1 to 53."),
                Column("transaction_timestamp", "timestamp", "When the basket was paid; UTC without a zone."),
            ),
            primary_key=("basket_id", "product_id"),
            cursor="transaction_timestamp",
            visible="transaction_timestamp < $instant",
        ),
        Stream(
            "products",
            "The assortment: department, category and brand of each product.",
            (
                Column("product_id", "integer", "The product."),
                Column("manufacturer_id", "integer", "Who makes it."),
                Column("department", "string", "Department of the shop."),
                Column("brand", "string", "National, or Private for the shop's own label."),
                Column("product_category", "string", "Category inside the department."),
                Column("product_type", "string", "Type inside the category."),
                Column("package_size", "string", "Package size as printed."),
            ),
            primary_key=("product_id",),
        ),
        Stream(
            "demographics",
            "What is known about 801 of the households.",
            (
                Column("household_id", "integer", "The household."),
                Column("age", "string", "Age band of the head of the household."),
                Column("income", "string", "Income band, thousands of dollars a year."),
                Column("home_ownership", "string", "Owner, renter, or unknown."),
                Column("marital_status", "string", "Married, unmarried, or unknown."),
                Column("household_size", "string", "Number of people, up to 5+."),
                Column("household_comp", "string", "Composition: adults and kids."),
                Column("kids_count", "string", "Number of kids, up to 3+."),
            ),
            primary_key=("household_id",),
        ),
        Stream(
            "campaigns",
            "Which households received which marketing campaign.",
            (
                Column("campaign_id", "integer", "The campaign."),
                Column("household_id", "integer", "The household that received it."),
            ),
            primary_key=("campaign_id", "household_id"),
            visible=STARTED_CAMPAIGNS,
            needs=("campaign_descriptions",),
        ),
        Stream(
            "campaign_descriptions",
            "The marketing campaigns: their type and the days on which they ran.",
            (
                Column("campaign_id", "integer", "The campaign."),
                Column("campaign_type", "string", "Type A (personal choice of coupons), B or C."),
                Column("start_date", "timestamp", "First day, local date at midnight."),
                Column("end_date", "timestamp", "Last day, local date at midnight."),
            ),
            primary_key=("campaign_id",),
            visible="start_date <= $local_date",
        ),
        Stream(
            "coupons",
            "Which coupon of which campaign is good for which product. Some rows come twice.",
            (
                Column("coupon_upc", "integer", "The coupon."),
                Column("product_id", "integer", "A product it is good for."),
                Column("campaign_id", "integer", "The campaign it belongs to."),
            ),
            visible=STARTED_CAMPAIGNS,
            needs=("campaign_descriptions",),
        ),
        Stream(
            "coupon_redemptions",
            "Coupons that households handed in.",
            (
                Column("household_id", "integer", "The household."),
                Column("coupon_upc", "integer", "The coupon."),
                Column("campaign_id", "integer", "The campaign it belongs to."),
                Column("redemption_date", "timestamp", "The day, local date at midnight."),
            ),
            primary_key=("household_id", "coupon_upc", "campaign_id", "redemption_date"),
            cursor="redemption_date",
            visible="redemption_date < $local_date",
        ),
    )
}


def catalog() -> dict[str, Any]:
    """Return the whole catalog, the content of `catalog.json`."""
    return {"streams": [stream.catalog_entry() for stream in STREAMS.values()]}
