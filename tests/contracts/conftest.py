"""An emulator of BigQuery for each file that needs one."""

from collections.abc import Iterator

import pytest
from environments.emulator import Emulator, serving

from resources.environment import variables


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that the environment names; without tables, and gone with the file's tests."""
    with serving(tmp_path_factory.mktemp("emulator")) as running, variables(running.environment()):
        yield running
