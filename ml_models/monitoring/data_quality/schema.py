"""The columns of a table and their types, against those of the last healthy week."""

from collections.abc import Mapping
from datetime import date, timedelta

from ml_models.monitoring.data_quality.profile_sql import WEEK, kind_of
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
            what = f"{asset}.{name} has the type {now}, and had {was}; what reads it will fail or misread it."
        else:
            alike = [one for one in new if kind_of(columns[one]) == kind_of(was)]
            hint = f"; {alike[0]} is new and may be its new name" if len(alike) == 1 else ""
            what = f"{asset} has no column {name} any more ({was}){hint}."
        start = cutoff - timedelta(days=WEEK)
        anomalies.append(Anomaly("schema", asset, name, 1.0, 0.0, 0.0, 1, what, start, cutoff - timedelta(days=1)))
    return tuple(anomalies)
