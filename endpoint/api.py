"""The endpoint: one customer's score, or those of vectors that a program sends, over HTTP, each with version and age.

A look-up is answered from memory, a vector by the model itself; neither reads the warehouse or waits for a run. What is
old is said to be old. What is wrong with one row of many is told for that row, and the others are answered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from endpoint.documents import ABOUT, CUSTOMER, SCORED, TROUBLE, VECTORS
from endpoint.held import Held, Keeper
from endpoint.limits import Guarded
from endpoint.measures import Measures
from ml_models.problems.contract import REASONS, Problem

if TYPE_CHECKING:
    from ml_models.vectors import Rule

MOST_ROWS = 10_000
"""Vectors in one request: what takes longer than a second is several requests."""

AT_ONCE = 64
"""Vectors that are scored on the spot; more are scored beside the other requests."""

SLIP = 1e-9
"""By which share a value may be beyond what the model has seen before that is told."""

STALE_AFTER_DAYS = 8
"""A week after a cutoff there is the next one, and a day later it is scored: a model has seen no older features."""


@dataclass(frozen=True)
class Settings:
    """Whose endpoint it is. `refuse_stale`: answer 409 instead of a flag. `now`: the company's clock."""

    problem: Problem
    rules: "Mapping[str, tuple[str, Rule]]"
    now: Callable[[], datetime]
    stale_after_days: int = STALE_AFTER_DAYS
    refuse_stale: bool = False


def make_endpoint(keeper: Keeper, settings: Settings) -> ASGIApp:
    """Return the endpoint as an ASGI application; it looks for what was published from its start to its end."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        keeper.begin()
        try:
            yield
        finally:
            await asyncio.to_thread(keeper.end)

    api = FastAPI(title="baton", description=ABOUT, version="1", lifespan=life, docs_url=None, redoc_url=None)
    answers = _Answers(keeper, settings)
    named = f"/problems/{settings.problem.name}"
    api.get("/health", summary="Whether the process answers")(answers.health)
    api.get("/ready", summary="Whether scores can be looked up", responses=TROUBLE)(answers.ready)
    api.get("/metrics", summary="Counters and durations, for Prometheus")(answers.metrics)
    api.get(f"{named}/customers/{{customer_id:path}}", summary="One customer's newest score", responses=CUSTOMER)(
        answers.customer
    )
    api.post(f"{named}/score", summary="Scores of vectors", responses=SCORED, openapi_extra=VECTORS)(answers.score)
    api.add_exception_handler(HTTPException, answers.refused)
    api.add_exception_handler(RequestValidationError, answers.not_understood)
    return Guarded(api, answers.measures)


class _Answers:
    def __init__(self, keeper: Keeper, settings: Settings) -> None:
        self.keeper, self.settings = keeper, settings
        self.measures = Measures(keeper, settings.now)

    async def health(self) -> Response:
        """Answer for as long as the process lives; what it cannot do is told by `/ready`."""
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        """Answer 200 once scores can be looked up, with what is wrong beside that."""
        held = self.keeper.held
        if held is None:
            return _trouble(503, "unavailable", self.keeper.said)
        return _json({"status": "ready", **_about(held), "trouble": self.keeper.said or None})

    async def metrics(self) -> Response:
        """Answer in Prometheus' text format."""
        return Response(self.measures.text(), media_type=self.measures.media_type)

    async def customer(self, customer_id: str = Path(max_length=500)) -> Response:
        """Answer with the score of the newest week, why, by which version, and how old what it knows is."""
        held = self._held()
        found = held.scores.of(customer_id)
        if found is None:
            return _trouble(
                404,
                "unknown",
                f"Nobody called {customer_id[:80]!r} is among the {len(held.scores.places):,} customers scored for "
                f"{held.scores.cutoff}. Who bought since then is scored with the next week.",
                **_about(held),
            )
        age = (self.settings.now().date() - held.scores.cutoff).days if held.scores.cutoff else None
        stale = age is not None and age > self.settings.stale_after_days
        told = {"customer_id": customer_id, "status": "stale" if stale else "fresh", "score": found["score"]}
        told |= {"reasons": [found[name] for name in REASONS if found[name]]}
        about = {**_about(held), "model_version": found["model_version"], "trained_through": found["trained_through"]}
        if stale and self.settings.refuse_stale:
            return _trouble(
                409,
                "stale",
                f"What is known of {customer_id[:80]!r} is {age} days old, and the model has seen nothing older than "
                f"{self.settings.stale_after_days}. Score the newest week first.",
                **about,
                features_age_days=age,
            )
        return _json({**told, **about, "features_age_days": age})

    async def score(self, request: Request, reasons: bool = False) -> Response:
        """Answer with a score for each vector, or what is wrong with it."""
        held = self._held()
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise HTTPException(400, f"Expected JSON, and it is not: {error}. Send {_EXAMPLE}.") from None
        rows = body.get("rows") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise HTTPException(400, f"Expected an object with a list of vectors. Send {_EXAMPLE}.")
        if len(rows) > MOST_ROWS:
            raise HTTPException(
                413, f"Expected at most {MOST_ROWS:,} vectors, and {len(rows):,} came. Send them in parts."
            )
        if held.model is None:
            raise HTTPException(503, held.why_no_model)
        if len(rows) <= AT_ONCE:
            answers = self._scored(held, rows, reasons)
        else:
            answers = await asyncio.to_thread(self._scored, held, rows, reasons)
        return _json({**_about(held), "model_version": held.model.number, "rows": answers})

    def _scored(self, held: Held, rows: Sequence[Any], reasons: bool) -> list[dict[str, Any]]:
        from ml_models.explain import top_reasons
        from ml_models.vectors import judged

        model, problem = held.model, self.settings.problem
        assert model is not None
        assert held.probability is not None
        vectors = judged(rows, problem.catalogue, self.settings.rules, problem.keys)
        answers: list[dict[str, Any]] = [
            {"errors": vectors.mistakes[number]} if number in vectors.mistakes else {} for number in range(len(rows))
        ]
        for number, row in enumerate(rows):
            if isinstance(row, dict) and problem.entity in row:
                answers[number][problem.entity] = row[problem.entity]
        self.measures.rows(len(vectors.frame), len(vectors.mistakes))
        if vectors.frame.empty:
            return answers
        frame = vectors.frame
        scores = held.probability(frame[model.features])
        for number, score in zip(frame.index.tolist(), scores.tolist(), strict=True):
            answers[number]["score"] = score
        for number, names in _outside(held.seen, frame).items():
            answers[number]["warnings"] = [
                f"{name}: the model has seen {held.seen[name].least:g} to {held.seen[name].most:g} only."
                for name in names
            ]
        if reasons:
            told = top_reasons(model.pipeline, frame, model.reference, problem)
            for number, row in zip(frame.index.tolist(), told.to_numpy(), strict=True):
                answers[number]["reasons"] = [reason for reason in row if reason]
        return answers

    async def refused(self, _: Request, error: Exception) -> Response:
        """Answer where something is not there, or not understood."""
        assert isinstance(error, HTTPException)
        known = {404: "There is nothing at this address.", 405: "This address does not take that method."}
        says = known.get(error.status_code, str(error.detail)) if error.detail in _PLAIN else str(error.detail)
        return _trouble(error.status_code, "unavailable" if error.status_code >= 500 else "refused", says)

    async def not_understood(self, _: Request, error: Exception) -> Response:
        """Answer where an address or a query is not what it must be."""
        assert isinstance(error, RequestValidationError)
        said = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return _trouble(422, "refused", f"The request cannot be understood: {said}.")

    def _held(self) -> Held:
        held = self.keeper.held
        if held is None:
            raise HTTPException(503, self.keeper.said)
        return held


_PLAIN = ("Not Found", "Method Not Allowed")

_EXAMPLE = '{"rows": [{"recency_days": 3, …}]}, each with all features'


def _about(held: Held) -> dict[str, Any]:
    """Return which version and week an answer is of."""
    scores = held.scores
    return {
        "model_version": scores.version,
        "trained_through": scores.trained_through,
        "cutoff": scores.cutoff,
        "published_at": scores.published_at,
    }


def _outside(seen: "Mapping[str, Any]", frame: Any) -> dict[int, list[str]]:
    """Return for each row that has some the features whose value the model has never seen."""
    found: dict[int, list[str]] = {}
    for name, limits in seen.items():
        if name in frame:
            values = frame[name].to_numpy()
            # A value that was written as text and read again may be another one in its last digit.
            away = (values < limits.least - SLIP * abs(limits.least)) | (values > limits.most + SLIP * abs(limits.most))
            for number in frame.index[away].tolist():
                found.setdefault(number, []).append(name)
    return found


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _trouble(status: int, name: str, says: str, **about: Any) -> Response:
    return _json({"status": name, "error": says, **about}, status)
