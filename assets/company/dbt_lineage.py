"""Of which columns each column of a dbt model is made, for the lineage of columns in the web UI."""

from collections.abc import Mapping, Sequence

import dagster as dg

from resources.dbt import DbtError, DbtRunner

Lineages = Mapping[tuple[str, str], dg.TableColumnLineage]


def column_lineages(
    context: dg.AssetExecutionContext, dbt: DbtRunner, columns: Mapping[tuple[str, str], Sequence[dg.TableColumn]]
) -> Lineages:
    """Return the lineage of the columns of each model that this step builds, by (schema, name), one table back.

    `columns` are those of every table that a model is or reads, as they are in the warehouse. A model whose SQL cannot
    be read has none: the record is poorer then, and what was built is recorded all the same.
    """
    from sqlglot.errors import SqlglotError

    from resources.column_lineage import ColumnLineage
    from resources.compiled_models import compiled_models

    try:
        models = compiled_models(dbt.ensure_compiled(), serving=True)
    except DbtError as error:
        context.log.warning(f"What dbt built is recorded without the lineage of its columns. {error}")
        return {}
    known = {f"{schema}/{name}": {one.name: one.type for one in table} for (schema, name), table in columns.items()}
    lineage = ColumnLineage(models, known)
    found = {}
    for model in models:
        if dg.AssetKey([model.schema, model.name]) not in context.selected_asset_keys:
            continue
        try:
            made_of = lineage.columns_of(model.asset)
        except SqlglotError as error:
            why = str(error).splitlines()[0]
            context.log.warning(f"{model.asset} is recorded without the lineage of its columns: its SQL says {why}")
            continue
        found[(model.schema, model.name)] = dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(dg.AssetKey(table.split("/")), read) for table, read in parts]
                for column, parts in made_of.items()
                if parts
            }
        )
    return found


def told(lineage: dg.TableColumnLineage | None, column: str) -> str:
    """Return of which columns a column is made, in words: the open web UI draws no lineage of columns."""
    parts = lineage.deps_by_column.get(column, ()) if lineage else ()
    read: dict[str, list[str]] = {}
    for part in parts:
        read.setdefault(".".join(part.asset_key.path), []).append(part.column_name)
    tables = [f"{table} ({', '.join(names)})" for table, names in read.items()]
    return f"Made of {' and '.join(tables)}." if tables else ""
