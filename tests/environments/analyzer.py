"""Google's analyzer and reference implementation of GoogleSQL, in their own environment.

Is a statement legal in BigQuery, and what does the language say that a query gives?
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from environments.emulator import PROJECT
from environments.install import HERE, python_of

Tables = Mapping[str, Mapping[str, str]]


class GoogleSQL:
    """A running analyzer; make one by `googlesql()`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request; environments/sql_analyzer/analyse.py says what both hold."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "The analyzer ended; what it wrote to standard error says why."
        answer: dict[str, Any] = json.loads(line)
        return answer

    def rows(self, query: str, tables: Tables, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[list[Any]]:
        """Return the rows of a query over tables of these rows, as the language defines them."""
        answer = self.ask(tables=tables, query=query, rows=rows)
        assert "error" not in answer, answer["error"]
        found: list[list[Any]] = answer["rows"]
        return found


@contextlib.contextmanager
def googlesql() -> Iterator[GoogleSQL]:
    """Run the analyzer until the block ends."""
    process = subprocess.Popen(
        [str(python_of("sql_analyzer")), str(HERE / "sql_analyzer" / "analyse.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield GoogleSQL(process)
    finally:
        process.communicate(timeout=30)


def check(statements: Mapping[str, str], tables: Tables | None = None) -> dict[str, str]:
    """Return what Google's analyzer has against each statement; empty when all are legal GoogleSQL.

    `tables` is columns and types by `schema.table`; a statement may name them so, or with the project before.
    """
    given = {name: dict(columns) for name, columns in (tables or {}).items()}
    known = given | {f"{PROJECT}.{name}": columns for name, columns in given.items()}
    with googlesql() as language:
        answers = language.ask(tables=known, statements=dict(statements))["statements"]
    return {name: answer for name, answer in answers.items() if answer}
