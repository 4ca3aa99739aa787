"""The one error of tables that are there already."""


class TableError(ValueError):
    """A table cannot be read, or is no longer what it was; the message says what to do. Nothing was changed."""

    def __init__(self, table: str, said: str) -> None:
        super().__init__(table, said)
        self.table, self.said = table, said

    def __str__(self) -> str:
        return f"Table {self.table}: {self.said} raw.{self.table} stays as it was."
