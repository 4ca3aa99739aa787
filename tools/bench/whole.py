"""Ratios, measured side by side in one run: what the graph costs over a bare script, sync speed, load time, per asset.

Each pair is run in turns (A B A B …), so that a machine whose speed drifts drifts for both; medians are quoted. CPU
seconds are the user and system time of a command and all processes that it started and waited for.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.company import company
from resources.profiles import ROOT, stay_embedded
from resources.warehouse import DuckDBWarehouse

CONNECTOR = ROOT / "connectors" / "source-complete-journey"


@dataclass(frozen=True)
class Cost:
    """What one command cost: wall and CPU seconds, and the largest process's peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def measure(command: Sequence[str], root: Path = ROOT, **environment: str) -> Cost:
    """Run a command to its end in the folder `root`, and return its cost; its output is dropped unless it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    # A process of its own reports the peak of this command's children alone.
    script = (
        "import json, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n"
        "sys.stderr.buffer.write(code.stderr[-2000:])\n"
        "print(json.dumps([code.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env={**os.environ, **environment},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, peak = json.loads(done.stdout.splitlines()[-1])
    if code:
        sys.exit(f"error: {' '.join(command)} ended with {code}: {done.stderr.strip()[-1500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, peak / 1024)


def alternate(runs: int, **sides: Callable[[], Cost]) -> dict[str, list[Cost]]:
    """Run every side in turns, `runs` times each."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            costs[name].append(side())
    return costs


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3, help="counted runs of each side")
    runs = arguments.parse_args().runs
    stay_embedded()
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        print("preparing …", flush=True)
        template, plan = prepare(Path(folder))
        show("what", "ours", "beside", "ratio", "goal")
        parts: tuple[Callable[[], list[tuple[str, str, str, str, str]]], ...] = (
            lambda: load_time(runs),
            lambda: whole_run(Path(folder), template, plan, runs),
            lambda: sync_speed(Path(folder), runs),
        )
        for part in parts:
            for line in part():
                show(*line)


def show(what: str, ours: str, beside: str, ratio: str, goal: str) -> None:
    """Print one line of the table as soon as it is known."""
    print(f"{what:58s} {ours:>12s} {beside:>12s} {ratio:>8s}  {goal}", flush=True)


def prepare(folder: Path) -> tuple[Path, Path]:
    """Return a warm home (manifest parsed, registry database made, nothing loaded) and the bare script's plan."""
    template = folder / "template"
    environment = {"BATON_HOME": str(folder / "first")}
    measure([sys.executable, "-m", "commands.run"], ROOT, **environment)
    warm(template)
    code = "from resources.profiles import resources_for; resources_for()['dbt'].invoke(['compile', '--full-refresh'])"
    measure([sys.executable, "-c", code], ROOT, **environment)
    manifest = json.loads((folder / "first" / "dbt" / "target" / "manifest.json").read_text())
    models = [
        {
            "name": f"{node['schema']}.{node['name']}",
            "kind": "view" if node["config"]["materialized"] == "view" else "table",
            "sql": node["compiled_code"],
        }
        for node in in_order(manifest)
    ]
    plan = folder / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "as_of": recording_ends(),
                "connector": str(CONNECTOR / ".venv" / "bin" / CONNECTOR.name),
                "catalog": str(CONNECTOR / "catalog.json"),
                "schemas": sorted({model["name"].split(".")[0] for model in models}),
                "models": models,
            }
        )
    )
    return template, plan


def warm(home: Path) -> None:
    """Make a home in which the manifest is parsed and the registry's database made, and nothing is loaded."""
    code = (
        "from resources.profiles import resources_for\n"
        "r = resources_for(); r['dbt'].ensure_manifest(); r['registry'].by_alias('champion')\n"
    )
    measure([sys.executable, "-c", code], BATON_HOME=str(home))


def in_order(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models up to features and outcomes, each after those that it reads."""
    models = {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and "serving" not in node["tags"]
    }
    done: dict[str, dict[str, Any]] = {}
    while len(done) < len(models):
        for name, node in models.items():
            needed = [one for one in node["depends_on"]["nodes"] if one in models]
            if name not in done and all(one in done for one in needed):
                done[name] = node
    return list(done.values())


def load_time(runs: int) -> list[tuple[str, str, str, str, str]]:
    """Load the code location, against importing Dagster."""
    costs = alternate(
        max(runs, 5),
        definitions=lambda: measure([sys.executable, "-c", "import definitions"]),
        dagster=lambda: measure([sys.executable, "-c", "import dagster"]),
    )
    return [row("load definitions.py / import dagster (wall s)", costs, "definitions", "dagster", "wall", "≤ 1.5")]


def whole_run(folder: Path, template: Path, plan: Path, runs: int) -> list[tuple[str, str, str, str, str]]:
    """Run everything from sync to predictions in an empty warehouse, against the bare script."""

    def graph() -> Cost:
        home = folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(template, home)
        return measure([sys.executable, "-m", "commands.run"], BATON_HOME=str(home))

    def bare() -> Cost:
        work = folder / "bare"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        command = [sys.executable, "-m", "tools.bench.bare", "--folder", str(work), "--plan", str(plan)]
        return measure(command, OMP_NUM_THREADS="1")

    costs = alternate(runs, graph=graph, bare=bare)
    from definitions import defs

    assets = len(defs.resolve_asset_graph().get_all_asset_keys())
    over = statistics.median(one.wall for one in costs["graph"]) - statistics.median(one.wall for one in costs["bare"])

    again = measure([sys.executable, "-m", "commands.run"], BATON_HOME=str(folder / "home"))
    peak = max(one.peak_mb for one in costs["graph"])
    return [
        row("whole run, empty warehouse / bare script (wall s)", costs, "graph", "bare", "wall", "≤ 1.5"),
        row("whole run, empty warehouse / bare script (CPU s)", costs, "graph", "bare", "cpu", "≤ 1.5"),
        (f"overhead an asset, {assets} assets and all checks (s)", f"{over / assets:.2f}", "", "", ""),
        ("second run, nothing new (wall s)", f"{again.wall:.1f}", "", "", ""),
        ("peak memory of the whole run (MB)", f"{peak:,.0f}", "", "", "< 3,000"),
    ]


def recording_ends() -> str:
    """Return the instant at which the company's recording ends."""
    here = company()
    if here.recording_ends is None:
        raise SystemExit(f"error: expected a company with a recording, and {here.title} has none.")
    return here.recording_ends.isoformat()


def sync_speed(folder: Path, runs: int) -> list[tuple[str, str, str, str, str]]:
    """Read every stream through the connector, against the same streams through Airbyte's development kit."""
    kit = folder / "kit"
    subprocess.run([sys.executable, "-m", "venv", str(kit)], check=True)
    pip = [str(kit / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "-r", str(CONNECTOR / "requirements.lock")], check=True)
    subprocess.run([*pip, "--require-hashes", "-r", str(CONNECTOR / "requirements-cdk.lock")], check=True)
    subprocess.run([*pip, "--no-build-isolation", "-e", str(CONNECTOR)], check=True)
    catalog = json.loads((CONNECTOR / "catalog.json").read_text())
    mode = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    streams = [{"stream": stream, **mode} for stream in catalog["streams"]]
    (folder / "configured.json").write_text(json.dumps({"streams": streams}))
    (folder / "config.json").write_text(json.dumps({"as_of": recording_ends()}))
    read = ["read", "--config", str(folder / "config.json"), "--catalog", str(folder / "configured.json")]
    with DuckDBWarehouse(path=str(folder / "first" / "warehouse.duckdb")).connect() as connection:
        found = connection.execute("select max(records) from raw._airbyte_syncs").fetchone()
    records = found[0] if found else 0
    costs = alternate(
        runs,
        ours=lambda: measure([str(kit / "bin" / "source-complete-journey"), *read]),
        kit=lambda: measure([str(kit / "bin" / "source-complete-journey-cdk"), *read]),
    )
    speed = {name: records / statistics.median(one.cpu for one in side) for name, side in costs.items()}
    ratio = f"{speed['ours'] / speed['kit']:.1f}"
    what = "connector, records a CPU second / through the CDK"
    return [(what, f"{speed['ours']:,.0f}", f"{speed['kit']:,.0f}", ratio, "")]


def row(
    what: str, costs: dict[str, list[Cost]], ours: str, beside: str, unit: str, goal: str
) -> tuple[str, str, str, str, str]:
    """Return one line of the table: medians and their ratio."""
    a = statistics.median(getattr(one, unit) for one in costs[ours])
    b = statistics.median(getattr(one, unit) for one in costs[beside])
    return what, f"{a:.1f}", f"{b:.1f}", f"{a / b:.2f}", goal


if __name__ == "__main__":
    main()
