"""Is what arrived right? Facts from the profile of each watched asset, judged against its own healthy past.

(In progress: signatures.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

from ml_models.judgement.evidence import Fact
from ml_models.judgement.measures import WatchedTable

Status = Literal["pass", "fail", "insufficient evidence"]

TABLE_COLUMNS = [
    "asset",
    "kind",
    "column_name",
    "segment_column",
    "segment_values",
    "measure",
    "observed",
    "expected",
    "threshold",
    "n",
    "violated",
    "note",
]


@dataclass(frozen=True)
class QualityVerdict:
    """The judgement on one cutoff: `facts` are what fails now, gravest first; `table` what was compared."""

    status: Status
    cutoff: date
    facts: tuple[Fact, ...]
    table: pd.DataFrame
    sentence: str


def judge_quality(profile: pd.DataFrame, tables: Sequence[WatchedTable], cutoff: date) -> QualityVerdict:
    """Judge the week before `cutoff` by the measures (MEASURE_COLUMNS) of all weeks up to it; later ones are ignored."""
    raise NotImplementedError
