"""Whoever asks what a table is finds it on one page: each table, its columns and their types, and the model."""

import pytest
from starlette.testclient import TestClient
from support.copies import copy_home

from commands.docs import pages_of, write_docs


@pytest.fixture(scope="module")
def page(baton, make_baton, tmp_path_factory):
    home = copy_home(baton.home, tmp_path_factory.mktemp("documented") / "baton")
    return write_docs(make_baton(home).resources["dbt"])


def test_the_page_holds_tables_columns_their_types_and_the_model(page):
    text = page.read_text(encoding="utf-8")
    assert "exposure.baton.lapse_model" in text
    assert "Whom to win back now" in text
    assert '"risk_band": {"type": "VARCHAR"' in text
    assert "{horizon_days}" not in text


def test_only_the_page_is_served(page):
    reader = TestClient(pages_of(page))
    assert reader.get("/?g_v=1").content == page.read_bytes()
    assert reader.get("/manifest.json").status_code == 404


def test_before_the_first_run_the_columns_are_there_without_their_types(make_baton, tmp_path):
    dbt = make_baton(tmp_path).resources["dbt"]
    text = write_docs(dbt).read_text(encoding="utf-8")
    assert "Whom to win back now" in text
    assert not (tmp_path / "warehouse.duckdb").exists()
