"""What each reason for choosing rows would have been worth: each on and off, over the recorded weeks.

At some past cutoffs the simplest recipe is fitted on what was known then, ordinary and with one reason on; both are
judged on the later weeks until the next such cutoff, a horizon on, each week once. What a reason is worth is the paired
difference in log-loss, with its interval over whole customers. What it costs to find out is a minute or two of CPU.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.cutoffs import RECENT_CUTOFFS, cutoff_dates
from ml_models.metrics import auc, paired_log_loss
from ml_models.problems.contract import Problem
from ml_models.rows import scored
from ml_models.training.fitting import WEIGHT
from ml_models.training.forgetting import Remembered, forgotten
from ml_models.training.label_suspects import confident_learning, contradicted, together
from ml_models.training.rows_chosen import Switches, choose_rows, unknowing_scores
from ml_models.training.search import simplest_recipe
from ml_models.training.staleness import as_served

POINTS = 2
"""Past cutoffs at which a training is made."""

LEAST_CUTOFFS = 8
"""Cutoffs that the first of them learns from."""

WRONG_LABELS = 0.02
"""Share (0 to 1) of the labels that are turned over, to see what is found of them, and what leaving them out gains."""

LOST = 0.06
"""Share (0 to 1) of the customers whose orders are taken away, to see what is found of the labels that come of it."""

LOST_DAYS = 35

REASONS: Mapping[str, Switches] = {
    "uncertain": Switches(uncertain=True),
    "known error": Switches(known_error=True),
    "weak slice": Switches(weak_slice=True),
    "label suspect": Switches(label_suspect=True),
}


class TooShortError(ValueError):
    """The recorded weeks are too few to train on some and judge on others."""


@dataclass(frozen=True)
class RowsBacktest:
    """What came out.

    `worth`: one row a variant: `variant`, `judged_on`, `changed` (share of training rows), `difference`, `low`, `high`
    (log-loss against ordinary rows, negative: better), `auc` (difference), `rows`. `forgot`: one row a later candidate:
    `champion`, `candidate`, `window`, `season`, `share`, `low`, `high`. `suspects`: one row a rule and world: `world`,
    `rule`, `labels`, `wrong`, `flagged`, `of_rare_class`, `precision`, `recall`.
    """

    worth: pd.DataFrame
    forgot: pd.DataFrame
    suspects: pd.DataFrame


def backtest_rows(
    labelled: pd.DataFrame, seen: pd.DataFrame, problem: Problem, say: Callable[[str], None], *, points: int = POINTS
) -> RowsBacktest:
    """Live through the recorded weeks with each reason.

    `labelled`: keys, features, label of all matured cutoffs; `seen`: keys and recency of all cutoffs.

    Raises:
        TooShortError: there are too few matured cutoffs.
    """
    rows = labelled.assign(**{problem.cutoff: cutoff_dates(labelled[problem.cutoff])})
    rows = rows.sort_values([problem.cutoff, problem.entity], ignore_index=True)
    fit = simplest_recipe(problem)
    judged: list[pd.DataFrame] = []
    models: list[tuple[pd.Timestamp, Pipeline, Pipeline]] = []
    for end, known, later in _points(rows, problem, points):
        say(f"learned from {len(known):,} rows to {end.date()}, judged on {len(later):,} later ones")
        ordinary = fit(known)
        newest = sorted(known[problem.cutoff].unique())[-RECENT_CUTOFFS:]
        models.append((end, ordinary, fit(known[known[problem.cutoff].isin(newest)])))
        judged += list(_variants(rows, known, later, seen, ordinary, problem))
    return RowsBacktest(
        _worth(pd.concat(judged), problem), _forgot(rows, models, problem), _suspects(rows, seen, problem)
    )


def _points(
    rows: pd.DataFrame, problem: Problem, points: int
) -> Iterator[tuple[pd.Timestamp, pd.DataFrame, pd.DataFrame]]:
    days = sorted(rows[problem.cutoff].unique())
    horizon = pd.Timedelta(days=problem.horizon_days)
    ends = [day for day in days[LEAST_CUTOFFS - 1 :] if day + horizon <= days[-1]]
    if len(ends) < points:
        raise TooShortError(
            f"Expected at least {LEAST_CUTOFFS + points} weekly cutoffs with known outcomes and {problem.horizon_days} "
            f"days after them, got {len(days)} ({days[0].date()} to {days[-1].date()}). Load a longer history."
            if days
            else "Expected rows with a known outcome, got none. Load a longer history."
        )
    chosen = [ends[place] for place in np.linspace(0, len(ends) - 1, points + 1).astype(int)]
    for end, following in itertools.pairwise(chosen):
        last = days[-1] + pd.Timedelta(days=1) if following == chosen[-1] else following + horizon
        later = rows[(rows[problem.cutoff] >= end + horizon) & (rows[problem.cutoff] < last)]
        yield end, rows[rows[problem.cutoff] <= end].assign(split="train"), later


def _variants(
    rows: pd.DataFrame,
    known: pd.DataFrame,
    later: pd.DataFrame,
    seen: pd.DataFrame,
    ordinary: Pipeline,
    problem: Problem,
) -> Iterator[pd.DataFrame]:
    """Yield judged rows of each variant: keys, label, `variant`, `judged_on`, `score`, `ordinary`, `changed`."""

    def judged(
        name: str, model: Pipeline, changed: float, on: str = "weeks as they came", against: Pipeline = ordinary
    ) -> pd.DataFrame:
        asked = stale if on != "weeks as they came" else later
        return asked[[*problem.keys, problem.label]].assign(
            variant=name,
            judged_on=on,
            changed=changed,
            score=scored(model, asked, problem),
            ordinary=scored(against, asked, problem),
        )

    fit = simplest_recipe(problem)
    late = as_served(rows, [1], problem)
    stale = late[late[problem.cutoff].isin(later[problem.cutoff].unique())]
    scores = unknowing_scores(known, problem)
    for name, switches in REASONS.items():
        yield judged(name, *_with(known, seen, switches, scores, ordinary, problem))
    wrong, _ = _turned(known, problem, np.random.default_rng(0))
    dirty = fit(wrong)
    model, changed = _with(wrong, seen, REASONS["label suspect"], scores, dirty, problem)
    yield judged(f"label suspect, {WRONG_LABELS:.0%} of labels wrong", model, changed, against=dirty)
    served = late[late[problem.cutoff].isin(known[problem.cutoff].unique())]
    model = fit(served)
    yield judged("as served, a week late", model, 1.0)
    yield judged("as served, a week late", model, 1.0, on="features a week old")


def _with(
    known: pd.DataFrame,
    seen: pd.DataFrame,
    switches: Switches,
    scores: npt.NDArray[np.float64],
    ordinary: Pipeline,
    problem: Problem,
) -> tuple[Pipeline, float]:
    """Return the fit with a reason on and the share of rows that it changed; the ordinary fit where it changed none."""
    rows = known.reset_index(drop=True)
    weights = choose_rows(rows, problem, switches, seen=seen, scores=scores)[WEIGHT]
    changed = float((weights != 1).mean())
    return (simplest_recipe(problem)(rows.assign(**{WEIGHT: weights})) if changed else ordinary), changed


def _turned(
    rows: pd.DataFrame, problem: Problem, generator: np.random.Generator
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Return the rows with a share of the labels turned over, and which."""
    turned = generator.random(len(rows)) < WRONG_LABELS
    return rows.assign(**{problem.label: np.where(turned, 1 - rows[problem.label], rows[problem.label])}), turned


def _worth(judged: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    lines = []
    for (variant, on), part in judged.groupby(["variant", "judged_on"], sort=False):
        outcome = part[problem.label].to_numpy()
        score, ordinary = part["score"].to_numpy(), part["ordinary"].to_numpy()
        found = paired_log_loss(outcome, score, ordinary, part[problem.entity].to_numpy())
        lines.append(
            {
                "variant": variant,
                "judged_on": on,
                "changed": float(part["changed"].mean()),
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "auc": auc(outcome, score) - auc(outcome, ordinary),
                "rows": len(part),
            }
        )
    return pd.DataFrame(lines)


def _forgot(
    rows: pd.DataFrame, models: list[tuple[pd.Timestamp, Pipeline, Pipeline]], problem: Problem
) -> pd.DataFrame:
    lines = []
    for place, (end, champion, _) in enumerate(models):
        asked = rows[rows[problem.cutoff] <= end].reset_index(drop=True)
        own = scored(champion, asked, problem)
        for after, expanding, recent in models[place + 1 :]:
            for window, candidate in (("expanding", expanding), ("recent", recent)):
                found = forgotten(Remembered(asked, scored(candidate, asked, problem), own), problem)
                if found is not None:
                    named = {"champion": end.date(), "candidate": after.date(), "window": window}
                    share = found.share
                    figures = {"share": share.value, "low": share.low, "high": share.high}
                    lines.append({**named, "season": found.season, **figures})
    return pd.DataFrame(lines)


def _suspects(rows: pd.DataFrame, seen: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    label = problem.label
    generator = np.random.default_rng(0)
    flipped, turned = _turned(rows, problem, generator)
    lost, wrong, lost_seen = lose_orders(rows, seen, problem, generator)
    worlds = (
        ("labels as they are", rows, np.zeros(len(rows), dtype=bool), seen),
        (f"{WRONG_LABELS:.0%} turned over", flipped, turned, seen),
        (f"orders of {LOST:.0%} of the customers lost for {LOST_DAYS} days", lost, wrong, lost_seen),
    )
    lines: list[dict[str, object]] = []
    for world, some, bad, known in worlds:
        outcome, scores = some[label].to_numpy(dtype="int64"), unknowing_scores(some, problem)
        keys = pd.MultiIndex.from_frame(some[problem.keys])
        by_rule = {
            "a model would have said otherwise": confident_learning(scores, outcome),
            "contradicted": _among(keys, contradicted(some, known, problem), problem),
            "sudden together": _among(keys, together(some.assign(score=scores), problem), problem),
        }
        for rule, flagged in by_rule.items():
            hits = int((flagged & bad).sum())
            lines.append(
                {
                    "world": world,
                    "rule": rule,
                    "labels": len(some),
                    "wrong": int(bad.sum()),
                    "flagged": int(flagged.sum()),
                    "of_rare_class": float(flagged[outcome == 1].mean()),
                    "precision": hits / int(flagged.sum()) if flagged.any() else float("nan"),
                    "recall": hits / int(bad.sum()) if bad.any() else float("nan"),
                }
            )
    return pd.DataFrame(lines)


def _among(keys: pd.MultiIndex, found: pd.DataFrame, problem: Problem) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = keys.isin(pd.MultiIndex.from_frame(found[problem.keys]))
    return result


def lose_orders(
    rows: pd.DataFrame, seen: pd.DataFrame, problem: Problem, generator: np.random.Generator
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_], pd.DataFrame]:
    """Return rows and `seen` as they would be without a share of the customers' orders of LOST_DAYS, and what is wrong.

    Visits are known by the recency of each week: its newest. Labels follow from those that are left, and a customer
    without one in `active_within_days` has no row, as in the frame.
    """
    entity, cutoff, recency = problem.entity, problem.cutoff, problem.recency_feature
    days = sorted(rows[cutoff].unique())
    start = pd.Timestamp(days[len(days) // 2])
    end = start + pd.Timedelta(days=LOST_DAYS)
    names = np.sort(rows[entity].unique())
    gone = set(generator.choice(names, max(1, int(LOST * len(names))), replace=False))
    known = seen.assign(**{cutoff: cutoff_dates(seen[cutoff])})
    seen_on = known[cutoff] - pd.to_timedelta(known[recency], unit="D")
    visits = known.assign(visited=seen_on.astype(known[cutoff].dtype))
    visits = visits.loc[visits[entity].isin(gone), [entity, "visited"]].drop_duplicates()
    left = visits[(visits["visited"] < start) | (visits["visited"] >= end)].sort_values("visited")

    theirs = known[known[entity].isin(gone)].sort_values(cutoff)
    newest = pd.merge_asof(theirs, left, left_on=cutoff, right_on="visited", by=entity, allow_exact_matches=False)
    newest[recency] = (newest[cutoff] - newest["visited"]).dt.days
    newest = newest[newest[recency] <= problem.question.active_within_days]
    still = pd.concat([known[~known[entity].isin(gone)], newest[list(known.columns)].astype({recency: "int64"})])

    kept = rows[~rows[entity].isin(gone) | _in(rows, still, problem)].sort_values([cutoff, entity], ignore_index=True)
    asked = kept.reset_index().sort_values(cutoff)
    ahead = pd.merge_asof(
        asked, left.assign(next=left["visited"]), left_on=cutoff, right_on="visited", by=entity, direction="forward"
    ).set_index("index")["next"]
    absent = ~(ahead.reindex(kept.index) < kept[cutoff] + pd.Timedelta(days=problem.horizon_days))
    touched = kept[entity].isin(gone) & (kept[cutoff] + pd.Timedelta(days=problem.horizon_days) > start)
    wrong = (touched & (kept[cutoff] < end) & absent & (kept[problem.label] == 0)).to_numpy()
    return kept.assign(**{problem.label: np.where(wrong, 1, kept[problem.label])}), wrong, still


def _in(rows: pd.DataFrame, others: pd.DataFrame, problem: Problem) -> npt.NDArray[np.bool_]:
    return _among(pd.MultiIndex.from_frame(rows[problem.keys]), others, problem)
