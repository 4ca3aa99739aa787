"""The main job: everything from the sync to the predictions for the newest cutoff, then a summary for a person."""

import argparse
import contextlib
import io
import sys
import time
from datetime import datetime
from typing import Any, NoReturn

import dagster as dg

from commands.lost import lost_history, lost_models, lost_runs
from commands.sentences import sentences
from commands.session import embedded_only, execute, first_failure, instance, load_definitions, quiet
from commands.summary import summarise
from commands.up_to_date import LastRun, Standing, forget, is_settled, last_run, raw_of
from resources.forced import FORCE
from resources.profiles import home
from sensors.jobs import EVERYTHING, SYNC


def main() -> None:
    """Run the job `everything` and print what came of it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only-summary", action="store_true", help="run nothing, show what is there")
    arguments.add_argument("--force", action="store_true", help="run everything, also where nothing is new")
    given = arguments.parse_args()
    began = time.monotonic()
    quiet()
    with sentences():
        # The summary only reads, wherever the tables are.
        if not given.only_summary:
            embedded_only("run")
        definitions = load_definitions()
        resources: Any = definitions.resources
        if given.only_summary:
            summarise(resources["warehouse"], resources["registry"])
            return
        runs = lost_runs(home())
        with instance() as opened:
            standing = Standing(resources)
            if runs or given.force or not _is_up_to_date(opened, definitions, standing):
                _run_whole(opened, definitions, standing, runs, force=given.force)
        print(
            f"\ndone in {time.monotonic() - began:.0f} s. State: {home()}. Web UI: make ui, then http://127.0.0.1:3000"
        )


def _is_up_to_date(opened: dg.DagsterInstance, definitions: dg.Definitions, standing: Standing) -> bool:
    """Tell whether nothing has to be made: the home is as a whole run left it, and the sources have nothing new.

    Then the summary of that run is printed: all that it was made of is the same.
    """
    last, why = last_run(), standing.why_not(opened)
    if last is None or why:
        if last is not None:
            print(f"everything is made again. {why}", flush=True)
        return False
    forget()
    resources: Any = definitions.resources
    synced = execute(opened, definitions, SYNC)
    if not synced.success:
        _stop(synced)
    raw = raw_of(synced, resources["warehouse"])
    news = sorted(name for name in {*raw, *last.raw} if raw.get(name) != last.raw.get(name))
    if news:
        print(f"new since the last run: {', '.join(news)}", flush=True)
        return False
    standing.keep(last)
    print(last.summary, end="")
    print(
        f"\nnothing new: sources, code, settings and day are those of the run {last.run_id} of {last.ended}, and all "
        "is as it left it. To make everything again all the same: make run FORCE=1"
    )
    return True


def _run_whole(
    opened: dg.DagsterInstance, definitions: dg.Definitions, standing: Standing, runs: str, *, force: bool
) -> None:
    """Run the job `everything`, and note how it left the home if the same run once more would leave it so again."""
    resources: Any = definitions.resources
    warehouse = resources["warehouse"]
    for lost in (runs, lost_history(opened, warehouse), lost_models(warehouse, resources["registry"])):
        if lost:
            print(lost, flush=True)
    forget()
    result = execute(opened, definitions, EVERYTHING, tags={FORCE: "true"} if force else None)
    if not result.success:
        _stop(result)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        summarise(warehouse, resources["registry"])
    print(said.getvalue(), end="")
    if is_settled(warehouse):
        ended = f"{datetime.now():%Y-%m-%d %H:%M}"
        standing.keep(LastRun(result.run_id, ended, raw_of(result, warehouse), said.getvalue()))


def _stop(result: dg.JobExecutionResult) -> NoReturn:
    sys.exit(
        f"error: {first_failure(result)}\nThe tables that were there before are intact. Details: make ui, "
        f"then run {result.run_id}."
    )


if __name__ == "__main__":
    main()
