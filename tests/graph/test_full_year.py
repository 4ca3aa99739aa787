"""The whole recorded year, as `make run` does it: what the README says about the model is true."""

import pytest

from tools.sample import bundled_data_dir

pytestmark = pytest.mark.slow(minutes=3)


@pytest.fixture(scope="module")
def year(make_baton, tmp_path_factory):
    made = make_baton(tmp_path_factory.mktemp("year"), source=bundled_data_dir())
    assert made.run().success
    return made


@pytest.fixture(scope="module")
def comparison(year):
    registry = year.resources["registry"]
    return {row["model"]: row for row in registry.evidence(registry.by_alias("champion"))["comparison"]}


def test_the_counts_are_those_of_the_recording(year):
    counts = year.read(
        "select (select count(*) from raw.transactions), (select count(*) from marts.orders), "
        "(select count(*) from marts.customers), (select count(*) from features.cutoffs), "
        "(select count(distinct cutoff_date) from outcomes.customer_outcomes), "
        "(select count(*) from training.holdout_predictions)"
    )
    assert counts == [(1_469_307, 155_848, 2_469, 41, 37, 38_346)]


def test_the_model_separates_as_well_as_promised_and_better_than_its_baselines(year, comparison):
    [[algorithm]] = year.read("select algorithm from training.champion")
    model = comparison[algorithm]
    assert model["auc"] >= 0.845
    for baseline in ("base_rate", "recency_rule", "rfm_logistic"):
        assert model["log_loss"] < comparison[baseline]["log_loss"], baseline
    assert comparison["shuffled_labels"]["log_loss"] > comparison["recency_rule"]["log_loss"]


def test_the_baselines_are_those_that_were_measured_before(comparison):
    assert comparison["recency_rule"]["auc"] == pytest.approx(0.708, abs=0.002)
    assert comparison["rfm_logistic"]["auc"] == pytest.approx(0.845, abs=0.002)


def test_no_natural_week_drifts(year):
    from ml_models.monitoring.drift import judge_drift

    history = year.resources["warehouse"].read("select * from monitoring.drift")
    verdicts = [
        judge_drift(layer, cutoff).status
        for _, layer in history.groupby("layer")
        for cutoff in sorted(layer["cutoff_date"].unique())
    ]
    assert verdicts.count("fail") == 0
    assert verdicts.count("pass") >= 55
