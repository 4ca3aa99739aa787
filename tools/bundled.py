"""What is about the company that comes with baton says so to others."""

import sys
from datetime import datetime

from resources.company import CompanyError, load
from resources.company.choice import BUNDLED, chosen, folder_of


def bundled_only(what: str) -> None:
    """End the command with a sentence where another company than the bundled one is chosen."""
    try:
        name = chosen()
    except CompanyError as error:
        sys.exit(f"error: {error}")
    if name != BUNDLED:
        sys.exit(
            f"error: {what} is about the bundled data, whose tables it knows, and the company is {name}. To use it, "
            f"set BATON_COMPANY={BUNDLED}."
        )


def recording_ends() -> datetime:
    """Return the instant at which the bundled recording ends."""
    ends = load(folder_of(BUNDLED)).recording_ends
    assert ends is not None, "what is bundled is a recording"
    return ends
