"""Whether programs get what the tables say: the endpoint itself, asked over HTTP about customers whose score is known.

The app is started on a free port of loopback, on the copy that was just published and the model that serves, and asked
as a program asks: a look-up of each customer, then their features as vectors. Equal scores prove the whole way: what
was published, how it is read, JSON, validation, the model from the registry, and the order of its features.
"""

import contextlib
import http.client
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from endpoint.held import Keeper
from resources.serving_copy import open_copy

if TYPE_CHECKING:
    from endpoint.api import Settings
    from ml_models.problems.contract import Problem
    from steps.what_if import Models

ASKED = 1_000
"""Customers of the newest cutoff, chosen by a hash of their names: the same ones each time, of all kinds."""

BOUND = 1e-9
"""Largest difference of two scores: what SQL and scikit-learn may differ by in the table (ml_models.scoring_sql)."""

EXAMPLES = 3

PATIENCE = 60.0
"""Seconds within which the app must begin to listen, and each request must be answered."""


@dataclass(frozen=True)
class Skew:
    """What was found. `differs_by`: the largest difference of two scores; NaN: one was not given, None: none asked for.

    `judged`: something was compared. `looked_up`, `scored`: how many customers were, each way.
    """

    passed: bool
    sentence: str
    judged: bool = True
    differs_by: float | None = None
    looked_up: int = 0
    scored: int = 0


@dataclass(frozen=True)
class _Known:
    """A customer as the published tables have him; `vector`: None where the frame has no row of him."""

    customer: str
    score: float
    version: int
    vector: Mapping[str, float] | None


def find_skew(file: Path, settings: "Settings", models: "Models") -> Skew:
    """Ask an endpoint on this copy about customers whose published score is known, and compare.

    Raises:
        WarehouseError: the copy cannot be read.
    """
    known = _known(file, settings.problem)
    if not known:
        return Skew(True, "Nobody is scored yet: there is nothing to compare.", judged=False)
    keeper = Keeper(file, settings.problem.name, models)
    keeper.look()
    held = keeper.held
    serving = held.scores.version if held is not None else None
    settings = replace(settings, refuse_stale=False)
    vectors = [one for one in known if one.version == serving and one.vector is not None]
    with _served(keeper, settings) as port:
        asking = _Asking(port, settings.problem)
        looked_up = asking.look_ups(known)
        scored = asking.vectors(vectors) if vectors else {}
    found = _Found(known, looked_up, vectors, scored)
    if found.wrong:
        return found.as_skew(False, f"{found.wrong} {_cause(keeper, found)}")
    if not vectors:
        others = sorted({one.version for one in known})
        return found.as_skew(
            True,
            f"{len(known):,} look-ups equal the table. No vector is compared: the newest cutoff was scored by version "
            f"{', '.join(map(str, others))}, and version {serving} serves since.",
        )
    return found.as_skew(
        True,
        f"{len(known):,} look-ups and {len(vectors):,} vectors over HTTP equal the prediction table, by version "
        f"{serving}; the largest difference is {found.differs_by:.1e}.",
    )


class _Found:
    """The answers beside the table."""

    def __init__(
        self,
        known: Sequence[_Known],
        looked_up: Mapping[str, "_Answer"],
        vectors: Sequence[_Known],
        scored: Mapping[str, "_Answer"],
    ) -> None:
        self.known, self.looked_up, self.vectors, self.scored = known, looked_up, vectors, scored
        self.wrong_look_ups = [one for one in known if self._off(one, looked_up) > 0 or not self._version(one)]
        self.wrong_vectors = [one for one in vectors if not self._off(one, scored) <= BOUND]
        offs = [self._off(one, looked_up) for one in known] + [self._off(one, scored) for one in vectors]
        self.differs_by = math.nan if any(map(math.isnan, offs)) else max(offs)

    @staticmethod
    def _off(one: _Known, answers: Mapping[str, "_Answer"]) -> float:
        score = answers[one.customer].score
        return math.nan if score is None else abs(score - one.score)

    def _version(self, one: _Known) -> bool:
        answer = self.looked_up[one.customer]
        return answer.score is not None and answer.version == one.version

    @property
    def wrong(self) -> str:
        """What differs, in a sentence; empty: nothing does."""
        told = []
        for kind, wrong, asked, answers in (
            ("look-ups", self.wrong_look_ups, self.known, self.looked_up),
            ("vectors", self.wrong_vectors, self.vectors, self.scored),
        ):
            if wrong:
                # The worst first; no answer is worse than another one.
                wrong = sorted(wrong, key=lambda one: -_or_infinite(self._off(one, answers)))
                # Where all are refused for one reason, it is told once.
                examples = {answers[one.customer].said or one.customer: one for one in reversed(wrong)}
                shown = "; ".join(
                    _shown(one, answers[one.customer]) for one in [*examples.values()][: -EXAMPLES - 1 : -1]
                )
                told.append(f"{len(wrong):,} of {len(asked):,} {kind} differ from the prediction table: {shown}.")
        return " ".join(told)

    def as_skew(self, passed: bool, sentence: str) -> Skew:
        return Skew(
            passed, sentence, differs_by=self.differs_by, looked_up=len(self.looked_up), scored=len(self.scored)
        )


@dataclass(frozen=True)
class _Answer:
    """What an endpoint said of a customer: a score and its version, or what it said in its place."""

    score: float | None
    version: int | None
    said: str = ""


def _or_infinite(number: float) -> float:
    return math.inf if math.isnan(number) else number


def _shown(one: _Known, answer: _Answer) -> str:
    if answer.score is None:
        return f"customer {one.customer}: {answer.said}"
    by = f" by version {answer.version}" if answer.version != one.version else ""
    return f"customer {one.customer} is answered {answer.score:.9f}{by}, and the table has {one.score:.9f}"


def _cause(keeper: Keeper, found: _Found) -> str:
    """Say on which side the fault is: the model is asked without HTTP for what it says of the same features."""
    held = keeper.held
    if found.wrong_look_ups:
        return (
            "Look-ups read the published copy: it was changed since it was made, or the endpoint reads it wrongly. "
            "Publish again: materialise published/serving_copy."
        )
    answered = [one for one in found.wrong_vectors if found.scored[one.customer].score is not None]
    if held is None or held.model is None or len(answered) < len(found.wrong_vectors):
        return "The endpoint refuses what was scored from: see why above, and whether the frame's rules changed since."
    import pandas as pd

    frame = pd.DataFrame([one.vector for one in answered])[held.model.features]
    said = held.model.pipeline.predict_proba(frame)[:, 1]
    as_endpoint = all(
        abs(score - (found.scored[one.customer].score or 0.0)) <= BOUND
        for one, score in zip(answered, said, strict=True)
    )
    if as_endpoint:
        return (
            "The model itself says what the endpoint says: the features of the cutoff were computed again since it was "
            f"scored, or not version {held.model.number} scored it. Score the cutoff again with `rescore` of "
            f"predictions/{keeper.problem}_predictions, if programs and list shall agree."
        )
    return (
        "The model itself says what the table says: the endpoint changes vectors on their way to the model. It must "
        "not be asked for vectors before that is repaired."
    )


def _known(file: Path, problem: "Problem") -> list[_Known]:
    """Read customers of the newest scored cutoff, with their features."""
    predictions, features = f"predictions.{problem.name}_predictions", list(problem.catalogue)
    with open_copy(file) as copy:
        rows = copy.execute(
            f"select p.{problem.entity}, p.score, p.model_version, f.{problem.entity} is not null, "
            f"{', '.join(f'f.{name}::double' for name in features)} from {predictions} p "
            f"left join features.feature_frame f using ({', '.join(problem.keys)}) "
            f"where p.cutoff_date = (select max(cutoff_date) from {predictions}) "
            f"order by md5(p.{problem.entity}), p.{problem.entity} limit {ASKED}"
        ).fetchall()
    return [
        _Known(str(customer), score, version, dict(zip(features, vector, strict=True)) if there else None)
        for customer, score, version, there, *vector in rows
    ]


@contextlib.contextmanager
def _served(keeper: Keeper, settings: "Settings") -> Iterator[int]:
    """Run the endpoint on a free port of loopback, as `make serve` does; yield the port."""
    import uvicorn

    from endpoint.api import make_endpoint

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(make_endpoint(keeper, settings), log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            until = time.monotonic() + PATIENCE
            while not server.started:
                if not thread.is_alive() or time.monotonic() > until:
                    raise RuntimeError(
                        f"Expected the endpoint to listen on loopback within {PATIENCE:.0f} s, and it does not. "
                        "Its reason is in the run's log."
                    )
                time.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class _Asking:
    """A program that asks, on one connection."""

    def __init__(self, port: int, problem: "Problem") -> None:
        self.problem, self.base = problem, f"/problems/{problem.name}"
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def look_ups(self, known: Sequence[_Known]) -> dict[str, _Answer]:
        """Look each customer up."""
        answers = {}
        for one in known:
            body = self._ask("GET", f"{self.base}/customers/{quote(one.customer, safe='')}")
            answers[one.customer] = _Answer(body.get("score"), body.get("model_version"), str(body.get("error", "")))
        return answers

    def vectors(self, known: Sequence[_Known]) -> dict[str, _Answer]:
        """Send their features, all in one request."""
        entity = self.problem.entity
        body = self._ask(
            "POST", f"{self.base}/score", {"rows": [{entity: one.customer, **(one.vector or {})} for one in known]}
        )
        said, version = str(body.get("error", "")), body.get("model_version")
        answers = {one.customer: _Answer(None, version, said) for one in known}
        for row in body.get("rows", ()):
            answers[row[entity]] = _Answer(row.get("score"), version, " ".join(row.get("errors", ())))
        return answers

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self.connection.request(method, path, None if body is None else orjson.dumps(body))
        answer: dict[str, Any] = orjson.loads(self.connection.getresponse().read())
        return answer
