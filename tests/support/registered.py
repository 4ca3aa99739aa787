"""Registered versions of a tiny model, for tests of the registry."""

from datetime import date

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def registry_of(home):
    """The registry of a home."""
    from resources.registry import ModelRegistry

    return ModelRegistry(tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "mlartifacts").as_uri())


def fitted(seed, first=None):
    """A pipeline fitted on 50 drawn rows, and those rows."""
    x = pd.DataFrame(np.random.default_rng(seed).normal(size=(50, 2)), columns=["a", "b"])
    steps = [("scale", first or StandardScaler()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(x, x.a + x.b > 0), x


def log(registry, pipeline, fingerprint="f1", above=0, **texts):
    """Register a version."""
    return registry.log_version(
        pipeline,
        algorithm="logistic",
        trained_through=date(2017, 7, 3),
        fingerprint=fingerprint,
        parameters={"c": 1},
        metrics={"auc": 0.8, "undefined": float("nan")},
        files={"evidence.json": '{"auc": 0.8}', "curve.png": b"png", **texts},
        tags={"dagster.run_id": "r"},
        above=above,
    )
