"""The year as it was, on which every drill stands: features, labels and measures of every week, built once and kept.

Kept under a digest of all that it depends on, so that a later drill reads what an earlier one built.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import Deployed
from ml_models.monitoring import WeekJudgement, data_quality, drift
from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, fitted
from ml_models.monitoring.data_quality.profile_sql import as_profile, measure_sql
from ml_models.monitoring.data_quality.thresholds import KEPT_WEEKS, WEEK
from ml_models.monitoring.data_quality.verdict import BadWeeks
from ml_models.monitoring.drift.weekly import measure_drift
from ml_models.monitoring.types import Perturbation
from ml_models.problems.about import found
from ml_models.problems.contract import Problem
from resources.folders import to_disk
from resources.sandbox import Sandbox, Scenario
from steps.profiling import read_once

EARLY = "early_outcomes"


@dataclass(frozen=True)
class Recording:
    """A year in which nothing happens: `features`, `outcomes`, `early` by cutoff, `measures` by week.

    `types` are the columns of every monitored table; `tables` what is monitored. `drift` (of the features, by cutoff)
    and `bad_weeks` are what judging it found; None: not judged. `first_weeks`: how the week was judged before
    which nothing had happened, by cutoff, and of which model (drills/shared.py).
    """

    features: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    measures: pd.DataFrame
    tables: tuple[MonitoredTable, ...]
    types: Mapping[str, Mapping[str, str]]
    drift: pd.DataFrame | None = None
    bad_weeks: BadWeeks | None = None
    first_weeks: dict[date, tuple[Deployed | None, WeekJudgement]] = field(default_factory=dict)

    @property
    def cutoffs(self) -> list[date]:
        """The cutoffs, ascending."""
        return sorted(stamp.date() for stamp in cutoff_dates(self.features["cutoff_date"].unique()))


def record(
    sandbox: Sandbox,
    problem: Problem,
    tables: Sequence[MonitoredTable],
    perturbations: Sequence[Perturbation] = (),
    keep: Path | None = None,
) -> Recording:
    """Build the year as it was (`perturbations`: as it always was), or read what an earlier call kept under `keep`.

    Raises:
        SandboxError: it cannot be built.
    """
    folder = keep / _digest(sandbox, tables, perturbations) if keep else None
    names = ("features", "outcomes", "early", "measures")
    if folder is not None and (folder / "types.json").exists():
        features, outcomes, early, measures = (pd.read_parquet(folder / f"{name}.parquet") for name in names)
        types = json.loads((folder / "types.json").read_text())
        kept = Recording(features, outcomes, early, measures, tuple(tables), types)
        return _judged(kept, problem, folder)
    with sandbox.scenario(perturbations, build=judged_models(sandbox, problem, perturbations)) as scenario:
        types = types_of(scenario, tables)
        features = _dated(scenario.read("select * from features.customer_features order by cutoff_date, customer_id"))
        outcomes = outcomes_in(scenario, problem)
        early = early_in(scenario, problem)
        first = min(cutoff_dates(features[problem.cutoff])).date()
        last = max(cutoff_dates(features[problem.cutoff])).date()
        begin = first - timedelta(days=WEEK * (int(sandbox.setting("window_days")) // WEEK))
        weeks = [begin + timedelta(days=days) for days in range(0, (last - begin).days, WEEK)]
        parts = [measure(scenario, tables, types, begin, last, [table.asset for table in tables if table.time_sql])]
        # A list without a time is the same each week: measured once, dated by every Monday.
        snapshots = [table.asset for table in tables if not table.time_sql]
        growing = [asset for asset in snapshots if has_time(types.get(asset, {})) and asset.startswith("raw/")]
        still = measure(scenario, tables, types, begin, last, [asset for asset in snapshots if asset not in growing])
        parts += [still.assign(period_start=pd.Timestamp(week).as_unit("us")) for week in weeks]
    for week in weeks if growing else ():
        # With dates in it (campaigns), it grows.
        with sandbox.scenario(perturbations, until=week + timedelta(days=WEEK), build=[]) as scenario:
            parts.append(measure(scenario, tables, types, week, week + timedelta(days=WEEK), growing))
    measures = joined(parts)
    made = Recording(features, outcomes, early, measures, tuple(tables), types)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            getattr(made, name).to_parquet(folder / f"{name}.parquet")
            to_disk(folder / f"{name}.parquet")
        # Last, so that an interrupted call leaves nothing that looks whole.
        (folder / "types.json").write_text(json.dumps({asset: dict(kinds) for asset, kinds in types.items()}))
        return _judged(made, problem, folder)
    return made


def judged_models(sandbox: Sandbox, problem: Problem, perturbations: Sequence[Perturbation] = ()) -> list[str]:
    """Return the models that a problem's weeks are judged by: all but tables of other problems, which judge themselves.

    A perturbed one is among them, whoever's it is.
    """
    others = {about.name for about in found() if about.name != problem.name}
    perturbed = {one.table for one in perturbations}
    return [asset for asset in sandbox.assets() if asset.partition("/")[0] not in others or asset in perturbed]


def _judged(recording: Recording, problem: Problem, folder: Path) -> Recording:
    """Judge the clean weeks once, or read what that found: every drill has the same past.

    Measured as long as the code that measures stays as it is; the rows are kept longer.
    """
    last = recording.cutoffs[-1]
    columns = hashlib.sha256(repr(problem.features).encode()).hexdigest()[:6]
    drift_at = folder / f"drift-{columns}-{_code(*_files(drift))}.parquet"
    if not drift_at.exists():
        measured = measure_drift(problem, recording.features, last, None, "")
        _kept(drift_at, lambda path: measured.to_parquet(path))
    weeks_at = folder / f"bad_weeks-{_code(*_files(data_quality))}.json"
    if not weeks_at.exists():
        first = recording.measures["period_start"].min().date()
        # As far as the first judgement sees; from there on week by week, as in life.
        day = min(first + timedelta(days=WEEK * KEPT_WEEKS), last)
        bad: BadWeeks | None = None
        while day <= last:
            bad = judge_quality(recording.measures, recording.tables, day, bad).bad_weeks
            day += timedelta(days=WEEK)
        text = {asset: {str(day): kinds for day, kinds in weeks.items()} for asset, weeks in (bad or {}).items()}
        _kept(weeks_at, lambda path: path.write_text(json.dumps(text)))
    read = json.loads(weeks_at.read_text())
    bad_weeks = {
        asset: {date.fromisoformat(day): tuple(kinds) for day, kinds in weeks.items()} for asset, weeks in read.items()
    }
    return replace(recording, drift=pd.read_parquet(drift_at), bad_weeks=bad_weeks)


def _kept(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is whole or not there, whoever else writes it meanwhile."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    write(part)
    to_disk(part).replace(path)


def _files(package: ModuleType) -> list[Path]:
    return sorted(Path(str(package.__file__)).parent.glob("*.py"))


def _code(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def measure(
    scenario: Scenario,
    tables: Sequence[MonitoredTable],
    types: Mapping[str, Mapping[str, str]],
    first: date,
    end: date,
    present: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the measures of the weeks from `first` to the day before `end`, of the tables that are there."""
    parts = []
    for monitored in tables:
        if present is not None and monitored.asset not in present:
            continue
        last = end - timedelta(days=1)
        table = read_once(scenario.connection, fitted(monitored, types.get(monitored.asset, {})), first, last)
        parts += [scenario.read(sql) for sql in measure_sql(table, first, last)]
    return as_profile(parts)


def types_of(scenario: Scenario, tables: Sequence[MonitoredTable]) -> dict[str, dict[str, str]]:
    """Return the columns of the monitored tables that are there."""
    there: dict[str, dict[str, str]] = {}
    rows = scenario.read(
        "select schema_name || '/' || table_name as asset, column_name, data_type from duckdb_columns() "
        "where database_name = 'memory' order by schema_name, table_name, column_index"
    )
    monitored = {table.asset for table in tables}
    for asset, name, kind in rows.itertuples(index=False):
        if asset in monitored:
            there.setdefault(asset, {})[name] = kind
    return there


def has_time(types: Mapping[str, str]) -> bool:
    """Return whether a table has a time of its own."""
    return any(kind.startswith(("TIMESTAMP", "DATE")) and not name.startswith("_") for name, kind in types.items())


def features_in(scenario: Scenario, cutoffs: Sequence[date] | None) -> pd.DataFrame:
    """Return the feature rows that a scenario made, of some cutoffs (None: all)."""
    frame = _dated(scenario.read("select * from features.customer_features order by cutoff_date, customer_id"))
    # A count with nulls in it (a model gone wrong) comes as pandas' nullable integer, which not every fit understands.
    nullable = [name for name, kind in frame.dtypes.items() if str(kind) == "Int64"]
    frame = frame.astype(dict.fromkeys(nullable, "float64"))
    return frame if cutoffs is None else at(frame, cutoffs, "cutoff_date")


def outcomes_in(scenario: Scenario, problem: Problem) -> pd.DataFrame:
    """Return the labels that a scenario made."""
    columns = ", ".join([*problem.keys, problem.label])
    return _dated(scenario.read(f"select {columns} from outcomes.customer_outcomes order by cutoff_date, customer_id"))


def early_in(scenario: Scenario, problem: Problem) -> pd.DataFrame:
    """Return the early labels that a scenario made."""
    columns = ", ".join([*problem.keys, problem.early_label])
    return _dated(scenario.read(f"select {columns} from outcomes.{EARLY} order by cutoff_date, customer_id"))


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(cutoff_date=pd.to_datetime(frame["cutoff_date"]).astype("datetime64[us]"))


def at(frame: pd.DataFrame, cutoffs: Sequence[date], column: str) -> pd.DataFrame:
    """Return the rows of some cutoffs."""
    return frame[frame[column].isin([pd.Timestamp(day) for day in cutoffs])]


def up_to(frame: pd.DataFrame, cutoff: date, problem: Problem) -> pd.DataFrame:
    """Return the rows of the cutoffs up to this one."""
    return frame[cutoff_dates(frame[problem.cutoff]) <= pd.Timestamp(cutoff)]


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return parts of one table together, empty ones left out."""
    return pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)


def _digest(sandbox: Sandbox, tables: Sequence[MonitoredTable], perturbations: Sequence[Perturbation]) -> str:
    """Return what a recording depends on, in twelve digits."""
    stat = Path(sandbox.warehouse_path).stat()
    # Any week will do: the statements say how a week is measured.
    monday = date(2024, 1, 1)
    statements = [measure_sql(table, monday, monday + timedelta(days=WEEK - 1)) for table in tables]
    code = _code(Path(__file__))
    basis = (sandbox.dbt.digest(), stat.st_size, stat.st_mtime_ns, repr(tables), repr(perturbations), statements, code)
    return hashlib.sha256(repr(basis).encode()).hexdigest()[:12]
