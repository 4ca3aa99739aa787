"""Look at a company's orders, propose its file with reasons, and write `companies/<name>/`; nothing is overwritten."""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from commands.sentences import sentences
from resources.company import CompanyError
from resources.company.choice import FILE, folder_of
from resources.company.proposal import (
    ROLES,
    Proposal,
    file_text,
    landed,
    propose,
    recording_end,
    refuse_existing,
    write,
    zone_said,
)


def main() -> None:
    """Read what FROM names, tell what was seen, and write the folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--name", default="", help="the company's short name: small letters, digits and _")
    arguments.add_argument("--from", dest="source", default="", help="where its orders are")
    given = arguments.parse_args()
    began = time.monotonic()
    with sentences():
        try:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", given.name):
                raise CompanyError(f"NAME must be small letters, digits and _, such as webshop; it is {given.name!r}.")
            folder = folder_of(given.name)
            refuse_existing(folder)
            # Whoever is not at a terminal is not asked: the likelier is taken, and told.
            ask = _ask if sys.stdin.isatty() else None
            found = propose(landed(given.source, _say), given.name, today=datetime.now(UTC).date(), ask=ask, say=_say)
            write(file_text(found, folder), folder)
        except CompanyError as error:
            sys.exit(f"error: {error} Nothing was written.".replace("nothing is written. Nothing was", "Nothing was"))
        except (KeyboardInterrupt, EOFError):
            sys.exit("interrupted; nothing was written")
    _tell(found)
    print(f"\nwrote companies/{given.name}/{FILE} in {time.monotonic() - began:.0f} s. Read it; its comments say why.")
    print(f"Next: BATON_COMPANY={given.name} make check")


def _tell(found: Proposal) -> None:
    """Print what was proposed, and what to heed."""
    print()
    for role in ROLES:
        if role in found.roles:
            _row(role, found.roles[role].name, found.reasons.get(role, ""))
    for level, column in found.levels.items():
        _row(level, column.name, f"{column.distinct:,} different")
    for name, value, share in found.departments:
        _row("share", value, f"{share:.0%} of the spend: {name}")
    rhythm = found.rhythm
    assert rhythm is not None
    assert rhythm.asked is not None
    asked = rhythm.asked
    _row("grain", found.grain, f'amounts are in {found.money.currency}, returns = "{found.money.returns}"')
    _row("zone", "UTC", zone_said(found))
    if rhythm.closed:
        _row("closed", ", ".join(rhythm.closed), "hardly an order on them")
    _row(
        "question",
        f"{asked.horizon} days",
        f"{asked.again:.0%} come again within them; looks back {asked.look_back} days",
    )
    _row("cutoffs", f"{asked.cutoffs}", f"with known outcomes, from {asked.first_cutoff}; orders to {rhythm.last}")
    last = recording_end(found)
    if last:
        _row("recording", f"ends {last}", "its clock stands at its end; take recording_ends out once rows arrive")
    for note in found.notes:
        print(f"note: {note}")


def _row(what: str, value: str, reason: str) -> None:
    print(f"  {what:<12} {value:<24} {reason}".rstrip())


def _say(line: str) -> None:
    print(line, flush=True)


def _ask(question: str, choices: Sequence[str]) -> str:
    for number, choice in enumerate(choices, start=1):
        print(f"  {number}  {choice}")
    while True:
        answer = input(f"{question} [1] ").strip() or "1"
        if answer.isdigit() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        if answer in choices:
            return answer
        print(f"Expected a number from 1 to {len(choices)}; it is {answer!r}.")


if __name__ == "__main__":
    main()
