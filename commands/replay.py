"""Replay what is recorded: move the clock week by week through the same jobs that run on schedule.

A replay is nothing but a source that reveals no more than a date: a connector that is told the clock, or a table whose
rows show themselves by the time of their event. Each Monday: load what became visible, build, score with that day's
champion, judge what matured, and let the drift sensor answer the decision as it would in a daemon. State lives in its
own folder, `BATON_HOME`/replay, so that the future already in the main warehouse cannot leak into the past. It can be
interrupted at any point and continued by the same command.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg

from commands.dates import first_replayed, last_replayed, monday
from commands.sentences import sentences
from commands.session import embedded_only, execute, first_failure, instance, quiet
from resources.company import Company, company
from resources.folders import write_whole
from resources.profiles import home, resources_for
from sensors.jobs import INGEST_AND_BUILD, ROLLBACK, WEEKLY_JUDGE, WEEKLY_SCORE
from steps.errors import StepRefusedError
from steps.problem import problem
from steps.shop_time import time_zone
from steps.tables import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd

CLOCK = "${clock}"
"""What an Airbyte connection's configuration holds where the connector is told the present."""


@dataclass(frozen=True)
class Week:
    """What one replayed week came to."""

    cutoff: date
    scored: int
    model_version: str
    judged: str
    drift: str
    action: str
    seconds: float

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.cutoff}  scored {self.scored:5,d}  model {self.model_version:>4s}  {self.judged:36s}  "
            f"drift {self.drift:22s}  {self.action:28s} {self.seconds:5.1f} s"
        )


def main() -> None:
    """Replay the Mondays from `--from` to `--to`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--from", dest="start", default="", help="default: the first at which a model can be judged")
    arguments.add_argument("--to", dest="end", default="", help="default: the newest cutoff, or where the clock stands")
    given = arguments.parse_args()
    start = monday(given.start, "FROM") if given.start else None
    end = monday(given.end, "TO") if given.end else None

    quiet()
    with sentences():
        embedded_only("replay")
        refuse_what_knows_no_clock(company())
        state = Path(home() / "replay" / "replay.json")
        # Asked of the home itself: the replay's own does not know yet what is to come.
        resources = resources_for()
        start = start or begun(state) or first_replayed(company(), resources["warehouse"])
        end = end or last_replayed(company(), resources["warehouse"], resources["clock"])
        if end < start:
            sys.exit(f"error: TO must not be before FROM; FROM is {start} and TO is {end}.")
        os.environ["BATON_HOME"] = str(state.parent)
        with instance() as opened:
            replay(opened, _State(state, start), start, end)


def refuse_what_knows_no_clock(ours: Company) -> None:
    """Refuse a replay of what cannot be shown as it was: connections that are not told the clock.

    Raises:
        StepRefusedError: there are some; the message names them.
    """
    blind = [name for name, one in ours.airbyte.items() if CLOCK not in json.dumps(one.config)]
    if blind:
        raise StepRefusedError(
            f"Expected connections whose configuration holds {CLOCK}, so that they reveal no more than the replayed "
            f"day, and {', '.join(blind)} does not. Replay tables that are there already (`tables` in company.toml), "
            "or give the connector a date of the present, if it takes one."
        )


def begun(state: Path) -> date | None:
    """Return where the replay begins that a folder holds; None: it holds none."""
    return date.fromisoformat(json.loads(state.read_text())["from"]) if state.exists() else None


class _State:
    """Which replay this folder holds, and how far it came."""

    def __init__(self, file: Path, start: date) -> None:
        self.file, self.start = file, start
        if file.exists():
            found = json.loads(file.read_text())
            if found["from"] != str(start):
                sys.exit(
                    f"error: {file.parent} holds a replay from {found['from']}, and this one starts at {start}. Move "
                    "that folder away, set another BATON_HOME, or continue with the same FROM."
                )
            self.through = date.fromisoformat(found["through"]) if found["through"] else None
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.through = None
            self._write()

    def finish(self, week: date) -> None:
        self.through = week
        self._write()

    def _write(self) -> None:
        through = str(self.through) if self.through else None
        write_whole(self.file, json.dumps({"from": str(self.start), "through": through}))


def replay(opened: dg.DagsterInstance, state: _State, start: date, end: date) -> None:
    """Run the missing weeks, then print the table and write the plot of accuracy over time."""
    from definitions import build_definitions

    definitions = build_definitions()
    weeks = [start + timedelta(days=7 * number) for number in range((end - start).days // 7 + 1)]
    missing = [week for week in weeks if state.through is None or week > state.through]
    if len(missing) < len(weeks):
        print(f"continuing after {state.through}: {len(missing)} of {len(weeks)} week(s) to go", flush=True)
    for number, week in enumerate(missing, 1):
        done = one_week(opened, definitions, week)
        state.finish(week)
        print(f"[{number:2d}/{len(missing)}] {done.line()}", flush=True)
    summarise(Path(state.file).parent)


def one_week(opened: dg.DagsterInstance, definitions: dg.Definitions, week: date) -> Week:
    """Run one Monday's jobs at that Monday's clock."""
    began = time.monotonic()
    os.environ["BATON_NOW"] = datetime(week.year, week.month, week.day, 8, tzinfo=ZoneInfo(time_zone())).isoformat()
    tags = {"baton/replay": str(week)}
    for job in (INGEST_AND_BUILD, WEEKLY_SCORE, WEEKLY_JUDGE):
        result = execute(opened, definitions, job, tags=tags, console="CRITICAL")
        if not result.success:
            sys.exit(f"error: replay of {week}, {job}: {first_failure(result)}")
    judged = result
    actions = act_on_drift(opened, definitions, tags)
    warehouse = definitions.resources["warehouse"]  # type: ignore[index]
    return Week(
        cutoff=week,
        scored=_scored(warehouse, week),
        model_version=_model(warehouse, week),
        judged=_judged(warehouse),
        drift=_drift(judged),
        action=", ".join(actions) or "continue",
        seconds=time.monotonic() - began,
    )


def act_on_drift(opened: dg.DagsterInstance, definitions: dg.Definitions, tags: dict[str, str]) -> list[str]:
    """Evaluate the drift sensor once and run what it asks for, each run key once, as the daemon would."""
    location = definitions.get_repository_def()
    with dg.build_sensor_context(instance=opened, repository_def=location) as context:
        tick = location.get_sensor_def("drift_sensor").evaluate_tick(context)
    actions = []
    for request in tick.run_requests or []:
        # Dagster's own tag for a run key: the daemon looks runs up by it before it launches one.
        key = {"dagster/run_key": request.run_key or ""}
        if opened.get_runs(dg.RunsFilter(tags=key), limit=1):
            continue
        result = execute(
            opened,
            definitions,
            request.job_name or "",
            run_config=request.run_config,
            tags={**tags, **request.tags, **key},
            console="CRITICAL",
        )
        cause = request.tags["baton/event_id"]
        gates = [
            check.check_name
            for check in result.get_asset_check_evaluations()
            if check.asset_key == CANDIDATE and not check.passed
        ]
        if request.job_name == ROLLBACK:
            actions.append(f"rolled back ({cause})" if result.success else f"no rollback ({first_failure(result)})")
        elif gates or not result.success:
            actions.append(f"not promoted ({', '.join(gates) or first_failure(result)})")
        else:
            actions.append(f"retrained ({cause})")
    return actions


def _scored(warehouse: Any, week: date) -> int:
    if not warehouse.exists("predictions", "lapse_predictions"):
        return 0
    found = warehouse.read("select count(*) as n from predictions.lapse_predictions where cutoff_date = ?", [week])
    return int(found["n"].iloc[0])


def _model(warehouse: Any, week: date) -> str:
    if not warehouse.exists("predictions", "lapse_predictions"):
        return "none"
    found = warehouse.read(
        "select model_version from predictions.lapse_predictions where cutoff_date = ? limit 1", [week]
    )
    return f"v{found['model_version'].iloc[0]}" if len(found) else "none"


def _judged(warehouse: Any) -> str:
    if not warehouse.exists("marts", "accuracy_over_time"):
        return "nothing matured yet"
    found = warehouse.read(
        "select cutoff_date, auc, log_loss from marts.accuracy_over_time where evidence = 'live' "
        "order by cutoff_date desc limit 1"
    )
    if found.empty:
        return "nothing matured yet"
    row = found.iloc[0]
    return f"judged {str(row.cutoff_date)[:10]} AUC {row.auc:.3f} loss {row.log_loss:.3f}"


def _drift(result: dg.JobExecutionResult) -> str:
    statuses = [
        str(check.metadata["status"].value)
        for check in result.get_asset_check_evaluations()
        if "status" in check.metadata and check.check_name.endswith("drift")
    ]
    for status in ("fail", "insufficient evidence", "pass"):
        if status in statuses:
            return status
    return "not judged"


def summarise(folder: Path) -> None:
    """Print accuracy over time and write `accuracy_over_time.png` beside the replay's warehouse."""
    from ml_models.plots import accuracy_over_time_plot

    frame: pd.DataFrame = resources_for()["warehouse"].read(
        "select cutoff_date, model_version, customers, base_rate, mean_score, auc, recency_rule_auc, log_loss, brier, "
        "lift_at_10pct from marts.accuracy_over_time where evidence = 'live' order by cutoff_date, model_version"
    )
    print(
        "\naccuracy over time: predictions made before their outcome was known, judged "
        f"{problem().horizon_days} days later"
    )
    if frame.empty:
        print(f"no prediction has matured yet: an outcome is known {problem().horizon_days} days after its cutoff")
        return
    shown = frame.assign(cutoff_date=frame["cutoff_date"].dt.strftime("%Y-%m-%d"))
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    picture = folder / "accuracy_over_time.png"
    picture.write_bytes(accuracy_over_time_plot(frame))
    print(f"plot: {picture}\nlook at the replay in the web UI: make ui BATON_HOME={folder}")


if __name__ == "__main__":
    main()
