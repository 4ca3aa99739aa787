"""Fitting, judging and gating a model of pairs: what a training of next product comes to.

A model is gradient boosting on the facts of a pair, fitted on whether the type was bought; a list is its ten highest
probabilities. Measured on the bundled year (lists of the second half, fitted on the first), one cutoff in four teaches
as much as all: nDCG@10 .566 either way, at a quarter of the time. Half of the customers teach as much as all, too: the
paired difference is -.0003 (-.0015 to +.0008).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from ml_models.cutoffs import distinct_cutoffs
from ml_models.problems.next_product.baselines import long_frequency, neighbours, popular, top_frequency
from ml_models.problems.next_product.behaviour import Score, expectations
from ml_models.problems.next_product.measures import activity, breadth, judged, paired, sliced, summary
from ml_models.problems.next_product.pairs import FEATURES, LABEL
from ml_models.problems.next_product.rankings import lists_of
from ml_models.training.gate import GateResult

RECIPE_VERSION = 2
"""Raise it with every change to what training does with the same rows."""

MODEL = "gradient boosting"
TOP_FREQUENCY = "personal frequency (GP-TopFreq)"
LONG_FREQUENCY = "personal frequency over four look-backs"
NEIGHBOURS = "neighbours"
POPULAR = "popular"

CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "boosting_short": {"max_iter": 30, "max_leaf_nodes": 15, "learning_rate": 0.1},
    "boosting_small": {"max_iter": 60, "max_leaf_nodes": 15, "learning_rate": 0.1},
}
"""The models that compete, the simpler first: it stays unless the next is better beyond noise.

They differ in their number of trees alone. Nothing is drawn and nothing stops early, so that the first trees of the
longest are the shorter model to the digit: one fit is all of them. Measured and left out: 90 trees of 31 leaves, which
were no better at twice the time.
"""

LEARNED_PAIRS = 300_000
"""About so many pairs a fit learns from; beyond it, of half of the customers, or a quarter, …"""

EXPECTED_PAIRS = 150_000
"""About so many pairs what people expect of lists is asked on; beyond it, of half of the customers, or a quarter, …"""


class TooFewPairsError(ValueError):
    """There is not enough to learn from, or to judge on; the message says what is there."""


@dataclass(frozen=True)
class Trained:
    """A judged candidate: the pipeline fitted on all rows, the lists of the holdout by the fit that had not seen it.

    `metrics` are of the holdout; `comparison` has a row a method, `slices` a row a slice (see `measures.sliced`).
    `gained`: the paired difference in nDCG against GP-TopFreq, with its interval.
    """

    name: str
    parameters: Mapping[str, Any]
    pipeline: Pipeline
    trained_from: date
    trained_through: date
    metrics: Mapping[str, float]
    gained: Mapping[str, float]
    comparison: pd.DataFrame
    slices: pd.DataFrame
    gates: list[GateResult]
    holdout_lists: pd.DataFrame


def build(parameters: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted model of pairs. Trees take nulls as they are: not bought, or bought once."""
    model = HistGradientBoostingClassifier(
        **parameters, min_samples_leaf=200, l2_regularization=5.0, early_stopping=False, random_state=seed
    )
    return Pipeline([("model", model)])


def split(cutoffs: pd.Series, horizon_days: int) -> pd.Series:
    """Return 'train', 'gap' or 'holdout' for each row: the newest half is held out, and no label reaches into it.

    Raises:
        TooFewPairsError: there are fewer than two cutoffs a horizon apart.
    """
    days = distinct_cutoffs(cutoffs)
    first = days[len(days) - len(days) // 2] if len(days) > 1 else None
    train = [day for day in days if first and (first - day).days >= horizon_days]
    if first is None or not train:
        raise TooFewPairsError(
            f"Expected matured cutoffs of at least twice the horizon of {horizon_days} days to learn what is bought "
            f"next, got {len(days)} ({', '.join(map(str, days)) or 'none'}). Wait until more labels are known."
        )
    known = pd.to_datetime(cutoffs)
    parts = np.where(
        known >= pd.Timestamp(first), "holdout", np.where(known <= pd.Timestamp(train[-1]), "train", "gap")
    )
    return pd.Series(parts, index=cutoffs.index)


def scorer(pipeline: Pipeline) -> Score:
    """Return the function that gives a fitted model's probability of each pair, (n,)."""

    def score(pairs: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(pipeline.predict_proba(_facts(pairs, pipeline))[:, 1], dtype="float64")

    return score


def by_trees(pipeline: Pipeline, pairs: pd.DataFrame, counts: Collection[int]) -> dict[int, npt.NDArray[np.float64]]:
    """Return the probability of each pair, (n,), by each model of the first so many trees of a fitted one."""
    stages = pipeline.named_steps["model"].staged_predict_proba(_facts(pairs, pipeline))
    return {
        number: np.array(chances[:, 1], dtype="float64")
        for number, chances in enumerate(islice(stages, max(counts)), start=1)
        if number in counts
    }


def _facts(pairs: pd.DataFrame, pipeline: Pipeline) -> pd.DataFrame:
    return pairs[list(pipeline.feature_names_in_)].astype("float64")


def of_some_customers(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the rows of so large a share (1, 1/2, 1/4, …) of the customers that about `most` rows are left.

    Who is in is the customer's hash: the smaller share is part of the larger, at every cutoff and in every training.
    """
    parts = 1
    while len(rows) > most * parts:
        parts *= 2
    if parts == 1:
        return rows
    codes, names = pd.factorize(rows["customer_id"])
    kept: pd.DataFrame = rows[(pd.util.hash_array(np.asarray(names, dtype="object")) % parts == 0)[codes]]
    return kept


def train(
    rows: pd.DataFrame,
    outcomes: pd.DataFrame,
    champion: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> Trained:
    """Fit the candidates on `train`, judge on `holdout`, and fit the chosen one on rows of both.

    `rows`: pairs with their label and `split`. `outcomes`: all that was bought at the holdout's cutoffs by the
    customers of `rows`, also what no pair names. `champion`: the parameters of the version that serves; it is held
    against as fitted on the same rows, because it may have learned from the holdout itself.

    Raises:
        TooFewPairsError: the label has one value only.
    """
    learned, held = rows[rows["split"] == "train"], rows[rows["split"] == "holdout"]
    for part, name in ((learned, "train"), (held, "holdout")):
        if part[LABEL].nunique() < 2:
            raise TooFewPairsError(
                f"Expected pairs that were bought and pairs that were not in the {name} cutoffs, got {len(part):,} "
                f"pairs of which {int(part[LABEL].sum()):,} were bought. Look at next_product.outcomes."
            )
    trees = {name: int(parameters["max_iter"]) for name, parameters in CANDIDATES.items()}
    longest = max(CANDIDATES, key=trees.__getitem__)
    fit = fitted(CANDIDATES[longest], learned, seed)
    staged = by_trees(fit, held, set(trees.values()))
    scores = {name: staged[count] for name, count in trees.items()}
    scores |= {TOP_FREQUENCY: top_frequency(held), LONG_FREQUENCY: long_frequency(held)}
    scores |= {NEIGHBOURS: neighbours(held), POPULAR: popular(held)}
    if champion is not None:
        # The same recipe on the same rows is the same model: it is not fitted twice.
        same = next((name for name, parameters in CANDIDATES.items() if parameters == champion), None)
        scores["champion"] = scores[same] if same else scorer(fitted(champion, learned, seed))(held)
    lists = {name: lists_of(held, score) for name, score in scores.items()}
    rows_of = {name: judged(made, outcomes) for name, made in lists.items()}
    chosen = _simplest(rows_of, seed)
    log(f"next product: {chosen} is chosen of {', '.join(CANDIDATES)}")
    comparison = pd.DataFrame(
        [{"model": name, **summary(rows_of[name], seed), **breadth(lists[name], held)._asdict()} for name in lists]
    )
    metrics = comparison.set_index("model").loc[chosen].to_dict()
    won = paired(rows_of[chosen], rows_of[TOP_FREQUENCY], seed=seed)

    def score(pairs: pd.DataFrame) -> npt.NDArray[np.float64]:
        return by_trees(fit, pairs, {trees[chosen]})[trees[chosen]]

    return Trained(
        name=chosen,
        parameters=CANDIDATES[chosen],
        pipeline=fitted(CANDIDATES[chosen], rows, seed),
        trained_from=distinct_cutoffs(rows["cutoff_date"])[0],
        trained_through=distinct_cutoffs(rows["cutoff_date"])[-1],
        metrics={str(name): float(value) for name, value in metrics.items()},
        gained={"ndcg": won.value, "low": won.low, "high": won.high},
        comparison=comparison,
        slices=slices_of(rows_of[chosen], lists[chosen], seed),
        gates=[*_compared(rows_of, chosen, seed), *_expected(held, score, lists[chosen])],
        holdout_lists=lists[chosen],
    )


def fitted(parameters: Mapping[str, Any], rows: pd.DataFrame, seed: int) -> Pipeline:
    """Return a model fitted on the labelled pairs; beyond LEARNED_PAIRS, on those of a share of the customers."""
    learned = of_some_customers(rows, LEARNED_PAIRS)
    return build(parameters, seed).fit(learned[list(FEATURES)].astype("float64"), learned[LABEL])


def slices_of(rows: pd.DataFrame, lists: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the measures of judged lists as a whole, by activity, and by cutoff."""
    days = lists.groupby(["customer_id", "cutoff_date"])["customer_days"].first()
    known = days.reindex(pd.MultiIndex.from_frame(rows[["customer_id", "cutoff_date"]])).to_numpy()
    bands = pd.DataFrame(
        {
            "activity": activity(pd.Series(known, index=rows.index)),
            "cutoff": pd.to_datetime(rows["cutoff_date"]).dt.strftime("%Y-%m-%d"),
        }
    )
    return sliced(rows, bands, seed)


def _simplest(rows_of: Mapping[str, pd.DataFrame], seed: int) -> str:
    """Return the first candidate that no later one beats beyond noise."""
    chosen, *others = CANDIDATES
    for name in others:
        if paired(rows_of[name], rows_of[chosen], seed=seed).low > 0:
            chosen = name
    return chosen


def _compared(rows_of: Mapping[str, pd.DataFrame], chosen: str, seed: int) -> list[GateResult]:
    rows, found = rows_of[chosen], []
    won = paired(rows, rows_of[TOP_FREQUENCY], seed=seed)
    told = f"({won.low:+.4f} to {won.high:+.4f})"
    found.append(
        GateResult(
            "beats_personal_frequency",
            won.low > 0,
            won.low,
            0.0,
            f"nDCG@10 is {won.value:+.4f} {told} against personal frequency, paired by customer; the interval has to "
            "lie above 0.",
        )
    )
    no_worse = {
        "no_worse_than_long_frequency": LONG_FREQUENCY,
        "beats_neighbours": NEIGHBOURS,
        "beats_serving_model": "champion",
    }
    for gate, other in no_worse.items():
        if other not in rows_of:
            found.append(GateResult(gate, True, 0.0, 0.0, "There is no champion yet."))
            continue
        against = paired(rows, rows_of[other], seed=seed)
        found.append(
            GateResult(
                gate,
                not against.high < 0,
                against.high,
                0.0,
                f"nDCG@10 is {against.value:+.4f} ({against.low:+.4f} to {against.high:+.4f}) against the {other}; the "
                "interval must not lie below 0.",
            )
        )
    new = paired(rows, rows_of[TOP_FREQUENCY], "new_recall", seed)
    found.append(
        GateResult(
            "finds_new_types",
            not new.high < 0,
            new.high,
            0.0,
            f"Of types new to a customer it finds {new.value:+.4f} ({new.low:+.4f} to {new.high:+.4f}) more than "
            "personal frequency; the interval must not lie below 0.",
        )
    )
    return found


def _expected(held: pd.DataFrame, score: Score, lists: pd.DataFrame) -> list[GateResult]:
    asked = of_some_customers(held, EXPECTED_PAIRS)
    theirs = lists if asked is held else lists[lists["customer_id"].isin(asked["customer_id"].unique())]
    return [
        GateResult(one.name, one.passed, one.observed, one.bound, one.sentence)
        for one in expectations(asked, score, theirs)
    ]
