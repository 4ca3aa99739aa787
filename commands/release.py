"""Release a judged week: what was found in it is no fault, so it may be learned from again; or take that back."""

import argparse

from commands.dates import iso_date
from commands.person import person
from commands.sentences import sentences
from commands.session import alone_in_home, quiet
from resources.profiles import resources_for
from steps.releases import hold_again, release
from steps.serving import publish_for_readers


def main() -> None:
    """Write into the ledger of decisions who released the week, when and why; the next judgement goes by it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--week", required=True, help="the Monday of a judged week, in the form year-month-day")
    arguments.add_argument("--by", default="", help="who releases it; default: the user of this machine")
    arguments.add_argument("--reason", default="", help="why, for who reads the ledger later")
    arguments.add_argument("--undo", action="store_true", help="hold the week again")
    given = arguments.parse_args()
    week = iso_date(given.week, "WEEK")
    quiet()
    with sentences(), alone_in_home():
        resources = resources_for()
        warehouse = resources["warehouse"]
        if given.undo:
            print(hold_again(warehouse, week))
        else:
            print(release(warehouse, week, person(given.by), resources["clock"].now(), given.reason))
        print(publish_for_readers(warehouse, report=resources["report"], clock=resources["clock"]).sentence)


if __name__ == "__main__":
    main()
