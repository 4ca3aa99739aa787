"""The main job: everything from the sync to the predictions for the newest cutoff, then a summary for a person."""

import argparse
import sys
import time
from typing import Any

from commands.lost import lost_history, lost_models, lost_runs
from commands.sentences import sentences
from commands.session import embedded_only, execute, first_failure, instance, load_definitions, quiet
from commands.summary import summarise
from resources.profiles import home
from sensors.jobs import EVERYTHING


def main() -> None:
    """Run the job `everything` and print what came of it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only-summary", action="store_true", help="run nothing, show what is there")
    only_summary = arguments.parse_args().only_summary
    began = time.monotonic()
    quiet()
    with sentences():
        # The summary only reads, wherever the tables are.
        if not only_summary:
            embedded_only("run")
        definitions = load_definitions()
        resources: Any = definitions.resources
        if only_summary:
            summarise(resources["warehouse"], resources["registry"])
            return
        runs = lost_runs(home())
        with instance() as opened:
            warehouse = resources["warehouse"]
            for lost in (runs, lost_history(opened, warehouse), lost_models(warehouse, resources["registry"])):
                if lost:
                    print(lost, flush=True)
            result = execute(opened, definitions, EVERYTHING)
        if not result.success:
            sys.exit(
                f"error: {first_failure(result)}\nThe tables that were there before are intact. Details: make ui, "
                f"then run {result.run_id}."
            )
        summarise(resources["warehouse"], resources["registry"])
        print(
            f"\ndone in {time.monotonic() - began:.0f} s. State: {home()}. Web UI: make ui, then http://127.0.0.1:3000"
        )


if __name__ == "__main__":
    main()
