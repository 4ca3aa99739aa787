"""A daemon that works off the queue of a home and ends when nothing is left: `make ui` without the web UI."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from commands.alone import UNFINISHED
from commands.sentences import sentences
from commands.session import instance, reap
from resources.profiles import ROOT
from sensors.jobs import EVERYTHING

TAG = "baton/crash"
"""Marks the run that was asked for; a retry keeps it."""

WAITING = [*UNFINISHED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]

WORKSPACE = ("-f", str(Path(__file__).with_name("location.py")), "-d", str(ROOT))

RETRIED_WITHIN = 60.0
"""Seconds after which no retry of a failed run is expected any more."""


def main() -> None:
    """Ask for a run (`--ask`), or let a daemon work until the run that was asked for has succeeded."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ask", action="store_true")
    with sentences():
        sys.exit(ask() if arguments.parse_args().ask else work())


def ask() -> int:
    """Put a run of the whole graph into the queue, as the web UI does."""
    with instance() as opened:
        os.environ["DAGSTER_HOME"] = opened.root_directory
        return subprocess.run(
            [_program("dagster"), "job", "launch", *WORKSPACE, "-j", EVERYTHING, "--tags", f'{{"{TAG}": "1"}}'],
            check=False,
        ).returncode


def work() -> int:
    """Mark what a killed daemon left, start one, and end it when the run has succeeded; return 1 if it does not."""
    with instance(sole=False) as opened:
        reap(opened, without_daemon=True)
        daemon = subprocess.Popen([_program("dagster-daemon"), "run", *WORKSPACE])
        try:
            idle_since = time.monotonic()
            while time.monotonic() - idle_since < RETRIED_WITHIN:
                if daemon.poll() is not None:
                    return 1
                runs = opened.get_runs(dg.RunsFilter(tags={TAG: "1"}))
                if any(run.status is dg.DagsterRunStatus.SUCCESS for run in runs):
                    return 0
                if any(run.status in WAITING for run in runs):
                    idle_since = time.monotonic()
                time.sleep(0.5)
            print(f"no run has succeeded: {[run.status.value for run in runs]}", flush=True)
            return 1
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main()
