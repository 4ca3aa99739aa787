"""dbt's documentation of the canonical models, fitted to a company: its parts, its departments, its windows.

In the `.yml` files of `dbt_project/models` stand, beside what dbt knows:

- `{horizon_days}` and the other numbers of the question, in names and texts;
- `config.meta.part` of a model, a column or a test: it goes where the company lacks the part;
- `config.meta.each` of a column: it stands for one column each of `departments`, `trip_departments`, `attributes`,
  `shown_attributes`, whose name takes the place of `{each}`;
- `config.meta.features` of a model: its columns are the features of the problem's catalogue.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from resources.company.model import Company


def fitted(text: str, company: Company, values: dict[str, Any]) -> str:
    """Return the text of a `.yml` file for a company; `values` are its dbt variables. Empty if nothing is left."""
    import yaml  # type: ignore[import-untyped]

    content = yaml.safe_load(_numbers(text, values))
    for kind in ("models", "sources", "exposures"):
        kept = [one for one in content.get(kind, []) if _is_there(one, company)]
        for one in kept:
            for table in one.get("tables", [one]):
                _fit(table, company)
        if kind in content:
            content[kind] = kept
    if not any(content.get(kind) for kind in ("models", "sources", "exposures", "groups", "unit_tests")):
        return ""
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def _numbers(text: str, values: dict[str, Any]) -> str:
    """Put the question's numbers in; other braces are dbt's."""
    return re.sub(r"(?<!\{)\{(\w+_days|periods)\}(?!\})", lambda found: str(values[found[1]]), text)


def _is_there(one: dict[str, Any], company: Company) -> bool:
    part = _meta(one).get("part")
    return part is None or part in company.parts


def _meta(one: Any) -> dict[str, Any]:
    return dict((one.get("config") or {}).get("meta") or {}) if isinstance(one, dict) else {}


def _fit(model: dict[str, Any], company: Company) -> None:
    """Take away what the company lacks, and write out what it has several of."""
    columns = model.get("columns", [])
    if _meta(model).get("features"):
        columns = [*columns, *_features(company)]
    columns = [written for column in columns if _is_there(column, company) for written in _each(column, company)]
    if columns:
        model["columns"] = columns
    if "data_tests" in model:
        model["data_tests"] = [test for test in model["data_tests"] if _is_there(_of_test(test), company)]
        for test in model["data_tests"]:
            arguments = _of_test(test).get("arguments", {})
            if arguments.get("columns") == "features":
                arguments["columns"] = [one["name"] for one in _features(company) if not one["nullable"]]
    for column in columns:
        column.pop("nullable", None)


def _of_test(test: Any) -> dict[str, Any]:
    return next(iter(test.values())) if isinstance(test, dict) else {}


def _each(column: dict[str, Any], company: Company) -> Iterator[dict[str, Any]]:
    each = _meta(column).get("each")
    if each is None:
        yield column
        return
    told: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "departments": lambda: [(one.name, one.label or one.name) for one in company.departments],
        "trip_departments": lambda: [(one.name, one.label or one.name) for one in company.departments if one.trips],
        "attributes": lambda: [(name, name) for name in company.attributes],
        "shown_attributes": lambda: [(name, name) for name in company.attributes[:3]],
    }
    for name, label in told[each]():
        yield {
            "name": column["name"].replace("{each}", name),
            "description": column["description"].replace("{each}", label),
        }


def _features(company: Company) -> list[dict[str, Any]]:
    from ml_models.problems.lapse.features import catalogue

    found = catalogue(company.question.asked, company.parts, company.department_shares)
    return [
        {"name": feature.name, "description": feature.description, "nullable": feature.nullable}
        for feature in found.values()
    ]
