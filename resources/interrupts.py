"""Who stops a step stops it: an interrupt is kept where a library loses it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interrupts_noted() -> Iterator[list[BaseException]]:
    """Yield a list that takes each interrupt on its way up, and raise the first of them at the end.

    The code within gets a KeyboardInterrupt, whatever was raised, and may swallow or replace it. dbt is such code:
    only of that one it knows that its queries are to be cancelled and its threads waited for; it tells of a failure.

    Raises:
        KeyboardInterrupt, DagsterExecutionInterruptedError: what the handler that stood there raised.
    """
    noted: list[BaseException] = []
    former: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def note(number: int, frame: FrameType | None) -> None:
        try:
            former[number](number, frame)
        except BaseException as interrupt:
            noted.append(interrupt)
            raise KeyboardInterrupt from interrupt

    if threading.current_thread() is threading.main_thread():  # nowhere else can a handler be set, or does one run
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                former[number] = handler
                signal.signal(number, note)
    try:
        yield noted
    finally:
        for replaced, handler in former.items():
            signal.signal(replaced, handler)
        for interrupt in noted:
            raise interrupt from None
