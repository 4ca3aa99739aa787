"""An interrupt is kept, whatever the code that it stops makes of it."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from resources.interrupts import interrupts_noted


class Stopped(BaseException):
    """What a framework raises in place of KeyboardInterrupt."""


def fail_at_closing(number: int) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        raise ValueError("in place of it") from None


@pytest.fixture(autouse=True)
def _as_python_begins() -> Iterator[None]:
    """In the background a shell lets processes ignore the interrupt."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_an_interrupt_that_the_code_within_swallows_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_noted() as noted, suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert [type(interrupt) for interrupt in noted] == [KeyboardInterrupt]


def test_the_code_within_gets_the_interrupt_of_python_and_who_called_it_that_of_the_handler_in_force() -> None:
    def stop(number: int, frame: object) -> None:
        raise Stopped

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in former:
            with pytest.raises(Stopped), interrupts_noted():
                fail_at_closing(number)
            assert signal.getsignal(number) is stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_where_nobody_stops_anything_nothing_is_noted() -> None:
    with interrupts_noted() as noted:
        pass
    assert noted == []
