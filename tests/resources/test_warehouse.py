"""The warehouse contract: atomic, by name, lower-case, empty frames allowed, one sentence for what goes wrong."""

import hashlib
import subprocess
import sys
from datetime import date

import pandas as pd
import pytest

from resources.warehouse import DuckDBWarehouse, WarehouseBusyError, WarehouseError, open_duckdb


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=0.3)


def rows(cutoff, **columns):
    return pd.DataFrame({"cutoff_date": [pd.Timestamp(cutoff)], **{name: [value] for name, value in columns.items()}})


def test_a_table_is_replaced_whole_and_its_names_are_lower_case(warehouse):
    warehouse.replace_table("marts", "t", pd.DataFrame({"A": [1, 2]}))
    assert warehouse.replace_table("marts", "t", pd.DataFrame({"Score": [0.5]})) == 1
    assert list(warehouse.read("select * from marts.t").columns) == ["score"]


def test_an_empty_frame_is_a_table_with_columns_and_no_rows(warehouse):
    assert warehouse.replace_table("marts", "t", pd.DataFrame({"a": pd.Series(dtype="int64")})) == 0
    assert list(warehouse.read("select * from marts.t").columns) == ["a"]


def test_a_text_column_without_a_value_takes_text_later(warehouse):
    warehouse.replace_table("marts", "t", pd.DataFrame({"reason": pd.Series([None], dtype=object), "k": [1]}))
    later = pd.DataFrame({"reason": ["because"], "k": [2]})
    warehouse.replace_partitions("marts", "t", later, column="k", values=[2])
    assert warehouse.read("select reason from marts.t order by k")["reason"].tolist() == [None, "because"]


def test_replacing_a_cutoff_leaves_the_others(warehouse):
    warehouse.replace_partitions("p", "t", rows("2017-01-02", a=1), column="cutoff_date", values=[date(2017, 1, 2)])
    warehouse.replace_partitions("p", "t", rows("2017-01-09", a=2), column="cutoff_date", values=[date(2017, 1, 9)])
    warehouse.replace_partitions("p", "t", rows("2017-01-09", a=3), column="cutoff_date", values=[date(2017, 1, 9)])
    assert warehouse.read("select a from p.t order by cutoff_date")["a"].tolist() == [1, 3]


def test_columns_are_matched_by_name_and_a_new_one_is_added(warehouse):
    warehouse.replace_partitions(
        "p", "t", rows("2017-01-02", a=1, b=2), column="cutoff_date", values=[date(2017, 1, 2)]
    )
    frame = rows("2017-01-09", c=9, b=20, a=10)
    warehouse.replace_partitions("p", "t", frame, column="cutoff_date", values=[date(2017, 1, 9)])
    found = warehouse.read("select a, b, c from p.t order by cutoff_date").iloc[-1]
    assert (found.a, found.b, found.c) == (10, 20, 9)


def test_a_row_outside_the_named_cutoffs_is_refused_and_nothing_changes(warehouse):
    warehouse.replace_partitions("p", "t", rows("2017-01-02", a=1), column="cutoff_date", values=[date(2017, 1, 2)])
    with pytest.raises(WarehouseError, match="Expected only rows with cutoff_date in"):
        warehouse.replace_partitions("p", "t", rows("2017-01-09", a=2), column="cutoff_date", values=[date(2017, 1, 2)])
    assert warehouse.read("select a from p.t")["a"].tolist() == [1]


def test_days_are_dates_and_instants_keep_their_zone(warehouse):
    at = pd.Timestamp("2017-01-02 08:00", tz="UTC")
    warehouse.replace_table("p", "t", rows("2017-01-02", scored_at=at))
    kinds = warehouse.read("select column_name, data_type from information_schema.columns order by 1")
    assert kinds["data_type"].tolist() == ["DATE", "TIMESTAMP WITH TIME ZONE"]


def test_a_time_of_day_without_a_zone_is_refused(warehouse):
    with pytest.raises(WarehouseError, match="instants with a zone in column cutoff_date, but 1 row"):
        warehouse.replace_table("p", "t", rows("2017-01-02 08:00"))
    assert not warehouse.exists("p", "t")


def test_a_failing_write_leaves_the_previous_table(warehouse):
    warehouse.replace_partitions("p", "t", rows("2017-01-02", a=1), column="cutoff_date", values=[date(2017, 1, 2)])
    broken = rows("2017-01-02", a="not a number")
    with pytest.raises(Exception, match="not a number"):
        warehouse.replace_partitions("p", "t", broken, column="cutoff_date", values=[date(2017, 1, 2)])
    assert warehouse.read("select a from p.t")["a"].tolist() == [1]


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


def test_a_sample_is_the_same_whoever_else_is_there(warehouse):
    names = [f"c{number}" for number in range(2000)]
    warehouse.replace_table("s", "all_of_them", pd.DataFrame({"name": names}))
    warehouse.replace_table("s", "half_of_them", pd.DataFrame({"name": names[:1000]}))

    def chosen(table, share):
        return set(warehouse.read(f"select name from s.{table} where {warehouse.sampled('name', share)}")["name"])

    assert len(chosen("all_of_them", 0.25)) == pytest.approx(500, abs=60)
    assert chosen("half_of_them", 0.25) == chosen("all_of_them", 0.25) & set(names[:1000])
    assert chosen("all_of_them", 0.1) < chosen("all_of_them", 0.25) < chosen("all_of_them", 1.0) == set(names)
    # As every language's MD5 says, so that an engine more chooses the same.
    expected = {name for name in names if hashlib.md5(name.encode()).hexdigest()[:8] < f"{16**8 // 4:08x}"}
    assert chosen("all_of_them", 0.25) == expected


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


def test_rows_in_pieces_replace_a_cutoff_and_may_be_read_from_the_same_warehouse(warehouse):
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


def test_pieces_that_break_off_or_do_not_fit_replace_nothing(warehouse):
    monday = date(2017, 1, 9)
    warehouse.replace_partitions("p", "t", rows("2017-01-09", a=7), column="cutoff_date", values=[monday])

    def broken_off():
        yield rows("2017-01-09", a=1)
        raise RuntimeError("the model refuses a row")

    given = {
        "the model refuses a row": broken_off(),
        "Expected only rows with cutoff_date in": iter([rows("2017-01-09", a=1), rows("2017-01-02", a=1)]),
        "columns and types of the first": iter([rows("2017-01-09", a=1), rows("2017-01-09", b=1)]),
        "columns and types of the first.*text": iter([rows("2017-01-09", a=1), rows("2017-01-09", a="text")]),
    }
    for message, pieces in given.items():
        with pytest.raises((WarehouseError, RuntimeError), match=message):
            warehouse.replace_partitions_by("p", "t", pieces, column="cutoff_date", values=[monday])
        assert warehouse.read("select a from p.t")["a"].tolist() == [7]
