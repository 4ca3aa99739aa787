"""How a run is told to do everything again, also what is up to date."""

from collections.abc import Mapping

FORCE = "baton/force"
"""The tag of such a run; its value is `true`. `make run FORCE=1` sets it, and the launchpad of the web UI may."""


def forced(tags: Mapping[str, str]) -> bool:
    """Tell whether a run with these tags is to do everything again.

    >>> forced({"baton/force": "True"}), forced({"baton/force": "no"}), forced({})
    (True, False, False)
    """
    return tags.get(FORCE, "").strip().lower() in ("true", "1", "yes")
