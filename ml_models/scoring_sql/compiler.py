"""From a fitted scikit-learn pipeline to one SQL expression."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml_models.odds import EDGE
from ml_models.recalibration import RecalibratedClassifier
from ml_models.scoring_sql.dialects import DIALECTS, ROW
from ml_models.scoring_sql.errors import UnsupportedPipelineError, refusal
from ml_models.scoring_sql.linear import logistic_expression
from ml_models.scoring_sql.preprocessing import Input, Numeric, preprocess
from ml_models.scoring_sql.trees import forest_expression, gradient_boosting, hist_gradient_boosting, random_forest

DialectName = Literal["duckdb", "googlesql"]
CostClass = Literal["linear", "trees"]

_READERS = {
    HistGradientBoostingClassifier: hist_gradient_boosting,
    GradientBoostingClassifier: gradient_boosting,
    RandomForestClassifier: random_forest,
}


@dataclass(frozen=True)
class CompiledScore:
    """A fitted pipeline as SQL.

    `expression` is the probability of the second class for one row, which it reads as `f.<column>`; null where
    scikit-learn refuses the row (an infinity, a null or an unknown category that the pipeline does not take).
    `thresholds` are the numbers of a source column at which the score may jump, empty for a linear model; `categories`
    the known ones of a source column.
    """

    expression: str
    dialect: DialectName
    estimator: str
    cost_class: CostClass
    columns: tuple[str, ...]
    thresholds: dict[str, tuple[float, ...]] = field(repr=False, default_factory=dict)
    categories: dict[str, tuple[str | float, ...]] = field(repr=False, default_factory=dict)

    @property
    def bytes(self) -> int:
        """The length of the expression in bytes."""
        return len(self.expression.encode())

    def select(self, relation: str, keys: Sequence[str] = ()) -> str:
        """Return a query that scores a relation: the key columns and `score`.

        `relation` is written into the query as it is: a qualified name, or a query in parentheses.

        >>> CompiledScore("0.25e0", "duckdb", "DummyClassifier", "linear", ()).select("features.frame", ["customer_id"])
        'select f."customer_id", 0.25e0 as score from features.frame as f'
        """
        dialect = DIALECTS[self.dialect]
        kept = "".join(f"{dialect.column(key)}, " for key in keys)
        return f"select {kept}{self.expression} as score from {relation} as {ROW}"


def compile_pipeline(pipeline: Any, features: Sequence[str], dialect: DialectName) -> CompiledScore:
    """Write a fitted binary classifier as SQL.

    `pipeline` is a fitted `Pipeline` (or a bare estimator), `features` the columns it is given, in their order.

    Raises:
        UnsupportedPipelineError: a step, an option or the estimator cannot be written as SQL, or the text is longer
            than the dialect takes; the message names the step and says what is supported.
        ValueError: `features` are not those that the pipeline was fitted with, or there is no such dialect.

    >>> model = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2, min_samples_leaf=1, learning_rate=1.0)
    >>> fitted = model.fit(np.array([[1.0], [2.0], [8.0], [9.0]]), [0, 0, 1, 1])
    >>> compiled = compile_pipeline(fitted, ["recency_days"], "duckdb")
    >>> compiled.cost_class, compiled.columns, compiled.thresholds
    ('trees', ('recency_days',), {'recency_days': (5.0,)})
    """
    if dialect not in DIALECTS:
        raise ValueError(f"Expected a SQL dialect among {', '.join(sorted(DIALECTS))}, got {dialect!r}.")
    fitted = list(getattr(pipeline, "feature_names_in_", features))
    if fitted != list(features):
        raise ValueError(
            f"Expected the {len(fitted)} features that the pipeline was fitted with, in their order; got "
            f"{len(features)}, the first difference at {_difference(fitted, features)}."
        )
    inputs: list[Input] = [Numeric(name) for name in features]
    steps = pipeline.steps if type(pipeline) is Pipeline else [("model", pipeline)]
    for name, step in steps[:-1]:
        inputs = preprocess(name, step, inputs)
    name, model = steps[-1]
    return _estimated(name, model, inputs, dialect)


def _moved(step: str, model: RecalibratedClassifier, inputs: Sequence[Input], dialect: DialectName) -> CompiledScore:
    """Write the model, and around it the map of its log-odds; the long expression stands in it once.

    Scores are drawn a little away from 0 and 1, by the width of `odds.log_odds`' clip: null stays null, and nothing is
    divided by zero.
    """
    found, target = _estimated(step, model.model, inputs, dialect), DIALECTS[dialect]
    against = f"(1e0 / ({target.number(EDGE)} + {target.number(1 - 2 * EDGE)} * ({found.expression})) - 1e0)"
    if model.slope != 1:
        against = f"power({against}, {target.number(model.slope)})"
    expression = f"1e0 / (1e0 + {target.number(math.exp(-model.intercept))} * {against})"
    return replace(found, expression=expression)


def _estimated(step: str, model: Any, inputs: Sequence[Input], dialect: DialectName) -> CompiledScore:
    if type(model) is RecalibratedClassifier:
        return _moved(step, model, inputs, dialect)
    kinds = (LogisticRegression, DummyClassifier, *_READERS)
    if type(model) not in kinds:
        raise refusal(step, model, "the estimator is not supported")
    if len(np.ravel(model.classes_)) != 2 or getattr(model, "n_outputs_", 1) != 1:
        raise refusal(step, model, f"it has {len(np.ravel(model.classes_))} classes; only two are supported")
    target = DIALECTS[dialect]
    thresholds: dict[str, tuple[float, ...]] = {}
    cost: CostClass = "linear"
    if type(model) is LogisticRegression:
        expression = logistic_expression(target, model, inputs)
    elif type(model) is DummyClassifier:
        if model.strategy != "prior":
            raise refusal(step, model, f"strategy={model.strategy!r} is not supported, only 'prior'")
        if any(not isinstance(one, Numeric) or one.scalings or one.bounded for one in inputs):
            raise refusal(step, model, "steps before it may refuse rows that it would not look at")
        expression = target.number(float(model.class_prior_[1]))
        inputs = []
    elif logarithm := next((one.name for one in inputs if isinstance(one, Numeric) and one.has_gaps), ""):
        raise refusal(step, model, f"column {logarithm} is a logarithm, and trees would take what has none as missing")
    else:
        cost = "trees"
        expression, thresholds = forest_expression(target, _READERS[type(model)](step, model, inputs))
    size = len(expression.encode())
    if size > target.limit_bytes:
        raise UnsupportedPipelineError(
            f"Step {step!r} ({type(model).__name__}) comes to {size:,} bytes of {dialect}, and at most "
            f"{target.limit_bytes:,} are compiled. Fit fewer or smaller trees, or let scikit-learn score this model."
        )
    categories: dict[str, tuple[str | float, ...]] = {}
    for one in inputs:
        if not isinstance(one, Numeric):
            categories[one.name] = one.categories
    columns = tuple(dict.fromkeys(one.name for one in inputs))
    return CompiledScore(expression, dialect, type(model).__name__, cost, columns, thresholds, categories)


def _difference(fitted: Sequence[str], given: Sequence[str]) -> str:
    for position, (one, other) in enumerate(zip(fitted, given, strict=False)):
        if one != other:
            return f"position {position}: {one!r} was fitted, {other!r} was given"
    return f"position {min(len(fitted), len(given))}, where one of them ends"
