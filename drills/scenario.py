"""What is there on each Monday morning of a scenario in which something goes wrong.

A `Recording` is the year as it was: features, labels and measures of every week. A `DrilledHistory` is that until FROM;
from then on each morning is built on its own, in a sandbox that holds the perturbed rows delivered by then, and it adds
what the graph would have added that morning: the cutoffs that were not served yet, the labels that matured, the
week's measures. Nothing that was served or measured before is touched, so late rows and a dimension that is replaced
on a Tuesday look as they would have looked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from drills.faults import Fault
from drills.recording import (
    Recording,
    at,
    early_in,
    features_in,
    has_time,
    joined,
    judged_models,
    measure,
    outcomes_in,
    types_of,
    up_to,
)
from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring import data_quality
from ml_models.monitoring.data_quality import judge_arrival, judge_schema
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.source_counts import Counted
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.data_quality.verdict import BadWeeks
from ml_models.monitoring.diagnosis import NotReplayable
from ml_models.monitoring.types import Anomaly, Perturbation, Reach
from ml_models.problems.contract import Problem
from resources.sandbox import Sandbox, SandboxError
from steps.as_of import built_again, reaching

# As many show how distributions and mean losses would be.
REBUILT_CUSTOMERS = 5000
IN_PLACE = frozenset(
    {
        *("drop", "freeze", "null", "set", "scale", "add", "negate", "swap", "shuffle", "map_values", "collapse"),
        *("rekey", "merge", "duplicate", "add_entities", "thin", "quit"),
    }
)
"""What changes rows where they stand: no row leaves its day, and no day gets one of another."""
# Cutoffs that did not come by then (a feed that stood still) are given up; labels are not before they could be there.
_PATIENCE_DAYS = 63
_PATIENCE_AFTER_DUE_DAYS = 35


@dataclass
class Morning:
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
    _mornings: dict[date, Morning] = field(default_factory=dict)
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

    def untouched(self, day: date) -> bool:
        """Whether all that happened before `day` is as it was recorded, whenever one looks.

        Told by the descriptions alone, so that what is the same in every drill need not be built in each of them. False
        where that would take more: rows that come late or under other days, lists that change as a whole, edited SQL.
        """
        if self.quiet:
            return True

        def later(one: Perturbation) -> bool:
            return one.first_day is not None and one.first_day >= day and self.stands(one)

        return not self.fault.rebuild and all(
            dated.always or later(one) for dated, one in zip(self.fault.perturbations, self.perturbations, strict=True)
        )

    def stands(self, one: Perturbation) -> bool:
        """Whether a perturbation is of rows that arrive, and each of them keeps its day."""
        table = next(
            (it for it in self.recording.tables if it.asset == one.table and one.table.startswith("raw/")), None
        )
        if table is None or not table.time_sql or one.operation not in IN_PLACE:
            return False
        moved = {one.column, *((str(one.value),) if one.operation == "swap" else ())}
        # A time may be read from a column that is called otherwise.
        times = any(name and (name == table.time_column or name in table.time_sql) for name in moved)
        return not times and not (one.operation == "duplicate" and one.value)

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
        return joined([clean, *(morning.measures for morning in self._until(cutoff))])

    def frame(self, cutoff: date) -> pd.DataFrame:
        """Return the feature rows of the cutoffs up to this one, as served."""
        if self.quiet or cutoff < self.start:
            return up_to(self.recording.features, cutoff, self.problem)
        mornings = self._until(cutoff)
        served = self._history if self._history is not None else self.recording.features
        clean = served[cutoff_dates(served[self.problem.cutoff]) < pd.Timestamp(self.start)]
        return joined([clean, *(morning.features for morning in mornings)])

    def audit(self, cutoff: date) -> data_quality.Audit | None:
        """Return how the cutoff a horizon back comes out when today's SQL builds it again."""
        if cutoff not in self._audits:
            self._audits[cutoff] = self._audit(cutoff)
        return self._audits[cutoff]

    def _audit(self, cutoff: date) -> data_quality.Audit | None:
        day = cutoff - timedelta(days=self.problem.horizon_days)
        if day not in self.cutoffs():
            return None
        if cutoff < self.start or self.untouched(day):
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

    def _differs(self, morning: Morning) -> bool:
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
                    self._truth = outcomes_in(scenario, self.problem)
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
        # All that is asked for, of a hundred thousand measures.
        profile = profile[profile["measure"].isin(["rows", "day_rows", "again_rows"])]
        there = (profile["measure"] == "day_rows") & (profile["value"] > 0)
        days = profile[there].groupby("asset")["period_start"].max()
        for table in self.recording.tables:
            if table.time_sql and table.asset in days:
                anomalies += judge_arrival(profile, table, cutoff, days[table.asset].date())
        return tuple(anomalies)

    def counted(self, cutoff: date) -> Mapping[str, Counted]:
        """Return what the source counts of the week before a cutoff, by table that rows arrive in."""
        if not self.fault.counted:
            return {}
        week = cutoff - timedelta(days=WEEK)
        came, recorded = self._rows_of(self.profile(cutoff), week), self._rows_of(self.recording.measures, week)
        sent = recorded if self.fault.counted == "sent" else came
        return {asset: Counted(said=sent.get(asset, n), came=n, syncs=WEEK) for asset, n in came.items()}

    def _rows_of(self, measures: pd.DataFrame, week: date) -> dict[str, int]:
        """Return the rows of one week, by raw table that rows arrive in."""
        rows = measures[(measures["measure"] == "rows") & (measures["period_start"] == pd.Timestamp(week))]
        arriving = {table.asset for table in self.recording.tables if table.time_sql and table.asset.startswith("raw/")}
        return {str(asset): int(n) for asset, n in zip(rows["asset"], rows["value"], strict=True) if asset in arriving}

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
        return joined([clean, *(getattr(morning, name) for morning in self._until(cutoff))])

    def _until(self, cutoff: date) -> list[Morning]:
        mornings = [day for day in self.cutoffs() if self.start <= day <= cutoff]
        for morning in mornings:
            if morning not in self._mornings:
                self._mornings[morning] = self._wake(morning)
        return [self._mornings[morning] for morning in mornings]

    def _wake(self, morning: date) -> Morning:
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
        if self.untouched(morning):
            return self._recorded(new, week, morning)
        try:
            if self.fault.rebuild and morning == self.start:
                with self.sandbox.scenario(perturbations, until=morning, build=self._models()) as scenario:
                    self._history = features_in(scenario, None)
            with self.sandbox.scenario(perturbations, cutoffs=wanted, until=morning, build=self._models()) as scenario:
                types = types_of(scenario, self.recording.tables)
                known, changed = self._measured(week, morning, types)
                return Morning(
                    features=features_in(scenario, new["features"]),
                    outcomes=at(outcomes_in(scenario, problem), new["outcomes"], cutoff),
                    early=at(early_in(scenario, problem), new["early"], cutoff),
                    measures=joined([known, measure(scenario, self.recording.tables, types, week, morning, changed)]),
                    types=types,
                    anomalies=self._schema(types, morning),
                )
        except SandboxError as error:
            return self._broken(morning, week, str(error))

    def _models(self) -> list[str]:
        return judged_models(self.sandbox, self.problem, self.perturbations)

    def _recorded(self, new: Mapping[str, Sequence[date]], week: date, morning: date) -> Morning:
        """Return a Monday before which nothing happened yet: what was recorded of it."""
        recorded, cutoff = self.recording, self.problem.cutoff
        return Morning(
            features=at(recorded.features, new["features"], cutoff),
            outcomes=at(recorded.outcomes, new["outcomes"], cutoff),
            early=at(recorded.early, new["early"], cutoff),
            measures=self._measures_of(week, morning),
            types=recorded.types,
            anomalies=(),
        )

    def _measures_of(self, week: date, morning: date) -> pd.DataFrame:
        """Return what was recorded of the days from `week` on, before a morning."""
        measures = self.recording.measures
        days = measures["period_start"]
        return measures[(days >= pd.Timestamp(week)) & (days < pd.Timestamp(morning))]

    def _measured(
        self, week: date, morning: date, types: Mapping[str, Mapping[str, str]]
    ) -> tuple[pd.DataFrame, list[str]]:
        """Return the week's measures of tables in which nothing that is perturbed ends, and the other tables."""
        changed, known = self.changed(types), self._measures_of(week, morning)
        return known[~known["asset"].isin(changed)], changed

    def changed(self, types: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Return the monitored tables in which something that is perturbed ends."""
        reached = {one.table for one in self.perturbations}
        while more := {asset for asset, reads in self.lineage.items() if reached & set(reads)} - reached:
            reached |= more
        changed = []
        for table in self.recording.tables:
            looked_up = {one.relation.replace(".", "/") for one in table.references}
            # A list of which a model made a table, with days in it, was recorded as it stood at the end.
            grows = not table.time_sql and not table.asset.startswith("raw/") and has_time(types.get(table.asset, {}))
            if grows or {table.asset, *looked_up} & reached or not self.lineage:
                changed.append(table.asset)
        return changed

    def _broken(self, morning: date, week: date, reason: str) -> Morning:
        """Build a Monday on which the graph failed: what arrived is there to be measured, nothing else is new."""
        with self.sandbox.scenario(
            self.perturbations, until=morning, first_day=week - timedelta(days=self.problem.window_days), build=[]
        ) as scenario:
            there = types_of(scenario, self.recording.tables)
            types = {asset: columns for asset, columns in there.items() if asset.startswith("raw/")}
            return Morning(
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
