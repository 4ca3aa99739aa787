"""One emulator for all tests of this folder that need one."""

from collections.abc import Iterator

import pytest
from environments.emulator import Emulator, serving

from resources.environment import variables


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that the environment names; its own data, gone with the tests."""
    with serving(tmp_path_factory.mktemp("emulator")) as running, variables(running.environment()):
        yield running
