"""What explains a change whose cause is known, because it was simulated."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ml_models.model_version import ModelInfo
from ml_models.monitoring.diagnosis import Case, NotReplayable, diagnose
from ml_models.monitoring.diagnosis.injection import injected
from ml_models.monitoring.diagnosis.lineage import first_bad
from ml_models.monitoring.types import Anomaly, Perturbation
from ml_models.problems.contract import Behaviour, Problem

FEATURES = ("usage", "users", "paid", "tenure", "tickets", "country")
PROBLEM = Problem(
    name="churn",
    recipe_version=1,
    label="churned",
    entity="account",
    cutoff="cutoff_date",
    features=FEATURES,
    catalogue={},
    families={},
    horizon_days=28,
    window_days=84,
    recency_feature="tenure",
    rfm_features=("usage",),
    slices=(),
    candidates=(),
    behaviour=Behaviour((), 1.0, 1.0, 2.0),
)
START = date(2031, 1, 6)
WEEK = timedelta(days=7)
CUTOFFS = [START + number * WEEK for number in range(16)]
FRAME = "features/frame"
LINEAGE = {
    "raw/events": [],
    "raw/plans": [],
    "staging/events": ["raw/events"],
    FRAME: ["staging/events", "raw/plans"],
    "outcomes/churn": ["staging/events"],
    "training/champion": [FRAME, "outcomes/churn"],
}
OWNERS = {asset: f"team:{asset.split('/')[0]}" for asset in LINEAGE}
ROWS = 2000


def accounts(n, rng, harder=False):
    """Rows of the six features; `harder`: young, little used accounts are four times as frequent."""
    rows = pd.DataFrame(
        {
            "usage": rng.gamma(2, 10, n),
            "users": rng.poisson(8, n).astype(float),
            "paid": rng.gamma(3, 100, n),
            "tenure": rng.exponential(24, n),
            "tickets": rng.poisson(2, n).astype(float),
            "country": rng.choice(5, n, p=[0.4, 0.25, 0.2, 0.1, 0.05]).astype(float),
        }
    )
    if harder:
        many = accounts(4 * n, rng)
        keep = rng.random(len(many)) < np.where((many["tenure"] < 12) & (many["usage"] < 20), 1, 0.25)
        rows = many[keep].iloc[:n].reset_index(drop=True)
    return rows


def churn(rows, rng, concept=0.0):
    z = 1.2 - 0.06 * rows["usage"] * (1 - 2 * concept) - 0.05 * rows["users"] - 0.03 * rows["tenure"]
    z = z + 0.5 * rows["tickets"] * (1 - concept) + 0.4 * (rows["country"] == 3)
    return (rng.random(len(rows)) < 1 / (1 + np.exp(-z))).astype(int)


def scenario(seed, onset, now, spoil=None, concept=0.0, harder=False):
    """Return labelled rows of all cutoffs up to `now`; from `onset` on, customers or what is seen of them changed."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, cutoff in enumerate(CUTOFFS[: now + 1]):
        late = number >= onset
        rows = accounts(ROWS, rng, harder and late)
        label = churn(rows, rng, concept if late else 0.0)
        if late and spoil is not None:
            rows = spoil(rows, rng)
        parts.append(rows.assign(account=np.arange(ROWS).astype(str), cutoff_date=pd.Timestamp(cutoff), churned=label))
    return pd.concat(parts, ignore_index=True).astype({"cutoff_date": "datetime64[us]"})


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(99)
    rows = accounts(9000, rng)
    return HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, random_state=0).fit(rows, churn(rows, rng))


def nulls(rows, rng):
    return rows.assign(usage=rows["usage"].where(rng.random(len(rows)) >= 0.3))


def units(rows, rng):
    return rows.assign(usage=rows["usage"].where(rng.random(len(rows)) >= 0.2, rows["usage"] * 100))


def outage(rows, rng):
    return rows.assign(usage=rows["usage"].mask(rows["country"] == 1, 0.0))


def anomaly_of(spoil, onset, now):
    days = {"first_day": CUTOFFS[onset], "last_day": CUTOFFS[now]}
    if spoil is nulls:
        return Anomaly("nulls", FRAME, "usage", 0.3, 0.0, 0.01, ROWS, "A third of usage is null.", rate=0.3, **days)
    if spoil is units:
        return Anomaly("range", FRAME, "usage", 0.2, 0.0, 0.01, ROWS, "Usage is a hundredfold.", rate=0.2, **days)
    segment = {"segment_column": "country", "segment_values": ("1.0",)}
    return Anomaly("stuck", FRAME, "usage", 1.0, 0.1, 0.2, ROWS, "Usage is 0 in country 1.", **segment, **days)


def case_of(rows, model, now, anomalies, drift=False, performance=True, **more):
    matured = rows[rows["cutoff_date"] <= pd.Timestamp(CUTOFFS[now] - 4 * WEEK)]
    given = {
        "cutoff": CUTOFFS[now],
        "problem": PROBLEM,
        "anomalies": tuple(anomalies),
        "still_in_window": (),
        "frame": rows.drop(columns="churned"),
        "rows": matured.reset_index(drop=True),
        "early": pd.DataFrame(columns=["account", "cutoff_date", "lapsed_14d"]),
        "champion": model,
        "champion_info": ModelInfo("1", START - 4 * WEEK, START),
        "drifted": ("usage",) if drift else (),
        "drift_alarm": drift,
        "performance_alarm": performance,
        "performance_kind": "realised",
        "lineage": LINEAGE,
        "owners": OWNERS,
        "rebuild": None,
    }
    return Case(**{**given, **more})


@pytest.mark.parametrize("matured", [True, False], ids=["outcomes are known", "outcomes are open"])
def test_pure_faults_are_called_by_their_name(model, matured):
    onset, now = (6, 12) if matured else (10, 11)
    found = Counter()
    for seed in range(3):
        for spoil in (nulls, units, outage):
            rows = scenario(seed, onset, now, spoil)
            case = case_of(rows, model, now, [anomaly_of(spoil, onset, now)], drift=True, performance=matured)
            diagnosis = diagnose(case)
            found[diagnosis.cause] += 1
            assert diagnosis.first_bad_asset == FRAME
            assert diagnosis.explained > 0.5, (spoil.__name__, seed, diagnosis)
    assert found == {"pipeline": 9}, found


def test_a_fault_beside_a_concept_change_is_mixed(model):
    found = Counter()
    for seed in range(5):
        rows = scenario(seed, 6, 12, outage, concept=0.45)
        found[diagnose(case_of(rows, model, 12, [anomaly_of(outage, 6, 12)], drift=True)).cause] += 1
    assert found["mixed"] >= 3, found


def test_a_harmless_fault_does_not_excuse_a_concept_change(model):
    def spoil(rows, rng):
        return rows.assign(paid=rows["paid"].where(rng.random(len(rows)) >= 0.05))

    found = Counter()
    for seed in range(3):
        rows = scenario(seed, 6, 12, spoil, concept=0.45)
        anomaly = replace(anomaly_of(nulls, 6, 12), column="paid", observed=0.05)
        found[diagnose(case_of(rows, model, 12, [anomaly])).cause] += 1
    assert found == {"concept": 3}, found


@pytest.mark.parametrize(("change", "cause"), [({"concept": 0.45}, "concept"), ({"harder": True}, "covariate")])
def test_without_anomalies_covariate_and_concept_are_told_apart(model, change, cause):
    found = Counter()
    for seed in range(4):
        rows = scenario(seed, 9, 14, **change)
        diagnosis = diagnose(case_of(rows, model, 14, [], drift="harder" in change))
        found[diagnosis.cause] += 1
        assert diagnosis.owner == OWNERS["training/champion"]
        assert "retrain" in diagnosis.next_command
    assert found == {cause: 4}, found


def test_anomalies_on_raw_rows_are_replayed_through_the_pipeline(model):
    asked = []

    def rebuild(perturbations, cutoff):
        """A pipeline of one step: what `raw/events` says of usage is the feature."""
        asked.append((perturbations, cutoff))
        rows = frame[frame["cutoff_date"] == pd.Timestamp(cutoff)].reset_index(drop=True)
        for perturbation in perturbations:
            rows = rows.assign(usage=rows["usage"] * perturbation.value)
        return rows

    onset, now = 10, 11
    rows = scenario(3, onset, now, lambda rows, rng: rows.assign(usage=rows["usage"] * 10))
    frame = rows.drop(columns="churned")
    days = {"first_day": CUTOFFS[onset - 1], "last_day": CUTOFFS[now] - timedelta(days=1)}
    perturbation = Perturbation("raw/events", "scale", "usage", value=10, **days)
    anomaly = Anomaly("range", "raw/events", "usage", 200.0, 20.0, 60.0, ROWS, "Tenfold.", replay=perturbation, **days)
    diagnosis = diagnose(case_of(rows, model, now, [anomaly], drift=True, performance=False, rebuild=rebuild))
    assert (diagnosis.cause, diagnosis.first_bad_asset, diagnosis.owner) == ("data quality", "raw/events", "team:raw")
    assert diagnosis.explained > 0.9
    assert "raw/events" in diagnosis.next_command
    # moved by whole weeks, so that the fault lies to the healthy cutoff as it lies to this one
    (moved,), reference = asked[0]
    assert reference == CUTOFFS[onset - 1]
    assert moved == perturbation.moved((reference - CUTOFFS[now]).days)

    wrong = replace(anomaly, replay=replace(perturbation, value=1.0))
    diagnosis = diagnose(case_of(rows, model, now, [wrong], drift=True, performance=False, rebuild=rebuild))
    assert diagnosis.explained < 0.15

    def refuses(perturbations, cutoff):
        raise NotReplayable("the column is gone")

    diagnosis = diagnose(case_of(rows, model, now, [anomaly], drift=True, performance=False, rebuild=refuses))
    assert diagnosis.cause == "data quality"
    assert np.isnan(diagnosis.explained)
    assert "the column is gone" in diagnosis.sentence


def test_the_first_bad_asset_is_the_one_whose_inputs_are_clean():
    def anomaly(asset, observed, kind="volume"):
        return Anomaly(kind, asset, "", observed, 100.0, 90.0, 1000, f"{asset}", START, START)

    at = {asset: anomaly(asset, 10.0) for asset in LINEAGE}
    assert first_bad([at[FRAME], at["staging/events"]], LINEAGE)[0] == "staging/events"
    assert first_bad([at[FRAME], at["raw/events"], at["staging/events"]], LINEAGE)[0] == "raw/events"
    assert first_bad([at["outcomes/churn"]], LINEAGE)[0] == "outcomes/churn"
    # of two clean starts, the one that is further out of its range
    assert first_bad([at["raw/events"], anomaly("raw/plans", 80.0)], LINEAGE)[0] == "raw/events"
    assert first_bad([anomaly("raw/events", 1.0, "orphans"), anomaly("raw/plans", 80.0)], LINEAGE)[0] == "raw/plans"


@pytest.mark.parametrize(
    ("asset", "kind", "cause", "command"),
    [
        (
            "raw/events",
            "volume",
            "data quality",
            "dagster asset materialize -m definitions --select 'key:\"raw/events\"+'",
        ),
        ("staging/events", "nulls", "pipeline", "make rebuild FROM="),
        ("features/frame", "future", "pipeline", "make rebuild FROM="),
        ("outcomes/churn", "labels", "pipeline", "make rebuild FROM="),
    ],
)
def test_the_owner_learns_what_to_run(model, asset, kind, cause, command):
    rows = scenario(1, 99, 8)
    anomaly = Anomaly(kind, asset, "", 0.0, 1.0, 0.9, ROWS, "It is bad.", CUTOFFS[7], CUTOFFS[8])
    diagnosis = diagnose(case_of(rows, model, 8, [anomaly], performance=False))
    assert (diagnosis.cause, diagnosis.owner, diagnosis.failing_check) == (cause, OWNERS[asset], f"{asset}:{kind}")
    assert diagnosis.next_command.startswith(command)
    if command.endswith("="):
        assert date.fromisoformat(diagnosis.next_command.removeprefix(command)).weekday() == 0


def test_nothing_moved_is_no_cause(model):
    rows = scenario(1, 99, 8)
    diagnosis = diagnose(case_of(rows, model, 8, [], performance=False))
    assert (diagnosis.cause, diagnosis.first_bad_asset, diagnosis.owner, diagnosis.next_command) == ("none", "", "", "")
    unsure = diagnose(case_of(rows, model, 8, [], performance=False, insufficient=True))
    assert unsure.cause == "insufficient evidence"


def test_bad_days_in_the_windows_explain_what_moves_after_them(model):
    onset, now = 10, 11
    rows = scenario(2, onset, now, nulls)
    anomaly = anomaly_of(nulls, onset, now)
    diagnosis = diagnose(case_of(rows, model, now, [], drift=True, performance=False, still_in_window=(anomaly,)))
    assert (diagnosis.cause, diagnosis.first_bad_asset) == ("pipeline", FRAME)
    moved = scenario(2, onset, now, lambda rows, rng: rows.assign(tenure=rows["tenure"] / 3))
    diagnosis = diagnose(case_of(moved, model, now, [], drift=True, performance=False, still_in_window=(anomaly,)))
    assert diagnosis.cause == "covariate"


def test_injection_uses_observed_values_at_their_rate_in_their_segment():
    rng = np.random.default_rng(0)
    healthy, current = accounts(4000, rng), outage(accounts(4000, rng), rng)
    out = injected(healthy, current, [anomaly_of(outage, 0, 1)])
    there = healthy["country"] == 1
    assert (out.loc[there, "usage"] == 0).all()
    assert out.loc[~there, "usage"].equals(healthy.loc[~there, "usage"])
    out = injected(healthy, nulls(healthy, rng), [anomaly_of(nulls, 0, 1)])
    assert out["usage"].isna().mean() == pytest.approx(0.3, abs=0.03)
