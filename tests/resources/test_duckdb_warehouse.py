"""What only a DuckDB file does: one holder at a time, killed writers, long tables. The contract has its own suite."""

import os
import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest

from resources.warehouse import DuckDBWarehouse, WarehouseBusyError, WarehouseError, open_duckdb


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=0.3)


def rows(cutoff, **columns):
    return pd.DataFrame({"cutoff_date": [pd.Timestamp(cutoff)], **{name: [value] for name, value in columns.items()}})


def test_days_are_dates_and_instants_keep_their_zone(warehouse):
    at = pd.Timestamp("2017-01-02 08:00", tz="UTC")
    warehouse.replace_table("p", "t", rows("2017-01-02", scored_at=at))
    kinds = warehouse.read("select column_name, data_type from information_schema.columns order by 1")
    assert kinds["data_type"].tolist() == ["DATE", "TIMESTAMP WITH TIME ZONE"]


def test_a_killed_writer_leaves_the_previous_table(warehouse):
    warehouse.replace_table("p", "t", pd.DataFrame({"a": [1]}))
    code = (
        "import os, sys, duckdb\n"
        f"con = duckdb.connect({warehouse.path!r})\n"
        "con.execute('begin'); con.execute('create or replace table p.t as select 2 as a, 3 as b')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert warehouse.read("select * from p.t").to_dict("records") == [{"a": 1}]


def test_a_warehouse_that_another_process_holds_is_a_sentence(warehouse):
    warehouse.replace_table("p", "t", pd.DataFrame({"a": [1]}))
    code = f"import duckdb, sys; con = duckdb.connect({warehouse.path!r}); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(WarehouseBusyError, match="another process holds it.*Close that program"):
            warehouse.read("select 1")
    finally:
        holder.communicate()
    assert warehouse.read("select a from p.t")["a"].tolist() == [1]


def test_reading_a_warehouse_that_is_not_there_says_how_to_build_it(warehouse):
    with pytest.raises(WarehouseError, match="Run `make run` to build it"):
        warehouse.read("select 1")
    assert not warehouse.exists("p", "t")


def test_a_file_that_is_no_warehouse_is_a_sentence(tmp_path):
    (tmp_path / "w.duckdb").write_bytes(b"this is not a database, whatever its name says" * 400)
    with (
        pytest.raises(WarehouseError, match="Expected a DuckDB warehouse at"),
        open_duckdb(str(tmp_path / "w.duckdb"), wait_seconds=0.1),
    ):
        pass


def test_a_long_table_comes_in_pieces_of_which_one_at_a_time_is_held(warehouse):
    warehouse.replace_table("s", "t", pd.DataFrame({"A": range(500_000)}))
    pieces = list(warehouse.batches("select * from s.t where a >= ?", [100_000]))
    assert max(map(len, pieces)) <= 98 * 2048
    assert sorted(pd.concat(pieces)["a"]) == list(range(100_000, 500_000))
    # What stops early lets go of the file: a writer must not wait for what nobody reads.
    reading = warehouse.batches("select * from s.t")
    next(reading)
    reading.close()
    warehouse.replace_table("s", "u", pd.DataFrame({"a": [1]}))


def test_more_rows_than_are_read_at_once_replace_a_cutoff_and_are_read_meanwhile(warehouse):
    monday, before = date(2017, 1, 9), date(2017, 1, 2)
    warehouse.replace_partitions("p", "t", rows("2017-01-02", a=1, why=None), column="cutoff_date", values=[before])
    warehouse.replace_partitions("p", "t", rows("2017-01-09", a=2, why="x"), column="cutoff_date", values=[monday])
    warehouse.replace_table("s", "t", pd.DataFrame({"a": range(300_000)}))

    def pieces():
        for number, piece in enumerate(warehouse.batches("select a from s.t")):
            yield piece.assign(cutoff_date=pd.Timestamp(monday), why="because" if number else None)

    written = warehouse.replace_partitions_by("p", "t", pieces(), column="cutoff_date", values=[monday])
    assert written == 300_001
    found = warehouse.read("select cutoff_date, count(*) as n, count(why) as told from p.t group by 1 order by 1")
    assert found["n"].tolist() == [1, 300_000]
    assert 0 < found["told"].iloc[1] < 300_000
    assert warehouse.replace_partitions_by("p", "t", iter([]), column="cutoff_date", values=[monday]) == 1


def test_a_column_that_nobody_declared_gets_the_kind_of_its_first_value(warehouse):
    no_text = pd.Series([float("nan")])
    for day, score in ((2, pd.Series([None], dtype=object)), (9, no_text), (16, pd.Series([2.5]))):
        frame = pd.DataFrame({"cutoff_date": [pd.Timestamp(f"2017-01-{day:02}")], "score": score, "why": no_text})
        frame["why"] = frame["why"].astype(object if day == 2 else float)
        warehouse.replace_partitions("p", "t", frame, column="cutoff_date", values=[date(2017, 1, day)])
    assert warehouse.read("select sum(score) as score from p.t")["score"].tolist() == [2.5]
    # A column of which nothing is known yet may still become text.
    said = rows("2017-01-23", why="because")
    warehouse.replace_partitions("p", "t", said, column="cutoff_date", values=[date(2017, 1, 23)])
    assert warehouse.read("select max(why) as why from p.t")["why"].tolist() == ["because"]


def test_a_file_that_was_cut_short_and_still_opens_is_said_when_a_table_cannot_be_read(warehouse):
    for name in ("early", "late"):
        drawn = pd.DataFrame({"a": np.random.default_rng(1).random(500_000)})
        warehouse.replace_table("p", name, drawn)
    os.truncate(warehouse.path, os.path.getsize(warehouse.path) // 2)

    def read():
        with warehouse.connect() as connection:
            for name in ("early", "late"):
                connection.execute(f"select sum(a) from p.{name}").fetchall()

    with pytest.raises(WarehouseError, match=r"cannot be read: .*make restore FROM=<folder>.*move the file away"):
        read()
