"""What time it is for the pipeline. Only the connector's `as_of` and the data-age check ask."""

import os
from datetime import UTC, datetime

import dagster as dg


class Clock(dg.ConfigurableResource[None]):
    """The wall clock, or the moment of a recording.

    `reads` is empty for the wall clock, or an ISO instant with a zone (`2024-01-01T08:00:00-05:00`). The environment
    variable named by `override_variable` wins over `reads`, so that a replay can move the clock of a running process.
    """

    reads: str = ""
    override_variable: str = "BATON_NOW"

    def now(self) -> datetime:
        """Return the current instant, time-zone aware.

        Raises:
            ValueError: the instant is not ISO 8601 with a zone.
        """
        text = self._set_to
        return parse_instant(text, self.override_variable) if text else datetime.now(UTC)

    @property
    def stands(self) -> bool:
        """Whether it is set to a moment, and is not the wall clock."""
        return bool(self._set_to)

    @property
    def _set_to(self) -> str:
        return os.environ.get(self.override_variable) or self.reads


def parse_instant(text: str, name: str) -> datetime:
    """Parse an ISO 8601 instant that carries a zone.

    Raises:
        ValueError: a sentence naming `name`, when the text is no instant or has no zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(
            f"{name} must be an ISO instant with a zone, such as 2024-09-02T08:00:00-04:00; it is {text!r}. "
            f"Correct it, or unset it to use the profile's own clock."
        )
    return instant
