"""The verdict on the company's data, before anything is trained: contract, rhythm, days, the question."""

import sys
import textwrap

from commands.session import embedded_only, execute, first_failure, instance, progress_logger, quiet, sentences
from resources.company import company
from resources.profiles import home
from sensors.jobs import CHECK


def main() -> None:
    """Load what there is, judge it, and print the verdict."""
    quiet()
    with sentences():
        embedded_only("check")
        from definitions import build_definitions
        from steps.readiness import judge_readiness
        from steps.shop_time import today

        definitions = build_definitions(loggers={"console": progress_logger})
        with instance(answering=False) as opened:
            result = execute(opened, definitions, CHECK)
        if not result.success:
            sys.exit(f"error: {first_failure(result)}")
        ours, resources = company(), definitions.resources or {}
        judged = judge_readiness(resources["warehouse"], ours, today(resources["clock"]))
        drawn = home() / "readiness.png"
        drawn.write_bytes(judged.png)
        print(f"\n{ours.title}\n{'─' * len(ours.title)}")
        for sentence in (judged.counted, *judged.verdict.facts):
            print(textwrap.fill(sentence, 118, initial_indent="- ", subsequent_indent="  "))
        against = judged.verdict.against
        said = " ".join(against) or "The question can be asked of these data: make run."
        print(f"\n{textwrap.fill(said, 118)}\npicture: {drawn}")
        if against:
            sys.exit(1)


if __name__ == "__main__":
    main()
