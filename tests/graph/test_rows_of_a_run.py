"""Which rows were learned from, which labels to look at, and how old features were: in tables of a whole run."""

import pytest

from ml_models.training.rows_chosen import Switches
from steps.candidates import make_training_set, replayed_delays
from steps.rows_chosen import choose_training_rows, find_suspects, rows_to_learn_from


def test_by_default_every_row_is_ordinary_and_counts_once(baton):
    by_reason = baton.read("select reason, weight, count(*) from training.rows_chosen group by all")
    learned = baton.read("select count(*) from training.training_set")
    assert by_reason == [("ordinary", 1.0, *learned[0])]
    assert "weight" not in rows_to_learn_from(baton.resources["warehouse"])


def test_true_labels_are_no_suspects(baton):
    assert baton.read("select * from monitoring.label_suspects") == []


def test_served_rows_say_how_old_their_features_were(baton):
    """The recording's clock stands at eight in the morning of the newest cutoff."""
    [[days]] = baton.read("select distinct staleness_days from predictions.lapse_predictions")
    assert days == pytest.approx(8 / 24)


def test_a_label_that_cannot_be_is_listed_and_left_out_only_where_that_is_switched_on(mine):
    warehouse = mine.resources["warehouse"]
    stayed = "select customer_id, cutoff_date from training.training_set where lapsed = 0 order by 2, 1 limit 1"
    with warehouse.connect(read_only=False) as connection:
        connection.execute(f"create temp table wrong as {stayed}")
        for table in ("outcomes.customer_outcomes", "training.training_set"):
            connection.execute(f"update {table} set lapsed = 1 where (customer_id, cutoff_date) in (from wrong)")
    [suspect] = find_suspects(warehouse).to_dict("records")
    assert suspect["kind"] == "contradicted"
    assert suspect["sentence"].startswith("said to have lapsed, and a later row shows a visit on 2017-")
    assert mine.read("select customer_id, label from monitoring.label_suspects") == [(suspect["customer_id"], 1)]

    assert choose_training_rows(warehouse).on == ()
    chosen = choose_training_rows(warehouse, Switches(label_suspect=True))
    assert chosen.on == ("label suspect",)
    assert chosen.by_reason["label suspect"] == 1
    weights = rows_to_learn_from(warehouse)["weight"]
    assert (weights == 0).sum() == 1
    assert set(weights) == {0.0, 1.0}


def test_rows_are_made_as_stale_as_serving_was_where_that_is_asked(mine):
    warehouse = mine.resources["warehouse"]
    assert replayed_delays(warehouse) == [0]
    with warehouse.connect(read_only=False) as connection:
        connection.execute("update predictions.lapse_predictions set staleness_days = 9.5")
    late = replayed_delays(warehouse)
    assert late == [1]
    ordinary = make_training_set(warehouse).frame
    stale = make_training_set(warehouse, late=late).frame
    assert stale[["customer_id", "cutoff_date", "lapsed"]].equals(ordinary[["customer_id", "cutoff_date", "lapsed"]])
    days = sorted(ordinary["cutoff_date"].unique())
    newest = stale[stale["cutoff_date"] == days[-1]].set_index("customer_id")["recency_days"]
    before = ordinary[ordinary["cutoff_date"] == days[-2]].set_index("customer_id")["recency_days"]
    both = newest.index.intersection(before.index)
    assert len(both) > 100
    assert newest[both].equals(before[both])


def test_a_home_of_a_former_build_has_no_delays_yet(mine):
    warehouse = mine.resources["warehouse"]
    with warehouse.connect(read_only=False) as connection:
        connection.execute("alter table predictions.lapse_predictions drop column staleness_days")
    assert replayed_delays(warehouse) == []
