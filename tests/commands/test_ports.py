"""A page is served where nobody else serves one, and whoever asks for a port gets that one or a reason."""

import socket

import pytest

from commands.ports import FOLLOWING, LOOPBACK, port_for
from resources.profiles import SettingError


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        yield other.getsockname()[1]


def test_where_the_usual_port_is_taken_a_later_one_is_used(taken):
    assert taken < port_for(0, taken, "docs") < taken + FOLLOWING


def test_a_port_that_is_asked_for_and_taken_is_refused_with_what_helps(taken):
    with pytest.raises(SettingError, match=f"port {taken} of 127.0.0.1 to be free for `make docs`.*Leave PORT away"):
        port_for(taken, 8080, "docs")


def test_a_number_that_is_no_port_is_refused():
    with pytest.raises(SettingError, match="port 99999 .*must be 0-65535"):
        port_for(99999, 8080, "docs")


def test_a_free_port_that_is_asked_for_is_used(taken):
    free = port_for(0, taken, "docs")
    assert port_for(free, 8080, "docs") == free
