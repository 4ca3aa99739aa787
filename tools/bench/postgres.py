"""What Dagster's storage costs: the same whole run with its events in Postgres and in SQLite files, in turns.

Both sides run everything from sync to predictions in one process, as `commands.run` does, into an empty warehouse; only
the instance's configuration differs. The server is on this machine; its CPU seconds are counted to its side.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from commands.session import execute, first_failure, progress_logger, quiet
from commands.summary import summarise
from resources.profiles import ROOT, home, stay_embedded
from sensors.jobs import EVERYTHING
from tools.bench.whole import Cost, alternate, measure, row, show, warm
from tools.postgres import Server, cpu_seconds, fetch, serving

SQLITE = ROOT / "deploy" / "embedded" / "dagster.yaml"
POSTGRES = ROOT / "deploy" / "compose" / "dagster.yaml"


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3, help="counted runs of each side")
    runs = arguments.parse_args().runs
    stay_embedded()
    fetch()
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        print("preparing …", flush=True)
        template = Path(folder) / "template"
        warm(template)
        with serving() as database:
            show("what", "Postgres", "SQLite", "ratio", "goal")
            for line in whole_run(Path(folder), template, database, runs):
                show(*line)


def whole_run(folder: Path, template: Path, database: Server, runs: int) -> list[tuple[str, str, str, str, str]]:
    """Run the graph on both instances in turns."""

    def side(configuration: Path) -> Cost:
        state = folder / "home"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(template, state)
        script = "from tools.bench.postgres import run; import sys; run(sys.argv[1])"
        before = cpu_seconds(database)
        cost = measure(
            [sys.executable, "-c", script, str(configuration)],
            ROOT,
            BATON_HOME=str(state),
            BATON_COMPUTE_LOGS=str(state / "compute_logs"),
            **database.variables,
        )
        return Cost(cost.wall, cost.cpu + cpu_seconds(database) - before, cost.peak_mb)

    costs = alternate(runs, postgres=lambda: side(POSTGRES), sqlite=lambda: side(SQLITE))
    return [
        row("whole run, events in Postgres / in SQLite (wall s)", costs, "postgres", "sqlite", "wall", ""),
        row("whole run, events in Postgres / in SQLite (CPU s)", costs, "postgres", "sqlite", "cpu", ""),
    ]


def run(configuration: str) -> None:
    """Run everything under `BATON_HOME` on an instance of this configuration, and print the summary."""
    from definitions import build_definitions

    quiet()
    folder = home() / "dagster"
    folder.mkdir()
    shutil.copyfile(configuration, folder / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(folder)
    definitions = build_definitions(loggers={"console": progress_logger})
    resources: Any = definitions.resources
    with dg.DagsterInstance.from_config(str(folder)) as opened:
        result = execute(opened, definitions, EVERYTHING)
    if not result.success:
        sys.exit(f"error: {first_failure(result)}")
    summarise(resources["warehouse"], resources["registry"])


if __name__ == "__main__":
    main()
