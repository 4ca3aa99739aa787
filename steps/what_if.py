"""The models that answer "what if": each read once from the registry, in the background, and kept while it is asked.

Whoever asks is told at once: the model, or in a sentence why there is none yet.
"""

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.lean_pandas import import_pandas_lean
from resources.registry import RegistryError
from resources.registry_apart import ReadVersion
from steps.problem import problem

if TYPE_CHECKING:
    from ml_models.what_if import Model

KEPT = 3
"""Versions that are held at a time: the one that serves, and two that somebody holds against it."""

AGAIN_SECONDS = 30.0
"""After a version could not be read, the registry is asked again no sooner: each attempt costs seconds of a core."""


@dataclass(frozen=True)
class Asked:
    """What became of a question: the model; or None, and why in a sentence. `waiting`: it is being read."""

    model: "Model | None" = None
    why: str = ""
    waiting: bool = False


@dataclass(frozen=True)
class _Failed:
    why: str
    at: float


class Models:
    """Versions by their numbers; `read` gets one from the registry, and `clock` counts seconds."""

    def __init__(self, read: Callable[[int], ReadVersion], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._held: OrderedDict[int, Model | _Failed] = OrderedDict()
        self._reading: dict[int, threading.Thread] = {}
        self._lock = threading.Lock()

    def ask(self, number: int) -> Asked:
        """Return a version's model if it is here; else have it read, and say so."""
        with self._lock:
            held = self._held.get(number)
            if isinstance(held, _Failed) and self._clock() - held.at < AGAIN_SECONDS:
                return Asked(why=held.why)
            if held is not None and not isinstance(held, _Failed):
                self._held.move_to_end(number)
                return Asked(held)
            if number not in self._reading:
                self._reading[number] = threading.Thread(target=self._get, args=(number,), daemon=True)
                self._reading[number].start()
        return Asked(why=f"Version {number} of the model is being read, which takes some seconds.", waiting=True)

    def wait(self, number: int) -> Asked:
        """Return what became of a version once it is read, or could not be."""
        self.ask(number)
        with self._lock:
            reading = self._reading.get(number)
        if reading:
            reading.join()
        return self.ask(number)

    def _get(self, number: int) -> None:
        try:
            import_pandas_lean()
            found: Model | _Failed = _made(self._read(number))
        except RegistryError as error:
            found = _Failed(str(error), self._clock())
        # A model of other libraries, a reference that is none: the other pages go on, and this one says what is wrong.
        except Exception as error:  # noqa: BLE001
            found = _Failed(
                f"Expected version {number} of the model to be one that can be asked here, and it is not "
                f"({type(error).__name__}: {error}).",
                self._clock(),
            )
        with self._lock:
            self._held[number] = found
            self._held.move_to_end(number)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
            del self._reading[number]


def _made(read: ReadVersion) -> "Model":
    import pandas as pd

    from ml_models.what_if import Model

    model = Model(read.version.version, read.pipeline, pd.read_csv(io.StringIO(read.reference), index_col=0), problem())
    # What a first question loads and lays out is loaded and laid out now.
    model.answers(model.typical)
    return model
