"""What the tests of the endpoint begin with: a frame, two versions of a model, and a home."""

import pytest
from shops import Shop
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import make_frame


@pytest.fixture(scope="module")
def frame():
    return make_frame(customers=300, cutoffs=3)


@pytest.fixture(scope="module")
def pipelines(frame):
    """Two versions of a model."""
    logistic = next(one for one in PROBLEM.candidates if one.name == "logistic")
    return {
        number: logistic.build({"C": c}, 0).fit(frame[FEATURES], frame["lapsed"]) for number, c in ((1, 0.1), (2, 10.0))
    }


@pytest.fixture
def shop(tmp_path, frame, pipelines):
    return Shop(tmp_path, frame, pipelines)


@pytest.fixture
def client(shop):
    shop.promote(1)
    shop.keeper.look()
    return shop.client()
