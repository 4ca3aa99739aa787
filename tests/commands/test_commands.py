"""The commands: what a person typed wrong, or a machine lacks, is a sentence and a nonzero exit code."""

import os
import subprocess

import dagster as dg
import pytest
from support.processes import command

from commands.session import rebuild_config
from definitions import build_definitions
from resources.profiles import ROOT
from tools.lock import LOCKS, upgrading


def test_an_old_python_is_told_what_is_needed():
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 1, 'final', 0); "
        "runpy.run_path('tools/bootstrap.py', run_name='__main__')"
    )
    done = command("-c", pretend)
    assert done.returncode != 0
    assert "baton needs Python 3.11 or newer; this is Python 3.9" in done.stderr


def test_setting_up_twice_does_nothing_the_second_time():
    done = command("tools/bootstrap.py")
    assert done.returncode == 0
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "commands.replay", "--from", "2017-05-23"], "FROM must be a Monday, as every cutoff is; 2017-05-23"),
        (["-m", "commands.replay", "--from", "May"], "FROM must be an ISO date such as 2024-01-01; it is 'May'"),
        (["-m", "commands.replay", "--from", "2017-06-05", "--to", "2017-05-29"], "TO must not be before FROM"),
        (["-m", "commands.rebuild", "--from", "soon"], "FROM must be an ISO date such as 2024-01-01; it is 'soon'"),
        (["-m", "commands.promote", "--version", "best"], "VERSION must be the number of a registered version"),
        (
            ["-m", "tools.lock", "--upgrade", "dagster,dagstre"],
            "names of locked packages, by comma; no lock has 'dagst",
        ),
    ],
)
def test_a_mistyped_argument_is_a_sentence(tmp_path, arguments, sentence):
    done = command(*arguments, BATON_HOME=str(tmp_path))
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["commands.run"], "--location baton --job everything`"),
        (["commands.ui"], "open the web UI of its instance (docs/deployment.md)"),
        (["commands.rebuild", "--from", "2017-10-02"], '--job ingest_and_build --config-json \'{"ops": {"dbt_build"'),
        (["commands.replay"], "would load, score and promote in production as if it were then"),
    ],
)
def test_what_has_an_instance_of_its_own_refuses_production_and_says_what_to_do_there(tmp_path, arguments, instead):
    done = command("-m", *arguments, BATON_HOME=str(tmp_path), BATON_PROFILE="production", BATON_BIGQUERY_PROJECT="p")
    assert done.returncode != 0
    name = arguments[0].partition(".")[2]
    assert f"Expected the embedded profile, to which `make {name}` belongs, and BATON_PROFILE is 'production'" in (
        done.stderr
    )
    assert instead in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_summary_reads_production_too(tmp_path):
    done = command("-m", "commands.run", "--only-summary", BATON_HOME=str(tmp_path), BATON_PROFILE="production")
    assert "The profile `production` expects BATON_BIGQUERY_PROJECT" in done.stderr, "it asked production's warehouse"


@pytest.mark.parametrize(
    "arguments",
    [["commands.drill", "--fault", "stores_not_loaded"], ["commands.backtest"], ["tools.bench.judgement"]],
)
def test_what_works_on_copies_looks_at_this_machine_whatever_the_shell_is_set_to(tmp_path, arguments):
    done = command("-m", *arguments, BATON_HOME=str(tmp_path), BATON_PROFILE="production")
    assert done.returncode != 0
    assert f"{tmp_path}/warehouse.duckdb" in done.stderr
    assert "BIGQUERY" not in done.stderr


def test_what_a_person_is_told_to_launch_in_production_is_a_run_that_the_job_takes():
    job = build_definitions("embedded").resolve_job_def("ingest_and_build")
    assert dg.validate_run_config(job, rebuild_config("2017-10-02"))


PRODUCTION_SHELL = {
    "BATON_PROFILE": "production",
    "BATON_BIGQUERY_PROJECT": "p",
    "BATON_NOW": "2017-05-22T08:00:00-04:00",
}


def test_tests_are_of_the_embedded_profile_whatever_the_shell_is_set_to():
    done = subprocess.run(
        ["make", "--dry-run", "test-fast"],
        cwd=ROOT,
        env={**os.environ, **PRODUCTION_SHELL},
        capture_output=True,
        text=True,
    )
    [starts] = [line for line in done.stdout.splitlines() if "pytest" in line]
    assert all(f"-u {name} " in starts for name in PRODUCTION_SHELL)


def test_ci_is_of_the_embedded_profile_whatever_the_shell_is_set_to(tmp_path):
    # It ends at the first thing that it makes, which tells what it was given.
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\nenv > '{tmp_path}/given'\nexit 1\n")
    make.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / ".ci" / "run"], env={**os.environ, **PRODUCTION_SHELL, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 1
    given = [line for line in (tmp_path / "given").read_text().splitlines() if line.startswith("BATON_")]
    assert given == ["BATON_PROFILE=embedded"]


def test_locked_versions_stay_unless_newer_ones_are_asked_for():
    assert upgrading("") == []
    assert upgrading("dagster, Types_Requests") == [
        "--upgrade-package",
        "dagster",
        "--upgrade-package",
        "Types_Requests",
    ]
    assert upgrading("1") == upgrading("all") == ["--upgrade"]


def test_every_lock_of_the_project_is_one_that_make_lock_writes():
    places = ("*.lock", "connectors/*/*.lock", "tests/environments/*/*.lock", "tools/*/*/*.lock")
    assert {file for place in places for file in ROOT.glob(place)} == {lock.file for lock in LOCKS}


def test_an_unknown_profile_ends_with_the_choices(tmp_path):
    done = command("-m", "commands.run", BATON_HOME=str(tmp_path), BATON_PROFILE="prodution")
    assert done.returncode != 0
    assert "BATON_PROFILE must be one of embedded, production; it is 'prodution'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_version_that_is_not_there_is_not_promoted(tmp_path):
    done = command("-m", "commands.promote", "--version", "7", BATON_HOME=str(tmp_path))
    assert done.returncode != 0
    assert "Expected version 7 of model lapse in the registry" in done.stderr
    assert "Traceback" not in done.stderr
