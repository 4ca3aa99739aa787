"""Raw tables that are there already: read where they are, landed in the warehouse, only what changed."""

from resources.tables.errors import TableError
from resources.tables.load import Loaded, load
from resources.tables.news import has_new_data

__all__ = ["Loaded", "TableError", "has_new_data", "load"]
