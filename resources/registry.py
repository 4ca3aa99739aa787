"""The model registry: versions, aliases and their evidence, in MLflow.

An alias is the only thing that makes a version the champion; the files of a version never change.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline

CHAMPION = "champion"
CHALLENGER = "challenger"

TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Types beyond skops' own list that our pipelines may hold. A model file that needs another type is not loaded:
skops reads a file's trust list from the file itself unless it is given one, so this list is the boundary."""


class RegistryError(RuntimeError):
    """A model version is missing or damaged; the message says which and what to do."""


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


class ModelRegistry(dg.ConfigurableResource[None]):
    """MLflow tracking and registry for one registered model."""

    tracking_uri: str
    artifact_root: str
    model_name: str = "lapse"
    experiment: str = "lapse"

    def _client(self) -> "MlflowClient":
        # Telemetry off; no git, no environment capture: both look outside the project and cost seconds.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import mlflow

        if self.tracking_uri.startswith("sqlite:///"):
            _begin_database(Path(self.tracking_uri.removeprefix("sqlite:///")))
        mlflow.set_tracking_uri(self.tracking_uri)
        return mlflow.MlflowClient()

    def log_version(
        self,
        pipeline: "Pipeline",
        *,
        algorithm: str,
        trained_through: date,
        fingerprint: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        texts: Mapping[str, str],
        images: Mapping[str, bytes],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Log a run with its model and evidence, register the version, and make it the challenger.

        `texts` and `images` are artefacts by file name. The alias moves last, so that a killed run leaves the old one.
        """
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
            **tags,
        }
        with mlflow.start_run(experiment_id=experiment_id, run_name=f"{algorithm}-{trained_through}") as run:
            mlflow.set_tags(about)
            mlflow.log_params(dict(parameters))
            mlflow.log_metrics({name: value for name, value in metrics.items() if value == value})
            for name, text in texts.items():
                mlflow.log_text(text, name)
            with tempfile.TemporaryDirectory() as folder:
                for name, image in images.items():
                    (Path(folder) / name).write_bytes(image)
                    mlflow.log_artifact(str(Path(folder) / name), "plots")
            info = mlflow.sklearn.log_model(
                pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=list(TRUSTED_TYPES),
                # Without a list MLflow infers one by importing the model in a subprocess: 24 s.
                pip_requirements=["scikit-learn", "skops"],
            )
        if not client.search_registered_models(f"name = '{self.model_name}'"):
            client.create_registered_model(self.model_name)
        created = client.create_model_version(
            self.model_name, source=info.model_uri, run_id=run.info.run_id, model_id=info.model_id, tags=about
        )
        client.set_registered_model_alias(self.model_name, CHALLENGER, created.version)
        return self.version(int(created.version))

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
        """Return a text artefact of a version's run."""
        client = self._client()
        with tempfile.TemporaryDirectory() as folder:
            return Path(client.download_artifacts(version.run_id, name, folder)).read_text(encoding="utf-8")

    def evidence(self, version: ModelVersion) -> dict[str, Any]:
        """Return what was measured when the version was trained (the run's `evidence.json`)."""
        return dict(json.loads(self.text(version, "evidence.json")))

    def load(self, version: ModelVersion) -> "Pipeline":
        """Load a version's fitted pipeline, holding only types that we trust.

        Raises:
            RegistryError: the file is missing, damaged, or holds a type that is not on our list.
        """
        self._client()
        import skops.io
        from mlflow.artifacts import download_artifacts

        try:
            with tempfile.TemporaryDirectory() as folder:
                local = Path(download_artifacts(version.uri, dst_path=folder))
                file = next(local.rglob("model.skops"))
                untrusted = set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED_TYPES)
                if untrusted:
                    raise RegistryError(
                        f"Model {version.name} version {version.version} holds types that are not trusted: "
                        f"{', '.join(sorted(untrusted))}. Someone may have replaced the file; restore the artefact or "
                        "promote another version."
                    )
                return skops.io.load(file, trusted=list(TRUSTED_TYPES))
        except RegistryError:
            raise
        # Whatever a damaged archive raises (zip, JSON, attribute errors) means the same to a person.
        except Exception as error:
            raise RegistryError(
                f"Expected a readable model file for {version.name} version {version.version}, but it is missing or "
                f"damaged ({type(error).__name__}: {error}). Restore the artefact, or promote another version with "
                f"`make promote VERSION=<number>`; the predictions were not touched."
            ) from error


KEPT = Path(sys.prefix) / "share" / "baton"
"""Where this environment keeps what every home would have to make again."""


def empty_database(kept_in: Path = KEPT) -> Path | None:
    """Return an empty MLflow database of the installed version, made once an environment; None where none can be kept.

    MLflow takes an empty file through the 69 changes that its tables saw over the years, which costs more than all
    else that a first run asks of it.
    """
    from importlib.metadata import version

    kept = kept_in / f"mlflow-{version('mlflow')}.db"
    if kept.exists():
        return kept
    # An environment may be read-only, as in an image: then MLflow makes each database itself.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / kept.name
            _make_database(made)
            made.replace(kept)
        return kept
    return None


def _make_database(file: Path) -> None:
    """Write a database with MLflow's tables and nothing in them: `mlflow db upgrade`, in this process."""
    from mlflow.db import commands

    commands.main(["upgrade", f"sqlite:///{file}"], standalone_mode=False)


def _begin_database(file: Path) -> None:
    """Put an empty database where none is yet; a kill leaves none, and of two processes one puts it there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        return
    empty = empty_database()
    if empty is None:
        return
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        whole = shutil.copyfile(empty, Path(folder) / file.name)
        with contextlib.suppress(FileExistsError):
            os.link(whole, file)


def _read(found: Any) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=int(found.version),
        run_id=found.run_id,
        algorithm=found.tags["algorithm"],
        trained_through=date.fromisoformat(found.tags["trained_through"]),
        fingerprint=found.tags["fingerprint"],
    )
