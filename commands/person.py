"""Who says something that the ledger keeps."""

import getpass


def person(by: str) -> str:
    """Return who was named, else the user of this machine; empty where it has none, as in a container."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
