"""Replicated customers are new customers with the same behaviour; a stage that was measured is not measured again."""

from datetime import date

import duckdb
import pytest
from support.processes import command
from support.sample import load_raw_sample

from tools.bench.replicated import ScaleError, deliver, replicate, weights
from tools.bench.scale import STAGES, Cost, check, costs_of, exponent, factor_of, table

COPIES = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("home")
    load_raw_sample(made / "warehouse.duckdb", modulo=64)
    with duckdb.connect(str(made / "warehouse.duckdb")) as connection:
        connection.execute("create schema features")
        connection.execute("create table features.cutoffs as select date '2018-01-01' as cutoff_date")
    (made / "mlflow.db").write_bytes(b"the registry is copied as it is")
    return made


@pytest.fixture(scope="module")
def copied(home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copied")
    before = (home / "warehouse.duckdb").read_bytes()
    said = replicate(home, folder, COPIES)
    assert (home / "warehouse.duckdb").read_bytes() == before
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{home / 'warehouse.duckdb'}' as origin (read_only)")
        connection.execute("create temp view lines as from raw.transactions union all from waiting.transactions")
        yield connection, said


def one(connection, sql):
    return connection.execute(sql).fetchone()


def test_counts_are_multiplied_and_keys_stay_unique(copied):
    connection, _ = copied
    lines, keys, customers, raw_ids = one(
        connection,
        "select count(*), count(distinct (basket_id, product_id)), count(distinct household_id), "
        "count(distinct _airbyte_raw_id) from lines",
    )
    ours, our_customers = one(connection, "select count(*), count(distinct household_id) from origin.raw.transactions")
    assert lines == keys == raw_ids == COPIES * ours
    assert customers == COPIES * our_customers
    for name in ("demographics", "campaigns", "coupon_redemptions"):
        assert one(connection, f"select count(*) from raw.{name}")[0] == (
            COPIES * one(connection, f"select count(*) from origin.raw.{name}")[0]
        )


def test_what_customers_do_not_bring_is_there_once(copied):
    connection, _ = copied
    for name in ("products", "campaign_descriptions", "coupons"):
        assert one(connection, f"select count(*) from raw.{name}") == one(
            connection, f"select count(*) from origin.raw.{name}"
        )


def test_a_copied_customer_is_the_same_customer_in_every_table_and_orders_stay_whole(copied):
    connection, _ = copied
    strangers = "select count(*) from raw.demographics where household_id not in (select household_id from lines)"
    ours = "select count(*) from origin.raw.demographics where household_id not in " + (
        "(select household_id from origin.raw.transactions)"
    )
    assert one(connection, strangers)[0] == COPIES * one(connection, ours)[0]
    sold = "select cast(round(100 * sum(sales_value)) as bigint), count(*) from {} group by household_id order by 1, 2"
    copies = connection.execute(sold.format("lines")).fetchall()
    assert copies[::COPIES] == connection.execute(sold.format("origin.raw.transactions")).fetchall()
    assert one(
        connection, "select max(n) from (select count(distinct household_id) as n from lines group by basket_id)"
    ) == (1,)


def test_the_newest_week_waits_and_is_delivered_once(home, tmp_path):
    said = replicate(home, tmp_path, 1)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        newest = (
            "select max(cast(timezone('America/New_York', timezone('UTC', transaction_timestamp)) as date)) from raw"
        )
        assert one(connection, f"{newest}.transactions")[0] == date(2017, 12, 24)
    assert deliver(tmp_path) == {"lines": said["lines_waiting"]}
    assert deliver(tmp_path) == {"lines": 0}
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        assert one(connection, f"{newest}.transactions")[0] > date(2017, 12, 28)
        assert one(connection, "select count(*) from raw.transactions")[0] == said["lines"] + said["lines_waiting"]


@pytest.mark.parametrize("text", ["0", "-3", "ten", "1.5", "", "5000", "²"])
def test_a_factor_that_is_none_is_a_sentence(text):
    with pytest.raises(ScaleError, match="FACTOR must be a whole number from 1 to 1,000, such as 10; it is"):
        factor_of(text)


def test_the_command_says_so_and_writes_nothing(tmp_path):
    for arguments, sentence in (
        (["--factor", "ten"], "FACTOR must be a whole number"),
        (["--factor", "2"], "Expected a finished home at"),
    ):
        done = command("-m", "tools.bench.scale", *arguments, BATON_HOME=str(tmp_path))
        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_said_before_anything_is_copied(home, tmp_path):
    with pytest.raises(ScaleError, match="GB of free disk at .* for 1000000 times the customers"):
        check(home, tmp_path, 1_000_000, begun=False)


def test_what_was_measured_is_kept_only_while_it_can_be_gone_on_from(tmp_path):
    import json
    from dataclasses import asdict

    def write(stages):
        costs = {stage.name: asdict(Cost(1, 1, 1, 1)) for stage in stages}
        (tmp_path / "costs.json").write_text(json.dumps(costs))

    write(STAGES[:2])
    assert costs_of(tmp_path) == {}
    (tmp_path / "warehouse.duckdb").touch()
    assert list(costs_of(tmp_path)) == [stage.name for stage in STAGES[:2]]
    # Stages of another release of the command: what they left cannot be gone on from.
    write(STAGES[1:3])
    assert costs_of(tmp_path) == {}
    (tmp_path / "warehouse.duckdb").unlink()
    write(STAGES)
    assert len(costs_of(tmp_path)) == len(STAGES)


def test_the_table_tells_how_each_row_grows():
    assert exponent([1, 10, 100], [5.0, 10.0, 100.0]) == "1.00"
    assert exponent([1, 10], [5.0, 5.0]) == "0.00"
    assert exponent([1, 10], [5.0, None]) == ""
    costs = {factor: {stage.name: Cost(factor, factor, 100, factor) for stage in STAGES} for factor in (1, 10)}
    lines = table(costs)
    assert any(line.startswith("a week: scoring") and line.endswith("1.00") for line in lines)
    assert any(line.startswith("peak MB") for line in lines)
    costs[10]["deliver a week"] = Cost(1, 1, 1, 1, resumed=True)
    assert any(line.startswith("deliver a week *") for line in table(costs))
    assert "broke off" in table(costs)[-1]


def test_bytes_are_those_of_bigquery_a_text_two_more_than_its_letters_and_a_null_none(tmp_path):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.t as select 1::bigint as a, 'äb' as b, null::double as c, true as d")
    assert weights(tmp_path / "warehouse.duckdb")[1].split() == ["marts.t", "1", "14.0"]
