"""What people read after the model: the list of customers at risk, and whether the predictions held."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dbt_workshop import AFTER_THE_MODEL, StartFrom, Warehouse
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from ml_models.metrics import top_share
from resources.dbt import DbtError


@pytest.fixture(scope="module")
def built(served: Path, workshop: Warehouse) -> dict[str, pd.DataFrame]:
    """The serving tables, built with their tests, and the rows behind the numbers."""
    shutil.copy(served, workshop.path)
    workshop.dbt("build", *AFTER_THE_MODEL)
    return {
        "accuracy": workshop.read(
            "select * from marts.accuracy_over_time order by evidence, model_version, cutoff_date"
        ),
        "at_risk": workshop.read("select * from marts.customers_at_risk order by risk_rank"),
        "judged": workshop.read(
            "select p.cutoff_date, p.score, o.lapsed, f.recency_days from predictions.lapse_predictions as p "
            "inner join outcomes.customer_outcomes as o using (customer_id, cutoff_date) "
            "inner join features.customer_features as f using (customer_id, cutoff_date)"
        ),
        "campaigns": workshop.read("select * from marts.campaign_contacts"),
        "value": workshop.read("select * from marts.customer_value order by customer_id, cutoff_date"),
        "spend_accuracy": workshop.read("select * from marts.expected_spend_accuracy order by decile"),
        "stayed": workshop.read(
            "select customer_id, expected_spend_cents / 100 as expected, last_month_cents / 100 as last_month, "
            "spend_cents_next_28d / 100 as observed from marts.customer_value "
            "inner join outcomes.customer_outcomes using (customer_id, cutoff_date) where lapsed = 0"
        ),
        "lost": workshop.read(
            "select p.cutoff_date, score, last_month_cents / 100 as last_month, lapsed, "
            "score * expected_spend_cents as expected_loss from predictions.lapse_predictions as p "
            "inner join outcomes.customer_outcomes using (customer_id, cutoff_date) "
            "inner join marts.customer_value using (customer_id, cutoff_date)"
        ),
    }


def test_live_evidence_begins_28_days_after_the_newest_cutoff_learned_from(built: dict[str, pd.DataFrame]) -> None:
    live = built["accuracy"].query("evidence == 'live'")
    expected = pd.date_range("2017-07-31", "2017-12-04", freq="W-MON")
    assert live["cutoff_date"].tolist() == expected.tolist()


@pytest.mark.parametrize("evidence", ["live", "holdout"])
def test_the_numbers_are_those_of_scikit_learn(built: dict[str, pd.DataFrame], evidence: str) -> None:
    rows = built["accuracy"].query("evidence == @evidence")
    assert len(rows) >= 4
    for row in rows.itertuples():
        judged = built["judged"].query("cutoff_date == @row.cutoff_date")
        label, score = judged["lapsed"], judged["score"]
        expected = {
            "customers": len(label),
            "lapsed": label.sum(),
            "base_rate": label.mean(),
            "mean_score": score.mean(),
            "brier": brier_score_loss(label, score),
            "log_loss": log_loss(label, score.clip(1e-15, 1 - 1e-15)),
            "auc": roc_auc_score(label, score),
            "recency_rule_auc": roc_auc_score(label, judged["recency_days"]),
            "lift_at_10pct": top_share(label, score)[2],
        }
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-9), f"{name} at {row.cutoff_date}"


def test_the_list_holds_the_newest_cutoff_most_at_risk_first(built: dict[str, pd.DataFrame]) -> None:
    at_risk = built["at_risk"]
    assert at_risk["cutoff_date"].unique().tolist() == [pd.Timestamp("2018-01-01")]
    assert at_risk["risk_rank"].tolist() == list(range(1, len(at_risk) + 1))
    assert at_risk["score"].is_monotonic_decreasing
    bands = at_risk["risk_band"].value_counts()
    assert bands["high"] == int(np.ceil(len(at_risk) * 0.1))
    assert bands["high"] + bands["medium"] == int(np.ceil(len(at_risk) * 0.3))
    assert at_risk[["last_order_on", "recency_days", "spend_cents_84d"]].notna().all(axis=None)


def test_the_list_is_ranked_by_the_money_that_is_expected_to_be_lost_as_well(built: dict[str, pd.DataFrame]) -> None:
    by_loss = built["at_risk"].sort_values("loss_rank")
    assert by_loss["loss_rank"].tolist() == list(range(1, len(by_loss) + 1))
    assert by_loss["expected_loss"].is_monotonic_decreasing
    expected = (by_loss["score"] * by_loss["expected_spend"]).round(2)
    np.testing.assert_allclose(by_loss["expected_loss"], expected, atol=0.01)
    # The bundled company names no prices: nothing is said, with a sentence.
    assert by_loss["worth_calling"].isna().all()
    assert by_loss["worth_calling_by"].str.contains("company.toml has no contact and won_back").all()


def test_the_expected_spend_is_judged_on_those_who_stayed_beside_last_month(built: dict[str, pd.DataFrame]) -> None:
    rows, found = built["stayed"], built["spend_accuracy"].set_index("decile")
    assert found.index.tolist() == list(range(11))
    whole = found.loc[0]
    assert whole["predictions"] == len(rows) == found.loc[1:, "predictions"].sum()
    assert whole["customers"] == rows["customer_id"].nunique()
    error, usual = (rows["observed"] - rows["expected"]).abs(), (rows["observed"] - rows["last_month"]).abs()
    expected = {
        "mean_observed": rows["observed"].mean(),
        "mean_error": error.mean(),
        "mean_error_of_last_month": usual.mean(),
        "gain": (usual - error).mean(),
    }
    # The standard error of a mean whose rows come in customers.
    residual = (usual - error) - (usual - error).mean()
    sums = residual.groupby(rows["customer_id"]).sum()
    noise = 1.96 * np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(rows)
    expected |= {"gain_low": expected["gain"] - noise, "gain_high": expected["gain"] + noise}
    for name, value in expected.items():
        assert whole[name] == pytest.approx(value, abs=0.011), name
    assert whole["against_last_month"] == "better than last month"
    assert (found.loc[found["customers"] < 100, "calibration"] == "too few to say").all()
    assert (found["customers"] < 100).any()


def test_the_called_tenth_covers_more_of_what_was_lost_by_money_than_by_risk(built: dict[str, pd.DataFrame]) -> None:
    live = built["accuracy"].query("evidence == 'live'").set_index("cutoff_date")
    for day, rows in built["lost"].groupby("cutoff_date"):
        if day not in live.index:
            continue
        lost = rows["last_month"] * rows["lapsed"]
        assert live.loc[day, "spend_lost"] == pytest.approx(lost.sum())
        size = int(np.ceil(0.1 * len(rows) - 1e-9))
        if rows["expected_loss"].nlargest(size + 1).nunique() == size + 1:
            called = lost[rows["expected_loss"].nlargest(size).index].sum()
            assert live.loc[day, "spend_covered_by_loss"] == pytest.approx(called / lost.sum())
    assert live["spend_covered_by_loss"].mean() > live["spend_covered_by_risk"].mean()


def test_what_a_customer_is_worth_was_known_at_the_cutoff(
    built: dict[str, pd.DataFrame], june: Path, start_from: StartFrom
) -> None:
    warehouse = start_from(june)
    warehouse.dbt("run", "--select", "customer_value")
    known = warehouse.table("marts.customer_value")
    assert len(known) > 500
    later = built["value"].merge(known[["customer_id", "cutoff_date"]])
    pd.testing.assert_frame_equal(later, known)


def test_the_last_contact_is_the_newest_campaign_before_the_cutoff(built: dict[str, pd.DataFrame]) -> None:
    before = built["campaigns"].query("sent_on < '2018-01-01'")
    newest = before.groupby("customer_id")["sent_on"].max()
    contacted = built["at_risk"].dropna(subset=["last_campaign_id"]).set_index("customer_id")["last_contacted_on"]
    assert len(contacted) > 20
    pd.testing.assert_series_equal(
        contacted.sort_index(), newest.loc[contacted.index].sort_index(), check_names=False, check_dtype=False
    )
    never = set(built["at_risk"].loc[built["at_risk"]["last_campaign_id"].isna(), "customer_id"])
    assert not never & set(before["customer_id"])


def test_a_prediction_that_is_there_twice_stops_the_list(served: Path, start_from: StartFrom) -> None:
    warehouse = start_from(served)
    warehouse.execute("insert into predictions.lapse_predictions select * from predictions.lapse_predictions limit 1")
    with pytest.raises(DbtError, match="unique_combination_predictions_lapse_predictions"):
        warehouse.dbt("build", *AFTER_THE_MODEL)
