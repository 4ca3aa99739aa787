import pandas as pd
import pytest
from hypothesis import settings

from ml_models.training.search import TrainingResult, train
from ml_models.training.splits import split_training_set

# The same examples on every run, and no deadline: a busy core is not a broken promise.
settings.register_profile("unit", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def world() -> pd.DataFrame:
    """Keys, features and outcome of a simulated shop at fourteen matured cutoffs."""
    # Here and not above: a clone may be without the bundled company, and other tests of this folder need no example.
    from support.simulated_shop import make_frame

    return make_frame(customers=1000, cutoffs=14)


@pytest.fixture(scope="session")
def training_set(world: pd.DataFrame) -> pd.DataFrame:
    from support.bundled import PROBLEM

    return split_training_set(world, PROBLEM)[0]


@pytest.fixture(scope="session")
def trained(training_set: pd.DataFrame) -> TrainingResult:
    from support.bundled import PROBLEM

    return train(training_set, PROBLEM, seed=0)
