"""Readers of the serving copy see the former one or the new one: never half of one, never a lock."""

import subprocess
import sys
from contextlib import contextmanager

import duckdb
import pandas as pd
import pytest
from support.processes import holding

from resources.profiles import ROOT
from resources.serving_copy import FILE, LAYOUT, PUBLISHED, Part, open_copy, publish
from resources.sql_functions import move_alias
from resources.sql_functions import publish as publish_function
from resources.warehouse import DuckDBWarehouse, WarehouseBusyError, WarehouseError

PARTS = [Part("a", "one"), Part("a", "two", "", "every row")]

READER = """
import duckdb, sys
file, newest = sys.argv[1], 0
while newest < int(sys.argv[2]):
    with duckdb.connect(file, read_only=True) as copy:
        [(one,)] = copy.execute("select distinct x from a.one").fetchall()
        [(marker,)] = copy.execute("select newest from published.serving_copy").fetchall()
        [(two,)] = copy.execute("select distinct x from a.two").fetchall()
    assert one == two == marker, (one, two, marker)
    assert one >= newest, "an older copy after a newer one"
    if not newest:
        print("reads", flush=True)
    newest = one
"""

KILLED = """
import os, signal, sys
from resources.serving_copy import Part, publish
from resources.warehouse import DuckDBWarehouse

def dies(read, function):
    assert read("select count(*) as n from a.one")["n"].item() == 1000
    os.kill(os.getpid(), signal.SIGKILL)

publish(DuckDBWarehouse(path=sys.argv[1]), "lapse", [Part("a", "one"), Part("a", "two")], dies)
"""


@pytest.fixture
def warehouse(tmp_path):
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=2)
    fill(made, 1)
    return made


def fill(warehouse, number):
    """Let both tables hold one number, as a run would: in two transactions."""
    for table in ("one", "two"):
        rows = pd.DataFrame({"x": [number] * 1000, "cutoff_date": pd.Timestamp("2024-01-01")})
        warehouse.replace_table("a", table, rows)


def about(read, function):
    newest = read("select max(x) as newest from a.two")["newest"].item()
    return pd.DataFrame([{"layout": LAYOUT, "newest": newest, "function": function}])


def published(warehouse):
    return publish(warehouse, "lapse", PARTS, about)


def numbers(file):
    with open_copy(file) as copy:
        return copy.execute("select min(x), max(x) from (select * from a.one union all select * from a.two)").fetchone()


@contextmanager
def written_to(file):
    """Let nobody have removed the litter of a process that was killed, and look that it is swept."""
    litter = list(file.parent.glob(".serving-*"))
    assert len(litter) == 1, "a killed process cannot clean up"
    yield
    assert list(file.parent.glob(".serving-*")) == []


def test_a_reader_in_a_loop_sees_whole_copies_while_a_run_writes_and_publishes(warehouse, tmp_path):
    last = 12
    file = published(warehouse).file
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(file), str(last)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "reads\n", reader.stderr.read()
        for number in range(2, last + 1):
            fill(warehouse, number)
            published(warehouse)
        _, error = reader.communicate(timeout=60)
    assert reader.returncode == 0, error
    assert sorted(one.name for one in tmp_path.iterdir()) == [FILE, "warehouse.duckdb"]


def test_a_run_that_holds_the_warehouse_keeps_no_reader_out_and_a_reader_keeps_no_run_out(warehouse):
    file = published(warehouse).file
    with holding(warehouse.path):
        assert numbers(file) == (1, 1)
        with pytest.raises(WarehouseBusyError, match="another process holds it"):
            published(warehouse)
        assert numbers(file) == (1, 1)
    with holding(file, reads=True), duckdb.connect(file, read_only=True) as long_open:
        fill(warehouse, 2)
        published(warehouse)
        assert long_open.execute("select distinct x from a.one").fetchall() == [(1,)], "what is open stays as it was"
    assert numbers(file) == (2, 2)


def test_a_publication_that_is_killed_leaves_the_former_copy_and_the_next_one_sweeps_up(warehouse):
    file = published(warehouse).file
    fill(warehouse, 2)
    done = subprocess.run([sys.executable, "-c", KILLED, warehouse.path], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    with written_to(file):
        assert numbers(file) == (1, 1)
        published(warehouse)
    assert numbers(file) == (2, 2)


def test_a_publication_that_fails_leaves_the_former_copy_and_nothing_else(warehouse, tmp_path):
    file = published(warehouse).file
    before = file.read_bytes()

    def refuses(read, function):
        raise ValueError("no row about it")

    with pytest.raises(ValueError, match="no row about it"):
        publish(warehouse, "lapse", PARTS, refuses)
    assert file.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == [FILE, "warehouse.duckdb"]


def test_a_copy_that_does_not_hold_what_was_written_is_not_published(warehouse):
    file = published(warehouse).file
    fill(warehouse, 2)
    other = LAYOUT + 1
    with pytest.raises(WarehouseError, match=f"is of layout {other}"):
        publish(warehouse, "lapse", PARTS, lambda read, function: about(read, function).assign(layout=other))
    assert numbers(file) == (1, 1)


def test_what_is_no_copy_or_one_of_another_layout_is_a_sentence_and_the_next_publication_replaces_it(
    warehouse, tmp_path
):
    file = tmp_path / FILE
    with pytest.raises(WarehouseError, match="none was published yet. `make run`"), open_copy(file):
        pass
    with duckdb.connect(file) as other:
        other.execute("create table mine as select 1 as x")
    with pytest.raises(WarehouseError, match="is none that a run published"), open_copy(file):
        pass
    with duckdb.connect(file) as other:
        schema, table = PUBLISHED
        other.execute(f"create schema {schema}; create table {schema}.{table} as select {LAYOUT + 1} as layout")
    expected = rf"Expected a serving copy of layout {LAYOUT} at .* is of layout {LAYOUT + 1}\. .*make run"
    with pytest.raises(WarehouseError, match=expected), open_copy(file):
        pass
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WarehouseError, match="that can be read, and it cannot: .*publishes it again"), open_copy(file):
        pass
    published(warehouse)
    assert numbers(file) == (1, 1)


def test_what_a_program_left_that_opened_a_copy_for_writing_is_none_of_the_next_one(warehouse):
    file = published(warehouse).file
    assert file.stat().st_mode & 0o222 == 0, "nobody is to open it for writing; root can"
    file.with_name(f"{FILE}.wal").write_bytes(b"of another file")
    fill(warehouse, 2)
    published(warehouse)
    assert numbers(file) == (2, 2)


def test_what_is_not_there_yet_is_empty_where_its_columns_are_known_and_left_out_otherwise(warehouse):
    later = [Part("b", "later", columns={"x": "bigint", "of_day": "date"}), Part("c", "built_later")]
    copied = publish(warehouse, "lapse", [*later, Part("a", "one", "select date '2024-01-02'", "none")], about_nothing)
    assert copied.function == ""
    assert copied.rows == {("b", "later"): 0, ("a", "one"): 0, PUBLISHED: 1}
    with open_copy(copied.file) as copy:
        assert copy.execute("select * from b.later").fetchall() == []
        held = copy.execute("select schema_name, table_name, rows, holds from published.tables").fetchall()
    assert held == [("b", "later", 0, "all rows"), ("a", "one", 0, "none")]


def about_nothing(read, function):
    return pd.DataFrame([{"layout": LAYOUT, "function": function}])


def test_rows_may_be_chosen_by_what_was_copied_before(warehouse):
    days = pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"])
    warehouse.replace_table("a", "days", pd.DataFrame({"cutoff_date": days}))
    warehouse.replace_table("a", "more", pd.DataFrame({"cutoff_date": days}))
    parts = [
        Part("a", "days", "select max(cutoff_date) - 7 from {source}"),
        Part("a", "more", "select max(cutoff_date) from a.days"),
    ]
    assert publish(warehouse, "lapse", parts, about_nothing).rows == {("a", "days"): 2, ("a", "more"): 1, PUBLISHED: 1}


def test_the_champion_alone_can_be_called_in_the_copy_and_says_what_it_says_in_the_warehouse(warehouse):
    from ml_models.scoring_sql import CompiledScore

    for version, expression in ((1, "f.x * 0.30000000000000004e0"), (2, "case when f.x > 0 then 0.1e0 + 0.2e0 end")):
        compiled = CompiledScore(expression, "duckdb", "of a test", "linear", ("x",))
        publish_function(warehouse, "lapse", version, compiled)
    assert published(warehouse).function == "", "nothing is the champion"
    for version in (1, 2, 1):
        move_alias(warehouse, "lapse", version)
        copied = published(warehouse)
        assert copied.function == "scoring.lapse_champion"
        asked = "select distinct scoring.lapse_champion(f) from a.one f"
        with open_copy(copied.file) as copy:
            assert copy.execute(asked).fetchall() == list(map(tuple, warehouse.read(asked).to_numpy()))
            there = copy.execute(
                "select function_name from duckdb_functions() where schema_name = 'scoring' order by 1"
            )
            assert [name for (name,) in there.fetchall()] == ["lapse_champion", f"lapse_v{version}"]
