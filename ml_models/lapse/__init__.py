"""The lapse problem: which customers will not shop during the next 28 days."""

from ml_models.lapse.problem import PROBLEM
from ml_models.lapse.schema import CATALOGUE, FEATURES, KEYS, frame_schema

__all__ = ["CATALOGUE", "FEATURES", "KEYS", "PROBLEM", "frame_schema"]
