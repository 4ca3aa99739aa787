"""What a table is called that comes from a stream of any name."""

import unicodedata


def identifier(name: str) -> str:
    """Return a name as Airbyte's destinations write it: letters of ASCII, digits and `_`.

    Accents are taken off, everything else becomes `_`. Dagster, DuckDB and BigQuery take every such name.
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return "".join(one if one.isascii() and (one.isalnum() or one == "_") else "_" for one in plain)
