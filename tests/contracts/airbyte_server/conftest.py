"""A server and its workspace for each test; whatever the server answered must have been valid."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from contracts.airbyte_server.remote_world import SHOP, Remote, remote
from contracts.airbyte_server.server import AirbyteServer, Connection

VARIABLES = ("URL", "WORKSPACE_ID", "AUTH", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"AIRBYTE_{name}", raising=False)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AirbyteServer]]:
    """Return a function that starts a server and puts what it takes to reach it into the environment."""
    with ExitStack() as stack:
        servers: list[AirbyteServer] = []

        def run(*connections: Connection, **more: Any) -> AirbyteServer:
            server = stack.enter_context(AirbyteServer(*(connections or (SHOP,)), **more))
            servers.append(server)
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            return server

        yield run
        assert [said for server in servers for said in server.invalid] == []


@pytest.fixture
def serve(start: Callable[..., AirbyteServer], tmp_path: Path) -> Callable[..., Remote]:
    """Return a function that starts a server of the shop, and a workspace with its snapshot."""

    def run(*connections: Connection, settings: dict[str, Any] | None = None, **more: Any) -> Remote:
        return remote(start(*connections, **more), tmp_path, **(settings or {}))

    return run
