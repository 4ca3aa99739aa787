"""What the tests of the endpoint begin with: a frame, two versions of a model, and a home."""

import pytest
from shops import Shop, fitted
from support.simulated_shop import make_frame


@pytest.fixture(scope="module")
def frame():
    return make_frame(customers=300, cutoffs=3)


@pytest.fixture(scope="module")
def pipelines(frame):
    """Two versions of a model."""
    return fitted(frame)


@pytest.fixture
def shop(tmp_path, frame, pipelines):
    return Shop(tmp_path, frame, pipelines)


@pytest.fixture
def client(shop):
    shop.promote(1)
    shop.keeper.look()
    return shop.client()
