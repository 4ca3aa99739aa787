"""The number and the bound that each check shows beside its sentence, under the same names everywhere."""

import math
from typing import Any

import dagster as dg


def figures(measured: float | None, bound: float | None, unit: str) -> dict[str, dg.MetadataValue[Any]]:
    """Return `measured`, `bound` and `unit` as metadata of a check's result.

    Numbers are drawn over time on the check's page. `unit` says what is counted, and how it stands to the bound, as
    "failing rows, at most". None: nothing could be measured yet, or nothing bounds it.
    """
    return {"measured": _shown(measured), "bound": _shown(bound), "unit": dg.MetadataValue.text(unit)}


def _shown(number: float | None) -> dg.MetadataValue[Any]:
    """Return a number that JSON knows, or a word."""
    if number is None:
        return dg.MetadataValue.text("none yet")
    if isinstance(number, int):
        return dg.MetadataValue.int(number)
    return dg.MetadataValue.float(number) if math.isfinite(number) else dg.MetadataValue.text(str(number))
