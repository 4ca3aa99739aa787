"""A frame of three customers, the small model's SQL for it, and what that model says: for tests of published scores."""

import pandas as pd
import pytest
from support.small_model import FEATURES, fitted

from ml_models.scoring_sql import CompiledScore, compile_pipeline
from ml_models.scoring_sql.compiler import DialectName
from resources.warehouse import Warehouse

FRAME = pd.DataFrame([["a", 1.0, 8], ["b", 9.0, 4], ["c", None, 3]], columns=["customer_id", "recency", "trips"])
CALL = "select scoring.lapse_champion(f) as score from features.feature_frame as f order by f.customer_id"


def compiled(seed: int, dialect: DialectName) -> CompiledScore:
    """Return the SQL of the small model of that seed."""
    return compile_pipeline(fitted(seed), FEATURES, dialect)


def scores_of(seed: int) -> list[float]:
    """Return what scikit-learn says of the frame's rows, to be compared with `==`."""
    return pytest.approx(list(fitted(seed).predict_proba(FRAME[FEATURES])[:, 1]), abs=1e-9)


def champion_says(warehouse: Warehouse) -> list[float]:
    """Return what the alias says of the frame's rows."""
    return list(warehouse.read(CALL)["score"])
