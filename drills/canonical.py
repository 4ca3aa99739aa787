"""Canonical terms in fault files: `{order_lines}`, `{customer}`, `{amount}` are whatever the company calls them.

A fault is written once, for every company. What it names and a company lacks leaves it out, with the reason.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from resources.company import reading
from resources.company.model import PARTS, Column, Company
from resources.company.staging import arrived_column
from resources.tables.times import plain

TERM = re.compile(r"\{([a-z_]+)(\??)\}")

LEFT = frozenset({"table", "first_day", "last_day", "local_time", "morning"})
"""Names that stand for something of the perturbation itself (ml_models/faults), whatever the company."""

OF_LINES = ("customer", "order", "time", "amount", "product", "store", "quantity", "discount", "coupon", "returned")
OF_PRODUCTS = ("department", "category", "product_type", "private_label")

TYPES = "types"
"""What a fault may need besides the parts of a company: raw columns with types of their own, not the text of a file."""


class LackingError(ValueError):
    """The company has no such thing; the message is the reason, as the end of a sentence."""


class _AbsentError(Exception):
    """An optional term (`{store?}`) that the company lacks: what holds it is left out."""


def meant(entry: Any, company: Company) -> Any:
    """Return a fault as its file says it, with the company's own names.

    Raises:
        LackingError: it needs what the company lacks.
        ValueError: there is no such term.
    """
    if not isinstance(entry, Mapping):
        return entry
    _refuse_lacking(entry.get("needs", []), company)
    terms = _terms(company)
    found = {name: value for name, value in entry.items() if name != "needs"}
    if isinstance(found.get("words"), str):
        found["words"] = _filled(found["words"], terms, "word")
    if isinstance(found.get("perturbations"), list):
        found["perturbations"] = [_perturbation(one, company, terms) for one in found["perturbations"]]
    expected = found.get("expected")
    if isinstance(expected, Mapping):
        found["expected"] = {
            name: _deep(value, terms, "asset") if name == "first_bad_asset" else value
            for name, value in expected.items()
        }
    return found


def _refuse_lacking(needs: object, company: Company) -> None:
    if not isinstance(needs, list) or not all(isinstance(one, str) for one in needs):
        raise ValueError(f"expected `needs` to be a list of parts of a company; got {needs!r}.")
    known = PARTS | {TYPES}
    for part in needs:
        if part not in known:
            raise ValueError(f"expected `needs` out of {', '.join(sorted(known))}; got {part!r}.")
        if part == TYPES and _is_text(company, company.order_lines.table):
            raise LackingError("it needs columns with types, and a CSV file has none")
        if part != TYPES and part not in company.parts:
            raise LackingError(f"it needs {part.replace('_', ' ')}, which this company does not have")


def _perturbation(entry: Any, company: Company, names: Mapping[str, Mapping[str, str]]) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    terms = names
    if isinstance(entry.get("table"), str):
        terms = _terms(company, _filled(entry["table"], names, "asset").removeprefix("raw/"))
    found: dict[str, Any] = {}
    for name, value in entry.items():
        form = {"table": "asset", "column": "name", "per": "name", "where": "sql"}.get(name)
        try:
            if form:
                found[name] = _deep(value, terms, form)
            else:
                found[name] = _value(entry.get("operation"), value, terms) if name == "value" else value
        except _AbsentError:
            continue
    return found


def _value(operation: object, value: Any, terms: Mapping[str, Mapping[str, str]]) -> Any:
    """Return a perturbation's `value`: names of columns, or expressions; renamed values are the data's own."""
    if operation == "map_values":
        return value
    if isinstance(value, Mapping) and set(value) == {"sql"}:
        return {"sql": _deep(value["sql"], terms, "sql")}
    if isinstance(value, Mapping) and operation == "duplicate":
        kept = {}
        for column, expression in value.items():
            try:
                name = _filled(column, terms, "name")
            except _AbsentError:
                continue
            kept[name] = _deep(expression, terms, "sql")
        return kept
    if operation == "edit_model":
        return [_deep(one, terms, "word") for one in value] if isinstance(value, list) else _deep(value, terms, "word")
    if isinstance(value, list):
        return [one for one in (_optional(item, terms) for item in value) if one is not None]
    return _deep(value, terms, "name")


def _optional(item: Any, terms: Mapping[str, Mapping[str, str]]) -> Any:
    try:
        return _deep(item, terms, "name")
    except _AbsentError:
        return None


def _deep(value: Any, terms: Mapping[str, Mapping[str, str]], form: str) -> Any:
    if isinstance(value, str):
        return _filled(value, terms, form)
    if isinstance(value, list):
        return [_deep(one, terms, form) for one in value]
    if isinstance(value, Mapping):
        return {name: _deep(one, terms, form) for name, one in value.items()}
    return value


def _filled(text: str, terms: Mapping[str, Mapping[str, str]], form: str) -> str:
    def one(found: re.Match[str]) -> str:
        name, optional = found.groups()
        if name in LEFT:
            return found[0]
        if name not in _NAMES:
            close = difflib.get_close_matches(name, [*_NAMES, *LEFT], n=1)
            hint = f" Did you mean {{{close[0]}}}?" if close else ""
            raise ValueError(f"there is no term {{{name}}}.{hint} There are {', '.join([*_NAMES, *sorted(LEFT)])}.")
        if name not in terms:
            if optional:
                raise _AbsentError(name)
            raise LackingError(f"it needs {{{name}}}, and the company's file names none")
        return terms[name].get(form) or terms[name]["name"]

    return TERM.sub(one, text)


_NAMES = (
    *("order_lines", "products", "customers"),
    *OF_LINES,
    "arrived",
    "listed_product",
    *OF_PRODUCTS,
    *("horizon_days", "early_days"),
)
"""Every term that a fault file may use in braces; docs/drill.md says what each is."""


def _terms(company: Company, perturbed: str = "") -> dict[str, dict[str, str]]:
    """Return the terms that the company has, each by the form in which it is written: name, asset, sql.

    `perturbed`: the raw table whose perturbation speaks of them.
    """
    lines, products, customers = company.order_lines, company.products, company.customers
    found: dict[str, dict[str, str]] = {}

    def table(term: str, name: str) -> None:
        found[term] = {"name": name, "asset": f"raw/{name}", "sql": f"raw.{name}"}

    def column(term: str, of: str, given: Column) -> None:
        name = given.column.lower() if of in company.tables else given.column
        # In SQL it stays in braces: how it is read is known where the table is (resources/tables/forms.py).
        found[term] = {"name": name, "sql": f"{{{name}}}" if of == perturbed else _elsewhere(company, of, term, given)}

    table("order_lines", lines.table)
    for term in OF_LINES:
        given: Column | None = getattr(lines, term)
        if given is not None:
            column(term, lines.table, given)
    column("arrived", lines.table, plain(arrived_column(company, lines.table)))
    if products is not None:
        if products.table and products.product:
            table("products", products.table)
            column("listed_product", products.table, products.product)
        for term in OF_PRODUCTS:
            given = getattr(products, term)
            if given is not None:
                column(term, products.table or lines.table, given)
    if customers is not None:
        table("customers", customers.table)
    asked = company.question.asked
    found["horizon_days"] = {"name": str(asked.horizon_days)}
    found["early_days"] = {"name": str(asked.early_days)}
    return found


def _elsewhere(company: Company, table: str, term: str, column: Column) -> str:
    """Return the SQL of a column of a raw table that is not the perturbed one; of text, its time or number."""
    if table in company.tables and term == "time":
        return reading.local_time(column, company.time.zone, "duckdb")
    if table in company.tables and term in ("amount", "quantity", "discount", "coupon"):
        return reading.number(column, "duckdb")
    return reading.quoted(column.column, "duckdb")


def _is_text(company: Company, table: str) -> bool:
    declared = company.tables.get(table)
    return declared is not None and declared.source.startswith("csv:")
