"""Where alerts go: one JSON line each, which a log shipper or a person can follow."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from resources.folders import make_private, to_disk

LOG = logging.getLogger("baton.alerts")
"""The same lines. A container's file goes with it, and what it logs is what a cluster collects."""


class Alerts(dg.ConfigurableResource[None]):
    """Logs alerts and appends them to a file at `path`, a JSON object a line: at, owner, title, body, next."""

    path: str

    def send(self, *, owner: str, title: str, body: str, next_step: str) -> None:
        """Record one alert: who should act, what happened, and the first thing to do."""
        line = json.dumps(
            {"at": datetime.now(UTC).isoformat(), "owner": owner, "title": title, "body": body, "next": next_step}
        )
        # Before the file: on a full disk somebody hears of it all the same, if more than once.
        LOG.warning("%s", line)
        file = Path(self.path)
        make_private(file.parent)
        cut = _is_cut(file)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{chr(10) if cut else ''}{line}\n")
        to_disk(file)


def _is_cut(file: Path) -> bool:
    """Tell whether a file ends within a line, as after a full disk or a power loss: the next one begins anew."""
    if not file.exists() or not file.stat().st_size:
        return False
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() != b"\n"
