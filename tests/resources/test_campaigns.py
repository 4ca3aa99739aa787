"""A campaign as a shop would run it: drawn week by week, kept, and compared once the outcome is known."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_models.campaigns.draw import drawn
from ml_models.campaigns.effect import FAULTY_DRAW, KEEPS, NOBODY, TOO_FEW
from resources.company import Company, company
from resources.warehouse import DuckDBWarehouse
from steps.campaigns import assign, drawn_by_chance, measure, seed, shares_hold
from steps.problem import problem

FIRST = date(2024, 1, 1)
HORIZON = problem().horizon_days
CUSTOMERS = 600


def asking(held_out=0.2, **calls):
    """The company of this process, with a campaign."""
    told = company().model_dump(exclude_unset=True)
    told["prices"] = {"contact": 2.0, "won_back": 0.3}
    told["calls"] = {"held_out": held_out, **calls}
    return Company.model_validate(told)


OURS = asking()
RECORDED = asking(table="crm", customer="id", time="day")


class Shop:
    """A warehouse with what the campaign reads, week by week."""

    def __init__(self, folder):
        self.warehouse = DuckDBWarehouse(path=str(folder / "warehouse.duckdb"))
        self.rng = np.random.default_rng(1)
        self.outcomes = pd.DataFrame()
        columns = {"customer_id": "varchar", "cutoff_date": "date", "lapsed": "bigint"}
        self.warehouse.create_table(
            "outcomes", "customer_outcomes", {**columns, f"spend_cents_next_{HORIZON}d": "bigint"}
        )
        self.warehouse.create_table("staging", "stg_calls", {"customer_id": "varchar", "called_on": "date"})

    def scores(self, cutoff, worth=range(CUSTOMERS), everybody=CUSTOMERS):
        """A week is scored: who of `everybody` is worth a call."""
        rows = pd.DataFrame({"customer_id": [f"c{number}" for number in range(everybody)]})
        rows["cutoff_date"] = pd.Timestamp(cutoff)
        rows["score"], rows["expected_loss"] = 0.4, 25.0
        rows["worth_calling"] = rows["customer_id"].isin({f"c{number}" for number in worth})
        self.warehouse.replace_table("marts", "customers_at_risk", rows)

    def matures(self, cutoff, keeps=0.0, base=0.5, gain=0):
        """The outcome of a week is known: of those to be called, `keeps` fewer lapse, and who stays spends more."""
        rows = self.rows(cutoff)
        called = (rows["arm"] == "call").to_numpy()
        lapsed = self.rng.random(len(rows)) < np.where(called, base * (1 - keeps), base)
        spend = np.where(lapsed, 0, self.rng.integers(500, 15_000, len(rows)) + np.where(called, gain, 0))
        made = rows[["customer_id", "cutoff_date"]].assign(
            lapsed=lapsed.astype(int), **{f"spend_cents_next_{HORIZON}d": spend}
        )
        self.outcomes = pd.concat([self.outcomes, made], ignore_index=True) if len(self.outcomes) else made
        self._write_outcomes()

    def _write_outcomes(self):
        whole = self.outcomes.assign(cutoff_date=pd.to_datetime(self.outcomes["cutoff_date"]))
        self.warehouse.replace_table("outcomes", "customer_outcomes", whole)

    def calls(self, cutoff, customers):
        """These customers were called the day after a cutoff."""
        rows = pd.DataFrame({"customer_id": list(customers), "called_on": pd.Timestamp(cutoff + timedelta(days=1))})
        self.warehouse.replace_table("staging", "stg_calls", rows)

    def rows(self, cutoff=None):
        where = f" where cutoff_date = date '{cutoff}'" if cutoff else ""
        return self.warehouse.read(f"select * from campaigns.assignment{where} order by cutoff_date, customer_id")

    def change(self, sql):
        with self.warehouse.transaction() as connection:
            connection.execute(sql)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def weeks(count, step=HORIZON):
    return [FIRST + timedelta(days=step * number) for number in range(count)]


def run(shop, count, ours=OURS, **outcome):
    """So many campaigns one after the other, each judged when it is over."""
    for cutoff in weeks(count):
        shop.scores(cutoff)
        assign(shop.warehouse, ours)
        shop.matures(cutoff, **outcome)
    return measure(shop.warehouse, ours)


def test_without_a_campaign_nobody_is_held_out_and_no_effect_is_claimed(shop):
    shop.scores(FIRST)
    done = assign(shop.warehouse, company().model_copy(update={"calls": None}))
    assert "nobody is held out: company.toml has no [calls]" in done.what
    assert shop.rows().empty
    assert measure(shop.warehouse, OURS).empty
    assert not drawn_by_chance(shop.warehouse).judged
    assert not shares_hold(measure(shop.warehouse, OURS)).judged


def test_a_share_of_those_worth_a_call_is_held_out_and_made_again_it_is_the_same(shop, tmp_path):
    shop.scores(FIRST, worth=range(400))
    done = assign(shop.warehouse, OURS)
    rows = shop.rows()
    assert set(rows["customer_id"]) == {f"c{number}" for number in range(400)}
    assert done.parts == rows["arm"].value_counts().to_dict()
    assert 55 < done.parts["held out"] < 105
    assert (rows["draw"] == [drawn(seed(), FIRST, one) for one in rows["customer_id"]]).all()
    assert ((rows["draw"] < 0.2) == (rows["arm"] == "held out")).all()
    assert set(rows["ends_on"]) == {pd.Timestamp(FIRST) + pd.Timedelta(days=HORIZON)}
    (tmp_path / "again").mkdir()
    again = Shop(tmp_path / "again")
    # Another order, and others beside them.
    again.scores(FIRST, worth=range(500))
    assign(again.warehouse, OURS)
    both = rows.merge(again.rows(), on="customer_id")
    assert len(both) == 400
    assert (both["arm_x"] == both["arm_y"]).all()


def test_who_was_assigned_is_never_rewritten_and_who_joins_is_drawn(shop):
    shop.scores(FIRST, worth=range(300))
    assign(shop.warehouse, OURS)
    before = shop.rows()
    # A new champion scores the week again: some are worth a call no more, others are now. The share changed as well.
    shop.scores(FIRST, worth=range(200, 400))
    done = assign(shop.warehouse, asking(held_out=0.5))
    after = shop.rows()
    assert "100 of them drawn now" in done.what
    pd.testing.assert_frame_equal(
        after[after["customer_id"].isin(before["customer_id"])].reset_index(drop=True), before
    )
    assert set(after["share"]) == {0.2, 0.5}
    nothing = shop.rows()
    assign(shop.warehouse, OURS)
    pd.testing.assert_frame_equal(shop.rows(), nothing)


def test_a_part_is_kept_while_its_outcome_is_open_and_only_the_draw_is_judged(shop):
    """Drawn anew every Monday, nearly all who are held out would be called before the outcome is known."""
    for cutoff in weeks(4, step=7):
        shop.scores(cutoff)
        assign(shop.warehouse, OURS)
    rows = shop.rows()
    assert rows.groupby("customer_id")["arm"].nunique().max() == 1
    assert set(rows["drawn_on"]) == {pd.Timestamp(FIRST)}
    over = FIRST + timedelta(days=HORIZON)
    shop.scores(over)
    assign(shop.warehouse, OURS)
    fresh = shop.rows(over).merge(shop.rows(FIRST), on="customer_id")
    assert set(fresh["drawn_on_x"]) == {pd.Timestamp(over)}
    assert (fresh["arm_x"] != fresh["arm_y"]).any(), "chance decides anew"
    for cutoff in weeks(4, step=7):
        shop.matures(cutoff)
    found = measure(shop.warehouse, OURS)
    assert [str(one)[:10] for one in found["cutoff_date"]] == [str(FIRST), "NaT"]
    assert found["called"].iloc[-1] + found["held_out"].iloc[-1] == CUSTOMERS


def test_a_week_whose_outcome_is_known_is_not_drawn_for(shop):
    shop.scores(FIRST)
    assign(shop.warehouse, OURS)
    shop.matures(FIRST)
    shop.change("delete from campaigns.assignment")
    assert "its outcome is known, so nobody can act on it" in assign(shop.warehouse, OURS).what
    assert shop.rows().empty


def test_an_effect_that_is_there_is_found_with_its_interval_and_its_money(shop):
    found = run(shop, 4, keeps=0.5, gain=4000)
    whole = found[found["cutoff_date"].isna()].iloc[0]
    assert whole["verdict"] == KEEPS
    assert whole["kept_low"] < 0.25 < whole["kept_high"]
    assert whole["gained_low"] > 0
    assert whole["gained_low"] < whole["spend_called"] - whole["spend_held_out"] < whole["gained_high"]
    assert whole["sentence"].startswith("Calls keep customers.")
    assert "No record says who was called in truth" in whole["sentence"]
    one = found[found["cutoff_date"].notna()]
    assert len(one) == 4
    assert one["verdict"].isna().all(), "one week alone says nothing"
    assert (one["kept_high"] - one["kept_low"]).min() > whole["kept_high"] - whole["kept_low"]


def test_where_calls_change_nothing_nothing_is_claimed_and_it_is_said_how_many_are_needed(shop):
    found = run(shop, 1)
    whole = found[found["cutoff_date"].isna()].iloc[0]
    assert whole["verdict"] == TOO_FEW
    assert whole["kept_low"] < 0 < whole["kept_high"]
    assert f"some {whole['needed']:,} have to be drawn" in whole["sentence"]
    assert whole["needed"] > whole["called"] + whole["held_out"]


def test_figures_are_those_of_plain_arithmetic(shop):
    found = run(shop, 1, keeps=0.2)
    rows = shop.rows().merge(shop.outcomes.assign(cutoff_date=pd.to_datetime(shop.outcomes["cutoff_date"])))
    by = rows.groupby("arm")[["lapsed", f"spend_cents_next_{HORIZON}d"]].mean()
    for row in found.to_dict("records"):
        assert row["lapsed_called"] == pytest.approx(by.loc["call", "lapsed"])
        assert row["kept"] == pytest.approx(by.loc["held out", "lapsed"] - by.loc["call", "lapsed"])
        assert row["gained"] == pytest.approx(by.iloc[0, 1] / 100 - by.iloc[1, 1] / 100)
        assert row["score_called"] == pytest.approx(0.4)


def test_a_record_of_calls_is_told_and_changes_no_comparison(shop):
    """Who could not be reached stays where chance put them: who can be reached is no chance."""
    plain = run(shop, 1, keeps=0.3)
    rows = shop.rows()
    to_call = rows.loc[rows["arm"] == "call", "customer_id"].tolist()
    held = rows.loc[rows["arm"] == "held out", "customer_id"].tolist()
    shop.calls(FIRST, [*to_call[: len(to_call) // 2], held[0]])
    found = measure(shop.warehouse, RECORDED)
    whole = found[found["cutoff_date"].isna()].iloc[0]
    assert whole["reached"] == pytest.approx(0.5, abs=0.01)
    assert whole["reached_held_out"] == pytest.approx(1 / len(held))
    assert whole["kept"] == plain["kept"].iloc[-1]
    assert "By the record, 50 % of those to be called were called, and 1 % of those held out." in whole["sentence"]


def test_a_list_that_nobody_used_claims_no_effect(shop):
    found = run(shop, 2, ours=RECORDED, keeps=0.5)
    whole = found[found["cutoff_date"].isna()].iloc[0]
    assert whole["verdict"] == NOBODY
    assert whole["sentence"].startswith("No effect is claimed:")
    # A call before the draw, or when it was over, is none of this campaign.
    shop.calls(FIRST - timedelta(days=2), shop.rows()["customer_id"].unique())
    assert measure(shop.warehouse, RECORDED)["verdict"].iloc[-1] == NOBODY


def test_customers_that_go_missing_from_one_part_are_noticed_and_no_effect_is_claimed(shop):
    run(shop, 2, keeps=0.5)
    assert drawn_by_chance(shop.warehouse).passed
    assert shares_hold(measure(shop.warehouse, OURS)).passed
    # Of those held out, only who came back is kept: a tidy-up of customers who left, say.
    shop.outcomes = shop.outcomes.merge(
        shop.rows()[["customer_id", "cutoff_date", "arm"]].assign(
            cutoff_date=lambda rows: pd.to_datetime(rows["cutoff_date"])
        )
    )
    gone = (shop.outcomes["arm"] == "held out") & (shop.outcomes["lapsed"] == 1)
    shop.outcomes = shop.outcomes[~gone].drop(columns="arm")
    shop._write_outcomes()
    found = measure(shop.warehouse, OURS)
    assert found["verdict"].iloc[-1] == FAULTY_DRAW
    assert not shares_hold(found).passed
    assert "customers are missing from one of the parts" in shares_hold(found).sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update campaigns.assignment set arm = 'call' where customer_id in ('c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', "
         "'c8', 'c9', 'c10', 'c11', 'c12')", "Somebody changed the table by hand"),
        ("delete from campaigns.assignment where arm = 'held out' and draw < 0.12", "are missing"),
    ],
    ids=["changed", "deleted"],
)  # fmt: skip
def test_a_hand_in_the_draw_turns_the_check_red(shop, change, said):
    shop.scores(FIRST)
    assign(shop.warehouse, OURS)
    assert drawn_by_chance(shop.warehouse).passed
    shop.change(change)
    found = drawn_by_chance(shop.warehouse)
    assert not found.passed
    assert said in found.sentence


def test_nobody_worth_a_call_and_no_scored_week_are_no_errors(shop):
    shop.scores(FIRST, worth=[])
    assert "nobody is worth a call" in assign(shop.warehouse, OURS).what
    shop.change("delete from marts.customers_at_risk")
    assert "no cutoff is scored" in assign(shop.warehouse, OURS).what
    assert measure(shop.warehouse, OURS).empty
