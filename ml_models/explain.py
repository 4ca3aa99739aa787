"""Why a customer's score is what it is, in words: at most three facts a row.

A customer is compared with customers of the same kind (`Problem.peers`: who comes about as often), and each sentence
names them. Against everybody, nearly all of those most at risk would have the same first reason: they come rarely.
Where too few of a kind were learned from, and for a model whose reference knows no kinds, everybody is the comparison.

Attribution is by family of features (recency, frequency, rhythm, …), because many features say the same
thing and splitting one fact over ten correlated coefficients would make each of them meaningless. A family's
contribution is the change in log-odds when all its features go from the comparison's typical value to the row's value:

- for a logistic regression on the features one by one, scaled or not, it is the sum of coefficient * deviation (exact
  and additive);
- for any other pipeline it is the log-odds of the row minus its log-odds with the family set to the typical values (an
  ablation: one prediction of all rows a family, deterministic, additive only approximately).

Only families that push the risk up become reasons. The fact quoted for a family is its member that lies farthest from
typical (in standard deviations) on the side that goes with risk; a member that is not to be quoted never is, and a
family without such a member is passed over. A row with fewer than three such families gets None in the remaining
columns: no reason is better than an invented one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml_models.metrics import band_labels, bands
from ml_models.odds import log_odds
from ml_models.problems.contract import REASONS, Feature, Problem
from ml_models.reasons import sentence
from ml_models.rows import features_of, missing_features, require_features

# Contributions below this many log-odds (about 1 % of the odds) and facts nearer to typical than this many standard
# deviations would be noise told as a story.
_MINIMUM_CONTRIBUTION = 0.01
_MINIMUM_DEVIATION = 0.1
MINIMUM_PEERS = 200
"""Rows of a kind of customers from which their median is a comparison; of fewer it is a few customers' own value."""

Array = npt.NDArray[np.float64]


def reference_values(frame: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return typical value (median) and spread (standard deviation) of each column, nulls left out; index = column.

    `least` and `most` are the smallest and the largest value (null where there is none): what a model of these rows has
    seen. Beside the columns `typical` and `spread` of all rows stand `typical <band>` and `spread <band>` for each band
    of the problem's peers that has at least MINIMUM_PEERS rows. A typical value of peers is null where most of them
    have none: then the model is asked what it says without it.
    """
    numbers = frame.astype("float64")
    found = pd.DataFrame({"typical": numbers.median(), "spread": _spread(numbers)}).fillna(0.0)
    found = found.assign(least=numbers.min(), most=numbers.max())
    for band, inside in _by_band(frame, problem).items():
        if inside.sum() >= MINIMUM_PEERS:
            peers = numbers[inside]
            found[f"typical {band}"] = peers.median().where(peers.notna().mean() >= 0.5)
            found[f"spread {band}"] = _spread(peers)
    return found


def _spread(numbers: pd.DataFrame) -> pd.Series:
    spread = numbers.std(ddof=0)
    return spread.where(spread > 0, 1.0)


def _by_band(frame: pd.DataFrame, problem: Problem) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which rows are in each band of the problem's peers; nothing where the frame does not tell."""
    if problem.peers is None or problem.peers.rule.feature not in frame.columns:
        return {}
    rule = problem.peers.rule
    band = bands(frame[rule.feature], rule).to_numpy()
    return {name: band == name for name in band_labels(rule.edges)}


def top_reasons(pipeline: Pipeline, rows: pd.DataFrame, reference: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return reason_1, reason_2, reason_3 (text or None) for each row, index of `rows`, strongest first.

    `rows` and `reference` hold at least the features that the pipeline was fitted on; other columns give no reason.
    `reference` comes from `reference_values`, preferably of the rows that the model was trained on, and is what
    "typical" means in the sentences.

    Raises:
        MissingFeaturesError: the rows lack a feature of the pipeline.
        ValueError: the reference lacks one.
    """
    features = require_features(pipeline, rows.columns, problem)
    missing = missing_features(pipeline, reference.index, problem)
    if missing:
        raise ValueError(
            f"Expected typical values of the {len(features)} features that the model was fitted on, but the reference "
            f"has no {', '.join(missing)}; give the reference that was kept with this model."
        )
    if rows.empty:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in REASONS}, index=rows.index)
    result = np.full((len(rows), len(REASONS)), None, dtype=object)
    alone = np.ones(len(rows), dtype=bool)
    for band, inside in _by_band(rows, problem).items():
        if problem.peers and f"typical {band}" in reference and inside.any():
            alone &= ~inside
            peers = problem.peers.named(band)
            result[inside] = _reasons(pipeline, rows[inside], _of_band(reference.loc[features], band), problem, peers)
    if alone.any():
        result[alone] = _reasons(pipeline, rows[alone], reference.loc[features], problem, "")
    return pd.DataFrame(result, index=rows.index, columns=list(REASONS))


def _of_band(reference: pd.DataFrame, band: str) -> pd.DataFrame:
    return pd.DataFrame({name: reference[f"{name} {band}"] for name in ("typical", "spread")})


def _reasons(
    pipeline: Pipeline, rows: pd.DataFrame, reference: pd.DataFrame, problem: Problem, peers: str
) -> npt.NDArray[np.object_]:
    """Return the reasons of rows that have one reference, (rows, 3); `peers`: whose typical values these are."""
    features = list(reference.index)
    values = rows[features].to_numpy(dtype="float64", na_value=np.nan)
    contributions = family_contributions(pipeline, rows, reference, problem)
    quoted, unusual = _quoted_columns(values, reference, problem)
    eligible = contributions.where((contributions >= _MINIMUM_CONTRIBUTION) & unusual).to_numpy()
    order = np.argsort(-np.nan_to_num(eligible, nan=-np.inf), axis=1, kind="stable")[:, : len(REASONS)]
    chosen = np.take_along_axis(eligible, order, axis=1)
    result = np.full((len(rows), len(REASONS)), None, dtype=object)
    at, position = np.nonzero(~np.isnan(chosen))
    columns = quoted[at, order[at, position]]
    for column in np.unique(columns):
        here = columns == column
        # A sentence takes longer than all other work on a row; many rows share one.
        # Adding zero makes one zero of the two that there are.
        different, which = np.unique(values[at[here], column] + 0.0, return_inverse=True)
        feature, typical = problem.catalogue[features[column]], reference["typical"].iloc[column]
        sentences = np.array([_sentence(feature, value, typical, peers) for value in different], dtype=object)
        result[at[here], position[here]] = sentences[which]
    return result


def family_contributions(
    pipeline: Pipeline, rows: pd.DataFrame, reference: pd.DataFrame, problem: Problem
) -> pd.DataFrame:
    """Return each family's contribution to each row's log-odds against the `typical` values, columns = families."""
    features = features_of(pipeline, problem)
    frame = rows[features].astype("float64")
    typical = reference.loc[features, "typical"]
    members = _members(features, problem)
    model = pipeline[-1]
    before = pipeline[:-1]
    if isinstance(model, LogisticRegression) and _keeps_columns(before, features):
        centre = before.transform(pd.DataFrame([typical.to_numpy()], columns=features))
        parts = (before.transform(frame) - centre) * model.coef_[0]
        return pd.DataFrame(
            {family: parts[:, columns].sum(axis=1) for family, columns in members.items()}, index=rows.index
        )
    base = log_odds(pipeline.predict_proba(frame)[:, 1])
    result = {}
    for family, columns in members.items():
        names = [features[column] for column in columns]
        ablated = frame.copy()
        ablated[names] = typical[names].to_numpy()
        result[family] = base - log_odds(pipeline.predict_proba(ablated)[:, 1])
    return pd.DataFrame(result, index=rows.index)


def family_importance(
    pipeline: Pipeline, rows: pd.DataFrame, reference: pd.DataFrame, problem: Problem
) -> pd.DataFrame:
    """Return by how many log-odds each family moves these rows' scores on average, the strongest first.

    Columns: family, about (in words), features (how many the pipeline reads of it), mean_effect. It is the mean of the
    contributions' sizes, so it is measured in what the reasons are measured in.
    """
    contributions = family_contributions(pipeline, rows, reference, problem)
    found = [
        (family, problem.families[family], len(columns), float(contributions[family].abs().mean()))
        for family, columns in _members(features_of(pipeline, problem), problem).items()
    ]
    made = pd.DataFrame(found, columns=["family", "about", "features", "mean_effect"])
    return made.sort_values("mean_effect", ascending=False, kind="stable", ignore_index=True)


def _keeps_columns(before: Pipeline, features: Sequence[str]) -> bool:
    """Return whether each column that the model reads is one feature, in order: else a coefficient is no feature's."""
    try:
        return bool(before.steps) and list(before.get_feature_names_out(features)) == list(features)
    except (AttributeError, ValueError):
        # A step that does not say what becomes of its columns.
        return False


def _members(features: Sequence[str], problem: Problem) -> Mapping[str, list[int]]:
    """Return the positions of each family's features; one that the problem has no words for any more is in none."""
    families: dict[str, list[int]] = {family: [] for family in problem.families}
    for position, name in enumerate(features):
        if name in problem.catalogue:
            families[problem.catalogue[name].family].append(position)
    return {family: columns for family, columns in families.items() if columns}


def _quoted_columns(
    values: Array, reference: pd.DataFrame, problem: Problem
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return, for each row and family, the position of the feature to quote, and whether there is one worth quoting."""
    deviation = (values - reference["typical"].to_numpy()) / reference["spread"].to_numpy()
    for position, name in enumerate(reference.index):
        risk = problem.catalogue[name].risk if name in problem.catalogue else ""
        if name in problem.catalogue and not problem.catalogue[name].quoted:
            deviation[:, position] = np.nan
        elif risk == "low":
            deviation[:, position] *= -1
        elif risk == "either":
            deviation[:, position] = np.abs(deviation[:, position])
    deviation = np.nan_to_num(deviation, nan=-np.inf)
    members = _members(list(reference.index), problem)
    quoted = np.empty((len(values), len(members)), dtype="int64")
    unusual = np.empty((len(values), len(members)), dtype="bool")
    for number, columns in enumerate(members.values()):
        quoted[:, number] = np.array(columns)[deviation[:, columns].argmax(axis=1)]
        unusual[:, number] = deviation[:, columns].max(axis=1) >= _MINIMUM_DEVIATION
    return quoted, unusual


def _sentence(feature: Feature, value: float, typical: float, peers: str) -> str:
    return sentence(feature.phrase.format(value=_text(feature, value)), _text(feature, typical), peers)


def _text(feature: Feature, value: float) -> str:
    """Return the value as people read it: money in whole currency units with cents, shares and paces in percent."""
    match feature.unit:
        case "cents":
            return f"{value / 100:,.2f}"
        case "cents a week":
            return f"{value / 100:+,.2f}"
        case "days a week":
            return f"{value:+.2f}"
        case "share" | "pace":
            return f"{100 * value:.0f} %"
        case "ratio" | "deviations":
            return f"{value:.1f}"
        case _:
            return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
