"""A fitted logistic regression as one expression."""

import math
from collections.abc import Sequence

from sklearn.linear_model import LogisticRegression

from ml_models.scoring_sql.dialects import Dialect, Value, sigmoid, summed
from ml_models.scoring_sql.preprocessing import Encoded, Input, Numeric


def logistic_expression(dialect: Dialect, model: LogisticRegression, inputs: Sequence[Input]) -> str:
    """Return the probability of the second class; null where scikit-learn refuses the row.

    Each term repeats scikit-learn's operations in their order. The sum is computed in units of a power of two above
    the sum of all coefficients: that changes no digit, and no sum of finite terms overflows. So a sum that is not
    finite means an input that is not, which scikit-learn refuses; an input that is NaN stands for null, and only rows
    whose sum is not finite are computed again with the test for it, because that test doubles the cost.
    """
    coefficients = [float(value) for value in model.coef_[0]]
    intercept = float(model.intercept_[0])
    size = sum(map(abs, coefficients)) + abs(intercept)
    unit = 2.0 ** (math.frexp(size)[1] + 1) if 0 < size < math.inf else 1.0
    scaled = [value / unit for value in coefficients]
    quick, careful = (
        f"({summed([dialect.number(intercept / unit), *_terms(dialect, inputs, scaled, careful=careful)])})"
        for careful in (False, True)
    )
    finite = f"< {dialect.number(math.inf)}"
    return (
        f"case when abs({quick}) {finite} then {sigmoid(dialect, quick, unit)} "
        f"when abs({careful}) {finite} then {sigmoid(dialect, careful, unit)} end"
    )


def _terms(dialect: Dialect, inputs: Sequence[Input], coefficients: Sequence[float], *, careful: bool) -> list[str]:
    terms = []
    # The columns of a one-hot encoding are one case expression.
    encodings: dict[tuple[object, ...], list[tuple[Encoded, float]]] = {}
    for one, coefficient in zip(inputs, coefficients, strict=True):
        if isinstance(one, Numeric):
            terms.append(f"{_number(dialect, one, careful=careful)} * {dialect.number(coefficient)}")
        else:
            encodings.setdefault((one.name, one.categories), []).append((one, coefficient))
    return terms + [_chosen(dialect, columns) for columns in encodings.values()]


def _number(dialect: Dialect, one: Numeric, *, careful: bool) -> str:
    source = dialect.present(one.name) if careful else dialect.as_double(one.name)
    text = source
    for scaling in one.scalings:
        text = scaling.sql(dialect, text)
    return f"({text})" if math.isnan(one.missing) else dialect.filled(source, text, one.missing, has_gaps=one.has_gaps)


def _chosen(dialect: Dialect, columns: Sequence[tuple[Encoded, float]]) -> str:
    def total(values: Sequence[float | None]) -> str:
        refused = any(value is None or not math.isfinite(value) for value in values)
        weights = [0.0 if value is None else value * by for value, (_, by) in zip(values, columns, strict=True)]
        return "null" if refused else dialect.number(sum(weights))

    first = columns[0][0]
    column = dialect.category(first.name, text=first.of_text)
    rows: list[tuple[Value, str]] = [
        (category, total([one.values[position][1] for one, _ in columns]))
        for position, category in enumerate(first.categories)
    ]
    unknown, missing = total([one.unknown for one, _ in columns]), total([one.missing for one, _ in columns])
    branches = [f"when {column} is null then {missing}"] if missing != unknown else []
    if first.finite:
        branches.append(f"when abs({column}) = {dialect.number(math.inf)} then null")
    branches += [f"when {column} = {dialect.literal(category)} then {text}" for category, text in rows]
    return f"case {' '.join(branches)} else {unknown} end" if branches else unknown
