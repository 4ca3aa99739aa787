"""Google's analyzer of GoogleSQL, in its own environment: is a statement legal in BigQuery?"""

import json
import subprocess
from collections.abc import Mapping

from environments.emulator import PROJECT
from environments.install import HERE, python_of


def check(statements: Mapping[str, str], tables: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str]:
    """Return what Google's analyzer has against each statement; empty when all are legal GoogleSQL.

    `tables` is columns and types by `schema.table`; a statement may name them so, or with the project before.
    """
    given = {name: dict(columns) for name, columns in (tables or {}).items()}
    known = given | {f"{PROJECT}.{name}": columns for name, columns in given.items()}
    script = HERE / "sql_analyzer" / "analyse.py"
    ended = subprocess.run(
        [str(python_of("sql_analyzer")), str(script)],
        input=json.dumps({"tables": known, "statements": dict(statements)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return {name: answer for name, answer in json.loads(ended.stdout).items() if answer}
