"""The alerts sensor of a code location, ticked as the daemon does: the cursor goes from tick to tick."""

import json

import dagster as dg

from resources.alerts import Alerts
from sensors.alerts import alerts_sensor


class Watch:
    """Ticks over an instance, and what was filed."""

    def __init__(self, location, instance, folder):
        self.repository, self.instance, self.cursor = location.get_repository_def(), instance, None
        self.alerts = Alerts(path=str(folder / "alerts.jsonl"))

    def tick(self):
        """Tick, and return how many alerts have been filed in all."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"alerts": self.alerts},
        ) as context:
            answer = alerts_sensor.evaluate_tick(context)
        assert not answer.run_requests
        self.cursor = answer.cursor
        return len(self.sent())

    def remembered(self, of):
        """Return what the cursor holds of runs, checks, tables, week or outbox."""
        return json.loads(self.cursor)[of]

    def sent(self):
        """Return what was filed."""
        try:
            with open(self.alerts.path, encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
        except OSError:
            return []

    def titles(self):
        return [alert["title"] for alert in self.sent()]
