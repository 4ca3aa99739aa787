"""The connector plays the recording up to an instant, and refuses files that break the catalog's promise."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airbyte_world import CONNECTOR, STREAMS, Recording
from support.bundled import RECORDING_ENDS

from resources.airbyte import AirbyteError


def run(connector: Path, folder: Path, command: str, config: dict[str, Any], **files: Any) -> tuple[int, list[Any]]:
    """Run a command of the connector as a server would; return its exit code and messages."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [str(connector), command]
    for name, content in {"config": config, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    if command == "spec":
        arguments = arguments[:2]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def configured(*names: str, mode: str = "full_refresh") -> dict[str, Any]:
    catalog = json.loads((CONNECTOR / "catalog.json").read_text())
    return {
        "streams": [
            {"stream": entry, "sync_mode": mode, "destination_sync_mode": "overwrite"}
            for entry in catalog["streams"]
            if entry["name"] in names
        ]
    }


def test_the_committed_catalog_is_what_discover_answers(connector: Path, sample: Path, tmp_path: Path) -> None:
    code, messages = run(connector, tmp_path, "discover", {"data_dir": str(sample)})
    assert code == 0
    assert messages == [{"type": "CATALOG", "catalog": json.loads((CONNECTOR / "catalog.json").read_text())}]


def test_spec_and_check(connector: Path, sample: Path, tmp_path: Path) -> None:
    code, [spec] = run(connector, tmp_path, "spec", {})
    assert code == 0
    assert set(spec["spec"]["connectionSpecification"]["properties"]) == {"data_dir", "as_of"}
    assert run(connector, tmp_path, "check", {"data_dir": str(sample), "as_of": RECORDING_ENDS}) == (
        0,
        [{"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}],
    )
    _, [failed] = run(connector, tmp_path, "check", {"data_dir": str(tmp_path)})
    assert failed["connectionStatus"]["status"] == "FAILED"
    assert "transactions.parquet: expected a Parquet file" in failed["connectionStatus"]["message"]


def test_without_a_folder_the_packaged_recording_is_read(connector: Path, tmp_path: Path) -> None:
    _, messages = run(connector, tmp_path, "read", {}, catalog=configured("demographics"))
    assert len([message for message in messages if message["type"] == "RECORD"]) == 801


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"as_of": "2017-09-04T08:00:00"}, "as_of must be an ISO instant with a zone"),
        ({"as_of": "Labor Day"}, "as_of must be an ISO instant with a zone"),
        ({"data_dir": "/no/such/folder"}, "data_dir must be a folder of Parquet files"),
    ],
)
def test_a_bad_configuration_is_a_config_error(
    connector: Path, tmp_path: Path, config: dict[str, str], sentence: str
) -> None:
    code, messages = run(connector, tmp_path, "read", config, catalog=configured("demographics"))
    error = messages[-1]["trace"]["error"]
    assert (code, error["failure_type"]) == (1, "config_error")
    assert sentence in error["message"]


def test_records_to_a_file_are_those_to_a_pipe(connector: Path, sample: Path, tmp_path: Path) -> None:
    config = {"data_dir": str(sample), "as_of": "2017-02-01T08:00:00-05:00"}
    _, piped = run(connector, tmp_path, "read", config, catalog=configured(*STREAMS))
    arguments = [str(connector), "read", "--config", str(tmp_path / "config.json")]
    with (tmp_path / "out.jsonl").open("wb") as file:
        subprocess.run([*arguments, "--catalog", str(tmp_path / "catalog.json")], stdout=file, check=True)
    filed = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    records = [message for message in piped if message["type"] == "RECORD"]
    assert len(records) > 1000
    assert records == [message for message in filed if message["type"] == "RECORD"]


def test_the_whole_sample_lands_unchanged(recording: Recording) -> None:
    recording.sync()
    for name in STREAMS:
        airbyte = "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta, _airbyte_generation_id"
        landed = f"select * exclude ({airbyte}) from raw.{name}"
        source = f"select * from '{name}.parquet'"
        difference = f"select count(*) from (({landed} except all {source}) union all ({source} except all {landed}))"
        assert recording.rows(difference) == [(0,)], name
    assert recording.rows(
        "select distinct _airbyte_extracted_at = timestamptz '2018-01-01 13:00:00+00' from raw.products"
    ) == [(True,)]


NOON = "2017-06-05T12:00:00-04:00"


def test_nothing_later_than_as_of_is_revealed(recording: Recording) -> None:
    recording.sync(NOON)
    checks = {
        "transactions": "transaction_timestamp < timestamp '2017-06-05 16:00:00'",
        "coupon_redemptions": "redemption_date < date '2017-06-05'",
        "campaign_descriptions": "start_date <= date '2017-06-05'",
        "campaigns": "campaign_id in (select campaign_id from raw.campaign_descriptions)",
        "coupons": "campaign_id in (select campaign_id from raw.campaign_descriptions)",
    }
    for name, revealed in checks.items():
        landed, allowed = recording.rows(f"select count(*), count(*) filter (where {revealed}) from raw.{name}")[0]
        source, expected = recording.rows(f"select count(*), count(*) filter (where {revealed}) from '{name}.parquet'")[
            0
        ]
        assert landed == allowed == expected < source, name
    for name in ("products", "demographics"):
        assert recording.rows(f"select count(*) from raw.{name}") == recording.rows(
            f"select count(*) from '{name}.parquet'"
        )
    latest = recording.rows(
        "select max(_airbyte_extracted_at) = timestamptz '2017-06-05 16:00:00+00' from raw.transactions"
    )
    assert latest == [(True,)]


def test_the_notation_of_an_instant_does_not_matter(recording: Recording) -> None:
    recording.sync("2017-06-05T23:30:00-04:00")
    here = (
        recording.rows("select count(*) from raw.coupon_redemptions"),
        recording.rows("select count(*) from raw.campaigns"),
    )
    Path(recording.warehouse).unlink()
    recording.sync("2017-06-06T03:30:00+00:00")
    assert here == (
        recording.rows("select count(*) from raw.coupon_redemptions"),
        recording.rows("select count(*) from raw.campaigns"),
    )


def test_playing_in_steps_ends_where_one_step_ends_and_reads_only_what_is_new(recording: Recording) -> None:
    first = recording.sync("2017-05-22T08:00:00-04:00").streams["transactions"].records
    second = recording.sync("2017-05-29T08:00:00-04:00").streams["transactions"].records
    again = recording.sync("2017-05-29T08:00:00-04:00").streams["transactions"].records
    recording.sync()
    between = recording.rows(
        "select count(*) filter (where transaction_timestamp < timestamp '2017-05-22 12:00:00'), "
        "count(*) filter (where transaction_timestamp < timestamp '2017-05-29 12:00:00') from 'transactions.parquet'"
    )[0]
    assert first == between[0]
    # The rows that share the newest timestamp come again, no others.
    assert between[1] - between[0] < second <= between[1] - between[0] + 60
    assert 1 <= again <= 60
    assert recording.rows("select count(*), count(distinct (basket_id, product_id)) from raw.transactions") == (
        recording.rows("select count(*), count(*) from 'transactions.parquet'")
    )
    assert recording.rows("select count(*) from raw.coupon_redemptions") == (
        recording.rows("select count(*) from 'coupon_redemptions.parquet'")
    )


def test_a_clock_that_was_set_back_is_refused(recording: Recording) -> None:
    recording.sync("2017-03-01T12:00:00-05:00")
    before = recording.rows("select count(*) from raw.campaigns")
    with pytest.raises(AirbyteError, match="Expected a clock at or after 2017-03-01T12:00:00-05:00"):
        recording.sync("2017-02-01T12:00:00-05:00")
    assert recording.rows("select count(*) from raw.campaigns") == before


def rewrite(folder: Path, name: str, select: str) -> None:
    """Replace a file by a query on it, `{file}`."""
    file, new = folder / f"{name}.parquet", folder / "new.parquet"
    query = select.format(file=f"read_parquet('{file}')")
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{new}' (format parquet)")
    new.rename(file)


def remove(folder: Path) -> None:
    (folder / "coupons.parquet").unlink()


def tear(folder: Path) -> None:
    file = folder / "transactions.parquet"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def scribble(folder: Path) -> None:
    (folder / "products.parquet").write_text("household_id,store_id\n1,2\n")


def rename_column(folder: Path) -> None:
    rewrite(folder, "transactions", "select * rename (sales_value as sales_amount) from {file}")


def text_in_numbers(folder: Path) -> None:
    rewrite(folder, "transactions", "select * replace ('$' || sales_value as sales_value) from {file}")


def lose_timestamps(folder: Path) -> None:
    late = "if(transaction_timestamp > timestamp '2017-12-01', null, transaction_timestamp)"
    rewrite(folder, "transactions", f"select * replace ({late} as transaction_timestamp) from {{file}}")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove, "coupons.parquet: expected a Parquet file in"),
        (tear, "transactions.parquet: expected a Parquet file, but it cannot be read as one"),
        (scribble, "products.parquet: expected a Parquet file, but it cannot be read as one"),
        (
            rename_column,
            "transactions.parquet: expected a column sales_value (number), but there is none. It has sales_amount, "
            "which the catalog lacks: was the column renamed?",
        ),
        (text_in_numbers, "transactions.parquet: expected column sales_value to be of kind number, but it is VARCHAR"),
        (lose_timestamps, "expected every row to have a transaction_timestamp"),
    ],
)
def test_damaged_files_are_refused_and_the_tables_stay(
    damaged: Callable[[], Recording], damage: Callable[[Path], None], sentence: str
) -> None:
    recording = damaged()
    recording.sync("2017-06-05T12:00:00-04:00")
    counts = "select " + ", ".join(f"(select count(*) from raw.{name})" for name in STREAMS)
    before = recording.rows(counts)
    damage(recording.data)
    with pytest.raises(AirbyteError) as failure:
        recording.sync()
    assert failure.value.failure_type == "config_error"
    assert sentence in str(failure.value)
    assert recording.rows(counts) == before


def test_a_column_that_the_catalog_lacks_is_left_out_with_a_warning(
    damaged: Callable[[], Recording], connector: Path, tmp_path: Path
) -> None:
    data = damaged().data
    rewrite(data, "demographics", "select *, 1 as shoe_size from {file}")
    _, messages = run(connector, tmp_path, "read", {"data_dir": str(data)}, catalog=configured("demographics"))
    warnings = [m["log"]["message"] for m in messages if m["type"] == "LOG" and m["log"]["level"] == "WARN"]
    assert warnings == ["demographics.parquet: column shoe_size is not in the catalog and is left out"]


def test_not_a_number_becomes_null(damaged: Callable[[], Recording]) -> None:
    recording = damaged()
    rewrite(recording.data, "transactions", "select * replace ('nan'::double as coupon_disc) from {file}")
    recording.sync("2017-01-15T12:00:00-05:00")
    assert recording.rows("select count(coupon_disc), count(*) > 0 from raw.transactions") == [(0, True)]


def test_a_destination_that_asks_for_nothing_of_the_kind_always_gets_every_record(
    connector: Path, sample: Path, tmp_path: Path
) -> None:
    config = {"data_dir": str(sample)}
    asked = configured("demographics")

    def read(state: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        inner = {"stream_descriptor": {"name": "demographics"}, "stream_state": state}
        code, said = run(
            connector, tmp_path, "read", config, catalog=asked, state=[{"type": "STREAM", "stream": inner}]
        )
        assert code == 0
        [last] = [one["state"]["stream"]["stream_state"] for one in said if one["type"] == "STATE"]
        return len([one for one in said if one["type"] == "RECORD"]), last

    every, left = read({})
    assert every > 0
    assert set(left) == {"baton_digest"}
    # As a server hands a state back: as it was.
    assert read(left) == (every, left)
    assert read({"baton_digest": "another", "baton_held": True}) == (every, left)
    assert read({**left, "baton_held": True}) == (0, {**left, "baton_unchanged": True})
