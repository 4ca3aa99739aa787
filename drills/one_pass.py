"""All mornings of a fault at once: built in one scenario, where each would come out the same on its own.

That is so where every perturbed row changes where it stands, and a list changes from FROM on for good. Rows that come
late or under other days, edited SQL, and lists that are repaired again need each morning by itself
(`drills.scenario`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pandas as pd

from drills.recording import at, early_in, features_in, has_time, joined, measure, outcomes_in, types_of
from drills.scenario import IN_PLACE, DrilledHistory, Morning
from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.data_quality import Audit
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.types import Perturbation

_CANDIDATES = "next_product/candidates"
ITS_OWN_NEWEST = Perturbation(
    _CANDIDATES,
    "edit_model",
    value={"find": "max(cutoff_date) over () as newest_cutoff", "replace": "cutoff_date as newest_cutoff"},
)
"""Pairs are made of the newest cutoff, and of those that are learned from. On its morning each is the newest one."""


@dataclass
class OnePass(DrilledHistory):
    """A drilled history whose mornings, FROM to `end`, are cut out of one scenario."""

    end: date = date.max
    _pass: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    _types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def refuse_others(self) -> None:
        """Refuse a fault that one pass would not build as its mornings would.

        Raises:
            ValueError: the sentence names the perturbation and what would do.
        """
        lists = {table.asset for table in self.recording.tables if not table.time_sql}
        for one in self.perturbations:
            if one.table in lists:
                right = one.first_day is not None and one.first_day <= self.start and one.last_day is None
            else:
                right = one.table.startswith("raw/") and self.stands(one)
            if not right or one.operation not in IN_PLACE:
                raise ValueError(
                    f"{self.fault.name} cannot be drilled for {self.fault.problem}: its mornings are built all at "
                    f"once, and `{one.operation}` of {one.table} is not the same on each. Rows have to change where "
                    "they stand, and lists from FROM on for good; leave `problem` out to drill it for lapse."
                )

    def types_bought(self, morning: date) -> Mapping[str, pd.DataFrame]:
        """Return what is new of next product on a morning: rows of popular_types, candidates and outcomes."""
        self._make()
        due = morning - timedelta(days=self.problem.horizon_days)
        days = {"popular_types": morning, "candidates": morning, "outcomes": due}
        return {name: at(self._pass[name], [day], "cutoff_date") for name, day in days.items()}

    def differs_from(self, popular: pd.DataFrame) -> bool:
        """Tell whether any morning is another than it was, or product types are; `popular`: their buyers as it was."""
        self._make()
        found = self._pass["popular_types"]
        was = popular[cutoff_dates(popular["cutoff_date"]).isin(found["cutoff_date"].unique())]
        by = ["cutoff_date", "product_type"]
        found, was = (rows.sort_values(by, ignore_index=True)[[*by, "buyers"]] for rows in (found, _dated(was)))
        return not found.equals(was) or self.differs(self.end)

    def audit(self, cutoff: date) -> Audit | None:
        """Return none, whatever the cutoff: the audit looks for SQL that changed, and here it does not."""
        del cutoff
        return None

    def _make(self) -> None:
        if self._pass:
            return
        problem, mornings = self.problem, [day for day in self.cutoffs() if self.start <= day <= self.end]
        horizon = timedelta(days=problem.horizon_days)
        cutoffs = sorted({day for day in self.cutoffs() if self.start - horizon <= day <= self.end})
        monitored = [table for table in self.recording.tables if not table.asset.startswith("raw/")]
        assets = set(self.sandbox.assets())
        wanted = [
            *(f"next_product/{name}" for name in ("popular_types", "candidates", "outcomes")),
            *("features/customer_features", "outcomes/customer_outcomes", "outcomes/early_outcomes"),
            *(table.asset for table in monitored if table.asset in assets),
        ]
        with self.sandbox.scenario(
            [*self.perturbations, ITS_OWN_NEWEST], cutoffs=cutoffs, until=self.end, as_of=self.end, build=wanted
        ) as made:
            self._types = types_of(made, self.recording.tables)
            first = self.start - timedelta(days=WEEK)
            changed = self.changed(self._types)
            still = [
                table.asset
                for table in self.recording.tables
                if not table.time_sql and table.asset in changed and not has_time(self._types.get(table.asset, {}))
            ]
            timed = [asset for asset in changed if asset not in still]
            parts = [measure(made, self.recording.tables, self._types, first, self.end, timed)]
            # A list is the same each week from FROM on: measured once, dated by every week.
            once = measure(made, self.recording.tables, self._types, first, self.start, still)
            parts += [
                once.assign(period_start=pd.Timestamp(day - timedelta(days=WEEK)).as_unit("us")) for day in mornings
            ]
            self._pass = {
                "features": features_in(made, None),
                "labels": outcomes_in(made, problem),
                "early": early_in(made, problem),
                "measures": joined(parts),
                **{name: _dated(made.read(sql)) for name, sql in _made_of(mornings).items()},
            }

    def _wake(self, morning: date) -> Morning:
        """Cut one Monday out of what was made."""
        self._make()
        problem, week = self.problem, morning - timedelta(days=WEEK)
        known, changed = self._measured(week, morning, self._types)
        measures = self._pass["measures"]
        days = measures["period_start"]
        mine = (days >= pd.Timestamp(week)) & (days < pd.Timestamp(morning)) & measures["asset"].isin(changed)
        cut = {"features": 0, "labels": problem.horizon_days, "early": problem.early_days}
        parts = {
            name: at(self._pass[name], [morning - timedelta(days=delay)], problem.cutoff) for name, delay in cut.items()
        }
        return Morning(
            features=parts["features"],
            outcomes=parts["labels"],
            early=parts["early"],
            measures=joined([known, measures[mine]]),
            types=self._types,
            anomalies=self._schema(self._types, morning),
        )


def _made_of(mornings: Sequence[date]) -> dict[str, str]:
    served = ", ".join(f"date '{day}'" for day in mornings)
    return {
        "popular_types": f"select * from next_product.popular_types where cutoff_date in ({served})",
        "candidates": f"select * from next_product.candidates where cutoff_date in ({served})",
        "outcomes": "select * from next_product.outcomes",
    }


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    days = [name for name in ("cutoff_date", "matured_on") if name in frame]
    return frame.assign(**{name: pd.to_datetime(frame[name]).astype("datetime64[us]") for name in days})
