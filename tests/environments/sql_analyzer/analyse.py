"""Ask Google's own analyzer of GoogleSQL whether statements are legal. Run by its own interpreter.

Reads JSON from standard input: `tables` (name of three parts: column: type of BigQuery) and `statements` (name: SQL).
Writes JSON: what is wrong with each statement, null for a legal one. An emulator on another engine accepts more than
BigQuery does (`::`, `filter (where …)`, reserved words as names, a date compared with a timestamp); this does not.
"""

import json
import re
import sys
from pathlib import Path

from wasmtime import Config
from zetasql.api import Analyzer, CatalogBuilder, TableBuilder
from zetasql.core import wasm_client
from zetasql.types import AnalyzerOptions, LanguageOptions, ProductMode, TypeKind, ZetaSQLBuiltinFunctionOptions

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

# The analyzer's catalog is flat: a table's three names become one, and so do `schema.table`.
THREE_NAMES = re.compile(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`")


CACHE = Path(sys.prefix) / "compiled"


class Quick(Config):
    """The analyzer is WebAssembly: compiling it takes a minute, so it is done plainly and once."""

    def __init__(self) -> None:
        super().__init__()
        self.cranelift_opt_level = "none"
        settings = Path(sys.prefix) / "cache.toml"
        settings.write_text(f"[cache]\ndirectory = {json.dumps(str(CACHE))}\n")
        self.cache = str(settings)


def main() -> None:
    """Answer one request."""
    wasm_client.Config = Quick
    asked = json.load(sys.stdin)
    language = LanguageOptions.maximum_features()
    # As BigQuery: its type names, not those of the analyzer's first users.
    language.product_mode = ProductMode.PRODUCT_EXTERNAL
    catalog = CatalogBuilder("bigquery")
    for name, columns in asked["tables"].items():
        table = TableBuilder(name)
        for column, kind in columns.items():
            table = table.add_column(column, KINDS[kind])
        catalog = catalog.add_table(table.build())
    known = catalog.with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language_options=language)).build()
    analyzer = Analyzer(AnalyzerOptions(language_options=language), known)
    plain = re.compile(r"(?<![\w.`])(" + "|".join(map(re.escape, asked["tables"])) + r")(?![\w`.])")
    answers = {}
    for name, statement in asked["statements"].items():
        try:
            flat = THREE_NAMES.sub(r"`\1.\2.\3`", statement)
            analyzer.analyze_statement(plain.sub(r"`\1`", flat) if asked["tables"] else flat)
            answers[name] = None
        except Exception as error:  # noqa: BLE001 - the analyzer has one class of exceptions for itself and one for SQL
            answers[name] = str(error)[:600] or type(error).__name__
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
