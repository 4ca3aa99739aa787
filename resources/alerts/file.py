"""The file of alerts: one JSON line each, which a log shipper or a person can follow. It is always there."""

import json
import logging
import os
from pathlib import Path

from resources.alerts.destinations import DeliveryError
from resources.alerts.message import Alert
from resources.folders import make_private, to_disk

LOG = logging.getLogger("baton.alerts")
"""The same lines. A container's file goes with it, and what it logs is what a cluster collects."""

NAME = "the file of alerts"

RECENT_BYTES = 1 << 20
"""How much of the file's end is searched for an alert that is recorded again: after a crash, those of one tick."""


class AlertFile:
    """Logs alerts and appends them to the file at `path`, a JSON object a line: the fields of an Alert."""

    name = NAME

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def send(self, alert: Alert) -> None:
        """Record an alert, once: one that stands there already, by its id, is not written again.

        Raises:
            DeliveryError: it cannot be written.
        """
        try:
            self._append(alert)
        except OSError as error:
            raise DeliveryError(
                f"{self.path} cannot be written: {error.strerror or type(error).__name__}",
                "Make room, or give this user the right to write there; what it lacks is in the log",
            ) from None

    def _append(self, alert: Alert) -> None:
        if self._holds(alert):
            return
        line = json.dumps(alert.fields())
        # Before the file: on a full disk somebody hears of it all the same, if more than once.
        LOG.warning("%s", line)
        make_private(self.path.parent)
        cut = self._is_cut()
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{chr(10) if cut else ''}{line}\n")
        to_disk(self.path)

    def _holds(self, alert: Alert) -> bool:
        """Tell whether an alert was recorded lately: a tick that died before its end is made again."""
        if not self.path.is_file():
            return False
        with self.path.open("rb") as stream:
            stream.seek(max(0, self.path.stat().st_size - RECENT_BYTES))
            return f'"id": {json.dumps(alert.id)}}}\n'.encode() in stream.read()

    def _is_cut(self) -> bool:
        """Tell whether the file ends within a line, as after a full disk or a power loss: the next one begins anew."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() != b"\n"
