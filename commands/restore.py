"""Bring a backup back as the home, after every file and every table was held against what the backup says of itself."""

import argparse

from commands.sentences import sentences
from commands.session import embedded_only, folder_given, instance, quiet, reap
from resources.backup import restore
from resources.profiles import claim_home, home, refuse_other_owner, resources_for
from resources.registry import CHAMPION
from steps.serving import publish_for_readers
from steps.tables import FEATURE_FRAME


def main() -> None:
    """Restore, end the runs that were going on when the backup was made, and say what serves."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--from", dest="source", required=True, help="the folder that was TO of a backup")
    given = arguments.parse_args().source
    quiet()
    with sentences():
        embedded_only("restore")
        source = folder_given(given, "FROM")
        refuse_other_owner(source)
        note = restore(source, home())
        claim_home(answering=False)
        with instance(answering=False) as opened:
            # Whatever executed them executes them in the home that was backed up, if at all.
            for run_id in reap(opened, everyone=True):
                print(f"run {run_id} was going on when the backup was made, and is marked failed")
        resources = resources_for()
        registry, warehouse = resources["registry"], resources["warehouse"]
        champion = registry.by_alias(CHAMPION)
        if champion is not None:
            registry.load(champion)
        if warehouse.exists(*FEATURE_FRAME.path):
            # A backup has no copy: it is made of what was restored.
            print(publish_for_readers(warehouse, report=resources["report"], clock=resources["clock"]).sentence)
    serves = f"version {champion.version} serves" if champion else "no model serves yet"
    print(
        f"{home()} is restored as of {note.made_at}: {len(note.files)} files, {note.rows:,} rows, {serves}. Next: make "
        "summary"
    )


if __name__ == "__main__":
    main()
