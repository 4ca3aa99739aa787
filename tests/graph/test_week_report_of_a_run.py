"""A run leaves the report of its week; where the company runs no campaign, nobody is held out and none is claimed."""

import csv
import io

from resources.week_report import CALL_LIST, PAGE
from steps.tables import CAMPAIGN_ASSIGNMENT, CAMPAIGN_EFFECT


def test_the_report_lies_in_the_home_and_tells_of_the_newest_week(baton):
    folder = baton.home / "report"
    assert sorted(file.name for file in folder.iterdir()) == [CALL_LIST, PAGE]
    page = (folder / PAGE).read_text()
    assert "Whom to call: week of 1 January 2018" in page
    [(judged,)] = baton.read("select max(cutoff)::varchar from monitoring.why")
    assert f'<meta name="baton-judged" content="{judged}">' in page
    rows = list(csv.DictReader(io.StringIO((folder / CALL_LIST).read_text(encoding="utf-8-sig"))))
    # The bundled company names no prices: the tenth most at risk is the list.
    high = "from marts.customers_at_risk where risk_band = 'high'"
    assert [(row["customer_id"],) for row in rows] == baton.read(f"select customer_id {high} order by loss_rank")


def test_without_a_campaign_both_tables_are_empty_and_their_checks_say_why(baton):
    for key in (CAMPAIGN_ASSIGNMENT, CAMPAIGN_EFFECT):
        assert baton.read(f"select count(*) from {'.'.join(key.path)}") == [(0,)]
        [check] = [one for one in baton.result.get_asset_check_evaluations() if one.asset_key == key]
        assert check.passed
        assert check.description.startswith("insufficient evidence:")


def test_chance_decides_with_the_scoring_and_is_judged_with_the_outcomes(baton):
    jobs = baton.definitions.get_repository_def().get_all_jobs()
    held = {job.name: job.asset_layer.selected_asset_keys for job in jobs}
    drawn = {name for name, keys in held.items() if CAMPAIGN_ASSIGNMENT in keys and not name.startswith("__")}
    judged = {name for name, keys in held.items() if CAMPAIGN_EFFECT in keys and not name.startswith("__")}
    # Another expected spend is another list, too.
    assert drawn == {
        *("everything", "weekly_score", "retrain", "promote", "rollback"),
        *("retrain_spend", "rollback_spend"),
    }
    assert judged == {"everything", "weekly_judge"}
