"""A compiled score as a SQL function that takes a row: one function a version, and an alias for the champion.

    select f.customer_id, scoring.lapse_champion(f) as score from features.feature_frame as f

The argument is the row itself, which both DuckDB and BigQuery pass as a struct of its columns: names, not positions,
connect the function to the frame, and further columns do no harm. DuckDB's macro is put into the calling query before
it is planned, so only the columns that the score reads are read.
"""

import re

from ml_models.scoring_sql.compiler import CompiledScore, DialectName
from ml_models.scoring_sql.dialects import DIALECTS, ROW

SCHEMA = "scoring"
CHAMPION = "champion"


def function_name(problem_name: str, version: int | str) -> str:
    """Return the name of a version's function (`lapse_v3`) or of an alias (`lapse_champion`).

    Raises:
        ValueError: the problem's name or the alias is no plain lower-case identifier, or the version is no number
            above zero.

    >>> function_name("lapse", 3), function_name("lapse", "champion")
    ('lapse_v3', 'lapse_champion')
    """
    tail = f"v{version}" if isinstance(version, int) else version
    if not re.fullmatch(r"[a-z][a-z0-9_]*", problem_name) or not re.fullmatch(r"[a-z][a-z0-9_]*", tail):
        raise ValueError(
            f"Expected a problem's name and a version or alias of lower-case letters, digits and underscores, got "
            f"{problem_name!r} and {version!r}."
        )
    if not isinstance(version, int) and re.fullmatch(r"v[0-9]+", version):
        raise ValueError(f"Expected an alias that cannot be taken for a version, got {version!r}.")
    if isinstance(version, int) and version < 1:
        raise ValueError(f"Expected a version from 1 on, got {version}.")
    return f"{problem_name}_{tail}"


def function_statements(
    problem_name: str,
    version: int,
    compiled: CompiledScore,
    alias: bool = False,
    *,
    description: str = "",
    schema: str = SCHEMA,
) -> list[str]:
    """Return the statements that publish a version as a SQL function, and with `alias` make it the champion.

    They may be run again at any time. `schema` is the warehouse's schema or dataset, `project.dataset` for BigQuery if
    it is not the connection's default. The alias comes last: a failure before it leaves the old champion.

    >>> compiled = CompiledScore("0.25e0", "duckdb", "DummyClassifier", "linear", ())
    >>> for statement in function_statements("lapse", 3, compiled, alias=True, description="A quarter."):
    ...     print(statement)
    create schema if not exists "scoring"
    create or replace macro "scoring"."lapse_v3"(f) as (0.25e0)
    comment on macro "scoring"."lapse_v3" is 'A quarter.'
    create or replace macro "scoring"."lapse_champion"(f) as ("scoring"."lapse_v3"(f))
    """
    name = _qualified(schema, function_name(problem_name, version), compiled.dialect)
    about = description or (
        f"Version {version} of {problem_name}: {compiled.estimator}. Argument: a row with the columns "
        f"{', '.join(compiled.columns)}. Value: the probability of the second class; null where the row has no score."
    )
    statements = [_schema(schema, compiled.dialect)]
    if compiled.dialect == "duckdb":
        statements.append(f"create or replace macro {name}({ROW}) as ({compiled.expression})")
        statements.append(f"comment on macro {name} is {DIALECTS['duckdb'].literal(about)}")
    else:
        options = f"options (description = {DIALECTS['googlesql'].literal(about)})"
        statements.append(f"create or replace function {name}({ROW} any type) as (({compiled.expression})) {options}")
    return statements + (alias_statements(problem_name, version, compiled.dialect, schema=schema)[1:] if alias else [])


def alias_statements(
    problem_name: str, version: int, dialect: DialectName, *, alias: str = CHAMPION, schema: str = SCHEMA
) -> list[str]:
    """Return the statements that point an alias to a published version: promotion and rollback alike.

    >>> alias_statements("lapse", 2, "googlesql")[-1]
    'create or replace function `scoring`.`lapse_champion`(f any type) as (`scoring`.`lapse_v2`(f))'
    """
    name = _qualified(schema, function_name(problem_name, alias), dialect)
    target = _qualified(schema, function_name(problem_name, version), dialect)
    kind, argument = ("macro", ROW) if dialect == "duckdb" else ("function", f"{ROW} any type")
    return [_schema(schema, dialect), f"create or replace {kind} {name}({argument}) as ({target}({ROW}))"]


def aliased_version(problem_name: str, definition: str) -> int | None:
    """Return the version that an alias's definition calls, None when it calls none.

    >>> aliased_version("lapse", '("scoring"."lapse_v3"(f))')
    3
    """
    found = re.search(rf"\b{re.escape(problem_name)}_v([0-9]+)\b", definition)
    return int(found.group(1)) if found else None


def quoted_schema(schema: str, dialect: DialectName) -> str:
    """Return a schema's name as a statement may begin a function's name with it.

    A project of Google may have dashes, which end a plain name, and a domain before it (`example.com:shop`): its dots
    are no parts of the path.

    >>> quoted_schema("my-shop.scoring", "googlesql"), quoted_schema("example.com:shop.scoring", "googlesql")
    ('`my-shop`.`scoring`', '`example.com:shop`.`scoring`')
    """
    return ".".join(DIALECTS[dialect].identifier(part) for part in schema.rsplit(".", 1))


def _qualified(schema: str, name: str, dialect: DialectName) -> str:
    return f"{quoted_schema(schema, dialect)}.{DIALECTS[dialect].identifier(name)}"


def _schema(schema: str, dialect: DialectName) -> str:
    return f"create schema if not exists {quoted_schema(schema, dialect)}"
