"""The engine runs any Python Airbyte source; the connector's fast path is the development kit's stream for stream."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airbyte_world import CONNECTOR, World
from environments.install import python_of
from paging_api import Shop, manifest, serve

from resources.environment import variables

pytestmark = pytest.mark.slow(minutes=2)


def published(world: World, environment: str, source: str, **more: Any) -> None:
    """Do what the page says of a published connector: its block, and its environment as `make setup` makes it."""
    folder = world.folder / "connectors" / source
    folder.mkdir(parents=True)
    (folder / ".venv").symlink_to(python_of(environment).parents[1])
    row = {"source": source, "package": f"airbyte-{source}", **more}
    (world.folder / "connections.json").write_text(json.dumps({"shop": row}))


def test_a_source_from_the_package_registry_is_synced(world: World) -> None:
    config = {"count": 300, "seed": 7, "parallelism": 1}
    published(world, "source_faker", "source-faker", streams=["users", "purchases"], config=config)
    # What a published source offers is the connection's affair, and stands with the company.
    assert world.workspace().discover("shop") == world.folder / "shop.catalog.json"

    first = world.sync()
    assert first.streams["users"].rows == 300
    assert world.rows("select count(*), count(distinct id) from raw.users") == [(300, 300)]
    # An object lands as JSON that can be asked.
    assert world.rows("select count(*) from raw.users where address ->> 'city' is not null") == [(300,)]
    assert world.rows("select count(*) from raw._airbyte_state where state is not null")[0][0] >= 1
    before = world.rows("select count(*) from raw.purchases")
    second = world.sync()
    assert second.streams["users"].rows == 300
    assert world.rows("select count(*) from raw.purchases") == before


def test_a_declarative_source_is_synced_over_pages_pauses_and_broken_answers(world: World) -> None:
    # The server asks for patience on the second page, and breaks down amid the lines of the orders.
    shop = Shop(
        [{"id": number, "updated_at": f"2024-01-{number:02}T00:00:00Z", "note": "x"} for number in range(1, 6)],
        faults={("/orders", 2): 429, ("/orders/3/lines", 1): 500},
    )
    server = serve(shop)
    try:
        config = {"url": f"http://127.0.0.1:{server.server_port}", "token": "${env:BATON_TEST_TOKEN}"}
        config["__injected_declarative_manifest"] = manifest()
        published(world, "source_declarative", "source-declarative-manifest", config=config)
        with variables({"BATON_TEST_TOKEN": "open sesame"}):
            assert world.workspace().discover("shop") == world.folder / "shop.catalog.json"
            first = world.sync()
            assert (first.streams["orders"].rows, first.streams["order/lines"].rows) == (5, 10)
            assert world.rows("select count(*), round(sum(amount), 9) from raw.order_lines") == [(10, 31.5)]
            assert shop.asked["/orders/3/lines"] == 2
            assert shop.tokens == {"Bearer open sesame"}

            # The next sync goes on from its cursor: what changed replaces its row.
            shop.orders[1] |= {"updated_at": "2024-02-01T00:00:00Z", "note": "changed"}
            shop.orders.append({"id": 6, "updated_at": "2024-02-02T00:00:00Z", "note": "new"})
            second = world.sync()
        assert second.streams["orders"].records < 6
        assert world.rows("select id, note from raw.orders where note <> 'x' order by id") == [
            (2, "changed"),
            (6, "new"),
        ]
        assert world.rows("select count(*) from raw.orders") == [(6,)]
    finally:
        server.shutdown()


@pytest.fixture(scope="session")
def kit() -> Path:
    """The `bin` of an environment with the development kit."""
    return python_of("airbyte_kit").parent


VALIDATE = """
import json, sys
from airbyte_cdk.models import AirbyteMessageSerializer

for line in sys.stdin:
    message = json.loads(line)
    loaded = AirbyteMessageSerializer.load(message)
    body = getattr(loaded, message["type"].lower().replace("connection_status", "connectionStatus"))
    assert body is not None, line
    print(loaded.type.value)
"""


def read(executable: Path, folder: Path, config: dict[str, Any], state: list[Any]) -> list[dict[str, Any]]:
    catalog = json.loads((CONNECTOR / "catalog.json").read_text())
    streams = [
        {
            "stream": entry,
            "sync_mode": "incremental" if "incremental" in entry["supported_sync_modes"] else "full_refresh",
            "destination_sync_mode": "append",
        }
        for entry in catalog["streams"]
    ]
    arguments = [str(executable), "read"]
    for name, content in {"config": config, "catalog": {"streams": streams}, "state": state}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def facts(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what two reads must have in common: records, last states, and the final status of each stream."""
    records: dict[str, list[str]] = {}
    found: dict[str, Any] = {"records": records, "states": {}, "statuses": {}}
    for message in messages:
        if message["type"] == "RECORD":
            # The kit leaves out what is null, a destination reads both alike.
            data = {name: value for name, value in message["record"]["data"].items() if value is not None}
            records.setdefault(message["record"]["stream"], []).append(json.dumps(data, sort_keys=True))
        elif message["type"] == "STATE":
            stream = message["state"]["stream"]
            if "__ab_no_cursor_state_message" not in stream["stream_state"]:
                found["states"][stream["stream_descriptor"]["name"]] = stream["stream_state"]
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            found["statuses"][status["stream_descriptor"]["name"]] = status["status"]
    for lines in records.values():
        lines.sort()
    return found


def test_the_fast_path_says_what_the_development_kit_says(
    connector: Path, kit: Path, sample: Path, tmp_path: Path
) -> None:
    config = {"data_dir": str(sample), "as_of": "2017-06-05T12:00:00-04:00"}
    programs = (connector, kit / "source-complete-journey-cdk")
    fast, slow = (facts(read(program, tmp_path, config, [])) for program in programs)
    assert without_digests(fast) == slow
    assert len(slow["records"]["transactions"]) > 5000

    states = [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": value}}
        for name, value in slow["states"].items()
    ]
    assert len(states) == 2
    later = {**config, "as_of": "2017-07-05T12:00:00-04:00"}
    fast, slow = (facts(read(program, tmp_path, later, states)) for program in programs)
    assert without_digests(fast) == slow
    assert 100 < len(slow["records"]["transactions"]) < 5000


def without_digests(found: dict) -> dict:
    """Leave out what only the fast path says: of each stream that it read as a whole, a digest."""
    digests = {name for name, state in found["states"].items() if set(state) == {"baton_digest"}}
    assert len(digests) == len(found["records"]) - 2
    return {**found, "states": {name: state for name, state in found["states"].items() if name not in digests}}


def test_every_message_of_the_fast_path_is_of_the_protocol(
    connector: Path, kit: Path, sample: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"data_dir": str(sample), "as_of": "2017-02-05T12:00:00-05:00"}))
    lines = [json.dumps(message) for message in read(connector, tmp_path, json.loads(config.read_text()), [])]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"as_of": "no instant"}))
    for command, file in (
        ("spec", None),
        ("check", config),
        ("discover", config),
        ("check", broken),
        ("discover", broken),
    ):
        arguments = [str(connector), command, *(["--config", str(file)] if file else [])]
        lines += subprocess.run(arguments, capture_output=True, text=True, check=False).stdout.splitlines()
    validated = subprocess.run(
        [str(kit / "python"), "-c", VALIDATE], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert validated.returncode == 0, validated.stderr[-2000:]
    kinds = validated.stdout.split()
    assert len(kinds) == len(lines)
    assert set(kinds) == {"RECORD", "STATE", "TRACE", "LOG", "SPEC", "CONNECTION_STATUS", "CATALOG"}
