"""The identity of a recipe: what makes two training runs the same run.

The asset `training/candidate` looks the digits up in the model registry before it trains: data and recipe that were
judged once are not judged again. What belongs here: what a recipe is made of, and its digits. What does not: the recipe
itself, which is `search`, `splits`, `baselines` and `gate`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

import pandas as pd

from ml_models.problems.contract import Problem
from ml_models.training.fingerprint import frame_fingerprint

LIBRARIES = ("numpy", "scikit-learn", "scipy")
"""The libraries that fit, draw and minimise: another release may give other digits."""


def library_versions() -> dict[str, str]:
    """Return the installed version of each of LIBRARIES, by its name."""
    return {name: version(name) for name in LIBRARIES}


def recipe_fingerprint(rows: pd.DataFrame, problem: Problem, *, seed: int, libraries: Mapping[str, str]) -> str:
    """Return 64 hexadecimal digits of a training set together with the recipe: the same digits, the same model.

    `rows` is a training set with keys, features, label and `split`; the order of its rows and columns does not matter.
    `libraries` is what `library_versions` returns.

    What a problem states as data (features, slices, candidates' names and trials, expectations) counts as it is. Code
    cannot be compared, so it counts by `problem.recipe_version`: whoever changes what a recipe does raises it, and
    `tests/unit/training/test_recipe.py` fails until then. A comment or a new name changes nothing.

    Versions that were registered before recipes had a version bear other digits. After the update each home therefore
    judges one candidate again, and then no more.
    """
    recipe = {
        "problem": problem.name,
        "recipe_version": problem.recipe_version,
        "seed": seed,
        "libraries": dict(libraries),
        "label": problem.label,
        "horizon_days": problem.horizon_days,
        "features": problem.features,
        "recency_feature": problem.recency_feature,
        "rfm_features": problem.rfm_features,
        "slices": [asdict(one) for one in problem.slices],
        "candidates": [[one.name, one.complexity, one.trials, one.features] for one in problem.candidates],
        "behaviour": asdict(problem.behaviour),
    }
    parts = (frame_fingerprint(rows), json.dumps(recipe, sort_keys=True))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
