"""A recipe is named by its data and a declared version, and cannot change what it does under the same version."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from support.bundled import PROBLEM

from ml_models.problems.contract import Problem
from ml_models.training.champion_challenge import Champion
from ml_models.training.gate import evaluate_candidate
from ml_models.training.recipe import LIBRARIES, library_versions, recipe_fingerprint
from ml_models.training.search import train
from ml_models.training.splits import split_training_set
from tests.support.simulated_shop import computed_features, make_frame

LOGISTIC = PROBLEM.candidates[0]
VERSIONS = dict.fromkeys(LIBRARIES, "1.0")

PRODUCED: dict[int, dict[str, object]] = {
    1: {
        "split": ["2017-03-27 to 2017-05-01", "2017-05-08 to 2017-05-22", "2017-05-29 to 2017-07-24"],
        "inner": "time: fit 2017-03-27 to 2017-03-27, validate 2017-04-24 to 2017-05-01",
        "chosen": ["logistic", {"C": 0.005}],
        "trials": [
            ["boosting", 0.229969],
            ["logistic", 0.232415],
            ["boosting", 0.234138],
            ["logistic", 0.238616],
            ["boosting", 0.239538],
            ["logistic", 0.239951],
            ["boosting", 0.240211],
            ["boosting", 0.255689],
            ["logistic", 0.255892],
        ],
        "holdout": {
            "base_rate": 0.338145,
            "recency_rule": 0.30377,
            "rfm_logistic": 0.299163,
            "logistic": 0.294824,
            "boosting": 0.291444,
            "shuffled_labels": 0.349208,
        },
        "deployed": [
            0.077215,
            0.195266,
            0.053283,
            0.164142,
            0.166645,
            0.276232,
            0.185607,
            0.013165,
            0.099112,
            0.157583,
            0.065306,
            0.085391,
            0.04537,
            0.243452,
            0.088364,
            0.012227,
        ],
        "compared": {
            "base_rate": 0.09489,
            "recency_rule": 0.095426,
            "rfm_logistic": 0.096821,
            "candidate": 0.096012,
            "champion": 0.083356,
        },
        "gates": {
            "enough_evidence": [True, 247.0],
            "beats_base_rate": [True, -0.0489],
            "beats_recency_rule": [True, -0.002076],
            "beats_rfm_logistic": [True, -0.007019],
            "calibration": [True, 0.029215],
            "negative_control": [True, 0.05801],
            "simpler_is_worse": [True, 0.0],
            "beats_champion": [True, -0.009552],
            "no_slice_worse": [True, 0.00399],
            "invariance": [True, 0.0],
            "directions": [True, 0.019089],
            "extremes": [True, 0.580312],
        },
    },
    2: {
        "split": ["2017-03-27 to 2017-05-01", "2017-05-08 to 2017-05-22", "2017-05-29 to 2017-07-24"],
        "inner": "time: fit 2017-03-27 to 2017-03-27, validate 2017-04-24 to 2017-05-01",
        "chosen": ["logistic", {"C": 0.005}],
        "trials": [
            ["boosting", 0.229969],
            ["recency_rule", 0.232299],
            ["rfm_logistic", 0.232384],
            ["logistic", 0.232415],
            ["boosting", 0.234138],
            ["logistic", 0.238616],
            ["boosting", 0.239538],
            ["logistic", 0.239951],
            ["boosting", 0.240211],
            ["boosting", 0.255689],
            ["logistic", 0.255892],
        ],
        "holdout": {
            "base_rate": 0.338145,
            "recency_rule": 0.302804,
            "rfm_logistic": 0.299163,
            "logistic": 0.294824,
            "boosting": 0.291444,
            "shuffled_labels": 0.349208,
        },
        "deployed": [
            0.077215,
            0.195266,
            0.053283,
            0.164142,
            0.166645,
            0.276232,
            0.185607,
            0.013165,
            0.099112,
            0.157583,
            0.065306,
            0.085391,
            0.04537,
            0.243452,
            0.088364,
            0.012227,
        ],
        "compared": {
            "base_rate": 0.09489,
            "recency_rule": 0.095201,
            "rfm_logistic": 0.096821,
            "candidate": 0.096012,
            "champion": 0.083356,
        },
        "gates": {
            "enough_evidence": [True, 247.0],
            "beats_base_rate": [True, -0.0489],
            "beats_recency_rule": [True, -0.00284],
            "beats_rfm_logistic": [True, -0.007019],
            "calibration": [True, 0.029215],
            "negative_control": [True, 0.05898],
            "simpler_is_worse": [True, 0.0],
            "beats_champion": [True, -0.009552],
            "no_slice_worse": [True, 0.00399],
            "invariance": [True, 0.0],
            "directions": [True, 0.018035],
            "extremes": [True, 0.531369],
        },
    },
}
_ASKED: dict[str, object] = {
    "enough_evidence": [True, 247.0],
    "beats_base_rate": [True, -0.0489],
    "beats_recency_rule": [True, -0.00284],
    "beats_rfm_logistic": [True, -0.007019],
    "calibration": [True, 0.029215],
    "negative_control": [True, 0.05898],
    "simpler_is_worse": [True, 0.0],
    "beats_champion": [True, -0.009552],
    "no_slice_worse": [True, 0.00399],
    "forgets_nothing": [True, 0.001412],
    "invariance": [True, 0.0],
    "directions": [True, 0.018035],
    "extremes": [True, 0.531369],
}
PRODUCED[3] = {**PRODUCED[2], "gates": _ASKED}
"""What each version of the lapse recipe makes of the simulated shop. Add a row for a new version; never edit one for a
change of the recipe. Only where a library's release moved the figures are they written anew: its version is in the
fingerprint by itself."""

TOLERANCE = 1e-5
"""Figures and not a digest of them: the last digits of a fit are the processor's, and a rounded one may fall on either
side. A change of the recipe moves them by far more."""

HOW_TO_MEND = (
    "The recipe does something else than version {version} did. If that is meant, raise RECIPE_VERSION in "
    "ml_models/problems/lapse/problem.py and add this row to PRODUCED: {row}"
)


def produce(problem: Problem) -> dict[str, object]:
    """What search, splits, baselines, gate and comparison come to on a small simulated shop that has a champion.

    A new feature is data of the problem, which the fingerprint holds, and no other recipe: only the features that the
    shop computes are asked for, not those that it draws.
    """
    problem = replace(problem, features=tuple(computed_features()))
    world = make_frame(customers=600, cutoffs=18)
    days = sorted(world["cutoff_date"].unique())
    rows, split = split_training_set(world, problem, quarantined=[days[2].date()])
    features, known = list(problem.features), world[world["cutoff_date"] <= days[5]]
    pipeline = LOGISTIC.build({"C": 0.02}, 0).fit(known[features], known[problem.label])
    champion = Champion(1, pipeline, LOGISTIC.name, {"C": 0.02}, days[5].date())
    result, compared, gates = evaluate_candidate(rows, problem, champion)
    assert compared is not None
    trials = train(rows, problem).trials
    return {
        "split": [f"{part[0]} to {part[-1]}" for part in (split.train, split.gap, split.holdout)],
        "inner": result.inner,
        "chosen": [result.candidate, result.parameters],
        "trials": [list(one) for one in trials[["candidate", "log_loss"]].round(6).itertuples(index=False)],
        "holdout": result.comparison.set_index("model")["log_loss"].round(6).to_dict(),
        "deployed": result.pipeline.predict_proba(world[features])[::600, 1].round(6).tolist(),
        "compared": compared.scores.mean().round(6).to_dict(),
        "gates": {gate.name: [gate.passed, round(gate.observed, 6)] for gate in gates},
    }


def differences(now: object, then: object, where: str = "") -> list[str]:
    """Return where two nested records differ, numbers by more than TOLERANCE."""
    if isinstance(now, dict) and isinstance(then, dict) and list(now) == list(then):
        return [line for key in now for line in differences(now[key], then[key], f"{where}/{key}")]
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [
            line for n, pair in enumerate(zip(now, then, strict=True)) for line in differences(*pair, f"{where}/{n}")
        ]
    same = now == pytest.approx(then, abs=TOLERANCE) if isinstance(then, float) else now == then
    return [] if same else [f"{where}: {now!r}, formerly {then!r}"]


def test_a_recipe_that_does_something_else_has_another_version():
    version, produced = PROBLEM.recipe_version, produce(PROBLEM)
    found = differences(produced, PRODUCED.get(version))
    assert found == [], HOW_TO_MEND.format(version=version, row=json.dumps({version: produced}))


def test_a_small_change_of_a_candidate_moves_the_figures():
    """The test above can fail: a penalty that is off by a tenth is seen in the trials and on the holdout."""
    looser = replace(LOGISTIC, build=lambda parameters, seed: LOGISTIC.build({"C": 1.1 * parameters["C"]}, seed))
    changed = produce(replace(PROBLEM, candidates=(looser, *PROBLEM.candidates[1:])))
    found = differences(changed, PRODUCED[PROBLEM.recipe_version])
    assert {"trials", "holdout", "deployed"} <= {line.split("/")[1] for line in found}


# The fingerprint.


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return split_training_set(make_frame(customers=60, cutoffs=6), PROBLEM)[0]


def fingerprint(rows: pd.DataFrame, problem=PROBLEM, *, seed: int = 0, libraries=VERSIONS) -> str:
    return recipe_fingerprint(rows, problem, seed=seed, libraries=libraries)


def test_the_same_rows_and_recipe_have_the_same_digits_in_any_order(rows):
    assert fingerprint(rows) == fingerprint(rows.sample(frac=1, random_state=1)[sorted(rows.columns)])
    assert fingerprint(rows) == fingerprint(rows, libraries=dict(reversed(VERSIONS.items())))


@pytest.mark.parametrize(
    "changed",
    [
        {"recipe_version": PROBLEM.recipe_version + 1},
        {"features": PROBLEM.features[:-1]},
        {"candidates": PROBLEM.candidates[:1]},
        {"candidates": (replace(PROBLEM.candidates[0], trials=3), PROBLEM.candidates[1])},
        {"slices": ()},
        {"rfm_features": PROBLEM.rfm_features[:2]},
        {"question": replace(PROBLEM.question, horizon_days=35)},
        {"behaviour": replace(PROBLEM.behaviour, extremes=3.0)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_a_problem_states_belongs_to_the_recipe(rows, changed):
    assert fingerprint(rows, replace(PROBLEM, **changed)) != fingerprint(rows)


def test_data_seed_and_libraries_belong_to_it_too(rows):
    relabelled = rows.assign(lapsed=rows["lapsed"].where(rows.index > 0, 1 - rows["lapsed"]))
    other = [
        fingerprint(relabelled),
        fingerprint(rows, seed=1),
        *(fingerprint(rows, libraries={**VERSIONS, name: "1.1"}) for name in LIBRARIES),
    ]
    assert len({fingerprint(rows), *other}) == len(other) + 1


def test_what_people_read_does_not_belong_to_it(rows):
    """A label or a phrase may be mended without training anything again."""
    name = PROBLEM.features[0]
    reworded = {**PROBLEM.catalogue, name: replace(PROBLEM.catalogue[name], phrase="another phrase: {value}")}
    assert fingerprint(rows, replace(PROBLEM, catalogue=reworded)) == fingerprint(rows)


def test_the_installed_libraries_are_named_by_version():
    found = library_versions()
    assert list(found) == list(LIBRARIES)
    assert all(text[0].isdigit() for text in found.values())
