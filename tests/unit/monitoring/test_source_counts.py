"""Lost on the way, or never sent? What the source counts decides it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

import pytest
from test_remedies import CUTOFFS, Lived, as_ever, fit, world

from ml_models.monitoring import WeekEvidence, WeekJudgement, judge_week
from ml_models.monitoring.data_quality.source_counts import Counted, with_source_counts
from ml_models.monitoring.types import Anomaly, Decision
from ml_models.policy_backtest import plain, simulate

MONDAY = date(2024, 1, 8)
FIRST, LAST = date(2024, 1, 1), date(2024, 1, 7)


def volume(observed: float, asset: str = "raw/orders", kind: str = "volume") -> Anomaly:
    sentence = f"{asset} has {observed:.0f} rows."
    return Anomaly(kind, asset, "", observed, 1000.0, 0.1, 700, sentence, FIRST, LAST)  # type: ignore[arg-type]


def test_fewer_than_the_source_sent_is_a_loss_of_the_load_however_few_they_are() -> None:
    [found] = with_source_counts([], {"raw/orders": Counted(10_000, 9_990, 7)}, MONDAY)
    assert (found.kind, found.asset, found.first_day, found.last_day) == ("volume", "raw/orders", FIRST, LAST)
    assert (found.observed, found.expected) == (9_990, 10_000)
    assert found.sentence == (
        "In 7 syncs the source counts 10,000 records for raw/orders, and 9,990 arrived: 10 were lost by the load, not "
        "by the source."
    )
    assert found.replay is not None
    assert (found.replay.operation, round(found.replay.rate, 4)) == ("drop", 0.001)


def test_where_both_agree_it_is_the_source_that_sent_fewer() -> None:
    [found] = with_source_counts([volume(700)], {"raw/orders": Counted(700, 700, 1)}, MONDAY)
    assert found.sentence == (
        "raw/orders has 700 rows. In one sync all 700 of the 700 records arrived that the source counts for raw/orders:"
        " it is the source that sent fewer, not the load that lost them."
    )


def test_what_is_known_of_a_loss_takes_the_place_of_what_was_supposed() -> None:
    supposed = replace(volume(700), sentence="Orders are missing. Rows are lost on the way.")
    [found] = with_source_counts([supposed], {"raw/orders": Counted(700, 700, 2)}, MONDAY)
    assert found.sentence.startswith("Orders are missing. In 2 syncs all 700 of the 700 records arrived")


def test_a_loss_that_is_told_already_is_told_once_with_the_proof() -> None:
    [found] = with_source_counts([volume(700)], {"raw/orders": Counted(1000, 700, 7)}, MONDAY)
    assert found.sentence.startswith("raw/orders has 700 rows. In 7 syncs the source counts 1,000 records")
    assert found.sentence.endswith("300 were lost by the load, not by the source.")


def test_nothing_is_said_of_what_is_not_counted_or_not_missing() -> None:
    others = [volume(700, "raw/products"), volume(1300), volume(700, kind="nulls")]
    assert list(with_source_counts(others, {"raw/orders": Counted(1300, 1300, 7)}, MONDAY)) == others
    assert with_source_counts([], {"raw/orders": Counted(700, 700, 7)}, MONDAY) == ()
    # More than it says: a source that counts badly proves nothing.
    assert list(with_source_counts([volume(700)], {"raw/orders": Counted(690, 700, 7)}, MONDAY)) == [volume(700)]


@dataclass
class Counting:
    """Judges a week of a quiet world, of which the source counts something."""

    on: date
    counted: Mapping[str, Counted]
    looks: ClassVar[bool] = True
    name: str = "counting"
    judged: WeekJudgement | None = None

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        if evidence.cutoff == self.on:
            self.judged = judge_week(replace(evidence, counted=self.counted))
        return plain(evidence.cutoff, "continue", "It is told."), None


@pytest.mark.parametrize(
    ("came", "action", "cause"), [(9_990, "inspect", "data quality"), (10_000, "continue", "none")]
)
def test_a_counted_loss_is_inspected_in_a_week_in_which_nothing_else_shows(came: int, action: str, cause: str) -> None:
    owners = {"raw/orders": "team:data-engineering"}
    quiet = Lived(world(as_ever), lineage={"raw/orders": ()}, owners=owners)
    week = CUTOFFS[18]
    policy = Counting(week, {"raw/orders": Counted(10_000, came, 7)})
    simulate(quiet, policy, week, week, fit)  # type: ignore[arg-type]
    assert policy.judged is not None
    decision = policy.judged.decision
    assert (decision.action, decision.diagnosis.cause) == (action, cause)
    if action == "inspect":
        assert decision.diagnosis.first_bad_asset == "raw/orders"
        assert decision.diagnosis.owner == "team:data-engineering"
        assert "10 were lost by the load, not by the source." in decision.diagnosis.sentence
