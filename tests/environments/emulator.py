"""A BigQuery emulator on loopback, in its own environment and process."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from environments.install import HERE, python_of

PROJECT = "baton-test"


class Emulator(NamedTuple):
    """Addresses of the REST interface and of the Storage Read interface."""

    rest: str
    storage: str

    def environment(self) -> dict[str, str]:
        """Return the variables that make the project's BigQuery profile use it."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.rest,
            "BIGQUERY_EMULATOR_STORAGE": self.storage,
            "BATON_BIGQUERY_PROJECT": PROJECT,
        }


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Emulator]:
    """Run an emulator that keeps its data in `folder`; it ends with the block, or with this process."""
    home = HERE / "bigquery_emulator"
    command = [str(python_of("bigquery_emulator")), str(home / "serve.py"), str(folder)]
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "emulator.log").read_text()[-2000:]
            yield Emulator(**json.loads(line))
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
