"""A loss change is split rightly where the truth is known: other customers, other behaviour, both, neither."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from ml_models.metrics import row_log_loss
from ml_models.monitoring.diagnosis.loss_split import split_loss_change

N, SEEDS = 2500, 25


def customers(n: int, generator: np.random.Generator, hard: bool) -> pd.DataFrame:
    """Draw customers; `hard` draws five times as many young, rare ones, whose lapse is hardest to foretell."""
    drawn = 5 * n
    rows = pd.DataFrame(
        {
            "visits": generator.gamma(2, 10, drawn),
            "users": generator.poisson(8, drawn),
            "tenure": generator.exponential(24, drawn),
            "tickets": generator.poisson(2, drawn),
            "region": generator.choice(5, drawn, p=[0.4, 0.25, 0.2, 0.1, 0.05]),
        }
    ).astype("float64")
    if hard:
        rows = rows[generator.random(drawn) < np.where((rows["tenure"] < 12) & (rows["visits"] < 20), 1.0, 0.2)]
    return rows.iloc[:n].reset_index(drop=True)


def risk(rows: pd.DataFrame, changed: bool) -> np.ndarray:
    odds = -0.3 - 0.06 * rows["visits"] - 0.05 * rows["users"] - 0.03 * rows["tenure"] + 0.5 * rows["tickets"]
    odds = odds + np.where(changed & (rows["region"] == 0), 2.0, 0.0)
    return (1 / (1 + np.exp(-odds))).to_numpy()


def split(seed: int, hard: bool, changed: bool):
    """Split the loss of a model that knows the old truth exactly."""
    generator = np.random.default_rng(seed)
    parts = []
    for now in (False, True):
        rows = customers(N, generator, hard and now)
        lapsed = generator.random(N) < risk(rows, changed and now)
        score = risk(rows, False)
        parts += [rows.assign(score=score), row_log_loss(lapsed, score)]
    return split_loss_change(*parts)


@pytest.mark.parametrize(
    ("truth", "hard", "changed"),
    [
        ("none", False, False),
        ("covariate", True, False),
        ("concept", False, True),
        ("mixed", True, True),
    ],
)
def test_the_cause_is_named_in_nearly_every_simulation(truth: str, hard: bool, changed: bool) -> None:
    verdicts = Counter(split(seed, hard, changed).verdict for seed in range(SEEDS))
    assert verdicts[truth] >= SEEDS - 2, dict(verdicts)


def test_parts_add_up_and_the_covariate_branch_is_a_real_rise() -> None:
    found = split(3, hard=True, changed=False)
    assert found.change == pytest.approx(found.covariate + found.concept)
    assert found.change > 0.05
    assert found.covariate / found.change > 0.7
    assert 0.8 < found.overlap < 0.97
    assert "because of different customers" in found.sentence


def test_errors_are_as_large_as_the_parts_vary() -> None:
    found = [split(seed, hard=False, changed=False) for seed in range(SEEDS)]
    spread = np.std([one.concept for one in found])
    assert spread == pytest.approx(np.mean([one.concept_error for one in found]), rel=0.5)


def test_rows_of_one_customer_are_one_observation() -> None:
    generator = np.random.default_rng(0)
    rows = customers(600, generator, hard=False)
    loss = generator.exponential(0.3, 600)
    ids = np.arange(600)
    once = split_loss_change(rows, loss, rows, loss + 0.1, ids, ids + 600)
    rows2, loss2, ids2 = pd.concat([rows, rows]), np.tile(loss, 2), np.tile(ids, 2)
    twice = split_loss_change(rows2, loss2, rows2, loss2 + 0.1, ids2, ids2 + 600)
    assert twice.change_error == pytest.approx(once.change_error)


def test_windows_without_a_customer_in_common_are_not_compared() -> None:
    generator = np.random.default_rng(1)
    rows = customers(N, generator, hard=False)
    apart = rows.assign(visits=rows["visits"] + 500, tenure=rows["tenure"] + 900)
    found = split_loss_change(rows, np.full(N, 0.2) + generator.random(N) / 9, apart, np.full(N, 0.6))
    assert found.verdict == "insufficient evidence"
    assert found.auc > 0.99


def test_a_handful_of_rows_is_not_split() -> None:
    rows = customers(100, np.random.default_rng(0), hard=False)
    found = split_loss_change(rows, np.ones(100), rows, 2 * np.ones(100))
    assert found.verdict == "insufficient evidence"
    assert "at least 200 are needed" in found.sentence


def test_other_columns_are_refused() -> None:
    rows = customers(300, np.random.default_rng(0), hard=False)
    with pytest.raises(ValueError, match="the same columns"):
        split_loss_change(rows, np.ones(300), rows.drop(columns="users"), np.ones(300))
