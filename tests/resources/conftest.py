"""What several tests of resources begin with."""

import shutil

import pytest
from support.registered import fitted, log, registry_of


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    """A home whose registry has one version. MLflow takes seconds to make a database."""
    home = tmp_path_factory.mktemp("registered") / "first home"
    log(registry_of(home), fitted(0)[0])
    return home


@pytest.fixture
def registered_home(registered, tmp_path):
    """A copy of it, for one test."""
    return shutil.copytree(registered, tmp_path / "a home")
