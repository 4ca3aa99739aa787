"""Where alerts go: one JSON line each, which a log shipper or a person can follow."""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg


class Alerts(dg.ConfigurableResource):
    """Appends alerts to a file at `path`, a JSON object a line: at, owner, title, body, next."""

    path: str

    def send(self, *, owner: str, title: str, body: str, next_step: str) -> None:
        """Record one alert: who should act, what happened, and the first thing to do."""
        line = json.dumps(
            {"at": datetime.now(UTC).isoformat(), "owner": owner, "title": title, "body": body, "next": next_step}
        )
        file = Path(self.path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
