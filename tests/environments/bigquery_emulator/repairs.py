"""Make the installed emulator run on Python 3.11 and answer three things as BigQuery does. Run by its own interpreter.

Each repair names the text it expects and fails if it is not there: another version of the emulator needs another look.
"""

import os
import sys
from pathlib import Path

import duckdb

EMULATOR = Path(duckdb.__file__).parent.parent / "local_bigquery"

# Type parameters in brackets and quotes within an f-string's braces are syntax of Python 3.12.
NEWER_SYNTAX = {
    "catalog/metadata.py": [
        ("def list_[R: Resource](model: type[R], *keys: str) -> list[R]:", "def list_(model, *keys):"),
        ("def load[R: Resource](model: type[R], *keys: str) -> R | None:", "def load(model, *keys):"),
        ("def save[R: Resource](resource: R, *keys: str) -> R:", "def save(resource, *keys):"),
    ],
    "engine/results.py": [
        (
            """f"THEN error('{message.replace("'", "''")}') ELSE {expression} END\"""",
            """"THEN error('" + message.replace("'", "''") + f"') ELSE {expression} END\"""",
        )
    ],
}

# When a table was made and its rows last changed: the lake that the emulator keeps them in notes each change.
TIMES = """

def _times(project_id: str, dataset_id: str, table_id: str) -> dict[str, str]:
    lake = quote(f"__ducklake_metadata_{project_id}")
    [(made, changed)] = database.fetch(
        "SELECT epoch_ms(min(m.snapshot_time)), epoch_ms(max(s.snapshot_time)) "
        f"FROM {lake}.ducklake_table t "
        f"JOIN {lake}.ducklake_schema n ON n.schema_id = t.schema_id AND n.end_snapshot IS NULL "
        f"JOIN {lake}.ducklake_snapshot m ON m.snapshot_id = t.begin_snapshot "
        f"JOIN {lake}.ducklake_snapshot_changes c ON c.snapshot_id = t.begin_snapshot "
        "OR regexp_matches(c.changes_made, '_table:' || t.table_id || '(,|$)') "
        f"JOIN {lake}.ducklake_snapshot s ON s.snapshot_id = c.snapshot_id "
        "WHERE t.end_snapshot IS NULL AND n.schema_name = ? AND t.table_name = ?",
        [dataset_id, table_id],
    )
    return {"creationTime": str(made), "lastModifiedTime": str(changed)} if made else {}
"""

ANSWERS = {
    # A job that creates a table by a query has that table as its destination; dbt counts the rows there.
    "jobs/runner.py": [
        (
            "    if destination:\n        config.destinationTable = destination\n",
            "    if not destination and statistics.statementType == 'CREATE_TABLE_AS_SELECT':\n"
            "        destination = statistics.ddlTargetTable\n"
            "    if destination:\n        config.destinationTable = destination\n",
        )
    ],
    "catalog/tables.py": [
        (
            "def logical_bytes(rows: int, columns: int) -> int:\n    return rows * columns * 8\n",
            "def logical_bytes(rows: int, columns: int) -> int:\n    return rows * columns * 8\n" + TIMES,
        ),
        (
            "    resource = stored or defaults(project_id, dataset_id, table_id)\n    actual = ",
            "    resource = stored or defaults(project_id, dataset_id, table_id)\n"
            "    times = _times(project_id, dataset_id, table_id)\n"
            "    resource = resource.replace(**times | ({'creationTime': stored.creationTime} if stored else {}))\n"
            "    actual = ",
        ),
    ],
    # `set (a) = (select as struct …)`: how dbt remembers which partitions it replaces.
    "sql/script.py": [
        (
            "            targets = target.expressions if isinstance(target, exp.Tuple) else [target]\n",
            "            if isinstance(target, exp.Paren):\n"
            "                target = exp.Tuple(expressions=[target.this])\n"
            "                query = value.unnest()\n"
            "                if isinstance(query, exp.Select) and query.args.get('kind') == 'STRUCT':\n"
            "                    query.set('kind', None)\n"
            "            targets = target.expressions if isinstance(target, exp.Tuple) else [target]\n",
        )
    ],
}


def main() -> None:
    """Apply what is not applied yet, and unpack the extensions of DuckDB that the emulator loads."""
    for repairs in (NEWER_SYNTAX, ANSWERS):
        for name, pairs in repairs.items():
            file = EMULATOR / name
            text = file.read_text()
            for found, wanted in pairs:
                if wanted in text:
                    continue
                if text.count(found) != 1:
                    sys.exit(f"{name}: expected this text once: {found[:70]!r}")
                text = text.replace(found, wanted)
            file.write_text(text)
    # Beside the environment, not in the home of whoever runs the tests.
    os.environ["HOME"] = str(Path(sys.prefix))
    from duckdb_extensions import import_extension

    for extension in ("icu", "ducklake", "spatial"):
        import_extension(extension)


if __name__ == "__main__":
    main()
