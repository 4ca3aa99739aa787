"""Ask Google's own analyzer of GoogleSQL whether statements are legal, and its reference implementation what they give.

Run by its own interpreter. Reads a request of JSON a line from standard input, and answers a line each:

- `tables` (name: column: type of BigQuery) and `functions` (name: `argument`, `body`) are what a statement may name;
- `statements` (name: SQL): what is wrong with each, null for a legal one;
- `rows` (table: lists of cells) and `query`: the query's columns, with types, and rows;
- `define`: the parts of a statement that creates a function, as Google's parser found them.

An emulator on another engine accepts more than BigQuery does (`::`, `filter (where …)`, reserved words as names, a date
compared with a timestamp); this does not.
"""

import json
import re
import sys
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from wasmtime import Config
from zetasql.api import CatalogBuilder, PreparedQuery, TableBuilder, create_table_content
from zetasql.core import wasm_client
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import (
    AnalyzerOptions,
    Function,
    FunctionArgumentType,
    FunctionEnums,
    FunctionSignature,
    LanguageOptions,
    ParseResumeLocation,
    ProductMode,
    ResolvedASTRewrite,
    SignatureArgumentKind,
    SimpleCatalog,
    TypeKind,
    Value,
    ZetaSQLBuiltinFunctionOptions,
)

KINDS = {
    "INT64": TypeKind.TYPE_INT64,
    "FLOAT64": TypeKind.TYPE_DOUBLE,
    "STRING": TypeKind.TYPE_STRING,
    "BOOL": TypeKind.TYPE_BOOL,
    "DATE": TypeKind.TYPE_DATE,
    "DATETIME": TypeKind.TYPE_DATETIME,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
    "NUMERIC": TypeKind.TYPE_NUMERIC,
    "JSON": TypeKind.TYPE_JSON,
}

CELLS = {
    "INT64": "int64_value",
    "FLOAT64": "double_value",
    "STRING": "string_value",
    "BOOL": "bool_value",
    "DATE": "date_value",
}
"""Where a value of a type is kept; others are not given back."""

FIRST_DAY = date(1970, 1, 1)
"""Of which a day is kept as a number; a request and an answer have it as text."""

THREE_NAMES = re.compile(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`")
TWO_NAMES = re.compile(r"(?<![\w`.])`([^`.]+)`\.`([^`.]+)`(?![\w`.])")


CACHE = Path(sys.prefix) / "compiled"


class Quick(Config):
    """The analyzer is WebAssembly: compiling it takes a minute, so it is done plainly and once."""

    def __init__(self) -> None:
        super().__init__()
        self.cranelift_opt_level = "none"
        settings = Path(sys.prefix) / "cache.toml"
        settings.write_text(f"[cache]\ndirectory = {json.dumps(str(CACHE))}\n")
        self.cache = str(settings)


class Request:
    """What one request may name, and the language as BigQuery speaks it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.tables: dict[str, dict[str, str]] = asked.get("tables", {})
        self.language = LanguageOptions.maximum_features()
        # As BigQuery: its type names, not those of the analyzer's first users.
        self.language.product_mode = ProductMode.PRODUCT_EXTERNAL
        catalog = CatalogBuilder("bigquery")
        for name, columns in self.tables.items():
            table = TableBuilder(name)
            for column, kind in columns.items():
                table = table.add_column(column, KINDS[kind])
            catalog = catalog.add_table(table.build())
        builtin = ZetaSQLBuiltinFunctionOptions(language_options=self.language)
        self.catalog = catalog.with_builtin_functions(builtin).build()
        for name, function in asked.get("functions", {}).items():
            *folders, last = name.split(".")
            folder = self.catalog
            for one in folders:
                folder = inside(folder, one)
            folder.custom_function.append(templated(last, **function))
        names = "|".join(map(re.escape, self.tables))
        self.plain = re.compile(rf"(?<![\w.`])({names})(?![\w`.])")

    def flat(self, statement: str) -> str:
        """Return a statement with each table's names as one: the reference implementation reads flat catalogs only."""
        if not self.tables:
            return statement
        known = set(self.tables)

        def one_name(found: re.Match[str]) -> str:
            name = ".".join(found.groups())
            return f"`{name}`" if name in known else found.group(0)

        named = TWO_NAMES.sub(one_name, THREE_NAMES.sub(one_name, statement))
        return self.plain.sub(r"`\1`", named)

    @cached_property
    def registered(self) -> int:
        """The catalog's number with the analyzer: given whole with every statement, it takes five times as long."""
        service = ZetaSqlLocalService.get_instance()
        return int(service.register_catalog(simple_catalog=self.catalog).registered_id)

    def forget(self) -> None:
        """Take the catalog away from the analyzer again."""
        if "registered" in vars(self):
            ZetaSqlLocalService.get_instance().unregister_catalog(registered_id=self.registered)

    def analyse(self, statement: str) -> Any:
        """Return the resolved statement."""
        service = ZetaSqlLocalService.get_instance()
        return service.analyze(
            sql_statement=self.flat(statement),
            options=AnalyzerOptions(language_options=self.language),
            registered_catalog_id=self.registered,
        ).resolved_statement

    def against(self, statement: str) -> str | None:
        """Return what is wrong with a statement."""
        try:
            self.analyse(statement)
        except Exception as error:  # noqa: BLE001 - one class of exceptions for the analyzer itself and for SQL
            return str(error)[:600] or type(error).__name__
        return None

    def defined(self, statement: str) -> dict[str, Any] | None:
        """Return name, arguments, body and description of the function that a statement creates; None for others."""
        found = self.analyse(statement)
        if type(found).__name__ != "ResolvedCreateFunctionStmt":
            return None
        texts = {one.name: one.value.value.value.string_value for one in found.option_list}
        return {
            "name": list(found.name_path),
            "arguments": list(found.argument_name_list),
            "body": found.code,
            "replaces": found.create_mode.name == "CREATE_OR_REPLACE",
            "description": texts.get("description", ""),
        }

    def run(self, query: str, rows: dict[str, list[list[Any]]]) -> dict[str, Any]:
        """Return the query's columns and rows, by the reference implementation."""
        options = AnalyzerOptions(language_options=self.language)
        # It knows no functions of others: their bodies are put in their place, as the language defines them.
        options.enabled_rewrites = [ResolvedASTRewrite.REWRITE_INLINE_SQL_FUNCTIONS]
        contents = {name: self.content(name, given) for name, given in rows.items()}
        prepared = PreparedQuery.builder().set_sql(self.flat(query)).set_analyzer_options(options)
        named = {kind: name for name, kind in KINDS.items()}
        with prepared.set_catalog(self.catalog).set_table_content(contents).prepare() as ready:
            columns = [(one.name, named[one.type.type_kind]) for one in ready.columns]
            found = ready.execute().content.table_data.row
        cells = [CELLS[kind] for _, kind in columns]
        return {
            "columns": columns,
            "rows": [[given_back(cell, kept) for cell, kept in zip(row.cell, cells, strict=True)] for row in found],
        }

    def content(self, table: str, rows: list[list[Any]]) -> Any:
        """Return the rows of a table as the reference implementation reads them."""
        made = create_table_content(rows)
        days = [place for place, kind in enumerate(self.tables[table].values()) if kind == "DATE"]
        for row in made.table_data.row:
            for place in days:
                text = row.cell[place].string_value
                if text is not None:
                    row.cell[place] = Value(date_value=(date.fromisoformat(text) - FIRST_DAY).days)
        return made


def given_back(cell: Any, kept: str) -> Any:
    """Return a cell as an answer has it."""
    value = getattr(cell, kept)
    return str(FIRST_DAY + timedelta(days=value)) if kept == "date_value" and value is not None else value


def inside(folder: SimpleCatalog, name: str) -> SimpleCatalog:
    """Return the catalog of a name within another; made if it is not there."""
    for one in folder.catalog:
        if one.name == name:
            return one
    made = SimpleCatalog(name=name, table=[])
    folder.catalog.append(made)
    return made


def templated(name: str, argument: str, body: str) -> Function:
    """Return a function with an argument of any type: its body is resolved where it is called."""
    anything = FunctionArgumentType(kind=SignatureArgumentKind.ARG_TYPE_ARBITRARY, num_occurrences=1)
    return Function(
        name_path=[name],
        group="Templated_SQL_Function",
        mode=FunctionEnums.Mode.SCALAR,
        signature=[FunctionSignature(argument=[anything], return_type=anything)],
        parse_resume_location=ParseResumeLocation(input=body, byte_position=0, allow_resume=False),
        templated_sql_function_argument_name=[argument],
    )


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer one request."""
    request = Request(asked)
    answers: dict[str, Any] = {
        "statements": {name: request.against(statement) for name, statement in asked.get("statements", {}).items()}
    }
    try:
        if "define" in asked:
            answers["defined"] = request.defined(asked["define"])
        if "query" in asked:
            answers |= request.run(asked["query"], asked.get("rows", {}))
    except Exception as error:  # noqa: BLE001 - as above
        answers["error"] = str(error)[:600] or type(error).__name__
    request.forget()
    return answers


def main() -> None:
    """Answer until standard input ends."""
    wasm_client.Config = Quick
    for line in sys.stdin:
        # Infinities and not-a-number are cells like others: Python's JSON on both sides knows them.
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
