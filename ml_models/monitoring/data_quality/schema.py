"""The columns of a table and their types, against those of the last healthy week."""

from collections.abc import Mapping
from datetime import date, timedelta

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.monitored_tables import kind_of
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.types import Anomaly


def judge_schema(
    asset: str, previous: Mapping[str, str], columns: Mapping[str, str], cutoff: date
) -> tuple[Anomaly, ...]:
    """Compare a table's columns (name -> the warehouse's type) with those of the last healthy week.

    A column that is gone or has another kind of type is an anomaly; a new one is not, nor is a wider type of its kind.
    """
    anomalies = []
    new = [name for name in columns if name not in previous]
    for name, was in previous.items():
        now = columns.get(name)
        if now is not None and kind_of(now) == kind_of(was):
            continue
        if now is not None:
            sentence = messages.retyped(asset, name, now, was)
        else:
            alike = [one for one in new if kind_of(columns[one]) == kind_of(was)]
            sentence = messages.column_gone(asset, name, was, alike[0] if len(alike) == 1 else "")
        start = cutoff - timedelta(days=WEEK)
        anomalies.append(Anomaly("schema", asset, name, 1.0, 0.0, 0.0, 1, sentence, start, cutoff - timedelta(days=1)))
    return tuple(anomalies)
