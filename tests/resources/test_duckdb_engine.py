"""The engine that a process keeps: files are let go of after each use, and nothing of one use meets the next."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import open_duckdb
from resources.warehouse.duckdb_engine import MOST_IDLE, OtherModeError, _engines


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "warehouse.duckdb")
    with open_duckdb(path) as connection:
        connection.execute("create schema s; create table s.t as select 1 as a")
    return path


def read(path: str, sql: str = "select a from s.t") -> list[tuple]:
    with open_duckdb(path, read_only=True, wait_seconds=0.2) as connection:
        return connection.execute(sql).fetchall()


def test_another_process_writes_between_two_uses_and_is_seen(file):
    assert read(file) == [(1,)]
    code = f"import duckdb; duckdb.connect({file!r}).execute('insert into s.t values (2)')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read(file) == [(1,), (2,)]


def test_what_was_written_is_in_the_file_and_nothing_stands_beside_it(file):
    with open_duckdb(file) as connection:
        connection.execute("insert into s.t values (2)")
    assert os.listdir(Path(file).parent) == ["warehouse.duckdb"]
    assert duckdb.connect(file, read_only=True).execute("select sum(a) from s.t").fetchall() == [(3,)]


def test_a_file_that_took_the_place_of_another_is_the_one_that_is_read(file, tmp_path):
    assert read(file) == [(1,)]
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("create schema s; create table s.t as select 5 as a")
    os.replace(tmp_path / "other.duckdb", file)
    assert read(file) == [(5,)]


def test_a_reader_cannot_write(file):
    with pytest.raises(duckdb.Error, match="read-only"):
        read(file, "insert into s.t values (2)")
    assert read(file) == [(1,)]


def test_what_a_use_sets_and_makes_for_itself_is_not_there_for_the_next(file):
    asked = "select current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"
    [before] = read(file, asked)
    with open_duckdb(file) as connection:
        connection.execute("set threads = 1; set memory_limit = '300MB'; set preserve_insertion_order = false")
        connection.execute("create temp table t as select 7 as a")
    assert read(file, asked) == [before]
    assert before[2] == f"{file}.tmp"
    assert read(file, "select current_setting('preserve_insertion_order')") == [(True,)]
    assert read(file, "select count(*) from duckdb_tables() where temporary") == [(0,)]


def test_what_fails_is_rolled_back_and_the_next_use_goes_on(file):
    with pytest.raises(duckdb.Error), open_duckdb(file) as connection:
        connection.execute("begin; insert into s.t values (2); select nonsense")
    assert read(file) == [(1,)]


def test_readers_share_the_file_and_a_writer_of_the_same_process_waits_for_them(file):
    with open_duckdb(file, read_only=True) as one:
        assert read(file) == [(1,)]
        with pytest.raises(OtherModeError), open_duckdb(file, wait_seconds=0.1):
            pass
        assert one.execute("select a from s.t").fetchall() == [(1,)]
    with open_duckdb(file) as writer:
        writer.execute("insert into s.t values (2)")
    assert read(file) == [(1,), (2,)]


def test_a_forked_child_opens_the_file_with_an_engine_of_its_own(file):
    assert read(file) == [(1,)]
    context = multiprocessing.get_context("fork")
    answers, answer = context.Pipe(duplex=False)
    # A process that ends by itself: a pool ends its own by SIGTERM, which Dagster's handler may keep for later.
    child = context.Process(target=lambda: answer.send(read(file)))
    child.start()
    assert answers.poll(timeout=60)
    assert answers.recv() == [(1,)]
    child.join(timeout=60)
    assert child.exitcode == 0
    assert read(file) == [(1,)]


def test_a_file_that_a_use_attached_is_let_go_of_with_its_own(file, tmp_path):
    other = str(tmp_path / "other.duckdb")
    with duckdb.connect(other) as connection:
        connection.execute("create table t as select 1 as a")
    with open_duckdb(file) as connection:
        connection.execute(f"attach '{other}' as beside (read_only); create or replace table s.t as from beside.t")
    code = f"import duckdb; duckdb.connect({other!r}).execute('insert into t values (2)')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read(file) == [(1,)]


def test_few_engines_are_kept_however_many_files_are_opened(tmp_path):
    for number in range(MOST_IDLE + 3):
        with open_duckdb(str(tmp_path / f"n{number}.duckdb")) as connection:
            connection.execute("create table t as select 1 as a")
    assert len(_engines) <= MOST_IDLE
