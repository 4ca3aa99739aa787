"""The files beside a version in MLflow, by the address of their folder.

MLflow's client remembers where a run's files are as long as the process lives; a home may be copied or moved meanwhile.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from resources.folders import name_to_disk, to_disk


def artefacts(address: str) -> Any:
    """Return MLflow's access to the files at an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(address)


def write_text(address: str, name: str, text: str) -> None:
    """Write a text under a name at an address; one that is there is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        artefacts(address).log_artifact(str(file))


def keep(address: str, root: str) -> None:
    """Wait until files under `root` would outlast a power loss; where it is no folder of this machine, they do."""
    if urlparse(root).scheme != "file":
        return
    place, top = (Path(unquote(urlparse(one).path)) for one in (address, root))
    if not place.exists():
        return  # a run that logged no file has no folder
    to_disk(place)
    for one in (place, *place.parents):
        name_to_disk(one)
        if one == top:
            break


def delete(address: str) -> None:
    """Remove the artefacts at an address."""
    artefacts(address).delete_artifacts()
    if urlparse(address).scheme == "file":
        # MLflow leaves the folder that held them.
        with contextlib.suppress(OSError):
            Path(unquote(urlparse(address).path)).parent.rmdir()
