"""A small piece of the bundled data, loaded as an Airbyte sync would leave it."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from tools.sample import RECORDING_ENDS, bundled_data_dir, sampled_by_household, streams

STORE_TIME_ZONE = ZoneInfo("America/New_York")

_STARTED = "campaign_id in (select campaign_id from {campaign_descriptions} where start_date <= $day)"

REVEALED = {
    "transactions": "transaction_timestamp < $instant",
    "campaigns": _STARTED,
    "campaign_descriptions": "start_date <= $day",
    "coupons": _STARTED,
    "coupon_redemptions": "redemption_date < $day",
}
"""By stream, the condition on what `as_of` reveals; of the others everything is revealed at once."""


def load_raw_sample(db_path: Path | str, modulo: int = 16, as_of: str = RECORDING_ENDS) -> None:
    """Bring the schema `raw` of a DuckDB file up to what the source reveals at `as_of`.

    Every `modulo`-th household is kept (1 keeps all), and all products. Rows that are there already keep the instant of
    their extraction; new ones get `as_of`, as the connector stamps them in a recording. Coupons have no key and are
    replaced, as a full refresh would.

    Args:
        db_path: the DuckDB file; made if it is not there.
        modulo: households whose identifier it divides are loaded.
        as_of: ISO instant with a zone.
    """
    instant = datetime.fromisoformat(as_of)
    if instant.tzinfo is None:
        raise ValueError(f"Expected as_of with a zone, such as {RECORDING_ENDS}; got {as_of!r}.")
    data = bundled_data_dir()
    day = instant.astimezone(STORE_TIME_ZONE).date().isoformat()
    utc = instant.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%d %H:%M:%S")
    with duckdb.connect(str(db_path)) as connection:
        connection.execute("create schema if not exists raw")
        for name, stream in streams().items():
            key = [part for (part,) in stream["source_defined_primary_key"]]
            condition = (
                REVEALED.get(name, "true")
                .replace("$day", f"date '{day}'")
                .replace("$instant", f"timestamp '{utc}'")
                .replace("{campaign_descriptions}", f"'{data / 'campaign_descriptions.parquet'}'")
            )
            rows = (
                "select *, cast(uuid() as varchar) as _airbyte_raw_id, "
                f"timestamptz '{as_of}' as _airbyte_extracted_at, "
                "cast('{\"changes\":[]}' as json) as _airbyte_meta, cast(0 as bigint) as _airbyte_generation_id "
                f"from '{data / name}.parquet' as source where {condition}"
                + (f" and household_id % {modulo} = 0" if sampled_by_household(stream) else "")
            )
            table = f"raw.{name}"
            if key:
                connection.execute(f"create table if not exists {table} as select * from ({rows}) limit 0")
                same = " and ".join(f"known.{column} = source.{column}" for column in key)
                connection.execute(
                    f"insert into {table} {rows} and not exists (select 1 from {table} as known where {same})"
                )
            else:
                connection.execute(f"create or replace table {table} as {rows}")
