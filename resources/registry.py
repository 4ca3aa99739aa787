"""The model registry: versions, aliases and their evidence, in MLflow.

An alias is the only thing that makes a version the champion; the files of a version never change.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.model_page import page_of
from resources.model_signature import signature_in_words, signature_of
from resources.registry_artefacts import artefacts, delete, keep, write_text
from resources.registry_file import PREFIX, begin_database, follow, upgrade
from resources.registry_file import RegistryError as RegistryError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

CHAMPION = "champion"
CHALLENGER = "challenger"
PLACEHOLDER = "placeholder"
"""Tag of a version that is no model: made and deleted, so that its number counts as given."""

REFERENCE = "reference.csv"
"""A version's text that says what is typical: reasons are given against it."""

MOST_RUNS = 1000
"""Runs that are looked through for those that a kill left."""

DIGEST = "sha256."
"""Before a text's name: the tag of a version that holds its digest."""

TRUSTED_TYPES = (
    "ml_models.recalibration.RecalibratedClassifier",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beyond skops' own list that our pipelines may hold. A model file that needs another type is not loaded:
skops reads a file's trust list from the file itself unless it is given one, so this list is the boundary. They hold
numbers and other types of scikit-learn, and run nothing of their own when they are loaded; so does ours, which a
program other than baton needs on its path."""


@dataclass(frozen=True)
class ModelVersion:
    """One registered version.

    `trained_through` is the newest cutoff whose labels the model saw; `fingerprint` identifies its training data and
    settings; `algorithm` names the candidate that won.
    """

    name: str
    version: int
    run_id: str
    algorithm: str
    trained_through: date
    fingerprint: str

    @property
    def uri(self) -> str:
        """The MLflow address of the version."""
        return f"models:/{self.name}/{self.version}"


def refuse_untrusted(pipeline: "Pipeline", name: str) -> None:
    """Refuse a fitted pipeline that could be stored, and then not be loaded any more.

    Raises:
        RegistryError: it holds a type that neither skops nor our list trusts; the sentence names the place.
    """
    import skops.io

    try:
        untrusted = _untrusted(data=skops.io.dumps(pipeline))
    # Functions without a name of their own, and objects that hold a lock or a file: skops raises what pickle would.
    except Exception as error:
        raise RegistryError(
            f"Expected {name} to be a pipeline that skops can store, and it is not ({type(error).__name__}: {error}). "
            "Put functions at the top of a module, and leave out what holds a file or a connection."
        ) from error
    if untrusted:
        raise RegistryError(
            f"Expected {name} to hold trusted types only, and it holds {', '.join(untrusted)}: its file would not be "
            "loaded. Read what the type does when it is loaded, then add it to TRUSTED_TYPES in resources/registry.py, "
            "or build the candidate without it."
        )


def _untrusted(**stored: Any) -> list[str]:
    """Return the types of a stored pipeline (skops' `data` or `file`) that neither skops nor our list trusts."""
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(**stored)) - set(TRUSTED_TYPES))


class ModelRegistry(dg.ConfigurableResource[None]):
    """MLflow tracking and registry for one registered model.

    A run without a version is what a killed training left, once it is `orphan_after` seconds old. `ui` is the address
    at which people open MLflow, where it is another than the tracking server's.
    """

    tracking_uri: str
    artifact_root: str
    model_name: str = "lapse"
    experiment: str = "lapse"
    orphan_after: float = 7200.0
    ui: str = ""

    def of(self, problem: str) -> "ModelRegistry":
        """Return the registry of another problem's model: in the same MLflow, under the problem's name."""
        return self.model_copy(update={"model_name": problem, "experiment": problem})

    def page(self, version: int) -> str:
        """Return the address of a version's page for people; empty where nobody is known to serve it."""
        return page_of(self.model_name, version, self.ui, self.tracking_uri)

    def _client(self) -> "MlflowClient":
        # Telemetry off; no git, no environment capture: both look outside the project and cost seconds. No bars.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow
        from mlflow.exceptions import MlflowException

        if self.tracking_uri.startswith(PREFIX):
            begin_database(Path(self.tracking_uri.removeprefix(PREFIX)))
        follow(self.tracking_uri, self.artifact_root, self.experiment)
        mlflow.set_tracking_uri(self.tracking_uri)
        try:
            return mlflow.MlflowClient()
        except MlflowException as error:
            raise RegistryError(
                f"Expected a registry that MLflow {mlflow.__version__} can use, and it says: {error} If its database "
                "is of an earlier MLflow: make upgrade, or `mlflow db upgrade` where a server has it."
            ) from error

    def upgraded(self) -> str:
        """Bring the database to the schema of the installed MLflow; return what was done, in a sentence.

        Raises:
            RegistryError: it is no whole database, or a later MLflow wrote it.
        """
        if not self.tracking_uri.startswith(PREFIX):
            return f"MLflow at {self.tracking_uri} is upgraded where it runs: mlflow db upgrade <its database>."
        return upgrade(self.tracking_uri)

    def log_version(
        self,
        pipeline: "Pipeline",
        *,
        algorithm: str,
        trained_through: date,
        fingerprint: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, str | bytes],
        tags: Mapping[str, str],
        example: "pd.DataFrame | None" = None,
        above: int = 0,
    ) -> ModelVersion:
        """Log a run with its model and evidence, register the version, and make it the challenger.

        `files` are artefacts by file name: texts, and pictures as bytes, which go into `plots/`. `example`: rows of its
        features; the model's signature is read off them. The alias moves last, so that a killed run leaves the old one.
        Its number is higher than `above`: a registry that was lost would begin again at 1, and tables that say which
        version predicted a row would mean another model.

        Raises:
            RegistryError: the pipeline holds a type that is not on our list.
        """
        refuse_untrusted(pipeline, algorithm)
        client = self._client()
        import mlflow

        found = client.get_experiment_by_name(self.experiment)
        experiment_id = (
            found.experiment_id
            if found
            else client.create_experiment(self.experiment, artifact_location=self.artifact_root)
        )
        about = {
            "algorithm": algorithm,
            "trained_through": trained_through.isoformat(),
            "fingerprint": fingerprint,
            **{f"{DIGEST}{name}": _digest(text) for name, text in files.items() if isinstance(text, str)},
            **tags,
        }
        with mlflow.start_run(experiment_id=experiment_id, run_name=f"{algorithm}-{trained_through}") as run:
            mlflow.set_tags(about)
            mlflow.log_params(dict(parameters))
            mlflow.log_metrics({name: value for name, value in metrics.items() if value == value})
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    if isinstance(content, str):
                        mlflow.log_text(content, name)
                        continue
                    (Path(folder) / name).write_bytes(content)
                    mlflow.log_artifact(str(Path(folder) / name), "plots")
            info = mlflow.sklearn.log_model(
                pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=list(TRUSTED_TYPES),
                # Without a list MLflow infers one by importing the model in a subprocess: 24 s.
                pip_requirements=["scikit-learn", "skops"],
                signature=signature_of(pipeline, example),
                # What it is for: a class without a probability would serve nobody.
                pyfunc_predict_fn="predict_proba" if hasattr(pipeline, "predict_proba") else "predict",
            )
        # Before a version is registered whose files a power loss could empty.
        for address in (run.info.artifact_uri, client.get_logged_model(info.model_id).artifact_location):
            keep(address, self.artifact_root)
        if not client.search_registered_models(f"name = '{self.model_name}'"):
            client.create_registered_model(self.model_name)
        self._count_on(client, above)
        created = client.create_model_version(
            self.model_name, source=info.model_uri, run_id=run.info.run_id, model_id=info.model_id, tags=about
        )
        client.set_registered_model_alias(self.model_name, CHALLENGER, created.version)
        self._clear_orphans(client, experiment_id)
        return self.version(int(created.version))

    def _count_on(self, client: "MlflowClient", above: int) -> None:
        """Let the next version have a number beyond `above`: one that a lost registry has given is not given again.

        MLflow counts by itself and never gives a number twice, so that what is made and deleted counts. It says by a
        tag that it is no model, for the run that comes after one killed in between.
        """
        versions = client.search_model_versions(f"name = '{self.model_name}'")
        for one in versions:
            if PLACEHOLDER in one.tags:
                client.delete_model_version(self.model_name, one.version)
        newest = max((int(one.version) for one in versions), default=0)
        while newest < above:
            made = client.create_model_version(self.model_name, source=PLACEHOLDER, tags={PLACEHOLDER: "true"})
            newest = int(made.version)
            client.delete_model_version(self.model_name, made.version)

    def _clear_orphans(self, client: "MlflowClient", experiment_id: str) -> None:
        """Remove what killed trainings left: runs without a version, their models and files.

        One that may still be going on elsewhere is left alone for `orphan_after` seconds.
        """
        oldest = time.time() - self.orphan_after
        registered = {one.run_id for one in client.search_model_versions(f"name = '{self.model_name}'")}
        for run in client.search_runs([experiment_id], max_results=MOST_RUNS):
            if run.info.run_id in registered or run.info.start_time / 1000 > oldest:
                continue
            for model in client.search_logged_models(
                [experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
            ):
                delete(model.artifact_location)
                client.delete_logged_model(model.model_id)
            delete(run.info.artifact_uri)
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")
            client.delete_run(run.info.run_id)

    def versions(self) -> list[ModelVersion]:
        """Return every registered version, ascending; what only keeps a number is none.

        Raises:
            RegistryError: the registry does not answer.
        """
        from mlflow.exceptions import MlflowException

        try:
            found = self._client().search_model_versions(f"name = '{self.model_name}'")
        except MlflowException as error:
            raise RegistryError(
                _without_password(
                    f"Expected the model registry at {self.tracking_uri} to answer, and it does not: "
                    f"{str(error).splitlines()[0]} Look whether it runs; what it holds is not touched."
                )
            ) from error
        return sorted((_read(one) for one in found if PLACEHOLDER not in one.tags), key=lambda one: one.version)

    def attach(
        self, version: ModelVersion, texts: Mapping[str, str], *, description: str, tags: Mapping[str, str]
    ) -> bool:
        """Put texts that became known later beside a version, and describe it; return whether anything was new.

        A text that is there already is left alone. One that a kill cut short does not bear its digest, and the next
        call writes it again.

        Raises:
            RegistryError: the version's run is gone.
        """
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            there = client.get_model_version(self.model_name, str(version.version))
            folder = client.get_run(version.run_id).info.artifact_uri
        except MlflowException as error:
            raise _lost(f"the run of {version.name} version {version.version}", error) from error
        new = False
        for name, text in texts.items():
            # It may never have been written, or not whole.
            with contextlib.suppress(RegistryError):
                if self.text(version, name) == text and f"{DIGEST}{name}" in there.tags:
                    continue
            write_text(folder, name, text)
            keep(folder, self.artifact_root)
            self.set_tag(version, f"{DIGEST}{name}", _digest(text))
            new = True
        if there.description != description:
            client.update_model_version(self.model_name, str(version.version), description)
            new = True
        for name, value in tags.items():
            if there.tags.get(name) != value:
                self.set_tag(version, name, value)
                new = True
        return new

    def signature(self, version: ModelVersion) -> str:
        """Return in words what a version's model takes and gives; empty where it was registered without.

        Raises:
            RegistryError: its files are missing or damaged.
        """
        self._client()
        try:
            return signature_in_words(version.uri)
        except Exception as error:
            raise _lost(f"the signature of {version.name} version {version.version}", error) from error

    def version(self, version: int) -> ModelVersion:
        """Return a registered version.

        Raises:
            RegistryError: there is none with that number.
        """
        from mlflow.exceptions import MlflowException

        try:
            return _read(self._client().get_model_version(self.model_name, str(version)))
        except MlflowException as error:
            raise RegistryError(
                f"Expected version {version} of model {self.model_name} in the registry; it is not there ({error})."
            ) from error

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version an alias points to, or None when nothing was promoted yet."""
        client = self._client()
        registered = client.search_registered_models(f"name = '{self.model_name}'")
        number = registered[0].aliases.get(alias) if registered else None
        return _read(client.get_model_version(self.model_name, str(number))) if number else None

    def by_fingerprint(self, fingerprint: str) -> ModelVersion | None:
        """Return the newest version trained on exactly these data and settings, if there is one."""
        found = self._client().search_model_versions(
            f"name = '{self.model_name}' and tag.fingerprint = '{fingerprint}'", max_results=100
        )
        return max((_read(one) for one in found), key=lambda one: one.version, default=None)

    def set_alias(self, alias: str, version: int) -> None:
        """Point an alias to a version; this is what a promotion and a rollback do."""
        self._client().set_registered_model_alias(self.model_name, alias, str(version))

    def set_tag(self, version: ModelVersion, name: str, value: str) -> None:
        """Write a fact about a version that became known after it was made."""
        self._client().set_model_version_tag(self.model_name, str(version.version), name, value)

    def tag(self, version: ModelVersion, name: str) -> str:
        """Return such a fact, or the empty text."""
        return self._client().get_model_version(self.model_name, str(version.version)).tags.get(name, "")

    def text(self, version: ModelVersion, name: str) -> str:
        """Return a text artefact of a version's run.

        Raises:
            RegistryError: it is missing or damaged.
        """
        client = self._client()
        try:
            with tempfile.TemporaryDirectory() as folder:
                files = artefacts(client.get_run(version.run_id).info.artifact_uri)
                found = Path(files.download_artifacts(name, folder)).read_text(encoding="utf-8")
            # A text that was cut short is a text. Versions of former builds have no digest.
            if self.tag(version, f"{DIGEST}{name}") not in ("", _digest(found)):
                raise ValueError("it is not the text that was registered")
            return found
        # A file that is gone is another error for each kind of storage.
        except Exception as error:
            raise _lost(f"{name} of {version.name} version {version.version}", error) from error

    def evidence(self, version: ModelVersion) -> dict[str, Any]:
        """Return what was measured when the version was trained (the run's `evidence.json`).

        Raises:
            RegistryError: it is missing or damaged.
        """
        text = self.text(version, "evidence.json")
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise _lost(f"evidence.json of {version.name} version {version.version}", error) from error

    def lost(self, version: ModelVersion) -> str:
        """Return in a sentence what of a version's files cannot be read; empty if all that is needed is there."""
        try:
            self.load(version)
            self.evidence(version)
            self.text(version, REFERENCE)
        except RegistryError as error:
            return str(error)
        return ""

    def load(self, version: ModelVersion) -> "Pipeline":
        """Load a version's fitted pipeline, holding only types that we trust.

        Raises:
            RegistryError: the file is missing, damaged, of another scikit-learn, or holds a type that is not on our
                list.
        """
        self._client()
        import skops.io
        from mlflow.artifacts import download_artifacts

        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                with tempfile.TemporaryDirectory() as folder:
                    local = Path(download_artifacts(version.uri, dst_path=folder))
                    file = next(local.rglob("model.skops"))
                    untrusted = _untrusted(file=file)
                    if untrusted:
                        raise RegistryError(
                            f"Model {version.name} version {version.version} holds types that are not trusted: "
                            f"{', '.join(untrusted)}. Someone may have replaced the file; restore the artefact "
                            "or promote another version."
                        )
                    pipeline = skops.io.load(file, trusted=list(TRUSTED_TYPES))
            except RegistryError:
                raise
            # Whatever a damaged archive raises (zip, JSON, attribute errors) means the same to a person.
            except Exception as error:
                _refuse_other_release(version, heard)
                raise _lost(f"the model file of {version.name} version {version.version}", error) from error
        # What another release fitted may load, and say something else.
        _refuse_other_release(version, heard)
        return pipeline


def _without_password(text: str) -> str:
    """Return a text without what stands before the host in addresses."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _refuse_other_release(version: ModelVersion, heard: Sequence[warnings.WarningMessage]) -> None:
    """Refuse a model that another scikit-learn fitted, by what scikit-learn says of it; a patch makes no other."""
    from sklearn.exceptions import InconsistentVersionWarning

    for message in (one.message for one in heard):
        if not isinstance(message, InconsistentVersionWarning):
            continue
        fitted, here = message.original_sklearn_version, message.current_sklearn_version
        if fitted.split(".")[:2] != here.split(".")[:2]:
            raise RegistryError(
                f"Expected a model of scikit-learn {here}, which is installed, and {version.name} version "
                f"{version.version} was fitted by {fitted}. `make run` trains anew with {here} (in production: the job "
                "`retrain`), or check out the baton that trained it. The predictions were not touched."
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _lost(what: str, error: Exception) -> RegistryError:
    return RegistryError(
        f"Expected {what}, and it is missing or damaged ({type(error).__name__}: {error}). `make run` trains anew (in "
        "production: the job `retrain`). Or promote another version by `make promote VERSION=<number>`, or bring the "
        "file back from a backup. The predictions were not touched."
    )


def _read(found: Any) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=int(found.version),
        run_id=found.run_id,
        algorithm=found.tags["algorithm"],
        trained_through=date.fromisoformat(found.tags["trained_through"]),
        fingerprint=found.tags["fingerprint"],
    )
