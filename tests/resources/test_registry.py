"""The registry: aliases decide, files are trusted only as far as our list, damage is a sentence."""

import sqlite3
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from resources.registry import CHALLENGER, CHAMPION, ModelRegistry, RegistryError, empty_database


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    home = tmp_path_factory.mktemp("registry")
    return ModelRegistry(
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "artifacts").as_uri(), model_name="lapse"
    )


def fitted(seed, first=None):
    x = pd.DataFrame(np.random.default_rng(seed).normal(size=(50, 2)), columns=["a", "b"])
    steps = [("scale", first or StandardScaler()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(x, x.a + x.b > 0), x


def log(registry, pipeline, fingerprint="f1"):
    return registry.log_version(
        pipeline,
        algorithm="logistic",
        trained_through=date(2017, 7, 3),
        fingerprint=fingerprint,
        parameters={"c": 1},
        metrics={"auc": 0.8, "undefined": float("nan")},
        texts={"evidence.json": '{"auc": 0.8}'},
        images={"curve.png": b"png"},
        tags={"dagster.run_id": "r"},
    )


def test_a_version_comes_back_as_it_was_logged(registry):
    assert registry.by_alias(CHAMPION) is None
    pipeline, x = fitted(0)
    version = log(registry, pipeline)
    assert registry.by_alias(CHALLENGER) == version
    assert registry.by_fingerprint("f1") == version
    assert registry.by_fingerprint("unknown") is None
    assert registry.evidence(version) == {"auc": 0.8}
    assert np.array_equal(registry.load(version).predict_proba(x), pipeline.predict_proba(x))

    # Promotion and rollback move an alias, nothing else.
    second = log(registry, fitted(1)[0], "f2")
    registry.set_alias(CHAMPION, second.version)
    registry.set_alias(CHAMPION, version.version)
    assert registry.by_alias(CHAMPION) == version
    with pytest.raises(RegistryError, match="Expected version 99 of model lapse"):
        registry.version(99)


def foreign_function(x):
    return x


def stored_files(registry):
    return sorted(
        Path(registry.artifact_root.removeprefix("file://")).rglob("model.skops"), key=lambda p: p.stat().st_mtime
    )


def test_a_damaged_model_file_is_a_sentence(registry):
    version = log(registry, fitted(2)[0], "damaged")
    file = stored_files(registry)[-1]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RegistryError, match="missing or damaged.*make promote"):
        registry.load(version)
    file.unlink()
    with pytest.raises(RegistryError, match="missing or damaged"):
        registry.load(version)


def test_a_model_file_with_a_foreign_type_is_not_loaded(registry):
    import skops.io

    version = log(registry, fitted(3)[0], "replaced")
    foreign, _ = fitted(3, FunctionTransformer(foreign_function))
    skops.io.dump(foreign, stored_files(registry)[-1])
    with pytest.raises(RegistryError, match=r"types that are not trusted: .*foreign_function"):
        registry.load(version)


def tables_of(file: Path) -> dict[str, str]:
    with sqlite3.connect(file) as connection:
        return dict(connection.execute("select name, sql from sqlite_master where sql is not null"))


def test_the_empty_database_that_an_environment_keeps_has_mlflows_tables_and_nothing_in_them(registry, tmp_path):
    # By now MLflow has opened the registry's own, and accepts it as being of its version.
    registry.by_alias(CHAMPION)
    kept = empty_database(tmp_path)
    assert kept is not None
    assert tables_of(kept) == tables_of(Path(registry.tracking_uri.removeprefix("sqlite:///")))
    with sqlite3.connect(kept) as connection:
        assert connection.execute("select count(*) from experiments").fetchone() == (0,)
    # Made once; what is beside it is whole or not there.
    assert empty_database(tmp_path) == kept
    assert list(tmp_path.iterdir()) == [kept]


def test_an_environment_that_can_keep_nothing_leaves_it_to_mlflow(tmp_path):
    (tmp_path / "share").write_text("a file, where a folder would have to be made")
    assert empty_database(tmp_path / "share" / "baton") is None
