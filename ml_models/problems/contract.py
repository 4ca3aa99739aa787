"""What a prediction problem must say about itself, so that everything else here can stay general."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ml_models.problems.question import Kind, Question

if TYPE_CHECKING:
    # A catalogue is read where models are not loaded.
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
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

REASONS = ("reason_1", "reason_2", "reason_3")
"""The columns that hold why a score is what it is, the strongest reason first."""

LARGEST_STEP = 2.0
"""The largest step in log-odds that a bound may ask for: it takes a rate of .1 to .45."""


@dataclass(frozen=True)
class Feature:
    """One column of the feature frame, as a machine checks it and as a person reads it.

    `low` and `high` are inclusive bounds (None: open). `phrase` holds `{value}` and is quoted to people as a reason.
    `risk` says which side of the typical value sounds like a reason ("high", "low" or "either"); it decides only
    which fact of a family is quoted, never how much the family counts. `quoted`: whether it may be told to people at
    all. A value that the look-back caps says more about the window than about the customer.
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
    quoted: bool = True


@dataclass(frozen=True)
class Candidate:
    """A model family that competes. `complexity` orders ties: the simpler (lower) one wins.

    `build(parameters, seed)` returns an unfitted `Pipeline` for a frame of the features that it reads;
    `sample(generator, trials)` returns the parameter sets to try. `features`: those that it reads, None for all.
    """

    name: str
    complexity: int
    trials: int
    build: "Callable[[Mapping[str, Any], int], Pipeline]"
    sample: "Callable[[np.random.Generator, int], list[dict[str, Any]]]"
    features: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SliceRule:
    """A segmentation of rows by one feature. `edges` are the lower ends of the bands, ascending."""

    name: str
    feature: str
    edges: tuple[int, ...]


@dataclass(frozen=True)
class Peers:
    """With whom a customer is compared where reasons are told: those in the same band of a segmentation.

    `phrase` holds `{band}` and names them to people; `phrase_of_one` does where the band is the number 1.
    """

    rule: SliceRule
    phrase: str
    phrase_of_one: str

    def named(self, band: str) -> str:
        """Return what the customers of a band are called in a sentence."""
        return self.phrase_of_one if band == "1" else self.phrase.format(band=band)


@dataclass(frozen=True)
class Expectation:
    """What a person would expect of any sound model: customers that change in these ways are not at less risk.

    Every feature of the named `families` whose side of risk is known moves by half a standard deviation towards risk,
    all together, because features that say the same thing cannot move alone (a longer silence with as many visits this
    week is no customer). The mean score's log-odds must then rise by `at_least`: in odds a bound can be met at any rate
    of lapsing, and .05 is a twentieth of the mean where lapses are rare. A model that hardly tells customers apart owes
    a part of its own spread only. Zero means "must not fall", beyond what is noise: the standard error of a rate among
    so many customers, and its movement from week to week. Below zero is for a family that says little beside its
    neighbours: it may fall by as much, by the noise, or by a quarter of the model's answer to a slip on all sides.

    Raises:
        ValueError: `at_least` is beyond what any model can show.
    """

    name: str
    families: tuple[str, ...]
    at_least: float

    def __post_init__(self) -> None:
        if not -LARGEST_STEP <= self.at_least <= LARGEST_STEP:
            raise ValueError(
                f"Expected `at_least` of {self.name!r} to be a step in log-odds between -{LARGEST_STEP:g} and "
                f"{LARGEST_STEP:g}, got {self.at_least!r}; half a standard deviation moves no model further."
            )


@dataclass(frozen=True)
class Behaviour:
    """What a model must do whatever it learned.

    `expectations`: see there. `price_factor`, `price_tolerance`: all money times the factor may change scores by no
    more on average than this step in log-odds changes the mean, because prices rise and customers stay. `extremes`: the
    odds of the customer at the bad (good) end of every feature at once are at least this many times (at most one part
    in this many of) the odds of the mean. Odds have room at any rate: twice a mean of .6 would be no probability.

    Raises:
        ValueError: a bound that no model can meet, or that every model meets.
    """

    expectations: tuple[Expectation, ...]
    price_factor: float
    price_tolerance: float
    extremes: float

    def __post_init__(self) -> None:
        if not 1 < self.extremes < math.inf:
            raise ValueError(
                f"Expected `extremes` to be a number of times above 1, got {self.extremes!r}; it multiplies the odds "
                "of the mean score."
            )
        if not 0 < self.price_factor < math.inf:
            raise ValueError(
                f"Expected `price_factor` to be a number above 0, got {self.price_factor!r}; prices times 1.2, say."
            )
        if not 0 < self.price_tolerance <= LARGEST_STEP:
            raise ValueError(
                f"Expected `price_tolerance` to be a step in log-odds above 0 and up to {LARGEST_STEP:g}, got "
                f"{self.price_tolerance!r}; no score may be asked to move by less than nothing."
            )


UNASKED = Behaviour((), price_factor=1.2, price_tolerance=LARGEST_STEP, extremes=1.01)
"""Of a problem whose predictions are no probabilities: nothing is asked of odds."""


@dataclass(frozen=True)
class Rule:
    """A way to predict an amount without learning: what a candidate has to be worth more than.

    `predict` takes rows of the feature frame and returns amounts, (n,). `told`: what it is called in a sentence.
    `beaten`: whether a candidate must have the smaller absolute error beyond noise; else its squared error may not be
    the larger beyond noise.
    """

    name: str
    told: str
    predict: "Callable[[pd.DataFrame], npt.NDArray[np.float64]]"
    beaten: bool = True


@dataclass(frozen=True)
class Amounts:
    """What a problem of kind `regression` states beside the rest.

    `rules`: see there. `off_by`: by which share the total of the predictions may be off the total that was seen, beyond
    chance and the season; and, of each slice, how much worse than the champion's its absolute error may be.
    `prices`: features that are money, and so scale with prices; `price_factor`: prices times so much, `price_room`: how
    far the total of the predictions may then be from times as much, as a share. `slip`: features whose fall makes a
    customer slip away, all halved together; predictions must fall by the share `slip_falls` at least.

    Raises:
        ValueError: a bound that no model can meet, or that every model meets.
    """

    rules: tuple[Rule, ...]
    off_by: float
    prices: tuple[str, ...]
    price_factor: float
    price_room: float
    slip: tuple[str, ...]
    slip_falls: float

    def __post_init__(self) -> None:
        if not any(rule.beaten for rule in self.rules):
            raise ValueError("Expected a rule that a candidate must beat, got none; a gate without one proves nothing.")
        for name in ("off_by", "price_room", "slip_falls"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"Expected `{name}` to be a share above 0 and below 1, got {value!r}.")


Values = Mapping[str, float]
"""What is known of one row: feature names, and values that are nan where there is none."""


@dataclass(frozen=True)
class Lever:
    """A feature that people may move where they ask what the model would say; `step`: by how much, in its unit."""

    feature: str
    step: float


@dataclass(frozen=True)
class WhatIf:
    """What people may move of a row, and what has to move along.

    `follow(row, moved)` returns the whole row after the levers in `moved` were set, such that features which tell the
    same fact still do. `follows`: in words, what it works out. What it leaves alone is held.
    """

    levers: tuple[Lever, ...]
    follow: Callable[[Values, Values], dict[str, float]]
    follows: tuple[str, ...]


@dataclass(frozen=True)
class Texts:
    """What a reader must know of a problem beside numbers: whole sentences, each true of every company that asks it.

    `title` is what people call the problem. `purpose`: what its models are for; `out_of_scope`: what they must not be
    used for; `data`: what the data leave out; `label`: what is predicted; `oversight`: what people do beside it;
    `limits`: where it errs. They stand in each version's card, whose check is red where one is empty.
    """

    title: str = ""
    purpose: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    oversight: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """A problem that lists, for each customer and cutoff, what is likeliest of many: what is stated of it.

    `features` are those of a pair of a customer and what may be named.
    """

    name: str
    question: Question
    features: tuple[str, ...]
    texts: Texts
    kind: Kind = "ranking"

    @property
    def horizon_days(self) -> int:
        """Days from the cutoff on within which the outcome happens."""
        return self.question.horizon_days


@dataclass(frozen=True)
class Problem:
    """Everything that training, evaluation, gate, reasons and card need to know about one problem.

    `recipe_version` counts the recipes that the problem has had; see `training.recipe.recipe_fingerprint`. `peers`:
    with whom a customer is compared in reasons, None for everybody. `what_if`: what may be moved of a customer. `kind`:
    what a prediction is; `behaviour` is asked of kind `binary`, `amounts` of kind `regression`.
    """

    name: str
    recipe_version: int
    label: str
    entity: str
    cutoff: str
    features: tuple[str, ...]
    catalogue: Mapping[str, Feature]
    families: Mapping[str, str]
    question: Question
    recency_feature: str
    rfm_features: tuple[str, ...]
    slices: tuple[SliceRule, ...]
    candidates: tuple[Candidate, ...]
    behaviour: Behaviour = UNASKED
    texts: Texts = Texts()
    peers: Peers | None = None
    what_if: WhatIf | None = None
    kind: Kind = "binary"
    amounts: Amounts | None = None

    @property
    def horizon_days(self) -> int:
        """Days after its cutoff when a label is known."""
        return self.question.horizon_days

    @property
    def window_days(self) -> int:
        """Days before a cutoff that its features look at."""
        return self.question.look_back_days

    @property
    def early_days(self) -> int:
        """Days after its cutoff when the early proxy of a label is known."""
        return self.question.early_days

    @property
    def early_label(self) -> str:
        """The column of the early proxy: `lapsed_14d`."""
        return f"{self.label}_{self.early_days}d"

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row: the entity and its cutoff."""
        return [self.entity, self.cutoff]
