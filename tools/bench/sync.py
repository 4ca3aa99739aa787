"""The embedded sync beside an earlier commit's: records a CPU second, in turns, each into an empty warehouse.

The earlier commit is checked out into a folder of its own, and has the same environments.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from resources.profiles import ROOT
from tools.bench.beside import checkout
from tools.bench.whole import recording_ends, show

BESIDE = "a0eb4c5"
"""The commit before records were looked at for what is odd about them."""

SYNC = """
import json, sys
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.clock import Clock

workspace = EmbeddedAirbyteWorkspace(warehouse_path=sys.argv[1], clock=Clock(reads=sys.argv[2]))
first = workspace.sync_connection("complete_journey")
print(json.dumps([first.records, first.cpu_seconds]))
"""


def main() -> None:
    """Measure and print the line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5, help="counted runs of each side")
    arguments.add_argument("--beside", default=BESIDE, help="the commit to compare with")
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="baton-bench-") as folder,
        checkout(options.beside, Path(folder)) as earlier,
    ):
        speeds: dict[Path, list[float]] = {ROOT: [], earlier: []}
        for _ in range(options.runs):
            for tree, found in speeds.items():
                found.append(records_a_second(tree))
    ours, theirs = (statistics.median(found) for found in speeds.values())
    what = f"sync, records a CPU second / at {options.beside}"
    show(what, f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}", "≥ 1.0")


def records_a_second(tree: Path) -> float:
    """Sync the recording by the code in `tree` into an empty warehouse; return its records a CPU second."""
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-c", SYNC, f"{folder}/warehouse.duckdb", recording_ends()],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "BATON_COMPANY": "complete_journey"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(f"error: the sync of {tree} failed: {done.stderr.strip()[-1500:]}")
    records, seconds = json.loads(done.stdout.splitlines()[-1])
    return float(records / seconds)


if __name__ == "__main__":
    main()
