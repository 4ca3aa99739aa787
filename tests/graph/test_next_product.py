"""What is bought next decides, learns and goes back as every problem does."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from support.copies import copy_home

from commands.backtest_lists import shown
from ml_models.problems.next_product.pairs import FEATURES
from resources.registry import CHAMPION, REFERENCE
from steps.as_of import newest_cutoff
from steps.champions import make_champion, roll_back
from steps.errors import StepRefusedError
from steps.further.cards import keep_further_cards
from steps.further.decisions import further_due, judge_further_week
from steps.next_product.decisions import list_evidence
from steps.next_product.definitions import lists_otherwise
from steps.next_product.training import find_candidate, make_training_set
from steps.tables import tables_of

OF = tables_of("next_product")


@pytest.fixture
def made(baton, make_baton, tmp_path):
    return make_baton(copy_home(baton.home, tmp_path / "baton"))


def registry_of(made):
    return made.resources["registry"].of(OF.name)


def judged(made):
    """Decide the newest week anew, and return the row of the ledger."""
    warehouse, said = made.resources["warehouse"], []
    judge_further_week(
        warehouse,
        registry_of(made),
        made.resources["clock"],
        OF,
        list_evidence,
        finished_run=lambda tags: None,
        log=said.append,
        again=True,
    )
    return warehouse.read("select * from next_product.decisions order by cutoff desc limit 1").iloc[0]


def change(made, sql):
    with made.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(sql)


def renamed(made, day):
    change(
        made,
        "update next_product.drift set verdict = 'renamed', decision = 'inspect', sentence = 'Tea is called chai.' "
        f"where cutoff_date = date '{day}'",
    )


def another_version(made, trained_through):
    """Register the champion's pipeline once more, as if it had been trained earlier."""
    own = registry_of(made)
    champion = own.by_alias(CHAMPION)
    evidence = {**own.evidence(champion), "trained_from": "2017-01-02", "trained_through": trained_through.isoformat()}
    return own.log_version(
        own.load(champion),
        algorithm=champion.algorithm,
        trained_through=trained_through,
        fingerprint=f"another of {trained_through}",
        parameters={"seed": 0},
        metrics={"ndcg": 0.5},
        files={"evidence.json": json.dumps(evidence), REFERENCE: own.text(champion, REFERENCE)},
        example=pd.DataFrame(np.ones((3, len(FEATURES))), columns=list(FEATURES)),
        tags={},
    )


def test_a_run_decides_and_writes_a_card(made):
    [(decisions,)] = made.read("select count(*) from next_product.decisions")
    assert decisions == 1
    [(standing, complete, markdown)] = made.read("select standing, complete, markdown from next_product.model_card")
    assert standing.startswith("It serves")
    assert complete == "true"
    assert "Of what customers bought, a list of ten names" in markdown
    assert "personal frequency" in markdown
    assert re.search(r"\| neighbours +\|", markdown), "each method has a row of its own"


def test_a_renamed_type_is_inspected_and_its_week_is_not_learned_from(made):
    assert judged(made)["action"] == "continue"
    renamed(made, newest_cutoff(made.resources["warehouse"]))
    row = judged(made)
    assert (row["action"], row["cause"], row["reason"]) == ("inspect", "data quality", "Tea is called chai.")
    assert row["first_bad_asset"] == "raw/products"
    assert row["owner"] == "team:data-engineering"
    assert row["next_command"] == f"make rebuild FROM={newest_cutoff(made.resources['warehouse'])}"
    due = further_due(made.resources["warehouse"].read("select * from next_product.decisions order by cutoff desc"))
    assert due.decision == "inspect"

    warehouse = made.resources["warehouse"]
    learned = made.read("select max(cutoff_date) from next_product.training_set")[0][0]
    renamed(made, learned)
    again = make_training_set(warehouse)
    assert learned in again.quarantined
    assert made.read("select max(cutoff_date) from next_product.training_set")[0][0] < learned
    assert learned not in make_training_set(warehouse, repaired=True).quarantined


def test_broken_data_veto_here_too(made):
    change(made, "update monitoring.decisions set action = 'inspect', reason = 'Store 3 is missing.'")
    row = judged(made)
    assert (row["action"], row["cause"]) == ("inspect", "data quality")
    assert "Store 3 is missing." in row["reason"]


def test_a_version_that_is_worse_than_the_one_before_goes_back(made):
    warehouse, own = made.resources["warehouse"], registry_of(made)
    [(day,)] = made.read(
        "select max(cutoff_date) from next_product.outcomes "
        "where cutoff_date in (select cutoff_date from next_product.candidates)"
    )
    early = (pd.Timestamp(day) - pd.Timedelta(days=56)).date()
    good, bad = another_version(made, early), another_version(made, early)
    make_champion(own, warehouse, good, reason="a person asked for it", of=OF)
    make_champion(own, warehouse, bad, reason="a person asked for it", of=OF)
    # What it served: the least popular of what nobody of them buys.
    change(
        made,
        f"""
        insert into next_product.predictions by name
        select customer_id, cutoff_date, product_type, place, 0.1 as score, 0 as is_repeat, days_bought, days_since,
          customer_days, 'habits' as basis, 'next_product' as model_name, {bad.version} as model_version,
          date '{early}' as trained_through, now() as scored_at
        from (
          select *, row_number() over (
            partition by customer_id order by days_bought, popularity, product_type
          ) as place from next_product.candidates where cutoff_date = date '{day}'
        ) where place <= 10
        """,
    )
    found = list_evidence(warehouse, own, OF, newest_cutoff(warehouse))
    assert "that neither had seen its nDCG is larger by +" in found.former
    row = judged(made)
    assert row["action"] == "rollback"
    assert row["next_command"].endswith("rollback_next_product")
    what = roll_back(own, warehouse, None, reason=row["reason"], run_id="a run", of=OF)
    assert what == f"rolled back from version {bad.version} to version {good.version}"
    from ml_models.model_card.lists import list_card

    cards = keep_further_cards(warehouse, own, OF, list_card)
    assert good.version == cards.version
    [(standing,)] = made.read(f"select standing from next_product.model_card where model_version = {bad.version}")
    assert standing.startswith("It served and was rolled back")


def test_lists_are_measured_by_several_definitions_and_ours_are_those_of_the_gate(baton):
    found = lists_otherwise(baton.resources["warehouse"])
    methods = found.methods.set_index("lists")
    [[version, recall, ndcg]] = baton.read(
        "select model_version, recall, ndcg from next_product.candidate where model_version = "
        "(select max(model_version) from next_product.champion)"
    )
    ours = methods.loc[f"version {version}"]
    assert (ours["recall"], ours["ndcg"]) == pytest.approx((recall, ndcg))
    assert (methods["ndcg_of_all"] < methods["ndcg"]).all()
    best = methods.loc["the best of these candidates"]
    assert (best[["ndcg_of_all", "recall_of_purchases"]] > ours[["ndcg_of_all", "recall_of_purchases"]]).all()
    # What is bought on several days is what a habit names: it counts more where purchases are counted.
    assert ours["recall_of_purchases"] > ours["recall"]
    assert 0 < found.named["new"] < found.named["types"] < found.named["repeats"] < 1
    text = shown(found)
    assert f"version {version}" in text
    assert f"{found.judged:,} lists" in text


def test_a_training_set_of_an_earlier_release_is_refused_with_a_sentence(made):
    change(made, "alter table next_product.training_set drop column days_bought_before")
    with pytest.raises(StepRefusedError, match="days_bought_before, which this release learns from"):
        find_candidate(made.resources["warehouse"], made.resources["registry"], log=print, run_id="")
