"""From fitted preprocessing steps to what each of an estimator's inputs is, in terms of one source column.

A numeric input is a source column, a value that stands for null, and scalings, each of which is monotone: so a tree's
threshold on the scaled (and rounded) number is an exact threshold on the source column. An encoded input is a number
for each category. Nothing here writes SQL but the scalings, whose arithmetic a linear model repeats operation by
operation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from ml_models.scoring_sql.dialects import Dialect, Value
from ml_models.scoring_sql.errors import refusal

Numbers = npt.NDArray[np.float64]


class Scaling(Protocol):
    """A monotone step on one number."""

    def of(self, values: Numbers) -> Numbers:
        """Return the scaled values, exactly as scikit-learn computes them."""

    def sql(self, dialect: Dialect, text: str) -> str:
        """Return the same operations as SQL."""


@dataclass(frozen=True)
class Standard:
    """(x - mean) / scale, either part absent."""

    mean: float | None
    scale: float | None

    def of(self, values: Numbers) -> Numbers:
        """Return the scaled values."""
        values = values if self.mean is None else values - self.mean
        return values if self.scale is None else values / self.scale

    def sql(self, dialect: Dialect, text: str) -> str:
        """Return the same operations as SQL."""
        text = text if self.mean is None else f"({text} - {dialect.number(self.mean)})"
        return text if self.scale is None else dialect.divided(text, self.scale)


@dataclass(frozen=True)
class MinMax:
    """X * scale + low."""

    scale: float
    low: float

    def of(self, values: Numbers) -> Numbers:
        """Return the scaled values."""
        return values * self.scale + self.low

    def sql(self, dialect: Dialect, text: str) -> str:
        """Return the same operations as SQL."""
        return f"({dialect.times(text, self.scale)} + {dialect.number(self.low)})"


@dataclass(frozen=True)
class Log1p:
    """The natural logarithm of 1 + x; of numbers below -1 there is none, and that of -1 is refused as infinite."""

    def of(self, values: Numbers) -> Numbers:
        """Return the logarithms."""
        return np.log1p(values)

    def sql(self, dialect: Dialect, text: str) -> str:
        """Return the same operation as SQL, null where there is no finite logarithm."""
        # Both warehouses fail the query for the logarithm of zero or less.
        return f"case when {text} > {dialect.number(-1.0)} then ln({dialect.number(1.0)} + {text}) end"


@dataclass(frozen=True)
class Numeric:
    """A source column as a number (or a text that no encoder has met yet).

    `missing` is what null comes to (NaN while nothing has filled it, a text where an imputer fills one in). `bounded`:
    a step after the scalings refuses infinities; each scaling refuses them in what it is given.
    """

    name: str
    missing: Any = math.nan
    scalings: tuple[Scaling, ...] = ()
    bounded: bool = False

    @property
    def has_gaps(self) -> bool:
        """Whether numbers of the source column come to none: a logarithm was taken."""
        return any(isinstance(scaling, Log1p) for scaling in self.scalings)

    def of(self, values: Numbers) -> Numbers:
        """Return what the values of the source column come to."""
        with np.errstate(all="ignore"):
            for scaling in self.scalings:
                values = scaling.of(values)
        return values

    def accepted(self, values: Numbers) -> npt.NDArray[np.bool_]:
        """Tell which numbers of the source column no step refuses as infinite."""
        fine = np.ones(len(values), dtype=bool)
        with np.errstate(all="ignore"):
            for scaling in self.scalings:
                fine &= np.isfinite(values)
                values = scaling.of(values)
        return fine & np.isfinite(values) if self.bounded else fine

    def scaled(self, scaling: Scaling) -> "Numeric":
        """Return the input after one more scaling, which refuses infinities itself."""
        scalings = (*self.scalings, scaling)
        return replace(self, missing=_through(scaling, self.missing), scalings=scalings, bounded=False)

    def filled(self, value: Any) -> "Numeric":
        """Return the input with null filled in."""
        return replace(self, missing=value if is_missing(self.missing) else self.missing, bounded=True)


@dataclass(frozen=True)
class Encoded:
    """A source column of categories as a number for each; None marks what scikit-learn refuses.

    `finite`: categories are numbers, and infinities are refused.
    """

    name: str
    values: tuple[tuple[Value, float], ...]
    unknown: float | None
    missing: float | None
    finite: bool

    @property
    def categories(self) -> tuple[Value, ...]:
        """The known categories."""
        return tuple(category for category, _ in self.values)

    @property
    def of_text(self) -> bool:
        """Whether the categories are texts."""
        return all(isinstance(category, str) for category in self.categories)

    def mapped(self, change: Any) -> "Encoded":
        """Return the input with each number changed; what is refused stays refused."""

        def changed(value: float | None) -> float | None:
            return None if value is None else change(value)

        return replace(
            self,
            values=tuple((category, change(value)) for category, value in self.values),
            unknown=changed(self.unknown),
            missing=changed(self.missing),
        )

    def scaled(self, scaling: Scaling) -> "Encoded":
        """Return the input after one more scaling."""
        return self.mapped(lambda value: _through(scaling, value))

    def filled(self, value: Any) -> "Encoded":
        """Return the input with NaN filled in."""
        return self.mapped(lambda old: value if is_missing(old) else old)


Input = Numeric | Encoded


def is_missing(value: Any) -> bool:
    """Tell whether a fitted value stands for null: None or NaN."""
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _through(scaling: Scaling, value: float) -> float:
    with np.errstate(all="ignore"):
        return float(scaling.of(np.array([value], dtype=np.float64))[0])


def preprocess(name: str, step: Any, inputs: Sequence[Input]) -> list[Input]:
    """Return what a fitted step makes of its inputs.

    Raises:
        UnsupportedPipelineError: the step, or one of its options, cannot be written as SQL.
    """
    if step is None or isinstance(step, str):
        return [] if step == "drop" else list(inputs)
    if type(step) is Pipeline:
        found = list(inputs)
        for inner, one in step.steps:
            found = preprocess(f"{name}.{inner}", one, found)
        return found
    if type(step) is ColumnTransformer:
        return _columns(name, step, inputs)
    if type(step) is SimpleImputer:
        return _imputed(name, step, inputs)
    if type(step) is StandardScaler:
        return _standardised(step, inputs)
    if type(step) is MinMaxScaler:
        if step.clip:
            raise refusal(name, step, "clip=True is not supported")
        return [one.scaled(MinMax(float(step.scale_[i]), float(step.min_[i]))) for i, one in enumerate(inputs)]
    if type(step) is OneHotEncoder:
        return _one_hot(name, step, inputs)
    if type(step) is OrdinalEncoder:
        return list(ordinal(name, step, inputs))
    if type(step) is FunctionTransformer:
        return _applied(name, step, inputs)
    raise refusal(name, step, "the class is not supported")


def _applied(name: str, step: FunctionTransformer, inputs: Sequence[Input]) -> list[Input]:
    # A ColumnTransformer keeps a passthrough as a function transformer without a function.
    if step.func is None:
        return list(inputs)
    if step.func is not np.log1p or step.kw_args:
        raise refusal(name, step, "its function is not supported, only numpy.log1p without arguments")
    return [one.scaled(Log1p()) for one in inputs]


def _columns(name: str, step: ColumnTransformer, inputs: Sequence[Input]) -> list[Input]:
    if step.transformer_weights:
        raise refusal(name, step, "transformer_weights are not supported")
    names = list(getattr(step, "feature_names_in_", [one.name for one in inputs]))
    found: list[Input] = []
    for inner, transformer, columns in step.transformers_:
        chosen = [inputs[position] for position in _positions(columns, names)]
        if chosen:
            found += preprocess(f"{name}.{inner}", transformer, chosen)
    return found


def _positions(columns: Any, names: Sequence[str]) -> list[int]:
    """Return the positions that a ColumnTransformer's specification of columns stands for."""
    if isinstance(columns, str | int | np.integer):
        columns = [columns]
    if isinstance(columns, slice):
        ends = [names.index(end) if isinstance(end, str) else end for end in (columns.start, columns.stop)]
        if isinstance(columns.stop, str):
            ends[1] += 1  # a slice of names includes its last
        return list(range(len(names)))[slice(ends[0], ends[1], columns.step)]
    given: list[Any] = list(columns)
    if given and all(isinstance(one, bool | np.bool_) for one in given):
        return [position for position, chosen in enumerate(given) if chosen]
    everywhere = list(range(len(names)))
    return [names.index(one) if isinstance(one, str) else everywhere[int(one)] for one in given]


def _imputed(name: str, step: SimpleImputer, inputs: Sequence[Input]) -> list[Input]:
    if step.add_indicator:
        raise refusal(name, step, "add_indicator=True is not supported")
    if not is_missing(step.missing_values) and str(step.missing_values) != "<NA>":
        raise refusal(name, step, f"missing_values={step.missing_values!r} is not supported, only null")
    found: list[Input] = []
    for one, statistic in zip(inputs, step.statistics_, strict=True):
        if is_missing(statistic):
            # scikit-learn drops it, and still refuses a row for an infinity in it.
            raise refusal(
                name, step, f"column {one.name} had no value when it was fitted; set keep_empty_features=True"
            )
        if isinstance(one, Numeric) and one.has_gaps:
            # It fills what has no logarithm, too, and refuses the infinite one of -1.
            raise refusal(name, step, f"column {one.name} is a logarithm already; fill it before")
        found.append(one.filled(statistic if isinstance(statistic, str) else float(statistic)))
    return found


def _standardised(step: StandardScaler, inputs: Sequence[Input]) -> list[Input]:
    means = step.mean_ if step.with_mean else [None] * len(inputs)
    scales = step.scale_ if step.scale_ is not None else [None] * len(inputs)
    return [
        one.scaled(Standard(None if mean is None else float(mean), None if scale is None else float(scale)))
        for one, mean, scale in zip(inputs, means, scales, strict=True)
    ]


def _one_hot(name: str, step: OneHotEncoder, inputs: Sequence[Input]) -> list[Input]:
    if np.dtype(step.dtype) != np.float64:
        raise refusal(name, step, f"dtype={np.dtype(step.dtype)} is not supported, only float64")
    _no_infrequent(name, step)
    refuses = step.handle_unknown == "error"
    dropped = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(inputs)
    found: list[Input] = []
    for one, categories, drop in zip(inputs, step.categories_, dropped, strict=True):
        if drop is not None and len(categories) == 1:
            raise refusal(name, step, f"column {one.name} has one category, which drop leaves nothing of")
        for position in range(len(categories)):
            if drop is None or position != drop:
                numbers = [float(position == other) for other in range(len(categories))]
                found.append(_encode(name, step, one, categories, numbers, None if refuses else 0.0))
    return found


def ordinal(name: str, step: OrdinalEncoder, inputs: Sequence[Input]) -> list[Encoded]:
    """Return what a fitted OrdinalEncoder makes of its inputs."""
    if np.dtype(step.dtype) != np.float64:
        raise refusal(name, step, f"dtype={np.dtype(step.dtype)} is not supported, only float64")
    _no_infrequent(name, step)
    unknown = None if step.handle_unknown == "error" else float(step.unknown_value)
    found = []
    for one, categories in zip(inputs, step.categories_, strict=True):
        numbers = [
            # Only NaN is its missing value; a None is a category like any other.
            float(step.encoded_missing_value) if category is not None and is_missing(category) else float(code)
            for code, category in enumerate(categories)
        ]
        found.append(_encode(name, step, one, categories, numbers, unknown))
    return found


def _no_infrequent(name: str, step: Any) -> None:
    if step.min_frequency is not None or step.max_categories is not None:
        raise refusal(name, step, "grouping infrequent categories (min_frequency, max_categories) is not supported")


def _encode(
    name: str, step: Any, one: Input, categories: Sequence[Any], numbers: Sequence[float], unknown: float | None
) -> Encoded:
    nulls = [number for category, number in zip(categories, numbers, strict=True) if is_missing(category)]
    if len(nulls) > 1:
        raise refusal(
            name, step, f"column {one.name} has both None and NaN among its categories, which SQL cannot tell"
        )
    known = {
        _category(name, step, category): number
        for category, number in zip(categories, numbers, strict=True)
        if not is_missing(category)
    }

    def number_of(value: Any) -> float | None:
        if is_missing(value):
            return nulls[0] if nulls else unknown
        return known.get(value, unknown)

    if isinstance(one, Encoded):
        values = {category: number_of(value) for category, value in one.values}
        refused = [category for category, value in values.items() if value is None]
        if refused:
            raise refusal(name, step, f"the category {refused[0]!r} of column {one.name} is unknown to it")
        return replace(
            one,
            values=tuple((category, value) for category, value in values.items() if value is not None),
            unknown=None if one.unknown is None else number_of(one.unknown),
            missing=None if one.missing is None else number_of(one.missing),
        )
    if one.scalings:
        raise refusal(name, step, f"column {one.name} is scaled before it is encoded")
    finite = not any(isinstance(category, str) for category in known)
    return Encoded(one.name, tuple(known.items()), unknown, number_of(one.missing), finite)


def _category(name: str, step: Any, category: Any) -> Value:
    if isinstance(category, str):
        return str(category)
    if isinstance(category, bool | np.bool_) or not isinstance(category, int | float | np.integer | np.floating):
        raise refusal(name, step, f"a category is {category!r}; only texts and numbers are supported")
    return float(category)
