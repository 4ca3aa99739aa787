"""The registry: aliases decide, files are trusted only as far as our list, damage is a sentence."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer
from support.registered import fitted, log, registry_of

from resources.registry import CHALLENGER, CHAMPION, PLACEHOLDER, ModelRegistry, RegistryError
from resources.registry_file import empty_database


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    home = tmp_path_factory.mktemp("registry")
    return ModelRegistry(
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "artifacts").as_uri(), model_name="lapse"
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


def test_a_moved_home_finds_its_models(registered_home, tmp_path):
    home = registered_home
    moved = registry_of(home.rename(tmp_path / "50% moved"))
    version = moved.version(1)
    assert moved.evidence(version) == {"auc": 0.8}
    assert moved.load(version)


def test_a_copied_home_writes_its_models_into_itself_alone(registered_home, tmp_path):
    home = registered_home
    copied = registry_of(shutil.copytree(home, tmp_path / "copy"))
    before = sorted(home.rglob("*"))
    second = log(copied, fitted(1)[0], "f2")
    shutil.rmtree(home / "mlartifacts")
    assert copied.load(second)
    assert copied.load(copied.version(1)), "it read the original's file"
    assert sorted(one for one in before if not one.is_relative_to(home / "mlartifacts")) == sorted(home.rglob("*"))


def test_what_of_a_version_is_lost_or_cut_short_is_said(registered_home):
    home = registered_home
    registry = registry_of(home)
    version = registry.version(1)
    assert registry.lost(version).startswith("Expected reference.csv of lapse version 1, and it is missing")
    second = log(registry, fitted(1)[0], "f2", **{"reference.csv": "feature,typical\na,1\n"})
    assert registry.lost(second) == ""
    file = next(one for one in home.rglob("reference.csv"))
    file.write_text("feature,typical\n")
    assert "it is not the text that was registered" in registry.lost(second)
    file.unlink()
    assert registry.lost(second).startswith("Expected reference.csv of lapse version 2, and it is missing")


def test_a_registry_that_was_lost_counts_on_from_what_is_known(registered_home):
    home = registered_home
    registry = registry_of(home)
    assert log(registry, fitted(1)[0], "f2", above=7).version == 8
    assert log(registry, fitted(1)[0], "f3", above=7).version == 9


def test_a_kill_while_it_counts_on_leaves_no_version_that_could_be_taken_for_a_model(registered_home):
    registry = registry_of(registered_home)
    client = registry._client()
    left = client.create_model_version("lapse", source=PLACEHOLDER, tags={PLACEHOLDER: "true"})
    assert registry.by_fingerprint("f2") is None
    version = log(registry, fitted(1)[0], "f2", above=7)
    assert version.version == 8
    assert registry.by_fingerprint("f2") == version
    numbers = {int(one.version) for one in client.search_model_versions("name = 'lapse'")}
    assert numbers == {1, 8}
    assert int(left.version) == 2


def killed_training(registry, pipeline):
    """What a training leaves that is killed after it wrote its model, and before it registered it."""
    import mlflow

    client = registry._client()
    experiment = client.get_experiment_by_name("lapse").experiment_id
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "{}", "evidence.json")
    with mlflow.start_run(run.info.run_id):
        mlflow.sklearn.log_model(pipeline, name="model", serialization_format="skops", pip_requirements=["skops"])
        client.update_run(run.info.run_id, "RUNNING")
    client.update_run(run.info.run_id, "RUNNING")
    return client, experiment


def test_what_a_killed_training_left_is_gone_after_the_next_one(registered_home):
    home = registered_home
    registry = registry_of(home).model_copy(update={"orphan_after": 0.0})
    client, experiment = killed_training(registry, fitted(1)[0])
    assert len(client.search_runs([experiment])) == 2
    second = log(registry, fitted(2)[0], "f2")
    assert {run.info.run_id for run in client.search_runs([experiment])} == {
        registry.version(1).run_id,
        second.run_id,
    }
    assert len(list(home.rglob("model.skops"))) == 2, "its model is gone, too"
    assert len(list(home.rglob("evidence.json"))) == 2
    assert [one for one in (home / "mlartifacts").rglob("*") if one.is_dir() and not list(one.iterdir())] == []
    assert registry.load(registry.version(1))
    assert registry.load(second)


def test_a_training_that_may_be_going_on_elsewhere_is_left_alone(registered_home):
    home = registered_home
    client, experiment = killed_training(registry_of(home), fitted(1)[0])
    log(registry_of(home), fitted(2)[0], "f2")
    assert len(client.search_runs([experiment])) == 3


def test_a_damaged_database_is_a_sentence_that_says_how_it_heals(registered_home):
    home = registered_home
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match="not a database.*make restore FROM=.*move the file away, and `make run`"):
        registry_of(home).by_alias(CHAMPION)


def tables_of(file: Path) -> dict[str, list[str]]:
    """Return the lines that make each table, sorted: MLflow's changes write constraints in any order."""
    with sqlite3.connect(file) as connection:
        made = connection.execute("select name, sql from sqlite_master where sql is not null")
        return {name: sorted(line.strip().rstrip(",") for line in sql.splitlines()) for name, sql in made}


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
