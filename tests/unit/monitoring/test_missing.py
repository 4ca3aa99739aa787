"""Whose the missing rows are is told first: the department that vanished, not the short baskets that it leaves."""

from datetime import timedelta

import duckdb
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, WEEKS, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality import judge_quality

CUTOFF = FAULTY_WEEK + timedelta(days=7)


def found(where):
    """Return the anomalies of missing rows after these rows of one week were lost, each as a sentence."""
    connection = duckdb.connect(":memory:")
    make_shop(connection, buyers=900)
    tables = tuple(table for table in watch(connection, sources()) if table.time_sql)
    week = f"sold_at >= timestamp '{FAULTY_WEEK}' and sold_at < timestamp '{CUTOFF}'"
    connection.execute(f"delete from feed.sales where {week} and ({where})")
    verdict = judge_quality(measure(connection, tables, FIRST, WEEKS - 1), tables, CUTOFF)
    return [one.sentence for one in verdict.anomalies if one.kind == "volume" and one.observed < one.expected]


def test_the_value_that_vanished_is_told_before_anything_else():
    sentences = found("paid_by = 'card'")
    assert sentences
    for sentence in sentences:
        assert "of the missing rows are those with paid_by = card, which lost 100% of its own." in sentence
        assert sentence.index("paid_by = card") < sentence.index("feed/sales")


@pytest.mark.parametrize("where", ["receipt % 2 = 0", "hash(receipt, item) % 10 < 6"], ids=["orders", "lines"])
def test_what_is_lost_everywhere_alike_is_nobodys(where):
    sentences = found(where)
    assert sentences
    assert not any("of the missing rows are those with" in sentence for sentence in sentences)
