"""Where people look at a version in MLflow's web UI, and how to open that where nothing serves it."""

from urllib.parse import quote, urlsplit

SETTING = "BATON_MLFLOW_UI"


class ModelPageError(ValueError):
    """The setting is no address; the message is a sentence."""


def checked_address(value: str) -> str:
    """Return the address at which people open MLflow's web UI, without the slash at its end; empty: none is set.

    Raises:
        ModelPageError: it is no http or https address.
    """
    if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise ModelPageError(
            f"Expected the http or https address at which people open MLflow's web UI in {SETTING}, got {value!r}. "
            "Such as https://mlflow.example.com; unset it for pages without a link."
        )
    return value.rstrip("/")


def page_of(model: str, version: int, address: str, tracking_uri: str) -> str:
    """Return the address of a version's page; empty where nobody is known to serve it.

    `address` is where people open MLflow. Else it is the tracking server, without the password that its address may
    hold: whoever follows the link is asked for an own one.
    """
    parts = urlsplit(tracking_uri)
    if not address and parts.scheme in ("http", "https") and parts.hostname:
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        address = f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")
    return f"{address}/#/models/{quote(model, safe='')}/versions/{version}" if address else ""
