"""The commands: what a person typed wrong, or a machine lacks, is a sentence and a nonzero exit code."""

import os
import subprocess
import sys

import pytest

from resources.profiles import ROOT


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_an_old_python_is_told_what_is_needed():
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 1, 'final', 0); "
        "runpy.run_path('commands/bootstrap.py', run_name='__main__')"
    )
    done = command("-c", pretend)
    assert done.returncode != 0
    assert "baton needs Python 3.11 or newer; this is Python 3.9" in done.stderr


def test_setting_up_twice_does_nothing_the_second_time():
    done = command("commands/bootstrap.py")
    assert done.returncode == 0
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "commands.replay", "--from", "2017-05-23"], "FROM must be a Monday, as every cutoff is; 2017-05-23"),
        (["-m", "commands.replay", "--from", "May"], "FROM must be an ISO date such as 2017-05-22; it is 'May'"),
        (["-m", "commands.replay", "--from", "2017-06-05", "--to", "2017-05-29"], "TO must not be before FROM"),
        (["-m", "commands.rebuild", "--from", "soon"], "FROM must be an ISO date such as 2017-10-02; it is 'soon'"),
        (["-m", "commands.promote", "--version", "best"], "VERSION must be the number of a registered version"),
    ],
)
def test_a_mistyped_argument_is_a_sentence(tmp_path, arguments, sentence):
    done = command(*arguments, BATON_HOME=str(tmp_path))
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


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
