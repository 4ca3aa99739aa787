"""Faults in canonical terms: each company has those that its parts allow, under its own names."""

from datetime import date
from typing import Any

import duckdb
import pytest

from drills.canonical import LackingError, meant
from drills.faults import BENIGN, FAULTS
from ml_models.faults import perturbed_sql
from ml_models.monitoring.types import Perturbation
from resources.company import Company

SHOP: dict[str, Any] = {
    "title": "Shop",
    "order_lines": {
        "table": "bons",
        "customer": "Kunde Nr",
        "time": {"column": "Datum", "format": "%d.%m.%y %H:%M", "zone": "UTC"},
        "amount": {"column": "Betrag", "format": ","},
        "product": "Artikel",
    },
    "time": {"zone": "Europe/Berlin"},
    "products": {"table": "liste", "product": "Nummer", "category": "Gruppe"},
    "tables": {"bons": {"source": "csv:bons.csv"}, "liste": {"source": "csv:liste.csv"}},
}


def told(**fields: Any) -> dict[str, Any]:
    """Return a fault of one perturbation of the order lines, as the shop has it."""
    entry = {"words": "w", "perturbations": [{"table": "{order_lines}", **fields}]}
    found: dict[str, Any] = meant(entry, Company.model_validate(SHOP))["perturbations"][0]
    return found


def test_tables_and_columns_are_called_as_the_company_calls_them() -> None:
    assert told(operation="scale", column="{amount}", value=100.0) == {
        "table": "raw/bons",
        "operation": "scale",
        "column": "betrag",
        "value": 100.0,
    }
    assert told(operation="rename_column", column="{amount}", value="{amount}_gross")["value"] == "betrag_gross"


def test_a_column_in_sql_is_read_where_the_table_is_and_one_of_another_table_is_read_here() -> None:
    where = "{product} in (select {listed_product} from {products}) and {time} < {first_day}"
    assert told(operation="drop", where=where)["where"] == (
        '{artikel} in (select "Nummer" from raw.liste) and {datum} < {first_day}'
    )
    listed = {"table": "{products}", "operation": "freeze", "where": "x < (select max({time}) from {order_lines})"}
    found = meant({"perturbations": [listed]}, Company.model_validate(SHOP))["perturbations"][0]
    assert "try_strptime" in found["where"]


def test_a_fault_that_needs_what_the_company_lacks_is_left_out_with_the_reason() -> None:
    with pytest.raises(LackingError, match=r"needs \{store\}, and the company's file names none"):
        told(operation="drop", per="{store}", rate=0.3)
    with pytest.raises(LackingError, match="a CSV file has none"):
        meant({"needs": ["types"]}, Company.model_validate(SHOP))
    with pytest.raises(LackingError, match="it needs stores, which"):
        meant({"needs": ["stores"]}, Company.model_validate(SHOP))


def test_an_optional_term_that_is_absent_leaves_out_what_holds_it() -> None:
    assert "column" not in told(operation="thin", column="{order?}", value=0.3)
    doubled = told(operation="duplicate", value={"{amount}": "-{amount}", "{quantity?}": "-{quantity}"})
    assert doubled["value"] == {"betrag": "-{betrag}"}
    assert told(operation="add_entities", per="{customer}", value=["{order?}"])["value"] == []


def test_a_term_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"no term \{custmer\}. Did you mean \{customer\}\?"):
        told(operation="rekey", column="{custmer}")
    with pytest.raises(ValueError, match="`needs` out of"):
        meant({"needs": ["shops"]}, Company.model_validate(SHOP))


def test_the_question_stands_in_words_and_in_edits_of_models() -> None:
    company = Company.model_validate({**SHOP, "question": {"horizon_days": 56}})
    edit = {"find": "a", "replace": "day + {early_days}"}
    entry = {"words": "day {early_days} of {horizon_days}", "perturbations": [{"table": "outcomes/x", "value": edit}]}
    entry["perturbations"][0]["operation"] = "edit_model"  # type: ignore[index]
    found = meant(entry, company)
    assert found["words"] == "day 28 of 56"
    assert found["perturbations"][0]["value"]["replace"] == "day + 28"


def test_faults_for_every_company_name_no_table_and_no_column_of_one() -> None:
    for file in (FAULTS, BENIGN):
        assert '"raw/' not in file.read_text()


def test_in_sql_a_column_in_braces_is_its_value_and_local_time_the_clock_of_the_shops() -> None:
    where = "{paid} > 5 and {local_time} < {first_day} and who in (select who from {table})"
    perturbation = Perturbation("raw/sales", "drop", where=where, first_day=date(2024, 1, 8))
    with duckdb.connect() as connection:
        connection.execute(
            "create table sales as select * from (values ('a', 9, timestamp '2024-01-01'), ('b', 4, "
            "timestamp '2024-01-01'), ('c', 9, timestamp '2024-02-01')) as t (who, paid, bought)"
        )
        columns = {"who": "VARCHAR", "paid": "INTEGER", "bought": "TIMESTAMP"}
        # Rows before first_day are not hit whatever `where` says; here it says the opposite.
        left = connection.execute(perturbed_sql(perturbation, columns, "bought", "sales")).fetchall()
    assert [row[0] for row in left] == ["a", "b", "c"]
