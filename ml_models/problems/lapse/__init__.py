"""The lapse problem: which customers will not shop during the next 28 days."""

from ml_models.problems.lapse.features import CATALOGUE, FEATURES, KEYS, frame_schema
from ml_models.problems.lapse.problem import PROBLEM

__all__ = ["CATALOGUE", "FEATURES", "KEYS", "PROBLEM", "frame_schema"]
