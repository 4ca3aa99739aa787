"""The week that the graph judged reaches people as one message."""

import json

import dagster as dg
import pandas as pd

from resources.alerts import Alerts
from sensors.alerts import alerts_sensor


def test_the_judged_week_is_one_message_with_its_decision_and_digest(baton, tmp_path):
    alerts = Alerts(path=str(tmp_path / "alerts.jsonl"))
    with dg.build_sensor_context(
        instance=baton.instance, repository_def=baton.definitions.get_repository_def(), resources={"alerts": alerts}
    ) as context:
        alerts_sensor.evaluate_tick(context)
    told = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    [message] = [alert for alert in told if alert["state"] == "digest"]
    why = baton.resources["warehouse"].read("select * from monitoring.why order by cutoff desc limit 1")
    [week] = why.to_dict("records")
    assert message["title"].startswith(f"week {pd.Timestamp(week['cutoff']):%Y-%m-%d}: {week['decision']}")
    assert (week["remedy"] or "") in message["title"]
    assert "week(s) judged" in message["body"]
    assert message["next"] == (week["next_command"] or "Nothing has to be done.")
    assert message["owner"] == "team:ml-engineering"
