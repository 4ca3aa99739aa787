"""What a week costs when there are ten or a hundred times as many customers: replicated ones, through the same assets.

Every raw table of a finished home is copied FACTOR times, each copy with new customer and order numbers, into a
warehouse of its own under `BATON_HOME/scale`; the home is only read. The newest week is held back and delivered
afterwards, so that the first build and a week's increment are measured apart. Each stage is a process of its own and is
remembered when it is done: the same command again goes on after the last one. The table holds every factor that was
measured, and how each row grows: cost ~ FACTOR ** exponent, 1 is linear.
"""

import argparse
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from commands.session import first_failure
from resources.profiles import ROOT, home, resources_for
from steps.as_of import judged_share
from steps.migrations import ensure
from steps.profiling import SHARE
from steps.publishing import keep_published
from steps.tables import PROFILE, typed
from tools.bench.replicated import ScaleError, deliver, replicate, weights
from tools.bundled import bundled_only

LARGEST_FACTOR = 1_000

ROOM_FOR_EACH_BYTE = 3
"""Bytes of disk that are asked for to each byte of the copied warehouse: staging, marts, features, and spilling."""

RESULT = "result.json"
"""What a stage leaves of itself for the process that measures it."""

MIB = 1024**2


@dataclass(frozen=True)
class Cost:
    """What a stage cost: wall and CPU seconds, peak memory of all its processes and peak disk of the folder, in MB.

    `resumed`: an earlier attempt broke off and had done a part, so the whole costs more.
    """

    wall: float
    cpu: float
    peak_mb: float
    disk_mb: float
    said: Mapping[str, Any] = field(default_factory=dict)
    resumed: bool = False


@dataclass(frozen=True)
class Stage:
    """One row of the table: a name, and the assets that are materialised, or what else is done."""

    name: str
    assets: tuple[str, ...] = ()
    does: str = ""


BUILD = "dbt_build"
MEASURED = ("monitoring/census", "monitoring/profile")

STAGES = (
    Stage("copy the customers", does="replicate"),
    Stage("first build of all cutoffs (dbt)", (BUILD,)),
    Stage("first feature frame", ("features/feature_frame",)),
    Stage("the census and a first week", MEASURED, does="measure"),
    Stage("drift of all past weeks", ("monitoring/drift",)),
    Stage("deliver a week", does="deliver"),
    Stage("a week: build (dbt)", (BUILD,)),
    Stage("a week: feature frame", ("features/feature_frame",)),
    Stage("a week: measuring", MEASURED),
    Stage("a week: drift", ("monitoring/drift",)),
    Stage("a week: training sample", ("training/training_set",)),
    Stage("prove and publish the score", does="publish"),
    Stage("a week: scoring", ("predictions/lapse_predictions",)),
)

REPORTED = (
    "dagster/row_count",
    "cutoffs_added",
    "rows_scored",
    "scoring_path",
    "scoring_path_reason",
    "scoring_seconds",
    "scoring_seconds_choosing",
    "scoring_seconds_of_reasons",
    "weeks_measured",
    "share_of_customers",
)
"""What a materialisation says that is worth keeping beside its cost."""


def main() -> None:
    """Run the stages that were not run yet, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--factor", help="how many times as many customers: a whole number from 1 on")
    arguments.add_argument("--home", type=Path, default=None, help="a finished BATON_HOME (default: the present one)")
    arguments.add_argument("--to", type=Path, default=None, help="where to work (default: BATON_HOME/scale)")
    arguments.add_argument("--bytes", action="store_true", help="tell what each table weighs in BigQuery, and end")
    arguments.add_argument("--keep", action="store_true", help="leave the large warehouse there when all is measured")
    given = arguments.parse_args()
    bundled_only("`make scale`")
    # Whoever ends this command ends the stage, too: it has a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; what was measured is kept"))
    try:
        source = (given.home or home()).resolve()
        if given.bytes:
            print("\n".join(weights(source / "warehouse.duckdb")))
            return
        factor = factor_of(given.factor or "")
        work = (given.to or home() / "scale").resolve()
        run(source, work, factor, keep=given.keep)
    except ScaleError as error:
        sys.exit(f"error: {error}")


def factor_of(text: str) -> int:
    """Return FACTOR as a number.

    Raises:
        ScaleError: it is no whole number from 1 to LARGEST_FACTOR.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST_FACTOR:
        raise ScaleError(f"FACTOR must be a whole number from 1 to {LARGEST_FACTOR:,}, such as 10; it is {text!r}.")
    return int(text)


def run(source: Path, work: Path, factor: int, *, keep: bool) -> None:
    """Measure what is not measured yet of one factor, and print every factor.

    Raises:
        ScaleError: the home is not finished, the disk is too small, or a stage failed; what was measured stays.
    """
    folder = work / f"{factor}x"
    known = costs_of(folder)
    if len(known) < len(STAGES):
        check(source, work, factor, begun=bool(known))
        if not known:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for stage in STAGES[len(known) :]:
            print(f"{factor}x  {stage.name} …", flush=True)
            cost = measured(stage, source, folder, factor)
            known[stage.name] = cost
            (folder / "costs.json").write_text(json.dumps({name: asdict(one) for name, one in known.items()}, indent=1))
            print(f"{factor}x  {stage.name}: {_cells(cost)}", flush=True)
        if not keep:
            for file in (folder / "warehouse.duckdb", folder / "warehouse.duckdb.wal"):
                file.unlink(missing_ok=True)
    print("\n".join(table({int(one.name[:-1]): costs_of(one) for one in work.glob("*x") if one.name[:-1].isdigit()})))


def costs_of(folder: Path) -> dict[str, Cost]:
    """Return what was measured in a folder, in order; nothing if the warehouse it would go on with is gone."""
    file = folder / "costs.json"
    if not file.exists():
        return {}
    found = {name: Cost(**one) for name, one in json.loads(file.read_text()).items()}
    whole = list(found) == [stage.name for stage in STAGES]
    begun = list(found) == [stage.name for stage in STAGES[: len(found)]] and (folder / "warehouse.duckdb").exists()
    return found if whole or begun else {}


def check(source: Path, work: Path, factor: int, *, begun: bool) -> None:
    """See that there is what is copied, and room for it.

    Raises:
        ScaleError: there is not.
    """
    warehouse = source / "warehouse.duckdb"
    if not warehouse.exists() or not (source / "mlflow.db").exists():
        raise ScaleError(
            f"Expected a finished home at {source}, with warehouse.duckdb and mlflow.db. Run `make run` first, or "
            "point BATON_HOME at a finished one."
        )
    work.mkdir(parents=True, exist_ok=True)
    needed = warehouse.stat().st_size * factor * ROOM_FOR_EACH_BYTE
    free = shutil.disk_usage(work).free
    if not begun and free < needed:
        raise ScaleError(
            f"Expected {needed / 1e9:,.0f} GB of free disk at {work} for {factor} times the customers, and there are "
            f"{free / 1e9:,.0f} GB. Free some, or choose a smaller FACTOR."
        )


def measured(stage: Stage, source: Path, folder: Path, factor: int) -> Cost:
    """Run one stage in a process of its own, watch its memory and disk, and return its cost.

    Raises:
        ScaleError: it failed; the message says with what.
    """
    (folder / RESULT).unlink(missing_ok=True)
    begun = folder / "begun"
    # Copying always begins anew.
    resumed = stage.does != "replicate" and begun.exists() and begun.read_text() == stage.name
    begun.write_text(stage.name)
    script = "import sys; from tools.bench.scale import work_on; work_on(*sys.argv[1:])"
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", script, stage.name, str(source), str(folder), str(factor)],
            env={**os.environ, "BATON_HOME": str(folder), "BATON_PROFILE": "embedded", "OMP_WAIT_POLICY": "passive"},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        memory = disk = 0.0
        try:
            while True:
                done, status, used = os.wait4(process.pid, os.WNOHANG)
                if done:
                    break
                memory, disk = max(memory, _memory_of(process.pid)), max(disk, _size_of(folder))
                time.sleep(0.25)
        except BaseException:
            # It has a session of its own, so what ends this command does not reach it.
            os.killpg(process.pid, signal.SIGTERM)
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            last = (errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1][:1500]
            ended = "was killed, as by a machine without memory" if process.returncode == -9 else "failed"
            raise ScaleError(
                f"The stage `{stage.name}` {ended} at {memory:,.0f} MB: {last} What was "
                "measured before is kept; the same command goes on from here."
            )
    # Between two looks a short stage may have come and gone; the kernel knows the largest single process.
    peak = max(memory, used.ru_maxrss / 1024)
    said = json.loads((folder / RESULT).read_text())
    return Cost(peak_mb=peak, disk_mb=max(disk, _size_of(folder)), resumed=resumed, **said)


def work_on(name: str, source: str, folder: str, factor: str) -> None:
    """Do one stage in this process, and leave what it took and said in the folder.

    Loading the libraries and the definitions is not counted: it takes seconds whatever the factor, and a daemon does
    it once.
    """
    stage = next(one for one in STAGES if one.name == name)
    if stage.assets:
        _load()
    began, used = time.perf_counter(), _cpu()
    deeds: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "replicate": lambda: replicate(Path(source), Path(folder), int(factor)),
        "deliver": lambda: deliver(Path(folder)),
        "measure": measure_one_week,
        "publish": publish_score,
        "": lambda: materialize(stage.assets),
    }
    said = deeds[stage.does]()
    took = {"wall": time.perf_counter() - began, "cpu": _cpu() - used, "said": said}
    (Path(folder) / RESULT).write_text(json.dumps(took))


def _load() -> None:
    import dbt.cli.main  # noqa: F401
    import mlflow  # noqa: F401
    import skops.io  # noqa: F401

    import definitions  # noqa: F401
    import ml_models.problems.lapse.features
    import ml_models.scoring_sql
    import ml_models.training.search  # noqa: F401


def _cpu() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def measure_one_week() -> dict[str, Any]:
    """Take the census, and measure the newest week as if those before it had been measured: each costs the same."""
    import pandas as pd

    warehouse = resources_for()["warehouse"]
    share = judged_share(warehouse)
    newest = warehouse.read("select max(cutoff_date) as newest from features.cutoffs")["newest"].iloc[0]
    measured = newest - pd.Timedelta(days=14)
    rows = [{"asset": "", "measure": "rows", "period_start": measured, "value": 0.0}]
    rows += [{"asset": "", "measure": SHARE, "period_start": measured, "value": share}] if share < 1 else []
    known = typed(pd.DataFrame(rows), PROFILE)
    ensure(warehouse, PROFILE)
    warehouse.replace_partitions("monitoring", "profile", known, column="period_start", values=[measured.date()])
    return materialize(MEASURED)


def publish_score() -> dict[str, Any]:
    """Prove the home's champion on the copied customers and publish its SQL, as a promotion does."""
    resources = resources_for()
    champion = resources["registry"].by_alias("champion")
    if champion is None:
        raise ScaleError("Expected a champion in the home's registry, and there is none. Run `make run` first.")
    done = keep_published(resources["warehouse"], resources["registry"], champion)
    return {"passed": done.passed, "sentence": done.sentence}


def materialize(assets: Sequence[str]) -> dict[str, Any]:
    """Materialise assets with the checks that run within them, in this process; return what they say."""
    import dagster as dg

    from definitions import build_definitions

    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    if tuple(assets) == (BUILD,):
        keys = {key for key in graph.materializable_asset_keys if _made_by(graph, key).node_def.name == BUILD}
    else:
        keys = {dg.AssetKey.from_user_string(one) for one in assets}
    within = {key for one in keys for key in graph.get_check_keys_for_assets({one}) if _runs_within(graph, key)}
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=frozenset(keys), asset_check_selection=frozenset(within)
    )
    result = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        raise ScaleError(first_failure(result))
    said: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        found = event.step_materialization_data.materialization.metadata
        reported = {name: found[name].value for name in REPORTED if name in found}
        if reported and event.asset_key is not None:
            said[event.asset_key.to_user_string()] = reported
    return said


def _runs_within(graph: Any, key: Any) -> bool:
    """Tell whether a check is made by the step that makes its asset: those are part of what a week costs."""
    return key in _made_by(graph, key.asset_key).check_keys


def _made_by(graph: Any, key: Any) -> Any:
    return graph.get(key).assets_def


def _memory_of(session: int) -> float:
    """Return the resident memory of all processes of a session, in MB; 0 where the system does not tell."""
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            about = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(about[3]) == session:
                pages += int((process / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            # It ended while it was looked at.
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _size_of(folder: Path) -> float:
    """Return the size of a folder's files in MB, what DuckDB spills beside its file included."""
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return size / MIB


def table(costs: Mapping[int, Mapping[str, Cost]]) -> list[str]:
    """Return the lines: a block a measure, a row a stage, a column a factor, and the exponent from first to last."""
    factors = sorted(factor for factor, found in costs.items() if found)
    lines = []
    for unit, what in (("wall", "wall s"), ("cpu", "CPU s"), ("peak_mb", "peak MB"), ("disk_mb", "disk MB")):
        lines += ["", f"{what:34s}" + "".join(f"{f'{factor}x':>12s}" for factor in factors) + f"{'exponent':>10s}"]
        for stage in STAGES:
            values = [getattr(costs[f][stage.name], unit) if stage.name in costs[f] else None for f in factors]
            shown = "".join(f"{'':>12s}" if value is None else f"{value:12,.1f}" for value in values)
            partly = " *" if any(costs[f][stage.name].resumed for f in factors if stage.name in costs[f]) else ""
            lines.append(f"{stage.name + partly:34s}{shown}{exponent(factors, values):>10s}")
    if any(one.resumed for found in costs.values() for one in found.values()):
        lines += ["", "* went on after an attempt that broke off and had done a part: the whole costs more"]
    return lines


def exponent(factors: Sequence[int], values: Sequence[float | None]) -> str:
    """Return how a cost grows, from the two largest factors that have it: log of the ratio by log of the ratio."""
    known = [(factor, value) for factor, value in zip(factors, values, strict=True) if value]
    if len(known) < 2:
        return ""
    (small, less), (large, more) = known[-2:]
    return f"{math.log(more / less) / math.log(large / small):.2f}"


def _cells(cost: Cost) -> str:
    return f"{cost.wall:,.1f} s, {cost.cpu:,.1f} CPU s, {cost.peak_mb:,.0f} MB, {cost.disk_mb:,.0f} MB of disk"


if __name__ == "__main__":
    main()
