"""dbt's data tests as checks: what each one says in words, and that none of them is lost on the way into the graph."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID


def said(test: Mapping[str, Any]) -> str:
    """Return what a test holds true: its own description, or else a sentence made of its kind and arguments.

    `test` is its node of the manifest.
    """
    written = test.get("description") or test.get("config", {}).get("meta", {}).get("description")
    if written:
        return str(written)
    kind = test.get("test_metadata") or {}
    given: Mapping[str, Any] = kind.get("kwargs") or {}
    column = f"`{given.get('column_name') or test.get('column_name') or ''}`"
    columns = ", ".join(f"`{one}`" for one in given.get("columns", ()))
    made = {
        "not_null": f"{column} is never null.",
        "unique": f"{column} holds every value once.",
        "unique_combination": f"{columns} together hold every combination once.",
        "accepted_values": f"{column} holds nothing but {', '.join(map(str, given.get('values', ())))}.",
        "relationships": f"Every {column} is a `{given.get('field')}` of {_table(given.get('to'))}.",
    }
    return made.get(str(kind.get("name")), f"dbt test `{test['name']}` finds no row ({test['original_file_path']}).")


def _table(reference: object) -> str:
    """Return the table's name out of `ref('orders')`."""
    return f"`{str(reference).split(chr(39))[-2]}`" if "'" in str(reference) else str(reference)


def lost(manifest: Mapping[str, Any], checks: Iterable[dg.AssetCheckSpec]) -> list[str]:
    """Return a sentence for each dbt test that is no check of the graph, though dbt would run it.

    dagster-dbt keeps one of several tests that share a name and a table, and fails the build when the other reports.
    """
    kept = {str(spec.metadata[UNIQUE_ID]): spec for spec in checks if spec.metadata and UNIQUE_ID in spec.metadata}
    by_name = {(spec.name, _tested(manifest, one)): one for one, spec in kept.items()}
    sentences = []
    for unique_id, test in sorted(manifest["nodes"].items()):
        if test["resource_type"] != "test" or unique_id in kept:
            continue
        place = f"{test['original_file_path']}: the test `{test['name']}`"
        other = by_name.get((test["name"], _tested(manifest, unique_id)))
        if other:
            sentences.append(
                f"{place} of {_columns(test)} has the name and the table of the one of "
                f"{_columns(manifest['nodes'][other])} in {manifest['nodes'][other]['original_file_path']}. A table "
                "shows one check of a name. Give one of them another `name`."
            )
        else:
            sentences.append(
                f"{place} belongs to no asset of the graph. Say whose check it is, as in "
                "config(meta={'dagster': {'ref': {'name': 'orders'}}}), read the table that it tests in a model, or "
                "take it out."
            )
    return sentences


def _tested(manifest: Mapping[str, Any], unique_id: str) -> str:
    """Return the node that a test is about: dbt says it of a model, and of a source it is the only parent."""
    return manifest["nodes"][unique_id].get("attached_node") or " ".join(manifest["parent_map"].get(unique_id, ()))


def _columns(test: Mapping[str, Any]) -> str:
    given = (test.get("test_metadata") or {}).get("kwargs") or {}
    named = test.get("column_name") or ", ".join(given.get("columns", ()))
    return f"`{named}`" if named else "the whole table"
