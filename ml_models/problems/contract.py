"""What a prediction problem must say about itself, so that everything else here can stay general."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.pipeline import Pipeline

Risk = Literal["high", "low", "either"]
Unit = Literal[
    "count",
    "days",
    "cents",
    "share",
    "pace",
    "ratio",
    "hour",
    "cents a week",
    "days a week",
    "cents a period",
    "days a period",
    "deviations",
]


@dataclass(frozen=True)
class Feature:
    """One column of the feature frame, as a machine checks it and as a person reads it.

    `low` and `high` are inclusive bounds (None: open). `phrase` holds `{value}` and is quoted to people as a reason.
    `risk` says which side of the typical value sounds like a reason ("high", "low" or "either"); it decides only
    which fact of a family is quoted, never how much the family counts.
    """

    name: str
    dtype: Literal["int64", "float64"]
    unit: Unit
    low: float | None
    high: float | None
    nullable: bool
    family: str
    risk: Risk
    label: str
    phrase: str
    description: str


@dataclass(frozen=True)
class Candidate:
    """A model family that competes. `complexity` orders ties: the simpler (lower) one wins.

    `build(parameters, seed)` returns an unfitted `Pipeline` for a frame of the problem's features;
    `sample(generator, trials)` returns the parameter sets to try.
    """

    name: str
    complexity: int
    trials: int
    build: Callable[[Mapping[str, Any], int], Pipeline]
    sample: Callable[[np.random.Generator, int], list[dict[str, Any]]]


@dataclass(frozen=True)
class SliceRule:
    """A segmentation of rows by one feature. `edges` are the lower ends of the bands, ascending."""

    name: str
    feature: str
    edges: tuple[int, ...]


@dataclass(frozen=True)
class Expectation:
    """What a person would expect of any sound model: customers that change in these ways are not at less risk.

    Every feature of the named `families` whose side of risk is known moves by half a standard deviation towards risk,
    all together, because features that say the same thing cannot move alone (a longer silence with as many visits this
    week is no customer). The mean score must then rise by `at_least` times itself; a share, because a step of .003 is
    much where one in a hundred lapses and noise where one in ten does. Slightly below zero means "must not fall".
    """

    name: str
    families: tuple[str, ...]
    at_least: float


@dataclass(frozen=True)
class Behaviour:
    """What a model must do whatever it learned.

    `expectations`: see there. `price_factor`, `price_tolerance`: all money times the factor may change a score by the
    tolerance on average, because prices rise and customers stay. `extremes`: the customer who is at the bad (good) end
    of every feature at once scores at least this many times (at most one part in this many of) the mean.
    """

    expectations: tuple[Expectation, ...]
    price_factor: float
    price_tolerance: float
    extremes: float


@dataclass(frozen=True)
class Problem:
    """Everything that training, evaluation, gate and reasons need to know about one problem.

    `recipe_version` counts the recipes that the problem has had; see `training.recipe.recipe_fingerprint`.
    """

    name: str
    recipe_version: int
    label: str
    entity: str
    cutoff: str
    features: tuple[str, ...]
    catalogue: Mapping[str, Feature]
    families: Mapping[str, str]
    horizon_days: int
    window_days: int
    recency_feature: str
    rfm_features: tuple[str, ...]
    slices: tuple[SliceRule, ...]
    candidates: tuple[Candidate, ...]
    behaviour: Behaviour

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row: the entity and its cutoff."""
        return [self.entity, self.cutoff]
