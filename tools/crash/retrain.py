"""Retrain as the daemon does for a decision of the weekly judgement: without two cutoffs that were found to be bad."""

import sys

from commands.sentences import sentences
from commands.session import execute, first_failure, instance, load_definitions, quiet
from sensors.jobs import RETRAIN, learn_from
from tools.crash.stages import monday

FIRST_BAD, LAST_BAD = 30, 29
"""The cutoffs not to learn from, in weeks before the recording's end."""


def main() -> None:
    """Run the job `retrain`."""
    quiet()
    with sentences():
        definitions = load_definitions()
        config = learn_from(
            "expanding", monday(FIRST_BAD), monday(LAST_BAD), "It learned from cutoffs that lack stores."
        )
        with instance() as opened:
            result = execute(opened, definitions, RETRAIN, run_config=config)
        if not result.success:
            sys.exit(f"error: {first_failure(result)}")


if __name__ == "__main__":
    main()
