"""The lapse problem: which customers will not shop during the next 28 days.

`PROBLEM` is what training, monitoring and the drills are given; `frame_schema` is what the asset
`features/feature_frame` validates with.
"""

from ml_models.problems.lapse.features import KEYS
from ml_models.problems.lapse.frame import frame_schema
from ml_models.problems.lapse.problem import CATALOGUE, FEATURES, PROBLEM

__all__ = ["CATALOGUE", "FEATURES", "KEYS", "PROBLEM", "frame_schema"]
