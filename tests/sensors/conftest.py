"""A Dagster instance for each test of the sensors."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(scope="module")
def shared_instance() -> Iterator[dg.DagsterInstance]:
    """One for the tests of a file: making one takes longer than wiping it."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def instance(shared_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance in which nothing has happened."""
    shared_instance.wipe()
    return shared_instance
