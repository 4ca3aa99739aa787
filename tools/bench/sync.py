"""The embedded sync beside an earlier commit's: records a CPU second into an empty warehouse, and one with nothing new.

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
again = workspace.sync_connection("complete_journey")
print(json.dumps([first.records / first.cpu_seconds, again.cpu_seconds]))
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
        found: dict[Path, list[tuple[float, float]]] = {ROOT: [], earlier: []}
        for _ in range(options.runs):
            for tree, costs in found.items():
                costs.append(synced_twice(tree))
    ours, theirs = ([statistics.median(one) for one in zip(*costs, strict=True)] for costs in found.values())
    what = f"sync, records a CPU second / at {options.beside}"
    show(what, f"{ours[0]:,.0f}", f"{theirs[0]:,.0f}", f"{ours[0] / theirs[0]:.2f}", "≥ 1.0")
    what = f"sync with nothing new (CPU s) / at {options.beside}"
    show(what, f"{ours[1]:.2f}", f"{theirs[1]:.2f}", f"{ours[1] / theirs[1]:.2f}", "≤ .6")


def synced_twice(tree: Path) -> tuple[float, float]:
    """Sync the recording twice by the code in `tree`; return the first one's records a CPU second, the second's CPU s.

    The first is into an empty warehouse, and nothing is new for the second.
    """
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
    speed, again = json.loads(done.stdout.splitlines()[-1])
    return float(speed), float(again)


if __name__ == "__main__":
    main()
