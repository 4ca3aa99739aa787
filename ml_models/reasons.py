"""How a reason is worded, and how several of one row are told without saying the same comparison each time.

In tables and files each reason is a sentence of its own: it is quoted alone in a mail or a cell. On a page the reasons
of a row stand together, and whom they compare with is said once.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_WORDED = re.compile(r"(?P<fact>.*) \(typical (?P<typical>.*?) among (?P<peers>.*)\)", re.DOTALL)


class Together(NamedTuple):
    """The reasons of a row, and with whom all of them compare; "" where each says so for itself."""

    peers: str
    reasons: Sequence[str]


def sentence(fact: str, typical: str, peers: str = "") -> str:
    """Return a reason: a fact beside its typical value among peers; "" for everybody.

    >>> sentence("last visit 25 days ago", "13", "customers with 1-2 shopping days")
    'last visit 25 days ago (typical 13 among customers with 1-2 shopping days)'
    """
    return f"{fact} (typical {typical}{f' among {peers}' if peers else ''})"


def together(reasons: Sequence[str | None]) -> Together:
    """Return the reasons of a row as they stand together; None is left out.

    >>> together([sentence("lines a trip: 2", "6", "customers with 1 shopping day"), None])
    Together(peers='customers with 1 shopping day', reasons=['lines a trip: 2 (typical 6)'])
    """
    told = [reason for reason in reasons if reason]
    found = [match for match in map(_WORDED.fullmatch, told) if match]
    peers = {match["peers"] for match in found}
    if len(found) < len(told) or len(peers) != 1:
        return Together("", told)
    return Together(peers.pop(), [sentence(match["fact"], match["typical"]) for match in found])
