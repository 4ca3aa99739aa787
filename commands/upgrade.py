"""Bring what earlier releases wrote in the home to the installed ones, and say of each store what was done."""

import argparse
from importlib.metadata import version

from commands.sentences import sentences
from commands.session import embedded_only, instance, quiet
from resources.profiles import home, resources_for
from resources.registry import CHAMPION, RegistryError
from steps.serving import publish_for_readers


def main() -> None:
    """Upgrade the stores one after the other; each is done whole or left as it was, and a second call does nothing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    quiet()
    with sentences():
        embedded_only("upgrade")
        resources = resources_for()
        with instance(answering=False) as opened:
            opened.upgrade()
            print(f"Dagster's instance {home() / 'dagster'} is in the schema of Dagster {version('dagster')}.")
            print(resources["registry"].upgraded())
            warehouse = resources["warehouse"]
            if warehouse.exists("features", "feature_frame"):
                print(f"The warehouse {warehouse.path} is read by DuckDB {version('duckdb')}.")
                # Earlier releases made no serving copy, or another.
                print(publish_for_readers(warehouse, report=resources["report"], clock=resources["clock"]).sentence)
            champion = resources["registry"].by_alias(CHAMPION)
            if champion is not None:
                try:
                    resources["registry"].load(champion)
                except RegistryError as error:
                    print(error)
                else:
                    print(f"The champion, version {champion.version}, loads by scikit-learn {version('scikit-learn')}.")


if __name__ == "__main__":
    main()
