"""What BigQuery billed, by the step that it was for."""

import threading
from typing import Any

from resources.labels import run_labels


class Charges:
    """The costs of jobs that were not asked for yet; steps of one process are billed apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, dict[str, int]] = {}

    def note(self, job: Any) -> None:
        """Note what a job that ended cost, with the present step."""
        cost = {
            "jobs": 1,
            "bytes_processed": int(job.total_bytes_processed or 0),
            "bytes_billed": int(job.total_bytes_billed or 0),
            "slot_ms": int(job.slot_millis or 0),
        }
        with self._lock:
            before = self._noted.get(_step(), {})
            self._noted[_step()] = {name: value + before.get(name, 0) for name, value in cost.items()}

    def taken(self) -> dict[str, int]:
        """Return what the present step cost since the last call: jobs, bytes, slot milliseconds."""
        with self._lock:
            return self._noted.pop(_step(), {})


def _step() -> str:
    """Return the label of the asset that is being made."""
    return run_labels().get("baton_asset", "")
