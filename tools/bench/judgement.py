"""What one weekly judgement costs: a clean week, and one with a fault that has to be explained by replaying it.

Measured on a finished home, which is only read: all three layers, attribution with its replays in the sandbox, and the
decision, as the drill lives through them. Reading the evidence and measuring the week's tables stand apart. `--times 8`
judges copies of every customer, some 20,000 in all: as many as are judged of any larger number.
"""

import argparse
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from commands.drill import ground
from commands.sentences import sentences
from commands.session import quiet
from drills.faults import known
from ml_models.monitoring.types import Perturbation
from resources.profiles import resources_for, stay_embedded
from steps.monitored_tables import columns_of
from steps.problem import problem

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.types import Decision
    from ml_models.monitoring.week import WeekEvidence, WeekJudgement

FAULT = "amounts_times_100"
GOAL_SECONDS = 20
"""For 2,000 customers of the bundled company on two cores."""


@dataclass
class Timed:
    """Our policy, with a stopwatch."""

    name: str = "ours"
    looks: ClassVar[bool] = True
    weeks: list[tuple[str, float, float]] = field(default_factory=list)
    """Cause, wall seconds and CPU seconds of each judged week."""

    def __post_init__(self) -> None:
        from ml_models.policy_backtest import Ours

        self.policy = Ours()

    def decide(self, evidence: "WeekEvidence") -> "tuple[Decision, WeekJudgement | None]":
        """Return the judgement's decision, and note what it cost."""
        began, used = time.perf_counter(), time.process_time()
        decision, judged = self.policy.decide(evidence)
        self.weeks.append((decision.diagnosis.cause, time.perf_counter() - began, time.process_time() - used))
        return decision, judged


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3, help="how often the weeks are judged")
    arguments.add_argument("--times", type=int, default=1, help="copies of every customer")
    given = arguments.parse_args()
    stay_embedded()

    quiet()
    with sentences():
        _print(measured(given.runs, given.times))


def copies(rows: "pd.DataFrame", times: int, entity: str) -> "pd.DataFrame":
    """Return the rows `times` times, each copy of a customer under an identifier of its own, by cutoff."""
    import pandas as pd

    if times == 1:
        return rows
    parts = [rows.assign(**{entity: rows[entity].astype(str) + f"-{number}"}) for number in range(times)]
    return pd.concat(parts).sort_values(["cutoff_date", entity], ignore_index=True)


def measured(runs: int, times: int = 1) -> dict[str, Any]:
    """Return customers, cutoffs, and the seconds of a clean week, a faulty one and of measuring a week's tables."""
    import warnings
    from collections.abc import Callable, Sequence

    import pandas as pd

    from drills.run import middle
    from drills.scenario import DrilledHistory
    from ml_models.monitoring.data_quality import Audit
    from ml_models.monitoring.data_quality.monitored_tables import fitted
    from ml_models.monitoring.data_quality.profile_sql import measure_sql
    from ml_models.monitoring.data_quality.thresholds import WEEK
    from ml_models.policy_backtest import simulate
    from ml_models.training.search import simplest_recipe

    class Many(DrilledHistory):
        """The drilled history of `times` as many customers; what is replayed is built once, and copied too."""

        def frame(self, cutoff: date) -> pd.DataFrame:
            return copies(super().frame(cutoff), times, problem().entity)

        def outcomes(self, cutoff: date) -> pd.DataFrame:
            return copies(super().outcomes(cutoff), times, problem().entity)

        def early(self, cutoff: date) -> pd.DataFrame:
            return copies(super().early(cutoff), times, problem().entity)

        def truth(self, cutoff: date) -> pd.DataFrame:
            return copies(super().truth(cutoff), times, problem().entity)

        def audit(self, cutoff: date) -> Audit | None:
            found = super().audit(cutoff)
            if found is None:
                return None
            return Audit(copies(found.before_only, times, problem().entity), found.all_days)

        def rebuild(self, cutoff: date) -> Callable[[Sequence[Perturbation], date], pd.DataFrame] | None:
            build = super().rebuild(cutoff)
            return build and (lambda perturbed, day: copies(build(perturbed, day), times, problem().entity))

    warnings.simplefilter("ignore")
    made = ground()
    recording = made.recording()
    start = middle(recording, problem())
    weeks: list[tuple[str, float, float]] = []
    for _ in range(runs):
        history = Many(known()[FAULT], start, recording, made.sandbox, problem(), made.lineage, made.owners)
        timed = Timed()
        simulate(history, timed, start, start + timedelta(days=WEEK), simplest_recipe(problem()), gate=False)
        weeks += timed.weeks
    warehouse = resources_for()["warehouse"]
    columns, tables = columns_of(warehouse.read), []
    for _ in range(runs):
        began = time.perf_counter()
        with warehouse.connect() as connection:
            for monitored in made.tables:
                present = fitted(monitored, columns.get(monitored.asset, {}))
                for statement in measure_sql(present, start - timedelta(days=WEEK), start - timedelta(days=1)):
                    connection.execute(statement).fetchdf()
        tables.append(time.perf_counter() - began)
    if not any(cause != "none" for cause, *_ in weeks):
        sys.exit(f"error: {FAULT} was not noticed, so no explanation was measured; see `make drill FAULT={FAULT}`.")
    return {
        "customers": times * int(recording.features[problem().entity].nunique()),
        "cutoffs": sum(day <= start for day in recording.cutoffs),
        "features": len(problem().features),
        "clean": [one[1:] for one in weeks if one[0] == "none"],
        "explained": [one[1:] for one in weeks if one[0] != "none"],
        "measuring": tables,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _print(found: dict[str, Any]) -> None:
    print(f"{found['customers']:,} customers x {found['features']} features, {found['cutoffs']} cutoffs behind")
    print(f"{'one weekly judgement':44s} {'wall s':>8s} {'CPU s':>8s}  goal")
    for name, what in (("clean", "a clean week"), ("explained", "a faulty week, explained by replaying it")):
        wall, cpu = (statistics.median(one[place] for one in found[name]) for place in (0, 1))
        print(f"{what:44s} {wall:8.1f} {cpu:8.1f}  ≤ {GOAL_SECONDS} s")
    print(f"{'measuring the tables of a week':44s} {statistics.median(found['measuring']):8.1f}")
    print(f"{'peak memory of all of it (MB)':44s} {found['peak_mb']:8,.0f}")


if __name__ == "__main__":
    main()
