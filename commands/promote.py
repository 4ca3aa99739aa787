"""Make a registered version the champion: a promotion by a person, and the way back to an older version."""

import argparse
import sys

from commands.person import person
from commands.sentences import sentences
from commands.session import alone_in_home, quiet
from ml_models.model_version import promoted_by
from resources.profiles import resources_for
from steps.champions import make_champion
from steps.model_cards import keep_cards
from steps.publishing import keep_published
from steps.serving import publish_for_readers


def main() -> None:
    """Move the champion's alias and record it in `training.champion`; the next scoring uses it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--version", required=True, help="a version number of the registered model")
    arguments.add_argument("--by", default="", help="who promotes it; default: the user of this machine")
    arguments.add_argument("--reason", default="", help="why, for who reads the model's card later")
    given = arguments.parse_args()
    text = given.version
    if not text.isdigit():
        sys.exit(f"error: VERSION must be the number of a registered version, such as 3; it is {text!r}.")
    quiet()
    with sentences(), alone_in_home():
        resources = resources_for()
        registry, warehouse = resources["registry"], resources["warehouse"]
        version = registry.version(int(text))
        before = make_champion(registry, warehouse, version, reason=promoted_by(person(given.by), given.reason))
        print(f"champion: version {before.version if before else 'none'} -> {version.version} ({version.algorithm})")
        published = keep_published(warehouse, registry, version)
        print(published.sentence)
        lacking = [one for one in keep_cards(warehouse, registry).missing if f"version {version.version}," in one]
        if lacking:
            print(f"its card is not complete: {'; '.join(lacking)}")
        print(publish_for_readers(warehouse, report=resources["report"], clock=resources["clock"]).sentence)
        if not published.passed:
            sys.exit(f"error: version {version.version} serves, but queries cannot call it as a SQL function.")


if __name__ == "__main__":
    main()
