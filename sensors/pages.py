"""Where something is in Dagster's web UI, after its address."""

from collections.abc import Callable
from urllib.parse import quote, urlencode

import dagster as dg

Page = Callable[[str], str]
"""Returns the whole address of a page; empty where the web UI's is not known."""


def of_run(run_id: str) -> str:
    """Return the page of a run."""
    return f"runs/{run_id}"


def of_asset(key: dg.AssetKey) -> str:
    """Return the page of an asset."""
    return "assets/" + "/".join(quote(part, safe="") for part in key.path)


def of_check(key: dg.AssetCheckKey) -> str:
    """Return the page of an asset at one of its checks."""
    return f"{of_asset(key.asset_key)}?{urlencode({'view': 'checks', 'checkDetail': key.name})}"
