"""An entry: the default drift report of Evidently. It needs `pip install evidently==0.7.23 "pandas<3" pyarrow`.

Every default stays as it is: each column's test by its type and size, with its threshold, and a data set that drifted
where half of its columns did. That is an alarm, and then it is retrained. So is a report that breaks off: somebody
would look.
"""

import warnings

import pandas as pd
from evidently import Report
from evidently.metrics import DriftedColumnsCount
from world import World, answer, retrained_on_alarm

DRIFT_SHARE = 0.5
"""Evidently's own default, which its report tests against and does not tell."""


def drifted(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[bool, list[str]]:
    """Return whether the data set drifted; the count of the preset alone, whose plots take four times as long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            done = Report([DriftedColumnsCount()]).run(current, reference).dict()
        except Exception as error:  # noqa: BLE001 (whatever it is, there is no report that morning)
            print(f"  no report: {error}", flush=True)
            return True, []
    return done["metrics"][0]["value"]["share"] >= DRIFT_SHARE, []


def evidently_default(world: World) -> list[dict[str, str]]:
    """Alarm when the data set drifted, and retrain."""
    return retrained_on_alarm(world, drifted)


if __name__ == "__main__":
    answer("evidently_default", evidently_default)
