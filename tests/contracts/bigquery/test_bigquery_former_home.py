"""What a former build kept in BigQuery is brought over as it is in DuckDB."""

import pandas as pd
import pytest
from environments.emulator import PROJECT

from resources.warehouse.bigquery import BigQueryWarehouse
from steps.migrations import ensure
from steps.tables import ANOMALIES, DECISIONS, PROFILE, SHADOW_PREDICTIONS, TABLES, typed

pytestmark = pytest.mark.slow

BROUGHT_OVER = (ANOMALIES, DECISIONS, PROFILE, SHADOW_PREDICTIONS)
DAYS = pd.to_datetime(["2017-12-18", "2017-12-25"])


@pytest.fixture
def former(emulator) -> BigQueryWarehouse:
    """A project with nothing but what the former build kept of its judgements."""
    warehouse = BigQueryWarehouse(project=PROJECT, wait_seconds=30)
    facts = pd.DataFrame({"cutoff_date": DAYS, "kind": ["nulls", "verdict"], "n": [100, None], "sentence": ["a", "b"]})
    decisions = pd.DataFrame({"cutoff": DAYS, "action": ["inspect", "continue"], "anomalies": ["[1]", "[]"]})
    profile = pd.DataFrame({"measure": ["rows", "twin_share"], "period_start": DAYS, "value": [100, 0.25]})
    at = pd.to_datetime(["2017-12-18 09:00:00", None], utc=True)
    dark = pd.DataFrame(
        {"customer_id": ["7", "8"], "cutoff_date": DAYS, "scored_at": at, "champion_score": [0.4, None]}
    )
    warehouse.replace_table("monitoring", "facts", typed(facts, ANOMALIES))
    ledger = typed(decisions, DECISIONS).rename(columns={"anomalies": "facts"})
    warehouse.replace_table("monitoring", "decisions", ledger)
    warehouse.replace_table("monitoring", "profile", typed(profile, PROFILE))
    warehouse.replace_table("predictions", "dark_predictions", typed(dark, SHADOW_PREDICTIONS))
    return warehouse


def test_everything_is_there_under_todays_names_and_the_former_tables_are_gone(former):
    ensure(former, *BROUGHT_OVER)
    shapes = former.shapes({"monitoring", "predictions"})
    assert set(shapes) == {tuple(key.path) for key in BROUGHT_OVER}
    for key in BROUGHT_OVER:
        assert list(shapes[tuple(key.path)].columns) == list(TABLES[tuple(key.path)]), key
    anomalies = former.read("select * from monitoring.anomalies order by cutoff_date")
    assert list(anomalies["sentence"]) == ["a", "b"]
    assert [int(n) for n in anomalies["n"].dropna()] == [100]
    decisions = former.read("select * from monitoring.decisions order by cutoff")
    assert list(decisions["anomalies"]) == ["[1]", "[]"]
    assert list(decisions["cutoff"]) == list(DAYS)
    profile = former.read("select * from monitoring.profile order by measure")
    assert list(profile["measure"]) == ["repeated_content_share", "rows"]
    shadow = former.read("select * from predictions.shadow_predictions order by cutoff_date")
    assert list(shadow["customer_id"]) == ["7", "8"]
    assert list(shadow["scored_at"].dropna()) == [pd.Timestamp("2017-12-18 09:00:00+00")]
    assert list(shadow["champion_score"].dropna()) == [0.4]
