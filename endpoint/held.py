"""What the endpoint answers from: the newest published scores in memory, and the model that serves.

Both are taken over together when another copy was published, by a thread of its own. A request keeps what it began
with, so none is dropped and none mixes two versions. What cannot be read leaves what is held as it is, and its age
is told.
"""

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_models.problems.contract import REASONS
from resources.serving_copy import open_copy
from resources.warehouse import WarehouseError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from ml_models.what_if import Model, Range
    from steps.what_if import Models

LOOKS_EVERY = 1.0
"""Seconds after which the file is looked at: a promotion is served within that, and the seconds that a model takes."""


@dataclass(frozen=True)
class Scores:
    """The scores of the newest cutoff. `places`: where each customer's are in the columns."""

    published_at: datetime
    cutoff: date | None
    version: int | None
    trained_through: date | None
    places: Mapping[str, int]
    columns: Mapping[str, list[Any]]

    def of(self, customer_id: str) -> dict[str, Any] | None:
        """Return a customer's score, reasons and the version that gave them; None: nobody is scored by that name."""
        place = self.places.get(customer_id)
        return None if place is None else {name: values[place] for name, values in self.columns.items()}


@dataclass(frozen=True)
class Held:
    """What one request answers from.

    `model`: None where there is none, and `why_no_model` says why in a sentence. `seen`: least and most of each feature
    in what the model learned from; empty for one that does not know. `probability`: the model's score of each row of a
    frame of its features.
    """

    scores: Scores
    model: "Model | None" = None
    why_no_model: str = ""
    seen: "Mapping[str, Range]" = field(default_factory=dict)
    probability: "Callable[[pd.DataFrame], npt.NDArray[Any]] | None" = None


def read_scores(file: Path, problem: str) -> Scores:
    """Read the newest scores of a serving copy.

    Raises:
        WarehouseError: there is no copy, or none that this baton reads, or it is of another problem.
    """
    with open_copy(file) as copy:
        [about] = copy.execute("select * from published.serving_copy").fetchdf().to_dict("records")
        if about["problem"] != problem:
            raise WarehouseError(
                f"Expected published scores of {problem}, and the copy at {file} holds those of {about['problem']}. "
                "Let the endpoint and what publishes be of one release."
            )
        asked = ("customer_id", "score", *REASONS, "model_version", "trained_through")
        found = copy.execute(
            f"select {', '.join(asked)} from predictions.{problem}_predictions "
            f"where cutoff_date = (select max(cutoff_date) from predictions.{problem}_predictions)"
        ).fetchnumpy()
        through = copy.execute(
            "select model_version, trained_through from training.champion order by promoted_at desc limit 1"
        ).fetchone()
    columns = {name: _plain(values) for name, values in found.items()}
    return Scores(
        published_at=about["published_at"].to_pydatetime(),
        cutoff=_day(about["newest_cutoff"]),
        version=int(through[0]) if through else None,
        trained_through=through[1] if through else None,
        places={customer: place for place, customer in enumerate(columns.pop("customer_id"))},
        columns=columns,
    )


def _plain(values: Any) -> list[Any]:
    """Return a column as Python's own values; what is missing is None."""
    if values.dtype.kind == "M":
        return [None if str(value) == "NaT" else str(value)[:10] for value in values]
    masked = getattr(values, "mask", False)
    return [None if gone else value for value, gone in zip(values.tolist(), _each(masked, len(values)), strict=True)]


def _each(mask: Any, length: int) -> list[bool]:
    return list(mask) if getattr(mask, "shape", ()) else [bool(mask)] * length


def _day(value: Any) -> date | None:
    return None if value is None or value != value else date.fromisoformat(str(value)[:10])


def probability_of(model: "Model") -> "Callable[[pd.DataFrame], npt.NDArray[Any]]":
    """Return what gives the score of each row of a frame with the model's features, in their order.

    scikit-learn spends two milliseconds of one row on the names of its columns. They are in the model's order here, so
    a pipeline that says the same of an array gets one; one that selects columns by name goes on getting frames.
    """
    import pandas as pd

    def by_frame(frame: "pd.DataFrame") -> "npt.NDArray[Any]":
        scores: npt.NDArray[Any] = model.pipeline.predict_proba(frame)[:, 1]
        return scores

    tried = pd.DataFrame([model.typical, *_limits(model)])[model.features].astype("float64")
    nameless = copy.deepcopy(model.pipeline)
    try:
        vars(nameless.steps[0][1]).pop("feature_names_in_", None)
        same = bool((nameless.predict_proba(tried.to_numpy())[:, 1] == by_frame(tried)).all())
    except Exception:  # noqa: BLE001 - whatever a pipeline says to an array: it is one that wants frames
        same = False
    return (lambda frame: nameless.predict_proba(frame.to_numpy())[:, 1]) if same else by_frame


def _limits(model: "Model") -> list[dict[str, float]]:
    """Return the rows of least and of most values, where it is known what the model has seen."""
    seen = model.ranges or {}
    rows: list[dict[str, float]] = [
        {name: getattr(one, end) for name, one in seen.items()} for end in ("least", "most")
    ]
    return rows if all(set(model.features) <= set(row) for row in rows) else []


class Keeper:
    """Holds what requests answer from, and takes over what was published since.

    `said`: what went wrong with the newest attempt, in a sentence; "": nothing did.
    """

    def __init__(self, file: Path, problem: str, models: "Models", report: Callable[[str], None] = lambda _: None):
        self.file, self.problem, self.models, self.report = file, problem, models, report
        self.held: Held | None = None
        self.said = "Nothing was looked for yet."
        self.reloads = 0
        self._seen: object = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Take over another copy if there is one; return whether what is held is another one now."""
        try:
            stat = self.file.stat()
            seen: object = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        waiting = self.held is not None and self.held.model is None and self.held.scores.version is not None
        if seen == self._seen and self.held is not None and not waiting:
            return False
        try:
            scores = read_scores(self.file, self.problem)
        except WarehouseError as error:
            self._say(str(error))
            return False
        held = self._with_model(scores)
        changed = seen != self._seen or self.held is None or (held.model is not None and self.held.model is None)
        self._seen, self.held = seen, held
        self._say(held.why_no_model)
        if changed:
            self.reloads += 1
        return changed

    def begin(self) -> None:
        """Look again and again, until `end`."""
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - answers go on from what is held, whatever it was
                self._say(f"The published scores could not be taken over: {type(error).__name__}: {error}")
            self._stop.wait(LOOKS_EVERY)

    def _with_model(self, scores: Scores) -> Held:
        """Return the scores with the model that serves: one that served before would answer what is no longer true."""
        if scores.version is None:
            return Held(scores, None, "No model serves yet: the first training promotes one.")
        asked = self.models.wait(scores.version)
        if asked.model is None:
            return Held(scores, None, asked.why)
        return Held(scores, asked.model, "", asked.model.ranges or {}, probability_of(asked.model))

    def _say(self, what: str) -> None:
        if what and what != self.said:
            self.report(what)
        self.said = what
