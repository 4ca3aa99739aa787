"""Reasons name facts that push the risk up, in words a shopkeeper understands."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from support.bundled import FEATURES, PROBLEM

from ml_models.explain import MINIMUM_PEERS, REASONS, family_contributions, reference_values, top_reasons
from ml_models.metrics import bands
from ml_models.odds import log_odds
from ml_models.rows import MissingFeaturesError

PEERS = PROBLEM.peers or pytest.fail("the bundled company's problem has peers")


@pytest.fixture(scope="module", params=[0, 1], ids=["logistic", "boosting"])
def fitted(request: pytest.FixtureRequest, training_set: pd.DataFrame) -> Pipeline:
    candidate = PROBLEM.candidates[request.param]
    parameters = candidate.sample(np.random.default_rng(1), 1)[0]
    return candidate.build(parameters, 0).fit(training_set[FEATURES], training_set["lapsed"])


@pytest.fixture(scope="module")
def reference(training_set: pd.DataFrame) -> pd.DataFrame:
    return reference_values(training_set[FEATURES], PROBLEM)


@pytest.fixture(scope="module")
def typical(reference: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([reference["typical"].to_numpy()], columns=FEATURES)


def band_of(rows: pd.DataFrame) -> pd.Series:
    return bands(rows[PEERS.rule.feature], PEERS.rule)


def test_a_customer_who_is_typical_of_the_peers_has_no_reasons(fitted: Pipeline, reference: pd.DataFrame) -> None:
    kinds = [name.removeprefix("typical ") for name in reference.columns if name.startswith("typical ")]
    assert len(kinds) >= 3
    for kind in kinds:
        typical = pd.DataFrame([reference[f"typical {kind}"].to_numpy()], columns=FEATURES)
        assert band_of(typical).tolist() == [kind]
        assert top_reasons(fitted, typical, reference, PROBLEM).iloc[0].tolist() == [None, None, None]


def test_what_is_told_is_what_moves_the_score_against_the_peers_that_are_named(
    fitted: Pipeline, world: pd.DataFrame, training_set: pd.DataFrame, reference: pd.DataFrame
) -> None:
    """Everything again from the training rows: their medians, and what the model says with a family set to them."""
    rows = world.tail(60)[FEATURES].astype("float64")
    reasons, kinds = top_reasons(fitted, rows, reference, PROBLEM), band_of(rows)
    learned, told, compared = band_of(training_set), 0, set()
    for kind in kinds.unique():
        peers = training_set.loc[learned == kind, FEATURES].astype("float64")
        if len(peers) < MINIMUM_PEERS:
            continue
        compared.add(kind)
        medians = peers.median().where(peers.notna().mean() >= 0.5)
        for index, row in rows[kinds == kind].iterrows():
            raised = []
            for reason in reasons.loc[index].dropna():
                assert reason.endswith(f" among {PEERS.named(kind)})")
                feature = next(one for one in PROBLEM.catalogue.values() if _says(reason, one.phrase))
                family = [name for name in FEATURES if PROBLEM.catalogue[name].family == feature.family]
                here, there = (pd.DataFrame([values]) for values in (row, row.where(~row.index.isin(family), medians)))
                raised.append(float(np.diff(log_odds(fitted.predict_proba(pd.concat([there, here]))[:, 1]))[0]))
            told += len(raised)
            assert raised == sorted(raised, reverse=True)
            assert all(one > 0 for one in raised)
    assert told > 60
    assert len(compared) >= 3


def _says(reason: str, phrase: str) -> bool:
    before, after = phrase.split("{value}")
    return re.match(rf"{re.escape(before)}[-+]?[\d.,]+( %)?{re.escape(after)} \(typical ", reason) is not None


def test_against_peers_first_reasons_differ_more_than_against_everybody(
    fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame
) -> None:
    score = fitted.predict_proba(world[FEATURES])[:, 1]
    most = world.iloc[np.argsort(-score, kind="stable")[: len(world) // 10]]
    against_everybody = top_reasons(fitted, most, reference[["typical", "spread"]], PROBLEM)["reason_1"]
    against_peers = top_reasons(fitted, most, reference, PROBLEM)["reason_1"]
    assert against_peers.nunique() > 1.1 * against_everybody.nunique()


def test_what_the_look_back_caps_is_never_a_reason(
    fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame
) -> None:
    capped = [one for one in PROBLEM.catalogue.values() if not one.quoted]
    assert {one.name for one in capped} == {"days_since_first_seen_84d", "spend_cv_84d"}
    for known in (reference, reference[["typical", "spread"]]):
        told = top_reasons(fitted, world.head(500), known, PROBLEM).stack()
        assert not any(_says(reason, one.phrase) for reason in told for one in capped)


def test_too_few_peers_are_no_comparison_and_everybody_is(
    fitted: Pipeline, world: pd.DataFrame, training_set: pd.DataFrame
) -> None:
    kinds = band_of(training_set)
    rare = kinds.value_counts().index[-1]
    few = pd.concat([training_set[kinds != rare], training_set[kinds == rare].head(MINIMUM_PEERS - 1)])
    reference = reference_values(few[FEATURES], PROBLEM)
    assert f"typical {rare}" not in reference
    told = top_reasons(fitted, world[band_of(world) == rare].head(50), reference, PROBLEM).stack()
    assert len(told)
    assert not told.str.contains("among").any()


def test_a_long_silence_is_named_with_the_typical_value(
    fitted: Pipeline, typical: pd.DataFrame, reference: pd.DataFrame
) -> None:
    silent = typical.assign(recency_days=28)
    usual = reference.loc["recency_days", f"typical {band_of(silent).iloc[0]}"]
    reasons = top_reasons(fitted, silent, reference, PROBLEM).iloc[0].tolist()
    assert f"last visit 28 days ago (typical {usual:.0f} among {PEERS.named(band_of(silent).iloc[0])})" in reasons


def test_what_lowers_the_risk_is_no_reason(fitted: Pipeline, typical: pd.DataFrame, reference: pd.DataFrame) -> None:
    contributions = family_contributions(fitted, typical.assign(recency_days=1), reference, PROBLEM)
    assert contributions.loc[0, "recency"] <= 0
    reasons = top_reasons(fitted, typical.assign(recency_days=1), reference, PROBLEM).iloc[0]
    assert not any("last visit" in reason for reason in reasons.dropna())


def test_reasons_are_ordered_by_contribution_and_repeatable(
    fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame
) -> None:
    rows = world.tail(300)
    first, second = (top_reasons(fitted, rows, reference, PROBLEM) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert list(first.columns) == list(REASONS)
    assert first.index.equals(rows.index)
    # A later reason never stands without an earlier one.
    assert not (first["reason_2"].notna() & first["reason_1"].isna()).any()
    assert not (first["reason_3"].notna() & first["reason_2"].isna()).any()
    assert first["reason_1"].dropna().str.contains(r" \(typical .+\)$").all()
    riskiest = fitted.predict_proba(rows[FEATURES])[:, 1] > 0.3
    assert first.loc[riskiest, "reason_1"].notna().all()


def test_reasons_do_not_depend_on_the_other_rows(
    fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame
) -> None:
    rows = world.tail(40)
    together = top_reasons(fitted, rows, reference, PROBLEM)
    alone = pd.concat([top_reasons(fitted, rows.iloc[[k]], reference, PROBLEM) for k in range(0, 40, 8)])
    pd.testing.assert_frame_equal(together.loc[alone.index], alone)


def test_linear_contributions_add_up_to_the_change_in_log_odds(
    training_set: pd.DataFrame, typical: pd.DataFrame, reference: pd.DataFrame
) -> None:
    model = PROBLEM.candidates[0].build({"C": 0.1}, 0).fit(training_set[FEATURES], training_set["lapsed"])
    rows = training_set.head(200)
    total = family_contributions(model, rows, reference, PROBLEM).sum(axis=1)
    np.testing.assert_allclose(
        total, model.decision_function(rows[FEATURES]) - model.decision_function(typical), atol=1e-9
    )


@pytest.mark.parametrize("first", ["in another order", "the best of them", "nothing"])
def test_a_familys_contribution_is_its_own_whatever_a_step_does_to_the_columns(
    first: str, training_set: pd.DataFrame, reference: pd.DataFrame
) -> None:
    scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    steps = {
        "in another order": [ColumnTransformer([("all", scale, FEATURES[::-1])])],
        "the best of them": [scale, SelectKBest(k=20)],
        "nothing": [],
    }[first]
    filled = training_set[FEATURES].fillna(0)
    model = make_pipeline(*steps, LogisticRegression(max_iter=5000)).fit(filled, training_set["lapsed"])
    rows = filled.head(20)
    found = family_contributions(model, rows, reference, PROBLEM)
    for family in found.columns:
        names = [name for name in FEATURES if PROBLEM.catalogue[name].family == family]
        as_typical = rows.astype("float64").assign(**reference.loc[names, "typical"])
        change = log_odds(model.predict_proba(rows)[:, 1]) - log_odds(model.predict_proba(as_typical)[:, 1])
        np.testing.assert_allclose(found[family], change, atol=1e-6)


def test_money_is_told_in_whole_units(
    training_set: pd.DataFrame, typical: pd.DataFrame, reference: pd.DataFrame
) -> None:
    rows = typical.assign(
        **{f"spend_cents_{d}d": 0 for d in (7, 28, 56, 84)}, max_basket_cents_28d=0, max_basket_cents_84d=0
    )
    # A model that knows nothing but that low spend is risky.
    candidate = PROBLEM.candidates[0]
    label = (training_set["spend_cents_84d"] < training_set["spend_cents_84d"].median()).astype(int)
    only_spend = training_set[FEATURES].assign(**{name: 0.0 for name in FEATURES if "cents" not in name})
    model = candidate.build({"C": 0.01}, 0).fit(only_spend, label)
    reason = top_reasons(model, rows, reference, PROBLEM)["reason_1"].iloc[0]
    assert "0.00" in reason
    assert reason.count(".") == 2


def test_no_rows_are_no_reasons(fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame) -> None:
    assert top_reasons(fitted, world.iloc[:0], reference, PROBLEM).shape == (0, 3)


def test_a_missing_feature_is_named(fitted: Pipeline, world: pd.DataFrame, reference: pd.DataFrame) -> None:
    with pytest.raises(MissingFeaturesError, match="the rows have no stores_84d"):
        top_reasons(fitted, world.drop(columns="stores_84d"), reference, PROBLEM)
    with pytest.raises(ValueError, match="the reference has no stores_84d"):
        top_reasons(fitted, world, reference.drop(index="stores_84d"), PROBLEM)


def test_reasons_quote_what_the_model_knows_and_the_catalogue_has_words_for(
    training_set: pd.DataFrame, world: pd.DataFrame, reference: pd.DataFrame
) -> None:
    rows, other = world.head(300), [name for name in FEATURES if name != "recency_days"]
    model = PROBLEM.candidates[0].build({"C": 0.1}, 0).fit(training_set[other], training_set["lapsed"])
    told = top_reasons(model, rows, reference, PROBLEM)
    assert told["reason_1"].notna().any()
    assert not told.stack().str.startswith("last visit").any()
    # The other way round: the model knows a feature that was taken out of the catalogue.
    whole = PROBLEM.candidates[0].build({"C": 0.1}, 0).fit(training_set[FEATURES], training_set["lapsed"])
    without = replace(
        PROBLEM,
        features=tuple(other),
        catalogue={name: PROBLEM.catalogue[name] for name in other},
    )
    told = top_reasons(whole, rows, reference, without)
    assert told["reason_1"].notna().any()
    assert not told.stack().str.startswith("last visit").any()


def test_a_reference_survives_being_written_as_text(reference: pd.DataFrame) -> None:
    import io

    again = pd.read_csv(io.StringIO(reference.to_csv()), index_col=0)
    pd.testing.assert_frame_equal(again, reference, check_names=False)
