"""The connector's command line: spec, check, discover, read.

Records are written as finished protocol lines by DuckDB itself. Python would spend fifteen times as long on making a
dict of each row and a line of each dict.
"""

import argparse
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from source_complete_journey import messages
from source_complete_journey.config import SPEC, Config, ConfigError, load_config, read_json
from source_complete_journey.files import Files, Slice, connect, needed
from source_complete_journey.streams import STREAMS, Stream, catalog

DIGEST, HELD, UNCHANGED = "baton_digest", "baton_held", "baton_unchanged"
"""In the state of a stream that is read as a whole: what was sent, in short; the destination still holds that; nothing
is sent because of it. A destination that does not know them hands nothing back as held."""


def run() -> None:
    """Run the command line; exit with 1 after an error, which is also sent as a TRACE message."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "spec":
            messages.write({"type": "SPEC", "spec": SPEC})
        elif options.command == "check":
            _check(options.config)
        elif options.command == "discover":
            load_config(options.config)
            messages.write({"type": "CATALOG", "catalog": catalog()})
        else:
            config = load_config(options.config)
            read(
                config,
                read_json(options.catalog, "catalog"),
                read_json(options.state, "state") if options.state else [],
            )
    except ConfigError as error:
        messages.error(str(error), "config_error")
        return 1
    except BrokenPipeError:
        return 1  # Nobody is listening any more.
    except Exception as error:  # noqa: BLE001  The protocol wants every failure as a message.
        messages.error(
            f"The source failed: {_first_line(error)}",
            "system_error",
            internal=repr(error),
            stack=traceback.format_exc(),
        )
        return 1
    return 0


def read(config: Config, configured: Mapping[str, Any], state: Any) -> None:
    """Send the records of the configured streams, in the order in which they are configured.

    Raises:
        ConfigError: a stream is unknown or a file does not keep the catalog's promise; before any record is sent.
    """
    wanted = [(_known(entry["stream"]["name"]), entry.get("sync_mode")) for entry in configured.get("streams", [])]
    states = _states(state)
    files = Files(connect(), config)
    for stream in needed([stream.name for stream, _ in wanted], config):
        for remark in files.verify(stream):
            messages.log("WARN", remark)
    emitted_at = config.read_at_millis()
    for stream, mode in wanted:
        messages.stream_status(stream.name, "STARTED")
        try:
            incremental = mode == "incremental" and stream.cursor is not None
            if stream.cursor is None:
                _read_whole(files, stream, states.get(stream.name) or {}, emitted_at)
            else:
                _read_stream(files, stream, states.get(stream.name) if incremental else None, emitted_at)
        except BaseException:
            messages.stream_status(stream.name, "INCOMPLETE")
            raise
        messages.stream_status(stream.name, "COMPLETE")


def _read_stream(files: Files, stream: Stream, since: Mapping[str, Any] | None, emitted_at: int) -> None:
    reached = since.get(stream.cursor) if since and stream.cursor else None
    slices = files.slices(stream, reached)
    total = sum(piece.rows for piece in slices)
    messages.estimate(stream.name, total)
    messages.stream_status(stream.name, "RUNNING")
    sent = 0
    for piece in slices:
        _send(files, stream, piece, emitted_at)
        sent += piece.rows
        if stream.cursor:
            reached = piece.cursor
            messages.state(stream.name, {stream.cursor: reached}, piece.rows)
        messages.log("INFO", f"{stream.name}: sent {sent:,} of {total:,} records")
    if stream.cursor and not slices:
        messages.state(stream.name, {stream.cursor: reached} if reached else {}, 0)


def _read_whole(files: Files, stream: Stream, state: Mapping[str, Any], emitted_at: int) -> None:
    """Send a stream that is read as a whole; or say that it is unchanged, to a destination that asks for that.

    It asks by handing back the digest of what it holds, marked as held. Any other gets everything.
    """
    lay = files.lie(stream)
    [piece] = files.slices(stream, None)
    digest = files.digest(stream, piece)
    if state.get(HELD) is True and state.get(DIGEST) == digest:
        messages.estimate(stream.name, 0)
        messages.state(stream.name, {DIGEST: digest, UNCHANGED: True}, None)
        messages.log("INFO", f"{stream.name}: its {piece.rows:,} records are those of the sync before, none is sent")
        return
    _read_stream(files, stream, None, emitted_at)
    # Of files that changed while they were read nobody knows which of their states was sent.
    if files.lie(stream) == lay:
        messages.state(stream.name, {DIGEST: digest}, None)


def _send(files: Files, stream: Stream, piece: Slice, emitted_at: int) -> None:
    """Write the RECORD lines of one piece."""
    fields = ", ".join(f'"{column.name}" := "{column.name}"' for column in stream.columns)
    record = (
        f"struct_pack(stream := '{stream.name}', data := struct_pack({fields}), emitted_at := {emitted_at}::bigint)"
    )
    lines = f"select 'RECORD' as type, {record} as record from ({files.select(stream, piece)})"
    if messages.stdout_is_pipe():
        files.connection.execute(f"copy ({lines}) to '/dev/stdout' (format json)")
        return
    # A file would be truncated by opening it a second time, a terminal may not allow it.
    rows = files.connection.execute(f"select to_json(message)::varchar from ({lines}) as message")
    while block := rows.fetchmany(10_000):
        messages.write_bytes("".join(f"{line}\n" for (line,) in block).encode())


def _check(config_file: str) -> None:
    try:
        config = load_config(config_file)
        files = Files(connect(), config)
        for stream in STREAMS.values():
            files.verify(stream)
    except ConfigError as error:
        messages.write({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED", "message": str(error)}})
        return
    messages.write({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}})


def _known(name: str) -> Stream:
    if name not in STREAMS:
        raise ConfigError(f"The catalog must name streams of this source ({', '.join(STREAMS)}); it names {name!r}.")
    return STREAMS[name]


def _states(state: Any) -> dict[str, Mapping[str, Any]]:
    """Return the state of each stream from a list of STATE messages' content; an empty state may be an object."""
    if not state:
        return {}
    if not isinstance(state, list):
        raise ConfigError("The state must be a list of stream states; it is a single object. Reset the connection.")
    found = {}
    for entry in state:
        stream = entry.get("stream") or {}
        found[stream.get("stream_descriptor", {}).get("name")] = stream.get("stream_state") or {}
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="source-complete-journey", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, needs in (
        ("spec", ()),
        ("check", ("config",)),
        ("discover", ("config",)),
        ("read", ("config", "catalog")),
    ):
        command = commands.add_parser(name)
        command.add_argument("--debug", action="store_true", help="accepted as every connector does; changes nothing")
        for option in needs:
            command.add_argument(f"--{option}", required=True)
        if name == "read":
            command.add_argument("--state")
    return parser


if __name__ == "__main__":
    run()
