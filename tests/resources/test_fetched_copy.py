"""The copy that pages fetch from a warehouse elsewhere: whole, of one publication, and once for each."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from resources.fetched_copy import LOCK, fetch
from resources.serving_copy import FILE, HELD, LAYOUT, PUBLISHED, Part, open_copy
from resources.warehouse import DuckDBWarehouse, WarehouseError
from resources.warehouse.duckdb_source import DuckDBSource

PARTS = [
    Part("a", "scores", "select max(cutoff_date) - 7 from {source}", "two weeks"),
    Part("a", "outcomes", "select min(cutoff_date) from a.scores", "of the scores that are here"),
    Part("a", "later", columns={"x": "bigint"}),
    Part("a", "built_later"),
]
WEEKS = pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"])


class Elsewhere:
    """A warehouse that describes its tables with the time of their last change, as BigQuery does."""

    def __init__(self, path):
        self.file = DuckDBWarehouse(path=str(path))
        self.changes, self.clock = {}, datetime(2024, 1, 15, tzinfo=UTC)
        self.asked = Counter()
        self.in_the_middle = lambda: None

    def put(self, table, frame, schema="a"):
        self.file.replace_table(schema, table, frame)
        self.clock += timedelta(minutes=1)
        self.changes[schema, table] = self.clock

    def score(self, number):
        for table in ("scores", "outcomes"):
            self.put(table, pd.DataFrame({"cutoff_date": WEEKS, "x": number}))

    def publish(self, layout=LAYOUT):
        about = {"layout": layout, "champion_function": "scoring.lapse_champion"}
        self.put("serving_copy", pd.DataFrame([about]), schema="published")

    def describe(self, schema, table):
        described = DuckDBSource(self.file).describe(schema, table)
        when = self.changes.get((schema, table))
        return described and described._replace(changed=f"{when}", made="once", modified=when)

    def read(self, sql, parameters=()):
        return DuckDBSource(self.file).read(sql, parameters)

    def arrow_batches(self, sql, parameters=()):
        self.asked["tables"] += 1
        self.in_the_middle()
        return DuckDBSource(self.file).arrow_batches(sql, parameters)


@pytest.fixture
def source(tmp_path):
    made = Elsewhere(tmp_path / "elsewhere.duckdb")
    made.score(1)
    made.publish()
    return made


@pytest.fixture
def file(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / FILE


def numbers(file):
    with open_copy(file) as copy:
        return [copy.execute(f"select distinct x from a.{table}").fetchall() for table in ("scores", "outcomes")]


def test_it_holds_what_was_published_from_the_cutoffs_on_that_are_kept(source, file):
    assert fetch(source, PARTS, file)
    with open_copy(file) as copy:
        assert copy.execute(f"from {'.'.join(HELD)} select table_name, rows, holds").fetchall() == [
            ("scores", 2, "two weeks"),
            ("outcomes", 2, "of the scores that are here"),
            ("later", 0, "all rows"),
        ]
        weeks = copy.execute("select cutoff_date::varchar from a.outcomes order by 1").fetchall()
        assert weeks == [("2024-01-08",), ("2024-01-15",)]
        # The function is the warehouse's own, and cannot be called here.
        assert copy.execute(f"select champion_function from {'.'.join(PUBLISHED)}").fetchall() == [(None,)]
    assert sorted(one.name for one in file.parent.iterdir()) == [LOCK, FILE]


def test_what_is_here_already_is_not_read_again(source, file):
    assert fetch(source, PARTS, file)
    source.asked.clear()
    assert not fetch(source, PARTS, file)
    assert source.asked["tables"] == 0
    source.score(2)
    source.publish()
    assert fetch(source, PARTS, file)
    assert numbers(file) == [[(2,)], [(2,)]]


def test_two_processes_with_one_home_fetch_once_for_both(source, file):
    second, found = threading.Thread(target=lambda: found.append(fetch(source, PARTS, file))), []

    def both():
        source.in_the_middle = lambda: None
        second.start()

    source.in_the_middle = both
    assert fetch(source, PARTS, file)
    second.join()
    assert found == [False]
    # The two tables, read once: the one that does not exist yet is not read.
    assert source.asked["tables"] == 2


def test_while_a_run_writes_the_copy_stays_of_the_publication_before(source, file):
    assert fetch(source, PARTS, file)
    source.publish()
    source.put("scores", pd.DataFrame({"cutoff_date": WEEKS, "x": 2}))
    assert not fetch(source, PARTS, file)
    assert numbers(file) == [[(1,)], [(1,)]]
    source.put("outcomes", pd.DataFrame({"cutoff_date": WEEKS, "x": 2}))
    source.publish()
    assert fetch(source, PARTS, file)
    assert numbers(file) == [[(2,)], [(2,)]]


def test_what_changes_while_it_is_read_is_left_for_the_next_time(source, file):
    def once():
        source.in_the_middle = lambda: None
        source.score(2)
        source.publish()

    source.in_the_middle = once
    assert not fetch(source, PARTS, file)
    assert not file.exists()
    assert fetch(source, PARTS, file)
    assert numbers(file) == [[(2,)], [(2,)]]


def test_where_nothing_is_here_yet_what_is_there_is_better_than_nothing(source, file):
    source.score(2)
    assert fetch(source, PARTS, file)
    assert numbers(file) == [[(2,)], [(2,)]]


def test_a_warehouse_that_published_nothing_or_for_another_release_is_said(source, file, tmp_path):
    unpublished = Elsewhere(tmp_path / "unpublished.duckdb")
    unpublished.score(1)
    with pytest.raises(WarehouseError, match="nothing was published there yet. Run the job `everything`"):
        fetch(unpublished, PARTS, file)
    assert fetch(source, PARTS, file)
    source.publish(layout=LAYOUT + 1)
    with pytest.raises(WarehouseError, match=f"layout {LAYOUT}, and those of the warehouse are of layout {LAYOUT + 1}"):
        fetch(source, PARTS, file)
    assert numbers(file) == [[(1,)], [(1,)]], "the former copy is as it was"


def test_a_damaged_copy_is_fetched_again(source, file):
    assert fetch(source, PARTS, file)
    file.chmod(0o600)
    file.write_bytes(b"damaged")
    assert fetch(source, PARTS, file)
    assert numbers(file) == [[(1,)], [(1,)]]
