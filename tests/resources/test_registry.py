"""The registry: aliases decide, files are trusted only as far as our list, damage is a sentence."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from resources.registry import CHALLENGER, CHAMPION, ModelRegistry, RegistryError


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


def log(registry, pipeline, fingerprint="f1", above=0, **texts):
    return registry.log_version(
        pipeline,
        algorithm="logistic",
        trained_through=date(2017, 7, 3),
        fingerprint=fingerprint,
        parameters={"c": 1},
        metrics={"auc": 0.8, "undefined": float("nan")},
        texts={"evidence.json": '{"auc": 0.8}', **texts},
        images={"curve.png": b"png"},
        tags={"dagster.run_id": "r"},
        above=above,
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


@pytest.fixture
def one_home(tmp_path):
    """A home with one version in its registry, and how to open a home's registry."""

    def opened(home):
        return ModelRegistry(tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "models").as_uri())

    first = opened(tmp_path / "first home")
    log(first, fitted(0)[0])
    return tmp_path / "first home", opened


def test_a_moved_home_finds_its_models(one_home, tmp_path):
    home, opened = one_home
    moved = opened(home.rename(tmp_path / "50% moved"))
    version = moved.version(1)
    assert moved.evidence(version) == {"auc": 0.8}
    assert moved.load(version)


def test_a_copied_home_writes_its_models_into_itself_alone(one_home, tmp_path):
    home, opened = one_home
    copied = opened(shutil.copytree(home, tmp_path / "copy"))
    before = sorted(home.rglob("*"))
    second = log(copied, fitted(1)[0], "f2")
    shutil.rmtree(home / "models")
    assert copied.load(second)
    assert copied.load(copied.version(1)), "it read the original's file"
    assert sorted(one for one in before if not one.is_relative_to(home / "models")) == sorted(home.rglob("*"))


def test_what_of_a_version_is_lost_or_cut_short_is_said(one_home):
    home, opened = one_home
    registry = opened(home)
    version = registry.version(1)
    assert registry.lost(version).startswith("Expected reference.csv of lapse version 1, and it is missing")
    second = log(registry, fitted(1)[0], "f2", **{"reference.csv": "feature,typical\na,1\n"})
    assert registry.lost(second) == ""
    file = next(one for one in home.rglob("reference.csv"))
    file.write_text("feature,typical\n")
    assert "it is not the text that was registered" in registry.lost(second)
    file.unlink()
    assert registry.lost(second).startswith("Expected reference.csv of lapse version 2, and it is missing")


def test_a_registry_that_was_lost_counts_on_from_what_is_known(one_home):
    home, opened = one_home
    registry = opened(home)
    assert log(registry, fitted(1)[0], "f2", above=7).version == 8
    assert log(registry, fitted(1)[0], "f3", above=7).version == 9


def test_a_damaged_database_is_a_sentence_that_says_how_it_heals(one_home):
    home, opened = one_home
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match="not a database.*make restore FROM=.*move the file away, and `make run`"):
        opened(home).by_alias(CHAMPION)
