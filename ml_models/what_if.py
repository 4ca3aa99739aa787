"""What a model would say of a customer who is not quite so, and who of the real ones comes closest.

It is what the model says of another row, and no effect: the model has seen who comes and who stays away, and nobody has
changed anything at random. So three things stand beside a score: which values the model has never seen, how near the
nearest real customer is, and what became of those who are most like it.

*Distance* between two rows: the root mean square, over the features that the model was fitted on, of the difference in
standard deviations of the rows that it learned from. A null counts as the typical value, as the model's own imputer
takes it. Deviations and typical values are those of the version's reference (`explain.reference_values`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.explain import top_reasons
from ml_models.problems.contract import REASONS, Problem, Values
from ml_models.rows import require_features

NEAR = 100
"""So many of the nearest real customers tell what became of customers like these."""

ENOUGH = 500
"""Real rows below which NEAR of them are no neighbourhood."""

MEASURED = 400
"""Real rows whose own nearest neighbour is looked up, to say how far one usually is."""

Array = npt.NDArray[np.float32]


class Answer(NamedTuple):
    """What a model says of a row: the score, 0 to 1, and up to three reasons."""

    score: float
    reasons: tuple[str, ...]


class Range(NamedTuple):
    """Least and most of a feature in the rows that a model learned from, and the typical value."""

    least: float
    most: float
    typical: float

    def holds(self, value: float) -> bool:
        """Tell whether a value is within; one that is null is, and a range that nobody kept holds everything."""
        return not (value < self.least - 1e-9 * abs(self.least) or value > self.most + 1e-9 * abs(self.most))


@dataclass(frozen=True)
class Model:
    """A version that can be asked. `reference` is the one that was kept with it; the index names the features."""

    number: int
    pipeline: Pipeline
    reference: pd.DataFrame
    problem: Problem

    @cached_property
    def features(self) -> list[str]:
        """The features that the model was fitted on, in its order.

        Raises:
            MissingFeaturesError: the reference lacks one.
        """
        return require_features(self.pipeline, self.reference.index, self.problem, f"version {self.number}")

    @cached_property
    def typical(self) -> dict[str, float]:
        """The row that has the typical value of each feature."""
        return {str(name): float(value) for name, value in self.reference["typical"].items()}

    def answers(self, *rows: Values) -> list[Answer]:
        """Return what the model says of each row; all at once, as most of the time goes by the call.

        Raises:
            MissingFeaturesError: a row lacks a feature of the model.
        """
        for row in rows:
            require_features(self.pipeline, row, self.problem, f"version {self.number}")
        given = [[row[name] for name in self.features] for row in rows]
        frame = pd.DataFrame(given, columns=self.features, dtype="float64")
        scores = self.pipeline.predict_proba(frame)[:, 1]
        told = top_reasons(self.pipeline, frame, self.reference, self.problem)[list(REASONS)].to_numpy()
        return [
            Answer(float(score), tuple(str(one) for one in reasons if one))
            for score, reasons in zip(scores, told, strict=True)
        ]

    @cached_property
    def ranges(self) -> Mapping[str, Range] | None:
        """What the model has seen of each feature; None for a version of a release that did not keep it."""
        if "least" not in self.reference:
            return None
        kept = self.reference.loc[self.features, ["least", "most", "typical"]]
        return {str(name): Range(*map(float, values)) for name, values in zip(kept.index, kept.to_numpy(), strict=True)}

    def standardised(self, rows: pd.DataFrame) -> Array:
        """Return rows in standard deviations from typical, (n, features of the model); nulls are typical."""
        reference = self.reference.loc[self.features]
        away = (rows[self.features].astype("float64") - reference["typical"]) / reference["spread"]
        return np.asarray(away.fillna(0.0).to_numpy(), dtype="float32")


class Alike(NamedTuple):
    """The real customer nearest to a row, how far it is, and what became of it.

    `usual`: of 95 in 100 real customers another one is no farther than this. `near` customers are the nearest, and
    `lapsed` of them stayed away; 0 where there are too few rows to speak of nearest.
    """

    entity: str
    values: dict[str, float]
    lapsed: bool
    distance: float
    usual: float
    near: int
    near_lapsed: int

    @property
    def far(self) -> bool:
        """Whether it is farther than real customers are from each other: then the row is nobody's."""
        return self.distance > self.usual


class Known:
    """Real rows whose outcome is known, laid out for one model's measure. `rows`: keys, features, label; not empty."""

    def __init__(self, model: Model, rows: pd.DataFrame) -> None:
        problem = model.problem
        require_features(model.pipeline, rows.columns, problem, f"version {model.number}")
        self.model = model
        self.cutoff = pd.Timestamp(rows[problem.cutoff].max()).date()
        self.entities = rows[problem.entity].astype(str).to_numpy()
        self.lapsed = rows[problem.label].to_numpy(dtype=bool)
        self.columns = [name for name in problem.features if name in rows]
        self.values = rows[self.columns].astype("float64").to_numpy(dtype="float32")
        self.places = model.standardised(rows)

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """Least, most and typical of these rows."""
        frame = pd.DataFrame(self.values, columns=self.columns, dtype="float64")
        found = zip(self.columns, frame.min(), frame.max(), frame.median(), strict=True)
        return {name: Range(float(least), float(most), float(middle)) for name, least, most, middle in found}

    @cached_property
    def usual(self) -> float:
        """How far the nearest other one is for 95 in 100 of these rows; infinite where there is one row only."""
        if len(self.places) < 2:
            return math.inf
        nearest = []
        # Evenly spread over the rows, and the same ones each time.
        for at in np.unique(np.linspace(0, len(self.places) - 1, MEASURED).astype(int)):
            others = self._distances(self.places[at])
            others[self.entities == self.entities[at]] = np.inf
            nearest.append(others.min())
        return float(np.quantile([one for one in nearest if np.isfinite(one)] or [math.inf], 0.95))

    def nearest(self, row: Values, entity: str) -> Alike | None:
        """Return the real customer nearest to a row, other than the one that it is made of; None: there is none."""
        frame = pd.DataFrame([[row[name] for name in self.model.features]], columns=self.model.features)
        distances = self._distances(self.model.standardised(frame)[0])
        distances[self.entities == entity] = np.inf
        order = np.argsort(distances, kind="stable")[:NEAR]
        first = int(order[0])
        if not np.isfinite(distances[first]):
            return None
        near = NEAR if len(distances) >= ENOUGH else 0
        values = dict(zip(self.columns, map(float, self.values[first]), strict=True))
        return Alike(
            str(self.entities[first]),
            values,
            bool(self.lapsed[first]),
            float(distances[first]),
            self.usual,
            near,
            int(self.lapsed[order].sum()) if near else 0,
        )

    def _distances(self, place: Array) -> Array:
        return np.asarray(np.sqrt(np.square(self.places - place).mean(axis=1)), dtype="float32")
