from datetime import date, timedelta

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.problem.backtest import compared
from commands.backtest import by_price, first_monday, priced, prices_of, shown, summary, verdicts
from ml_models.monitoring.prices import Prices
from ml_models.plots import backtest_plot
from steps.errors import StepRefusedError
from steps.tables import BACKTEST

WEEKS = pd.date_range("2031-01-06", periods=8, freq="7D")


def lived(policy, losses, improved=(), scheduled=(), inspected=()):
    action = ["improve" if n in improved else "inspect" if n in inspected else "continue" for n in range(8)]
    return pd.DataFrame(
        {
            "policy": policy,
            "cutoff_date": WEEKS,
            "action": action,
            "scheduled": [n in scheduled for n in range(8)],
            "log_loss": losses,
            "auc": 0.8,
            "calibration_error": 0.01,
            "rows": 100,
            "against_calibration": [1.0] * 7 + [3.0 if policy == "ours" else np.nan],
            "against_scores": [1.0] * 7 + [25.0 if policy == "ours" else np.nan],
        }
    )


def test_the_table_counts_alarms_apart_from_maintenance_and_says_where_ours_is_not_the_best():
    last_open = [0.25] * 7 + [np.nan]
    weeks = pd.concat(
        [
            lived("never", last_open),
            lived("every 4 weeks", [loss - 0.01 for loss in last_open], improved=(0, 4)),
            lived("ours", last_open, improved=(2,), scheduled=(2,), inspected=(5,)),
        ],
        ignore_index=True,
    )
    table = summary(weeks, {("ours", "lost_stores"): 7.0}, ["lost_stores"])
    rows = table.set_index("policy")
    assert list(rows["retrainings"]) == [0, 2, 1]
    assert rows.loc["ours", "false_alarms_a_month"] == 1 / (56 / (365.25 / 12))
    assert np.isnan(rows.loc["every 4 weeks", "false_alarms_a_month"])
    assert rows.loc["ours", "days_to_detect_lost_stores"] == 7
    assert rows.loc["every 4 weeks", "log_loss"] == np.float64(0.24)
    told = verdicts(table)
    assert told[0] == (
        "log-loss: every 4 weeks is better than ours (0.2400 against 0.2500), with 2 models fitted instead of 1."
    )
    assert told[-1].startswith("in shadow: evidence against the champion went up to 3 (calibration) and 25 (scores)")
    assert told[-1].endswith("Acted on, it would have been one for scores.")
    text = shown(table, ["lost_stores"])
    assert "never" in text
    assert "7" in text.splitlines()[4]
    assert backtest_plot(weeks).startswith(b"\x89PNG")


def test_another_price_is_shown_by_what_it_would_have_done():
    """A hundred customers each week, eight weeks, six with known outcomes: each is decided on once in four."""
    prices = Prices(retraining=10, contact=1, missed_customer=20, currency="EUR")
    open_weeks = [np.nan] * 2
    costs = {"cost": [0.5] * 6 + open_weeks}
    weeks = pd.concat(
        [
            lived("ours", [0.25] * 6 + open_weeks, improved=(2,)).assign(price=1.0, **costs),
            lived("ours", [0.24] * 6 + open_weeks, improved=(0, 2, 4)).assign(price=0.1, cost=[0.4] * 6 + open_weeks),
            lived("never", [0.26] * 6 + open_weeks).assign(price=1.0, **costs),
        ],
        ignore_index=True,
    )
    table = by_price(weeks, prices, horizon_cutoffs=4)
    assert list(table["policy"]) == ["ours", "ours", "never"]
    assert list(table["price"]) == [1, 10, 10]
    assert list(table["retrainings"]) == [3, 1, 0]
    assert list(table["acting"]) == [pytest.approx(60), pytest.approx(75), pytest.approx(75)]
    assert list(table["total"]) == [pytest.approx(63), pytest.approx(85), pytest.approx(75)]
    text = priced(table, prices)
    assert "EUR; a contact costs 1, a missed customer 20: customers are contacted from 5.0% on." in text
    assert text.splitlines()[3].split() == ["ours", "1", "3", "0.2400", "60", "63"]


@pytest.mark.parametrize("given", ["500,2", "500,40,2", "-1,2,40", "a,b,c", "500,0,40", "1,2,inf"])
def test_prices_that_are_none_are_refused_with_a_sentence(given):
    with pytest.raises(SystemExit) as stopped:
        prices_of(given)
    assert f"a contact below a missed customer, such as 500,2,40; got {given!r}." in str(stopped.value)


def test_prices_are_those_given_or_the_companys():
    assert prices_of("500,2,40") == Prices(500, 2, 40, "USD")
    assert prices_of("") is None


def test_a_comparison_is_shown_on_the_page_of_its_asset():
    table = summary(
        pd.concat([lived("never", [0.25] * 8), lived("ours", [0.24] * 8)], ignore_index=True), {}, ["lost_stores"]
    )
    told = verdicts(table)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(compared(table, b"a plot", told))
        [event] = instance.fetch_materializations(BACKTEST, limit=1).records
    shown = event.asset_materialization.metadata
    assert all(column.description for column in shown["dagster/column_schema"].value.columns)
    assert shown["verdict"].value.startswith("- log-loss: ours is the best (0.2400).")
    assert [record.data["policy"] for record in shown["policies"].records] == ["never", "ours"]
    assert "data:image/png" in shown["loss_over_time"].value


def test_a_comparison_begins_where_a_model_can_be_judged_and_needs_one_outcome_of_it():
    cutoffs = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(13)]
    assert first_monday(cutoffs, 28) == date(2024, 2, 26)
    with pytest.raises(StepRefusedError, match="Expected cutoffs up to 2024-03-25 .* at 2024-02-26 a model"):
        first_monday(cutoffs[:-1], 28)
