"""Recalibrate or retrain? Simulated worlds in which one is right, the other is, or neither."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from support.bundled import PROBLEM as LAPSE

from ml_models.metrics import row_log_loss
from ml_models.model_version import RECALIBRATE_COMMAND, Deployed, ModelInfo
from ml_models.monitoring import WeekEvidence
from ml_models.monitoring.data_quality.source_counts import Counted
from ml_models.monitoring.decision.base_rate import BaseRateTest
from ml_models.monitoring.decision.ledger import empty_ledger
from ml_models.monitoring.decision.policy import decide
from ml_models.monitoring.decision.remedies import Remedies, newest_map
from ml_models.monitoring.settings import SETTINGS
from ml_models.monitoring.types import Decision, Diagnosis, Reach, Situation
from ml_models.policy_backtest import Never, plain, simulate
from ml_models.problems.contract import Problem
from ml_models.recalibration import recalibrated
from ml_models.rows import scored

FEATURES = [f"x{number}" for number in range(40)]
PROBLEM = replace(LAPSE, features=tuple(FEATURES), slices=(), families={})
CUTOFFS = [date(2021, 1, 4) + timedelta(weeks=week) for week in range(24)]
TRAINED, ONSET = CUTOFFS[11], CUTOFFS[16]
CUSTOMERS = 1_200

Moved = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""The log-odds from the onset on, of the features and of the log-odds until then."""


def world(moved: Moved, seed: int = 0) -> pd.DataFrame:
    """Return labelled rows: customers with forty features, of which six matter; a customer's luck lasts four weeks."""
    generator = np.random.default_rng(seed)
    nature = generator.normal(size=(CUSTOMERS, len(FEATURES)))
    luck = generator.random((CUSTOMERS, len(CUTOFFS) + 4))
    parts = []
    for week, cutoff in enumerate(CUTOFFS):
        features = nature + generator.normal(0, 0.3, size=nature.shape)
        odds = -2.2 + features[:, :6] @ np.array([0.9, 0.7, -0.6, 0.5, 0.4, -0.3])
        if cutoff >= ONSET:
            odds = moved(features, odds)
        drawn = luck[np.arange(CUSTOMERS), week + np.arange(CUSTOMERS) % 4]
        rows = pd.DataFrame(features, columns=FEATURES)
        parts.append(
            rows.assign(
                customer_id=[f"c{number}" for number in range(CUSTOMERS)],
                cutoff_date=pd.Timestamp(cutoff),
                lapsed=(drawn < 1 / (1 + np.exp(-odds))).astype("int64"),
            )
        )
    return pd.concat(parts, ignore_index=True)


def fit(rows: pd.DataFrame) -> Pipeline:
    model = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(C=0.1, max_iter=500))])
    return model.fit(rows[FEATURES], rows["lapsed"])


def judged(rows: pd.DataFrame) -> tuple[Decision, Remedies, Deployed]:
    """Return the decision of a week in which performance alarmed and the diagnosis says concept."""
    champion = Deployed(
        fit(rows[rows["cutoff_date"] <= pd.Timestamp(TRAINED)]),
        ModelInfo("1", TRAINED, TRAINED + timedelta(days=28), CUTOFFS[0]),
    )
    remedies = Remedies(rows, champion, fit, PROBLEM, (), SETTINGS)
    moved = Situation(
        cutoff=CUTOFFS[-1] + timedelta(days=28),
        diagnosis=Diagnosis("concept", np.nan, "", "team", "", "", "Customers behave otherwise."),
        anomalies=(),
        alarm=True,
        labelled=tuple(CUTOFFS),
        champion=champion.info,
        previous=None,
        effect=None,
        gain=remedies.gain,
        recalibration=remedies.recalibration,
        window_days=PROBLEM.window_days,
        horizon_days=PROBLEM.horizon_days,
    )
    return decide(moved, empty_ledger()), remedies, champion


def more_often(_features: npt.NDArray[np.float64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return odds + 0.8


def more_seldom(_features: npt.NDArray[np.float64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return odds - 0.8


def as_ever(_features: npt.NDArray[np.float64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return odds


def for_other_reasons(features: npt.NDArray[np.float64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What nobody looked at decides now, and what did decide does not any more."""
    return -1.5 + features[:, 6:12] @ np.array([0.9, -0.7, 0.6, 0.5, 0.4, -0.3]) + 0.2 * (odds + 2.2)


def a_third_quits(features: npt.NDArray[np.float64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A third of the customers, whom a feature shows that never mattered, lapse twice as often as not."""
    return np.where(features[:, 20] > 0.45, 0.7, odds)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("moved", [more_often, more_seldom])
def test_where_only_the_base_rate_moved_the_champion_is_recalibrated(moved: Moved, seed: int) -> None:
    decision, _, _ = judged(world(moved, seed))
    assert (decision.action, decision.remedy) == ("improve", "recalibrate"), decision.reason
    assert "Only the base rate moved: scores are off by" in decision.reason
    assert decision.diagnosis.next_command == RECALIBRATE_COMMAND


@pytest.mark.parametrize(
    ("ranking", "slope", "only"),
    [
        ((-0.015, 0.005), (0.1, 0.03), True),  # beyond noise, and small
        ((-0.04, 0.025), (0.2, 0.15), True),  # large, and within noise
        ((-0.027, 0.0097), (-0.11, 0.05), False),  # order is worse than allowed, and beyond noise
        ((-0.005, 0.005), (-0.2, 0.06), False),  # so is boldness
    ],
)
def test_what_is_allowed_and_what_is_noise_excuse_a_change_but_not_both_together(
    ranking: tuple[float, float], slope: tuple[float, float], only: bool
) -> None:
    assert BaseRateTest(0.66, 0.05, *slope, *ranking).only == only


def test_a_recalibration_brings_the_log_loss_back_to_that_of_who_knows_the_world() -> None:
    """On fresh customers of the new world, whom neither champion nor map has seen."""
    rows, fresh = world(more_often), world(more_often, seed=99)
    fresh = fresh[fresh["cutoff_date"] >= pd.Timestamp(ONSET)]
    _, _, champion = judged(rows)
    found = newest_map(rows, champion, PROBLEM, (), SETTINGS)
    assert found is not None
    moved, learned = found
    assert learned == CUTOFFS[-4:]
    assert moved.intercept == pytest.approx(0.8, abs=0.15)
    assert moved.slope == 1
    known = recalibrated(champion.pipeline, replace(moved, intercept=0.8))

    def loss(model: Pipeline) -> float:
        return float(row_log_loss(fresh["lapsed"], scored(model, fresh, PROBLEM)).mean())

    lost = loss(champion.pipeline) - loss(known)
    assert lost > 0.02
    assert loss(recalibrated(champion.pipeline, moved)) - loss(known) < 0.05 * lost


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("moved", [for_other_reasons, a_third_quits])
def test_where_customers_behave_otherwise_the_model_is_retrained(moved: Moved, seed: int) -> None:
    decision, remedies, _ = judged(world(moved, seed))
    assert (decision.action, decision.remedy) == ("improve", "retrain"), decision.reason
    other = remedies.recalibration("recent")
    assert other is not None
    assert not other.base_rate_only


@dataclass
class Lived:
    """A history of labelled rows of which nothing else is known, as it looked on each Monday morning."""

    rows: pd.DataFrame
    problem: Problem = PROBLEM
    lineage: Mapping[str, Sequence[str]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def reach(self, asset: str) -> Reach:
        return Reach()

    def cutoffs(self) -> Sequence[date]:
        return CUTOFFS

    def frame(self, cutoff: date) -> pd.DataFrame:
        return self.rows[self.rows["cutoff_date"] <= pd.Timestamp(cutoff)].drop(columns="lapsed")

    def outcomes(self, cutoff: date) -> pd.DataFrame:
        known = self.rows["cutoff_date"] <= pd.Timestamp(cutoff - timedelta(days=28))
        return self.rows.loc[known, ["customer_id", "cutoff_date", "lapsed"]]

    def truth(self, cutoff: date) -> pd.DataFrame:
        now = self.rows["cutoff_date"] == pd.Timestamp(cutoff)
        return self.rows.loc[now, ["customer_id", "cutoff_date", "lapsed"]]

    def early(self, cutoff: date) -> pd.DataFrame:
        return pd.DataFrame(columns=["customer_id", "cutoff_date", "lapsed_14d"])

    def profile(self, cutoff: date) -> pd.DataFrame:
        return pd.DataFrame()

    def tables(self) -> Sequence[object]:
        return ()

    def anomalies(self, cutoff: date) -> Sequence[object]:
        return ()

    def counted(self, cutoff: date) -> dict[str, Counted]:
        return {}

    def audit(self, cutoff: date) -> None:
        return None

    def measured(self, cutoff: date) -> tuple[None, None]:
        return None, None

    def rebuild(self, cutoff: date) -> None:
        return None


@dataclass
class RecalibratesOnce:
    """A policy that asks for one recalibration."""

    on: date
    name: str = "recalibrates once"
    looks: ClassVar[bool] = False

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, None]:
        due = evidence.cutoff == self.on
        decision = plain(evidence.cutoff, "improve" if due else "continue", "It is told.")
        return replace(decision, remedy="recalibrate" if due else ""), None


def test_a_policy_that_recalibrates_lives_on_with_the_moved_champion() -> None:
    history, due = Lived(world(more_often)), CUTOFFS[22]
    moved, never = (
        simulate(history, policy, CUTOFFS[15], CUTOFFS[-1], fit)  # type: ignore[arg-type]
        for policy in (RecalibratesOnce(due), Never())
    )
    assert list(moved.weeks.loc[moved.weeks["promoted"].notna(), "remedy"]) == ["recalibrate"]
    assert list(moved.models) == ["1", "2"]
    info = moved.models["2"]
    # Outcomes of four cutoffs are open on that morning, and the first champion learned from the first twelve.
    assert info.trained_through == CUTOFFS[18]
    assert info.learned_from(CUTOFFS) == [*CUTOFFS[:12], *CUTOFFS[15:19]]
    later = [one.weeks.iloc[-1]["log_loss"] for one in (moved, never)]
    assert later[0] < later[1] - 0.005


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_moved_neither_is_done(seed: int) -> None:
    decision, remedies, _ = judged(world(as_ever, seed))
    assert (decision.action, decision.remedy) == ("continue", ""), decision.reason
    other = remedies.recalibration("expanding")
    assert other is not None
    assert other.gain.value < SETTINGS.minimum_gain
