"""Compute features, outcomes and the feature frame again from a cutoff on, after a repair upstream.

What was served stays what training sees, so a late repair changes history only when a person asks for it, here.
"""

import argparse
import sys

from commands.dates import iso_date
from commands.sentences import sentences
from commands.session import (
    embedded_only,
    execute,
    first_failure,
    instance,
    load_definitions,
    quiet,
    rebuild_config,
)


def main() -> None:
    """Run `ingest_and_build` with `rebuild_from`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--from", dest="start", required=True, help="an ISO date: this cutoff and all later ones")
    start = iso_date(arguments.parse_args().start, "FROM")
    quiet()
    with sentences():
        embedded_only("rebuild")
        with instance() as opened:
            result = execute(
                opened,
                load_definitions(),
                "ingest_and_build",
                run_config=rebuild_config(start.isoformat()),
                tags={"baton/cause": f"rebuild from {start} asked by a person"},
            )
        if not result.success:
            sys.exit(f"error: {first_failure(result)}")
        print(f"rebuilt from {start}; `make run` retrains and scores on the repaired history")


if __name__ == "__main__":
    main()
