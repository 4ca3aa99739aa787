"""Full refreshes that need not be sent again: a source proves that a stream is as it was, and its table is kept.

Airbyte's protocol has no word for it, so source and destination agree on three keys of a stream's state. Whoever does
not know them is treated as before. With the last state of a full refresh a source sends a digest of all that it sent
(`DIGEST`). This side keeps it only beside the digest of what the table then held. At the next sync the table is
compared first. If it still is exactly that, the source is handed its digest back, marked `HELD`. It then either sends
everything, or answers the same digest, marked `UNCHANGED`, and no record.

A source that is asked without `HELD` must send everything: no other destination can be left with an empty table.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.airbyte import exact_json
from resources.airbyte.plans import SCHEMA, STATE_TABLE, StreamPlan
from resources.airbyte.protocol import AirbyteError
from resources.warehouse import quoted
from resources.warehouse.contents import contents_of

if TYPE_CHECKING:
    import duckdb

DIGEST, HELD, UNCHANGED = "baton_digest", "baton_held", "baton_unchanged"
"""In a stream's state: what was sent, in short; the table still holds it; nothing was sent because of that."""

FULL_REFRESH = "FULL_REFRESH"
"""The kind of the state that is kept of a stream which replaces its table."""

DRAWN = ("_airbyte_raw_id", "_airbyte_generation_id")
"""Columns that are others each time the same rows land."""


@dataclass(frozen=True)
class Vouched:
    """What a source says that it sent: its digest, and how many records that were."""

    digest: str
    records: int


def vouched(state: Any, records: int, since: int) -> Vouched | None:
    """Return what a full refresh's last state says of the `records` that came; None where it says nothing.

    `since` are the records that came after it: of these it says nothing, so nothing is known of the whole.
    """
    digest = _inner(state).get(DIGEST)
    return Vouched(digest, records) if isinstance(digest, str) and digest and not since else None


def says_unchanged(state: Any) -> bool:
    """Tell whether the `stream` of a STATE message says that its records are those of the sync before."""
    return _inner(state).get(UNCHANGED) is True


@dataclass(frozen=True)
class Held:
    """A table that holds what its source sent last: the source's digest of that, and the table's own."""

    digest: str
    holds: str


def held(
    connection: "duckdb.DuckDBPyConnection", name: str, streams: Sequence[StreamPlan], lacking: Mapping[str, object]
) -> dict[str, Held]:
    """Return the full refreshes of a connection whose table is exactly what their last sync left, by stream.

    `lacking` are, by stream, the columns that its table does not have yet: it cannot be kept. A source with one state
    for all its streams is never asked.
    """
    rows = connection.execute(
        f"select stream, kind, state, holds from {quoted(SCHEMA)}.{quoted(STATE_TABLE)} where connection = ? "
        "and state is not null",
        [name],
    ).fetchall()
    if any(not stream for stream, *_ in rows):
        return {}
    known = {stream: (exact_json.loads(state), left) for stream, kind, state, left in rows if kind == FULL_REFRESH}
    found = {}
    for plan in streams:
        kept, left = known.get(plan.name, (None, None))
        if plan.incremental or lacking.get(plan.name) or not isinstance(kept, dict):
            continue
        digest = kept.get(DIGEST)
        if isinstance(digest, str) and digest and left and left == holds(connection, plan):
            found[plan.name] = Held(digest, left)
    return found


def handed(plan: StreamPlan, one: Held) -> dict[str, Any]:
    """Return the state that asks a source whether it still has what the table holds."""
    stream = {"stream_descriptor": plan.descriptor, "stream_state": {DIGEST: one.digest, HELD: True}}
    return {"type": "STREAM", "stream": stream}


def holds(connection: "duckdb.DuckDBPyConnection", plan: StreamPlan) -> str:
    """Return in short what a stream's table holds, with the columns that are planned; "" where there is no table.

    Of the columns that Airbyte adds those count, too, which are the same each time the same rows are read.
    """
    contents = contents_of(connection, SCHEMA, plan.table, leave_out=DRAWN)
    planned = hashlib.sha256(repr(sorted(plan.columns.items())).encode()).hexdigest()[:16]
    return f"{contents}, {planned}" if contents else ""


def rows_kept(connection: "duckdb.DuckDBPyConnection", plan: StreamPlan, one: Held) -> int:
    """Return the rows of a table whose source has nothing new; compared once more, as a sync takes its time.

    Raises:
        AirbyteError: it holds something else by now.
    """
    if holds(connection, plan) != one.holds:
        raise AirbyteError(
            f"Expected {SCHEMA}.{plan.table} to hold the rows that its source was told it holds, but it was changed, "
            f"reset or dropped meanwhile. Nothing of {plan.name} was sent: sync again; it is then read anew."
        )
    counted = connection.execute(f"select count(*) from {plan.qualified}").fetchone()
    return int(counted[0]) if counted else 0


def refuse_unasked(name: str, asked: Mapping[str, Held], state: Any, records: int) -> None:
    """Refuse an answer that there is nothing new where that was not asked, or beside records.

    Raises:
        AirbyteError: the answer cannot be, and the table would be kept or emptied by mistake.
    """
    one = asked.get(name)
    if one is None or _inner(state).get(DIGEST) != one.digest or records:
        said = f"sent {records:,} records" if records else "was not handed that digest"
        raise AirbyteError(
            f"Expected {name} to be told as unchanged only where its source was handed the digest of what the table "
            f"holds, and sends no record; but it {said}. This is a mistake of the connector: nothing was changed."
        )


def _inner(state: Any) -> Mapping[str, Any]:
    inner = state.get("stream_state") if isinstance(state, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}
