"""What a sync has read of one stream and not committed yet: its records in a file, and its newest checkpoint."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from resources.airbyte.protocol import Records


@dataclass
class Buffer:
    """The records of one stream that are not committed yet, in a file, and the newest checkpoint among them."""

    path: Path
    file: IO[bytes] | None = None
    bytes: int = 0
    records: int = 0
    state: Any = None
    checkpoint_bytes: int = 0
    since_checkpoint: int = 0

    def write(self, records: Records) -> None:
        """Add records to the file."""
        if self.file is None:
            self.file = self.path.open("wb", buffering=0)
        view = memoryview(records.lines)
        while view:
            view = view[self.file.write(view) :]
        self.bytes += len(records.lines)
        self.records += records.count
        self.since_checkpoint += records.count

    def checkpoint(self, state: Any) -> None:
        """Note that a state covers all that came before it."""
        self.state, self.checkpoint_bytes, self.since_checkpoint = state, self.bytes, 0

    def forget_after_checkpoint(self) -> None:
        """Drop the records that no state covers: the next sync gets them again."""
        if self.file is not None and self.bytes > self.checkpoint_bytes:
            os.ftruncate(self.file.fileno(), self.checkpoint_bytes)
            self.bytes = self.checkpoint_bytes

    def close(self) -> Path | None:
        """Return the file, if there is anything in it."""
        if self.file is not None:
            self.file.close()
            self.file = None
        return self.path if self.bytes else None

    def clear(self) -> None:
        """Forget everything, as it is committed."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.bytes = self.records = self.checkpoint_bytes = self.since_checkpoint = 0
        self.state = None
