"""Write the pages of a company's file and of the canonical tables, and the JSON schema.

They are read off `resources/company/{model,canonical}.py`. A test holds them to it: change the model, not the page.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resources.company.canonical import TABLES, TYPES
from resources.company.model import Company

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/company_fields.md")
SCHEMA = Path("companies/company.schema.json")
TABLES_PAGE = Path("docs/canonical_tables.md")

HEADINGS = {
    "OrderLines": "order_lines",
    "Connector": "airbyte",
}
"""The heading of a model; of the others their name in small letters."""


def schema() -> str:
    """Return the JSON schema of a company's file."""
    found = Company.model_json_schema()
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"


def page() -> str:
    """Return the page: a table a part of the file."""
    whole = Company.model_json_schema()
    lines = [
        "# Fields of a company's file",
        "",
        "Every field that `companies/<name>/company.toml` may have. `python -m tools.company_fields` writes this page "
        "and",
        f"[the JSON schema](../{SCHEMA}) from the model in the code. Unknown fields are refused.",
    ]
    for name, model in {"the file": whole, **whole["$defs"]}.items():
        heading = "The file" if name == "the file" else HEADINGS.get(name, name.lower())
        about = " ".join(str(model.get("description", "")).split())
        lines += ["", f"## {heading}", "", *([about, ""] if about else [])]
        lines += ["| field | what it may be | default | meaning |", "|---|---|---|---|"]
        needed = model.get("required", [])
        for field, said in model.get("properties", {}).items():
            default = (
                "**needed**" if field in needed else f"`{json.dumps(said['default'])}`" if _has_default(said) else ""
            )
            meaning = " ".join(str(said.get("description", "")).split())
            lines.append(f"| `{field}` | {_cell(' or '.join(_kinds(said)))} | {default} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _has_default(said: dict[str, Any]) -> bool:
    return said.get("default") not in (None, "", [], {})


def _kinds(said: dict[str, Any]) -> Iterator[str]:
    if "$ref" in said:
        name = said["$ref"].rsplit("/", 1)[-1]
        heading = HEADINGS.get(name, name.lower())
        yield f"[{heading}](#{heading.lower().replace(' ', '-')})"
    elif "enum" in said:
        yield ", ".join(f"`{one}`" for one in said["enum"])
    elif "const" in said:
        yield f"`{said['const']}`"
    elif "anyOf" in said:
        for one in said["anyOf"]:
            if one.get("type") != "null":
                yield from _kinds(one)
    elif said.get("type") == "array":
        yield "a list of " + " or ".join(_kinds(said["items"]))
    elif said.get("type") == "object":
        values = said.get("additionalProperties")
        yield f"by name: {' or '.join(_kinds(values))}" if isinstance(values, dict) else "names and values"
    else:
        yield _plain(said)


def _plain(said: dict[str, Any]) -> str:
    words = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    formats = {"date": "a date", "date-time": "an instant"}
    limits = [
        f"{word} {said[key]}"
        for key, word in (
            ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("multipleOf", "a multiple of")
        )
        if key in said
    ]  # fmt: skip
    kind = formats.get(said.get("format", "")) or words.get(said.get("type", ""), "anything")
    shape = f" like `{said['pattern']}`" if "pattern" in said else ""
    return kind + shape + (f" ({', '.join(limits)})" if limits else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def tables_page() -> str:
    """Return the page of the canonical tables: the contract that staging keeps."""
    lines = [
        "# Canonical tables",
        "",
        "What staging must give, whatever the source. Everything behind it knows these names only. A company's file",
        "makes `stg_order_lines`, `stg_products`, `stg_customers` and `stg_calls`. A model of the same name in",
        "`companies/<name>/staging/` takes the place of the one that is made. What is not known is null.",
        "`python -m tools.company_fields` writes this page from the code.",
    ]
    for table in TABLES:
        part = f" Where the company has {table.part}." if table.part else " Every company has it."
        own = " Columns of your own may stand beside these." if table.open else ""
        lines += ["", f"## {table.name}", "", f"{table.description}{part}{own}", ""]
        lines += ["| column | DuckDB | BigQuery | may be null | meaning |", "|---|---|---|---|---|"]
        for column in table.columns:
            kinds = TYPES[column.kind]
            null = "no" if column.needed else "yes"
            lines.append(
                f"| `{column.name}` | {kinds['duckdb']} | {kinds['bigquery']} | {null} | {_cell(column.description)} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages and the schema."""
    for file, text in ((PAGE, page()), (SCHEMA, schema()), (TABLES_PAGE, tables_page())):
        (ROOT / file).write_text(text, encoding="utf-8")
        print(f"{file} is written")


if __name__ == "__main__":
    main()
