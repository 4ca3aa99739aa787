"""Fitted tree ensembles as sums of nested if expressions over the source columns.

scikit-learn's forests and gradient boosting round their inputs to 32-bit floats, which GoogleSQL does not have, and
scalers may stand before them. Both are monotone, so every threshold is moved to where it lies on the source column: the
largest 64-bit number that still goes left. The comparison in SQL is then exact, and a filled-in null is a direction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from ml_models.scoring_sql.dialects import Dialect, Value, sigmoid, summed
from ml_models.scoring_sql.errors import refusal
from ml_models.scoring_sql.preprocessing import Encoded, Input, Numbers, Numeric, ordinal

DEEPEST = 200
"""Nested if expressions that parsers stand (DuckDB: 1,000 levels of expression)."""


@dataclass(frozen=True)
class Leaf:
    """What a tree adds to the sum."""

    value: float


@dataclass(frozen=True)
class Split:
    """Left when the number is at most `threshold`, or its category is in `left_categories` if that is given.

    NaN goes left when `missing_left`; so does, among categories, a number that is not in `known`.
    """

    feature: int
    threshold: float
    missing_left: bool
    left: "Node"
    right: "Node"
    left_categories: frozenset[int] | None = None
    known: frozenset[int] = frozenset()

    def goes_left(self, value: float) -> bool:
        """Tell which way a number goes that the estimator is given."""
        if np.isnan(value):
            return self.missing_left
        if self.left_categories is None:
            return value <= self.threshold
        if int(value) in self.left_categories:
            return True
        return self.missing_left if value < 0 or int(value) not in self.known else False


Node = Leaf | Split


@dataclass(frozen=True)
class Forest:
    """Trees, what is added to their sum, and whether the sum is a logit or the probability itself.

    `rounded`: inputs are 32-bit floats. `takes_null`, `takes_infinity`: what the estimator does not refuse.
    """

    inputs: tuple[Input, ...]
    trees: tuple[Node, ...]
    base: float
    is_logit: bool
    rounded: bool
    takes_null: bool
    takes_infinity: bool


def hist_gradient_boosting(step: str, model: HistGradientBoostingClassifier, inputs: Sequence[Input]) -> Forest:
    """Read a fitted histogram gradient boosting: numbers are 64-bit, null and unknown categories have a direction."""
    if model._preprocessor is not None:
        # It encodes its categorical columns itself, and moves them to the front.
        chosen = np.asarray(model.is_categorical_)
        encoder = model._preprocessor.named_transformers_["encoder"]
        encoded = ordinal(step, encoder, [one for one, is_one in zip(inputs, chosen, strict=True) if is_one])
        inputs = [*encoded, *(one for one, is_one in zip(inputs, chosen, strict=True) if not is_one)]
    known_bits, position_of = model._bin_mapper.make_known_categories_bitsets()
    trees = []
    for (predictor,) in model._predictors:
        nodes, bits = predictor.nodes, predictor.raw_left_cat_bitsets
        if int(nodes["depth"].max()) > DEEPEST:
            raise refusal(step, model, f"a tree is deeper than {DEEPEST} levels")

        def read(position: int, nodes: np.ndarray = nodes, bits: np.ndarray = bits) -> Node:
            node = nodes[position]
            if node["is_leaf"]:
                return Leaf(float(node["value"]))
            feature, categorical = int(node["feature_idx"]), bool(node["is_categorical"])
            return Split(
                feature,
                float(node["num_threshold"]),
                bool(node["missing_go_to_left"]),
                read(int(node["left"]), nodes, bits),
                read(int(node["right"]), nodes, bits),
                _set_bits(bits[int(node["bitset_idx"])]) if categorical else None,
                _set_bits(known_bits[position_of[feature]]) if categorical else frozenset(),
            )

        trees.append(read(0))
    base = float(np.ravel(model._baseline_prediction)[0])
    return Forest(tuple(inputs), tuple(trees), base, True, rounded=False, takes_null=True, takes_infinity=True)


def gradient_boosting(step: str, model: GradientBoostingClassifier, inputs: Sequence[Input]) -> Forest:
    """Read a fitted gradient boosting: numbers are rounded to 32 bits, null and infinities are refused."""
    if model.loss != "log_loss":
        raise refusal(step, model, f"loss={model.loss!r} is not supported, only log_loss")
    if isinstance(model.init_, DummyClassifier) and model.init_.strategy == "prior":
        smallest = np.finfo(np.float64).eps
        base = float(logit(np.clip(model.init_.class_prior_[1], smallest, 1 - smallest)))
    elif isinstance(model.init_, str):
        base = 0.0
    else:
        raise refusal(step, model, f"init={type(model.init_).__name__} is not supported, only the prior and 'zero'")
    rate = float(model.learning_rate)
    trees = tuple(_tree(step, model, one.tree_, lambda values: rate * values[0]) for one in model.estimators_[:, 0])
    return Forest(tuple(inputs), trees, base, True, rounded=True, takes_null=False, takes_infinity=False)


def random_forest(step: str, model: RandomForestClassifier, inputs: Sequence[Input]) -> Forest:
    """Read a fitted random forest: numbers are rounded to 32 bits, null has a direction, infinities are refused."""
    if model.monotonic_cst is not None:
        raise refusal(step, model, "monotonic_cst is not supported")
    count = len(model.estimators_)
    trees = tuple(_tree(step, model, one.tree_, lambda values: values[1] / count) for one in model.estimators_)
    return Forest(tuple(inputs), trees, 0.0, False, rounded=True, takes_null=True, takes_infinity=False)


def _tree(step: str, model: object, tree: object, value_of: Callable[[Numbers], float]) -> Node:
    if tree.max_depth > DEEPEST:  # type: ignore[attr-defined]
        raise refusal(step, model, f"a tree is deeper than {DEEPEST} levels")
    left, right, feature, threshold, missing, values = (
        getattr(tree, name)
        for name in ("children_left", "children_right", "feature", "threshold", "missing_go_to_left", "value")
    )

    def read(position: int) -> Node:
        if left[position] < 0:
            return Leaf(float(value_of(values[position, 0])))
        return Split(
            int(feature[position]),
            float(threshold[position]),
            bool(missing[position]),
            read(left[position]),
            read(right[position]),
        )

    return read(0)


def _set_bits(words: npt.NDArray[np.uint32]) -> frozenset[int]:
    return frozenset(32 * word + bit for word, bits in enumerate(words) for bit in range(32) if int(bits) >> bit & 1)


def forest_expression(dialect: Dialect, forest: Forest) -> tuple[str, dict[str, tuple[float, ...]]]:
    """Return the probability as SQL, null where scikit-learn refuses the row, and each column's thresholds."""
    inputs, rounded = forest.inputs, forest.rounded
    moved: dict[int, dict[float, float]] = {}
    found: dict[int, set[float]] = {}
    for split in (one for tree in forest.trees for one in _splits(tree)):
        if isinstance(inputs[split.feature], Numeric):
            found.setdefault(split.feature, set()).add(split.threshold)
    for feature, thresholds in found.items():
        one, wanted = inputs[feature], np.array(sorted(thresholds))
        assert isinstance(one, Numeric)
        exact = not one.scalings and not rounded
        ends = wanted if exact else last_at_most(partial(_given, one, rounded=rounded), wanted)
        moved[feature] = dict(zip(wanted.tolist(), ends.tolist(), strict=True))
    trees = [_sql(dialect, tree, inputs, moved, rounded=rounded) for tree in forest.trees]
    total = summed([dialect.number(forest.base), *trees])
    score = sigmoid(dialect, total) if forest.is_logit else f"({total})"
    guards = [guard for guard in (_guard(dialect, one, forest) for one in _distinct(inputs)) if guard]
    by_column: dict[str, set[float]] = {}
    for feature, places in moved.items():
        finite = {end for end in places.values() if np.isfinite(end)}
        by_column.setdefault(inputs[feature].name, set()).update(finite)
    thresholds_of = {name: tuple(sorted(ends)) for name, ends in by_column.items()}
    return (f"case when {' and '.join(guards)} then {score} end" if guards else score), thresholds_of


def last_at_most(monotone: Callable[[Numbers], Numbers], bounds: Numbers) -> Numbers:
    """Return for each bound the largest double whose image is at most the bound; NaN where -inf's is above it.

    Bisection over the doubles in their order, which their bits give: 64 steps.
    """
    low = np.full(len(bounds), _rank(np.array([-np.inf]))[0])
    high = np.full(len(bounds), _rank(np.array([np.inf]))[0])
    none = monotone(_double(low)) > bounds
    every = monotone(_double(high)) <= bounds
    while True:
        # Halved apart, because the sum of two ranks may overflow.
        middle = low // 2 + high // 2 + (low % 2 + high % 2) // 2
        open_ones = (middle > low) & (middle < high)
        if not open_ones.any():
            break
        fits = monotone(_double(middle)) <= bounds
        low = np.where(open_ones & fits, middle, low)
        high = np.where(open_ones & ~fits, middle, high)
    return np.where(none, np.nan, np.where(every, np.inf, _double(low)))


def _rank(values: Numbers) -> npt.NDArray[np.int64]:
    bits = values.view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _double(ranks: npt.NDArray[np.int64]) -> Numbers:
    return np.where(ranks >= 0, ranks, np.int64(-(2**63)) - ranks).astype(np.int64).view(np.float64)


def _given(one: Numeric, values: Numbers, *, rounded: bool) -> Numbers:
    """Return what the estimator compares, for values of the source column."""
    return _round(one.of(values)) if rounded else one.of(values)


def _round(values: Numbers) -> Numbers:
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _splits(tree: Node) -> Iterator[Split]:
    if isinstance(tree, Split):
        yield tree
        yield from _splits(tree.left)
        yield from _splits(tree.right)


def _distinct(inputs: Sequence[Input]) -> list[Input]:
    """Return one input a source column where inputs are only guarded alike (one-hot columns)."""
    return list({(one.name, one.categories if isinstance(one, Encoded) else one): one for one in inputs}.values())


def _sql(
    dialect: Dialect,
    tree: Node,
    inputs: Sequence[Input],
    moved: Mapping[int, Mapping[float, float]],
    *,
    rounded: bool,
) -> str:
    if isinstance(tree, Leaf):
        return dialect.number(tree.value)
    left, right = (_sql(dialect, side, inputs, moved, rounded=rounded) for side in (tree.left, tree.right))
    one = inputs[tree.feature]
    if isinstance(one, Encoded):
        return _by_category(dialect, one, tree, left, right, rounded=rounded)
    end = moved[tree.feature][tree.threshold]
    missing = float(one.missing)
    if tree.goes_left(float(_round(np.array([missing]))[0]) if rounded else missing):
        if end == np.inf:
            return left
        above = f"{dialect.any_number(one.name)}" if np.isnan(end) else dialect.greater(one.name, end)
        return f"if({above}, {right}, {left})"
    if np.isnan(end):
        return right
    within = dialect.any_number(one.name) if end == np.inf else dialect.at_most(one.name, end)
    return f"if({within}, {left}, {right})"


def _by_category(dialect: Dialect, one: Encoded, split: Split, left: str, right: str, *, rounded: bool) -> str:
    def goes_left(value: float) -> bool:
        return split.goes_left(float(_round(np.array([value]))[0]) if rounded else value)

    sides: dict[bool, list[Value]] = {True: [], False: []}
    for category, value in one.values:
        sides[goes_left(value)].append(category)
    branch = {True: left, False: right}
    # What is refused has no score anyhow: it may go wherever the text is shortest.
    unknown = None if one.unknown is None else goes_left(one.unknown)
    missing = None if one.missing is None else goes_left(one.missing)
    unknown = missing if unknown is None else unknown
    unknown = False if unknown is None else unknown
    missing = unknown if missing is None else missing
    column = dialect.category(one.name, text=one.of_text)
    if unknown == missing:
        return _case(dialect, column, sides[not unknown], branch[not unknown], branch[unknown])
    if not sides[missing]:
        return f"if({column} is not null, {branch[unknown]}, {branch[missing]})"
    listed = ", ".join(dialect.literal(category) for category in sides[missing])
    # Null is neither in the list nor outside it: it takes the last branch.
    return f"if({column} not in ({listed}), {branch[unknown]}, {branch[missing]})"


def _case(dialect: Dialect, column: str, categories: Sequence[Value], inside: str, outside: str) -> str:
    if not categories:
        return outside
    listed = ", ".join(dialect.literal(category) for category in categories)
    return f"if({column} in ({listed}), {inside}, {outside})"


def _guard(dialect: Dialect, one: Input, forest: Forest) -> str:
    """Return the condition under which scikit-learn takes a row, as far as this input goes; empty when always."""
    takes_null = forest.takes_null
    if isinstance(one, Encoded):
        column = dialect.category(one.name, text=one.of_text)
        refuses_missing = one.missing is None or (not takes_null and np.isnan(one.missing))
        refuses_unknown = one.unknown is None or (not takes_null and np.isnan(one.unknown))
        if refuses_unknown and one.categories:
            listed = ", ".join(dialect.literal(category) for category in one.categories)
            return f"{column} in ({listed})" if refuses_missing else f"({column} in ({listed}) or {column} is null)"
        conditions = [f"{column} is not null"] if refuses_missing else []
        if one.finite:
            conditions.append(f"coalesce(abs({column}) < {dialect.number(np.inf)}, true)")
        return " and ".join(conditions)
    refuses_missing = not takes_null and np.isnan(one.missing)
    if not one.scalings and not one.bounded and forest.takes_infinity:
        return f"{dialect.present(one.name)} is not null" if refuses_missing else ""
    low, high = _accepted_range(one, forest)
    within = f"{dialect.present(one.name)} between {dialect.number(low)} and {dialect.number(high)}"
    return within if refuses_missing else f"coalesce({within}, true)"


def _accepted_range(one: Numeric, forest: Forest) -> tuple[float, float]:
    """Return the smallest and the largest number of the source column that no step and not the estimator refuses."""

    def refused_above(values: Numbers) -> Numbers:
        taken = one.accepted(values)
        if not forest.takes_infinity:
            taken &= np.isfinite(_given(one, values, rounded=forest.rounded))
        return np.where(taken, 0.0, 1.0)

    high = last_at_most(lambda values: refused_above(np.maximum(values, 0.0)), np.zeros(1))[0]
    low = -last_at_most(lambda values: refused_above(np.minimum(-values, 0.0)), np.zeros(1))[0]
    return float(low), float(high)
