"""Give healthy feature rows the faults that were seen on current ones, where no rebuild of the pipeline is at hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.monitoring.diagnosis.lineage import on_frame
from ml_models.monitoring.types import Anomaly

_SEED = 0


def injected(reference: pd.DataFrame, current: pd.DataFrame, anomalies: Sequence[Anomaly]) -> pd.DataFrame:
    """Return the reference rows with the faults that were seen on the current rows: values sampled, at their rate.

    For anomalies on feature columns (nulls, stuck, range), within their segment if the frame has its column. What is
    faulty, by the anomaly's kind: a null; the most frequent value; else a value beyond all of the reference's.
    """
    generator = np.random.default_rng(_SEED)
    out = reference.copy()
    for anomaly in anomalies:
        if not on_frame(anomaly) or anomaly.column not in out.columns:
            continue
        here, there = (_in_segment(rows, anomaly) for rows in (out, current))
        values = current.loc[there, anomaly.column]
        faulty = _faulty(values, out.loc[here, anomaly.column], anomaly)
        if not faulty.any() or not here.any():
            continue
        hit = np.flatnonzero(here)[generator.random(int(here.sum())) < faulty.mean()]
        drawn = generator.choice(values[faulty].to_numpy(dtype="float64"), size=len(hit))
        column = out[anomaly.column].to_numpy(dtype="float64").copy()
        column[hit] = drawn
        out[anomaly.column] = column
    return out


def _faulty(values: pd.Series, healthy: pd.Series, anomaly: Anomaly) -> npt.NDArray[np.bool_]:
    """Return which of the current values are the fault that the anomaly tells of."""
    if anomaly.kind == "nulls":
        return np.asarray(values.isna(), dtype=bool)
    if anomaly.kind == "stuck":
        top = values.value_counts(dropna=False).index[0]
        return np.asarray(values.isna() if pd.isna(top) else values == top, dtype=bool)
    return np.asarray((values > healthy.max()) | (values < healthy.min()), dtype=bool)


def _in_segment(rows: pd.DataFrame, anomaly: Anomaly) -> npt.NDArray[np.bool_]:
    if not anomaly.segment_column or anomaly.segment_column not in rows.columns:
        return np.ones(len(rows), dtype=bool)
    return np.asarray(rows[anomaly.segment_column].astype(str).isin(anomaly.segment_values))
