"""Ports of this machine for the pages that a command serves."""

import argparse
import socket
from typing import TYPE_CHECKING

from resources.profiles import SettingError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
FOLLOWING = 20
"""So many ports after the usual one are tried where nobody asks for a certain one."""


def asked_port(about: str | None, usual: int) -> int:
    """Return the port that a command is given, its only argument; 0 stands for the first free one from `usual` on."""
    arguments = argparse.ArgumentParser(description=about)
    arguments.add_argument("--port", type=int, default=0, help=f"default: {usual}, or the next free one")
    port: int = arguments.parse_args().port
    return port


def port_for(asked: int, usual: int, command: str) -> int:
    """Return the port that was asked for, or the first free one from the usual one on.

    Raises:
        SettingError: the one asked for is no port or is taken; none of those after the usual one is free.
    """
    if not asked:
        for port in range(usual, usual + FOLLOWING):
            if not why_taken(port):
                return port
        raise SettingError(
            f"Expected one of the ports {usual} to {usual + FOLLOWING - 1} of {LOOPBACK} to be free, and none is. "
            f"Name another one: make {command} PORT={usual + FOLLOWING}. Nothing was changed."
        )
    why_not = why_taken(asked)
    if why_not:
        raise SettingError(
            f"Expected the port {asked} of {LOOPBACK} to be free for `make {command}`, and it is not ({why_not}). "
            "Leave PORT away, and the first free one is taken. Nothing was changed."
        )
    return asked


def serve(pages: "ASGIApp", port: int, host: str = LOOPBACK) -> None:
    """Serve pages until interrupted. Who reads one is nobody's news: only what goes wrong is said."""
    import uvicorn

    uvicorn.run(pages, host=host, port=port, log_level="warning", access_log=False)


def why_taken(port: int) -> str:
    """Return why nobody can listen there; empty where one can."""
    with socket.socket() as probe:
        # As servers do: an address that was left a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            return getattr(error, "strerror", None) or str(error)
    return ""
