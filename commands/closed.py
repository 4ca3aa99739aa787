"""Say that a day was closed: what is missing on it is no fault, and its week may be learned from again."""

import argparse
import sys
from datetime import timedelta

from commands.dates import iso_date
from commands.person import person
from commands.sentences import sentences
from commands.session import alone_in_home, quiet
from resources.profiles import resources_for
from steps.closed_days import say_closed, take_back
from steps.serving import publish_for_readers


def main() -> None:
    """Record the day in `monitoring.closed_days` and release it in the ledger of decisions, or take that back."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--day", required=True, help="an ISO date, such as 2011-08-29")
    arguments.add_argument("--to", default="", help="the last of several days")
    arguments.add_argument("--by", default="", help="who says so; default: the user of this machine")
    arguments.add_argument("--reason", default="", help="why, for who reads the ledger later")
    arguments.add_argument("--back", action="store_true", help="take it back")
    given = arguments.parse_args()
    first = iso_date(given.day, "DAY")
    last = iso_date(given.to, "TO") if given.to else first
    if last < first:
        sys.exit(f"error: TO must not be before DAY ({first}); it is {last}.")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    quiet()
    with sentences(), alone_in_home():
        resources = resources_for()
        warehouse = resources["warehouse"]
        if given.back:
            done = take_back(warehouse, days)
        else:
            by, now = person(given.by), resources["clock"].now()
            done = say_closed(warehouse, days, by, now, given.reason)
        print(done.sentence)
        print(publish_for_readers(warehouse, report=resources["report"], clock=resources["clock"]).sentence)


if __name__ == "__main__":
    main()
