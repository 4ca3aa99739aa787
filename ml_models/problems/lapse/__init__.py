"""The lapse problem: which customers will not come again within the horizon.

`lapse` makes what training, monitoring and the drills are given; `frame_schema` is what the asset
`features/feature_frame` validates with.
"""

from ml_models.problems.lapse.features import KEYS, frame_schema
from ml_models.problems.lapse.problem import lapse

__all__ = ["KEYS", "frame_schema", "lapse"]
