"""What is there on each Monday morning of a scenario in which something goes wrong.

A `Recording` is the year as it was: features, labels and measures of every week. A `DrilledHistory` is that until FROM;
from then on each morning is built on its own, in a sandbox that holds the perturbed rows delivered by then, and it adds
what the graph would have added that morning: the cutoffs that were not served yet, the labels that matured, the
week's measures. Nothing that was served or measured before is touched, so late rows and a dimension that is replaced
on a Tuesday look as they would have looked.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from drills.faults import Fault
from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring import data_quality, drift
from ml_models.monitoring.data_quality import judge_arrival, judge_quality, judge_schema
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, fitted
from ml_models.monitoring.data_quality.profile_sql import as_profile, measure_sql
from ml_models.monitoring.data_quality.thresholds import KEPT_WEEKS, WEEK
from ml_models.monitoring.data_quality.verdict import BadWeeks
from ml_models.monitoring.diagnosis import NotReplayable
from ml_models.monitoring.drift.weekly import measure_drift
from ml_models.monitoring.types import Anomaly, Perturbation, Reach
from ml_models.problems.contract import Problem
from resources.folders import to_disk
from resources.sandbox import Sandbox, SandboxError, Scenario
from steps.as_of import built_again, reaching

EARLY = "early_outcomes"
# As many show how distributions and mean losses would be.
REBUILT_CUSTOMERS = 5000
# Cutoffs that did not come by then (a feed that stood still) are given up; labels are not before they could be there.
_PATIENCE_DAYS = 63
_PATIENCE_AFTER_DUE_DAYS = 35


@dataclass(frozen=True)
class Recording:
    """A year in which nothing happens: `features`, `outcomes`, `early` by cutoff, `measures` by week.

    `types` are the columns of every monitored table; `tables` what is monitored. `drift` (of the features, by cutoff)
    and `bad_weeks` are what judging it found; None: not judged.
    """

    features: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    measures: pd.DataFrame
    tables: tuple[MonitoredTable, ...]
    types: Mapping[str, Mapping[str, str]]
    drift: pd.DataFrame | None = None
    bad_weeks: BadWeeks | None = None

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
    with sandbox.scenario(perturbations) as scenario:
        types = _types(scenario, tables)
        features = _dated(scenario.read("select * from features.customer_features order by cutoff_date, customer_id"))
        outcomes = _outcomes(scenario, problem)
        early = _early(scenario, problem)
        first = min(cutoff_dates(features[problem.cutoff])).date()
        last = max(cutoff_dates(features[problem.cutoff])).date()
        begin = first - timedelta(days=WEEK * (int(sandbox.setting("window_days")) // WEEK))
        weeks = [begin + timedelta(days=days) for days in range(0, (last - begin).days, WEEK)]
        parts = [measure(scenario, tables, types, begin, last, [table.asset for table in tables if table.time_sql])]
        # A list without a time is the same each week: measured once, dated by every Monday.
        snapshots = [table.asset for table in tables if not table.time_sql]
        growing = [asset for asset in snapshots if _has_time(types.get(asset, {})) and asset.startswith("raw/")]
        still = measure(scenario, tables, types, begin, last, [asset for asset in snapshots if asset not in growing])
        parts += [still.assign(period_start=pd.Timestamp(week).as_unit("us")) for week in weeks]
    for week in weeks if growing else ():
        # With dates in it (campaigns), it grows.
        with sandbox.scenario(perturbations, until=week + timedelta(days=WEEK), build=[]) as scenario:
            parts.append(measure(scenario, tables, types, week, week + timedelta(days=WEEK), growing))
    measures = _joined(parts)
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


def _judged(recording: Recording, problem: Problem, folder: Path) -> Recording:
    """Judge the clean weeks once, or read what that found: every drill has the same past.

    Measured as long as the code that measures stays as it is; the rows are kept longer.
    """
    last = recording.cutoffs[-1]
    columns = hashlib.sha256(repr(problem.features).encode()).hexdigest()[:6]
    drift_at = folder / f"drift-{columns}-{_code(*_files(drift))}.parquet"
    if not drift_at.exists():
        found = measure_drift(problem, recording.features, last, None, "")
        _kept(drift_at, lambda path: found.to_parquet(path))
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
        table = fitted(monitored, types.get(monitored.asset, {}))
        parts += [scenario.read(sql) for sql in measure_sql(table, first, end - timedelta(days=1))]
    return as_profile(parts)


@dataclass
class _Morning:
    """What one Monday added."""

    features: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    measures: pd.DataFrame
    types: Mapping[str, Mapping[str, str]]
    anomalies: tuple[Anomaly, ...]
    broken: str = ""


@dataclass
class DrilledHistory:
    """The history of one drill, as `ml_models.policy_backtest.History` describes it.

    `start` is FROM, a Monday: days from it on are perturbed. Mornings are built when they are asked for, in order, and
    kept.
    """

    fault: Fault
    start: date
    recording: Recording
    sandbox: Sandbox
    problem: Problem
    lineage: Mapping[str, Sequence[str]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    _mornings: dict[date, _Morning] = field(default_factory=dict)
    _history: pd.DataFrame | None = None
    _truth: pd.DataFrame | None = None
    _reach: Callable[[str], Reach] | None = None
    _audits: dict[date, data_quality.Audit | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let rows be delivered by the time at which they happened."""
        self.sandbox = replace(self.sandbox, delivered_as_recorded=not self.fault.changes_the_truth)

    @property
    def perturbations(self) -> tuple[Perturbation, ...]:
        """The perturbations of this drill, those that were always there included."""
        return self.fault.on(self.start)

    @property
    def quiet(self) -> bool:
        """Whether nothing changes at FROM: a window of the calendar, or a scenario that was always so."""
        return all(dated.always for dated in self.fault.perturbations)

    def cutoffs(self) -> Sequence[date]:
        """Return all cutoffs, ascending."""
        return self.recording.cutoffs

    def tables(self) -> Sequence[MonitoredTable]:
        """Return the monitored tables."""
        return self.recording.tables

    def profile(self, cutoff: date) -> pd.DataFrame:
        """Return the measures of the weeks before this cutoff, each as it stood on its Monday."""
        measures = self.recording.measures
        if self.quiet or cutoff < self.start:
            return measures[measures["period_start"] < pd.Timestamp(cutoff)]
        clean = measures[measures["period_start"] < pd.Timestamp(self.start - timedelta(days=WEEK))]
        return _joined([clean, *(morning.measures for morning in self._until(cutoff))])

    def frame(self, cutoff: date) -> pd.DataFrame:
        """Return the feature rows of the cutoffs up to this one, as served."""
        if self.quiet or cutoff < self.start:
            return _to(self.recording.features, cutoff, self.problem)
        mornings = self._until(cutoff)
        served = self._history if self._history is not None else self.recording.features
        clean = served[cutoff_dates(served[self.problem.cutoff]) < pd.Timestamp(self.start)]
        return _joined([clean, *(morning.features for morning in mornings)])

    def audit(self, cutoff: date) -> data_quality.Audit | None:
        """Return how the cutoff a horizon back comes out when today's SQL builds it again."""
        if cutoff not in self._audits:
            self._audits[cutoff] = self._audit(cutoff)
        return self._audits[cutoff]

    def _audit(self, cutoff: date) -> data_quality.Audit | None:
        day = cutoff - timedelta(days=self.problem.horizon_days)
        if day not in self.cutoffs():
            return None
        if self.quiet or cutoff < self.start:
            rows = self.recording.features
            now = rows[cutoff_dates(rows[self.problem.cutoff]) == pd.Timestamp(day)]
            return data_quality.Audit(now, lambda: now)
        return built_again(self.sandbox, self.perturbations, day, cutoff)

    def outcomes(self, cutoff: date) -> pd.DataFrame:
        """Return the labels that are there on this morning."""
        return self._labels("outcomes", cutoff, self.problem.horizon_days)

    def early(self, cutoff: date) -> pd.DataFrame:
        """Return the early labels that are there on this morning."""
        return self._labels("early", cutoff, self.problem.early_days)

    def differs(self, cutoff: date) -> bool:
        """Tell whether any morning up to this one is another than it was: its measures, features, labels or columns."""
        return any(self._differs(morning) for morning in self._until(cutoff))

    def _differs(self, morning: _Morning) -> bool:
        if morning.broken or morning.anomalies:
            return True
        for name in ("features", "outcomes", "early"):
            found, whole = getattr(morning, name), getattr(self.recording, name)
            clean = whole[whole[self.problem.cutoff].isin(found[self.problem.cutoff].unique())]
            if not found.reset_index(drop=True).equals(clean.reset_index(drop=True)):
                return True
        weeks, keys = self.recording.measures, ["asset", "column_name", "measure", "value_key", "period_start"]
        clean = weeks[weeks["period_start"].isin(morning.measures["period_start"].unique())]
        both = morning.measures.merge(clean, on=keys, how="outer", suffixes=("", "_clean"), indicator=True)
        # Sums of floats are not the same to the last digit each time.
        same = np.isclose(both["value"], both["value_clean"], rtol=1e-9, atol=1e-9, equal_nan=True)
        return bool((both["_merge"] != "both").any() or not same.all())

    def columns(self, cutoff: date) -> Mapping[str, Mapping[str, str]]:
        """Return the columns of the monitored tables that are there on this morning, and their types."""
        return self.recording.types if self.quiet or cutoff < self.start else self._until(cutoff)[-1].types

    def failed(self, cutoff: date) -> str:
        """Return why the graph failed on this morning; "": it did not."""
        return "" if self.quiet or cutoff < self.start else self._until(cutoff)[-1].broken

    def truth(self, cutoff: date) -> pd.DataFrame:
        """Return what really happened to the customers of one cutoff."""
        rows = self.recording.outcomes
        if self.fault.changes_the_truth and not self.quiet and cutoff >= self.start:
            if self._truth is None:
                later = [day for day in self.cutoffs() if day >= self.start]
                with self.sandbox.scenario(
                    self.perturbations, cutoffs=later, build=["outcomes/customer_outcomes"]
                ) as scenario:
                    self._truth = _outcomes(scenario, self.problem)
                # Without `until` every cutoff is there, also one whose label lies beyond the recording.
                recorded = set(rows[self.problem.cutoff])
                self._truth = self._truth[self._truth[self.problem.cutoff].isin(recorded)]
            rows = self._truth
        return rows[cutoff_dates(rows[self.problem.cutoff]) == pd.Timestamp(cutoff)]

    def measured(self, cutoff: date) -> tuple[pd.DataFrame | None, BadWeeks | None]:
        """Return the drift statistics of the clean cutoffs before this one and before FROM, and the bad weeks."""
        begin = min(cutoff, self.start)
        drift, weeks = self.recording.drift, self.recording.bad_weeks
        if drift is not None:
            drift = drift[cutoff_dates(drift["cutoff_date"]) < pd.Timestamp(begin)]
        if weeks is not None:
            # The week before FROM is measured on FROM.
            measured = begin - timedelta(days=WEEK)
            weeks = {
                asset: {day: kinds for day, kinds in found.items() if day < measured} for asset, found in weeks.items()
            }
        return (None if self.fault.rebuild else drift), weeks

    def anomalies(self, cutoff: date) -> Sequence[Anomaly]:
        """Return what the profile does not show: columns that are gone or have another type, days that did not come."""
        profile = self.profile(cutoff)
        anomalies = [] if self.quiet or cutoff < self.start else list(self._until(cutoff)[-1].anomalies)
        days = (
            profile[(profile["measure"] == "day_rows") & (profile["value"] > 0)].groupby("asset")["period_start"].max()
        )
        for table in self.recording.tables:
            if table.time_sql and table.asset in days:
                anomalies += judge_arrival(profile, table, cutoff, days[table.asset].date())
        return tuple(anomalies)

    def reach(self, asset: str) -> Reach:
        """Return what is computed from a table."""
        if self._reach is None:
            self._reach = reaching(self.sandbox, self.recording.tables)
        return self._reach(asset)

    def rebuild(self, cutoff: date) -> Callable[[Sequence[Perturbation], date], pd.DataFrame] | None:
        """Return how to build a past cutoff under perturbations from the rows that are there on this morning."""
        many = self.recording.features[self.problem.entity].nunique() > REBUILT_CUSTOMERS
        sample = REBUILT_CUSTOMERS if many else None

        def build(perturbations: Sequence[Perturbation], day: date) -> pd.DataFrame:
            try:
                return self.sandbox.features([*self.perturbations, *perturbations], day, sample, as_of=cutoff)
            except (SandboxError, ValueError) as error:
                raise NotReplayable(str(error)) from error

        return build

    def _labels(self, name: str, cutoff: date, delay: int) -> pd.DataFrame:
        rows: pd.DataFrame = getattr(self.recording, name)
        mature = cutoff_dates(rows[self.problem.cutoff]) + pd.Timedelta(days=delay)
        if self.quiet or cutoff < self.start:
            return rows[mature <= pd.Timestamp(cutoff)]
        clean = rows[mature < pd.Timestamp(self.start)]
        return _joined([clean, *(getattr(morning, name) for morning in self._until(cutoff))])

    def _until(self, cutoff: date) -> list[_Morning]:
        mornings = [day for day in self.cutoffs() if self.start <= day <= cutoff]
        for morning in mornings:
            if morning not in self._mornings:
                self._mornings[morning] = self._wake(morning)
        return [self._mornings[morning] for morning in mornings]

    def _wake(self, morning: date) -> _Morning:
        """Build one Monday: what is new since the last one."""
        cutoff, problem = self.problem.cutoff, self.problem
        perturbations = self.perturbations
        past = [self._mornings[day] for day in sorted(self._mornings) if day < morning]

        def missing(name: str, delay: int) -> list[date]:
            made = {stamp.date() for one in past for stamp in cutoff_dates(getattr(one, name)[cutoff].unique())}
            first, due = (day - timedelta(days=delay) for day in (self.start, morning))
            patience = morning - timedelta(days=max(_PATIENCE_DAYS, delay + _PATIENCE_AFTER_DUE_DAYS))
            return [day for day in self.cutoffs() if max(first, patience) <= day <= due and day not in made]

        new = {"features": missing("features", 0), "outcomes": missing("outcomes", problem.horizon_days)}
        new["early"] = missing("early", problem.early_days)
        wanted = sorted({day for days in new.values() for day in days} | {morning})
        week = morning - timedelta(days=WEEK)
        try:
            if self.fault.rebuild and morning == self.start:
                with self.sandbox.scenario(perturbations, until=morning) as scenario:
                    self._history = _features(scenario, None)
            with self.sandbox.scenario(perturbations, cutoffs=wanted, until=morning) as scenario:
                types = _types(scenario, self.recording.tables)
                return _Morning(
                    features=_features(scenario, new["features"]),
                    outcomes=_of(_outcomes(scenario, problem), new["outcomes"], cutoff),
                    early=_of(_early(scenario, problem), new["early"], cutoff),
                    measures=measure(scenario, self.recording.tables, types, week, morning),
                    types=types,
                    anomalies=self._schema(types, morning),
                )
        except SandboxError as error:
            return self._broken(morning, week, str(error))

    def _broken(self, morning: date, week: date, reason: str) -> _Morning:
        """Build a Monday on which the graph failed: what arrived is there to be measured, nothing else is new."""
        with self.sandbox.scenario(
            self.perturbations, until=morning, first_day=week - timedelta(days=self.problem.window_days), build=[]
        ) as scenario:
            there = _types(scenario, self.recording.tables)
            types = {asset: columns for asset, columns in there.items() if asset.startswith("raw/")}
            return _Morning(
                features=self.recording.features.iloc[:0],
                outcomes=self.recording.outcomes.iloc[:0],
                early=self.recording.early.iloc[:0],
                measures=measure(scenario, self.recording.tables, types, week, morning, list(types)),
                types=types,
                anomalies=self._schema(types, morning),
                broken=reason,
            )

    def _schema(self, types: Mapping[str, Mapping[str, str]], morning: date) -> tuple[Anomaly, ...]:
        return tuple(
            anomaly
            for asset, found in types.items()
            for anomaly in judge_schema(asset, self.recording.types.get(asset, {}), found, morning)
        )


def _types(scenario: Scenario, tables: Sequence[MonitoredTable]) -> dict[str, dict[str, str]]:
    """Return the columns of the monitored tables that are there."""
    found: dict[str, dict[str, str]] = {}
    rows = scenario.read(
        "select schema_name || '/' || table_name as asset, column_name, data_type from duckdb_columns() "
        "where database_name = 'memory' order by schema_name, table_name, column_index"
    )
    monitored = {table.asset for table in tables}
    for asset, name, kind in rows.itertuples(index=False):
        if asset in monitored:
            found.setdefault(asset, {})[name] = kind
    return found


def _has_time(types: Mapping[str, str]) -> bool:
    return any(kind.startswith(("TIMESTAMP", "DATE")) and not name.startswith("_") for name, kind in types.items())


def _features(scenario: Scenario, cutoffs: Sequence[date] | None) -> pd.DataFrame:
    frame = _dated(scenario.read("select * from features.customer_features order by cutoff_date, customer_id"))
    # A count with nulls in it (a model gone wrong) comes as pandas' nullable integer, which not every fit understands.
    nullable = [name for name, kind in frame.dtypes.items() if str(kind) == "Int64"]
    frame = frame.astype(dict.fromkeys(nullable, "float64"))
    return frame if cutoffs is None else _of(frame, cutoffs, "cutoff_date")


def _outcomes(scenario: Scenario, problem: Problem) -> pd.DataFrame:
    columns = ", ".join([*problem.keys, problem.label])
    return _dated(scenario.read(f"select {columns} from outcomes.customer_outcomes order by cutoff_date, customer_id"))


def _early(scenario: Scenario, problem: Problem) -> pd.DataFrame:
    columns = ", ".join([*problem.keys, problem.early_label])
    return _dated(scenario.read(f"select {columns} from outcomes.{EARLY} order by cutoff_date, customer_id"))


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(cutoff_date=pd.to_datetime(frame["cutoff_date"]).astype("datetime64[us]"))


def _of(frame: pd.DataFrame, cutoffs: Sequence[date], column: str) -> pd.DataFrame:
    return frame[frame[column].isin([pd.Timestamp(day) for day in cutoffs])]


def _to(frame: pd.DataFrame, cutoff: date, problem: Problem) -> pd.DataFrame:
    return frame[cutoff_dates(frame[problem.cutoff]) <= pd.Timestamp(cutoff)]


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
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
