"""Fields of a company's file, as they are proposed."""

from resources.company.model import Column


def column_of(name: str, format_: str = "", zone: str = "") -> Column:
    """Return a column, how a text in it is read, and the zone that times in it were written in."""
    return Column.model_validate({"column": name, "format": format_, "zone": zone})
