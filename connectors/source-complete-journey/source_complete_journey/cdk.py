"""The same streams read through Airbyte's development kit: the yardstick for conformance and for speed.

Same files, same SQL, same slices; only the way from a row to a protocol line is the kit's. Needs the extra `cdk`.
"""
# ruff: noqa: ARG002  The kit's signatures, of which a local file needs little.

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cache
from typing import Any

from airbyte_cdk import AbstractSource, launch
from airbyte_cdk.models import ConnectorSpecification, SyncMode
from airbyte_cdk.sources.streams import CheckpointMixin
from airbyte_cdk.sources.streams import Stream as CdkStream

from source_complete_journey.config import SPEC, ConfigError, parse_config
from source_complete_journey.files import Files, connect
from source_complete_journey.streams import STREAMS, Stream

ROWS_A_FETCH = 10_000


class ParquetStream(CdkStream):
    """One stream of the table in `streams.py`."""

    def __init__(self, files: Files, stream: Stream) -> None:
        self._files, self._stream = files, stream

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._stream.name

    @property
    def primary_key(self) -> list[list[str]]:
        """The columns that identify a row."""
        return [[column] for column in self._stream.primary_key]

    @cache  # noqa: B019  The kit asks once a record, and a stream lives as long as its process.
    def get_json_schema(self) -> Mapping[str, Any]:
        """Return the schema that the fast path publishes."""
        schema: Mapping[str, Any] = self._stream.catalog_entry()["json_schema"]
        return schema

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Mapping[str, Any]]:
        """Yield the rows as dicts."""
        yield from self._rows(None)

    def _rows(self, since: str | None) -> Iterable[dict[str, Any]]:
        for remark in self._files.verify(self._stream):
            logging.getLogger("airbyte").warning(remark)
        for piece in self._files.slices(self._stream, since):
            rows = self._files.connection.cursor().execute(self._files.select(self._stream, piece))
            names = [column[0] for column in rows.description or []]
            while block := rows.fetchmany(ROWS_A_FETCH):
                for row in block:
                    yield dict(zip(names, row, strict=True))


class IncrementalParquetStream(CheckpointMixin, ParquetStream):
    """A stream with a cursor."""

    state_checkpoint_interval = 150_000
    is_resumable = True

    def __init__(self, files: Files, stream: Stream) -> None:
        super().__init__(files, stream)
        self._state: MutableMapping[str, Any] = {}

    @property
    def cursor_field(self) -> str:
        """The column that orders the rows."""
        return self._stream.cursor or ""

    @property
    def state(self) -> MutableMapping[str, Any]:
        """The cursor reached."""
        return self._state

    @state.setter
    def state(self, value: MutableMapping[str, Any]) -> None:
        self._state = dict(value or {})

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Mapping[str, Any]]:
        """Yield the rows from the cursor on, in its order."""
        since = self._state.get(self.cursor_field) if sync_mode == SyncMode.incremental else None
        for row in self._rows(since):
            yield row
            self._state = {self.cursor_field: row[self.cursor_field]}


class SourceCompleteJourney(AbstractSource):
    """The source as the development kit wants it."""

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        """Return the specification that the fast path publishes."""
        return ConnectorSpecification(connectionSpecification=SPEC["connectionSpecification"], supportsIncremental=True)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        """Compare the files with the catalog."""
        try:
            files = Files(connect(), parse_config(config))
            for stream in STREAMS.values():
                files.verify(stream)
        except ConfigError as error:
            return False, str(error)
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[CdkStream]:
        """Return all streams."""
        files = Files(connect(), parse_config(config))
        return [
            IncrementalParquetStream(files, stream) if stream.cursor else ParquetStream(files, stream)
            for stream in STREAMS.values()
        ]


def run() -> None:
    """Run the command line through the kit."""
    launch(SourceCompleteJourney(), sys.argv[1:])
