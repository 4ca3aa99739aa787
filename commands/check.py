"""The verdict on the company's data, before anything is trained: contract, rhythm, days, the question."""

import sys
import textwrap
from typing import cast

import dagster as dg

from assets.reporting import png_of
from commands.sentences import sentences
from commands.session import embedded_only, execute, first_failure, instance, load_definitions, quiet
from resources.company import company
from resources.profiles import home
from sensors.jobs import CHECK
from steps.tables import READINESS


def main() -> None:
    """Load what there is, judge it, and print the verdict."""
    quiet()
    with sentences():
        embedded_only("check")
        definitions = load_definitions()
        with instance(answering=False) as opened:
            result = execute(opened, definitions, CHECK)
        if not result.success:
            sys.exit(f"error: {first_failure(result)}")
        made = next(event for event in result.get_asset_materialization_events() if event.asset_key == READINESS)
        shown = made.materialization.metadata
        said, *facts = str(shown["verdict"].value).splitlines()
        drawn = home() / "readiness.png"
        drawn.write_bytes(png_of(cast(dg.MarkdownMetadataValue, shown["picture"])))
        title = company().title
        print(f"\n{title}\n{'─' * len(title)}")
        for fact in facts:
            print(textwrap.fill(fact, 118, subsequent_indent="  "))
        judged = next(one for one in result.get_asset_check_evaluations() if one.asset_key == READINESS)
        verdict = said.removeprefix("- ") + (" Next: make run." if judged.passed else "")
        print(f"\n{textwrap.fill(verdict, 118)}\npicture: {drawn}")
        if not judged.passed:
            sys.exit(1)


if __name__ == "__main__":
    main()
