"""A version read from the registry by a process of its own, which then ends.

MLflow and what it brings take a tenth of a gigabyte and seconds of a core. A program that shows pages for days needs
neither once it has the version, and its pages should not wait for them.
"""

import multiprocessing
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from resources.registry import REFERENCE, ModelRegistry, ModelVersion, RegistryError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class ReadVersion(NamedTuple):
    """A version, its fitted pipeline, and the text of what is typical to it."""

    version: ModelVersion
    pipeline: "Pipeline"
    reference: str


def read_version(registry: ModelRegistry, number: int) -> ReadVersion:
    """Return a version with what is needed to score and to give reasons.

    Raises:
        RegistryError: the registry does not answer, there is no such version, or its files are missing or damaged.
    """
    version = registry.version(number)
    return ReadVersion(version, registry.load(version), registry.text(version, REFERENCE))


def read_apart(registry: ModelRegistry, number: int) -> ReadVersion:
    """Return the same, read by a process that ends before this returns.

    Raises:
        RegistryError: as `read_version`; or the process ended without an answer.
    """
    # A fork would take along the locks of other threads.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(theirs, registry.model_dump(), number), daemon=True)
    process.start()
    theirs.close()
    try:
        # What comes is of this program's own making: the file was held to the trusted types over there.
        answer = ours.recv()
    except EOFError:
        process.join()
        raise RegistryError(
            f"Expected version {number} of {registry.model_name} from the process that reads the registry, and it "
            f"ended without an answer (exit code {process.exitcode}). Where memory is short, end other programs first."
        ) from None
    finally:
        ours.close()
    process.join()
    if isinstance(answer, str):
        raise RegistryError(answer)
    version: ReadVersion = answer
    return version


def _tell(answer: Connection, settings: dict[str, object], number: int) -> None:
    """Send a version, or in a sentence why there is none."""
    registry = ModelRegistry(**settings)  # type: ignore[arg-type]
    try:
        answer.send(read_version(registry, number))
    except RegistryError as error:
        answer.send(str(error))
    # Whatever MLflow's client or a server raises: the reader is told, and its other pages go on.
    except Exception as error:  # noqa: BLE001
        answer.send(
            f"Expected the model registry to answer for version {number}, and it does not "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'})."
        )
