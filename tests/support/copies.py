"""A materialised baton, copied: a test that breaks things gets its own in a second, without running all of it again."""

import shutil
import sqlite3
from pathlib import Path

MLFLOW_PLACES = {
    "experiments": "artifact_location",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
    "runs": "artifact_uri",
}
"""Where MLflow's database keeps absolute addresses of files."""


def copy_home(source: Path, target: Path) -> Path:
    """Copy a baton's folder, so that nothing in the copy points back to the original."""
    shutil.copytree(source, target)
    old_and_new = [source.as_uri(), target.as_uri()]
    with sqlite3.connect(target / "mlflow.db") as registry:
        for table, column in MLFLOW_PLACES.items():
            registry.execute(f"update {table} set {column} = replace({column}, ?, ?)", old_and_new)
    registry.close()
    assert str(source).encode() not in (target / "mlflow.db").read_bytes()
    return target
