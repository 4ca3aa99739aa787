"""Whoever asks what a table is finds it on one page: each table, its columns and their types, and the model."""

import threading
import urllib.error
import urllib.request

import pytest
from support.copies import copy_home

from commands.docs import server, write_docs


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
    with server(page, 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{serving.server_address[1]}"
        try:
            with urllib.request.urlopen(f"{address}/?g_v=1", timeout=10) as answer:
                assert answer.read() == page.read_bytes()
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/manifest.json", timeout=10)
        finally:
            serving.shutdown()


def test_before_the_first_run_the_columns_are_there_without_their_types(make_baton, tmp_path):
    dbt = make_baton(tmp_path).resources["dbt"]
    text = write_docs(dbt).read_text(encoding="utf-8")
    assert "Whom to win back now" in text
    assert not (tmp_path / "warehouse.duckdb").exists()
