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
