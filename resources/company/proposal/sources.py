"""Where the rows are, and how they come into a table `looked` of an engine in memory.

They are read as `resources/tables` reads them later, so that what is proposed is what will be loaded.
"""

import glob
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.company.choice import COMPANIES, CompanyError, load, names
from resources.company.model import Connector, RawTable
from resources.company.proposal.text import written
from resources.identifiers import identifier as table_of
from resources.tables.errors import TableError
from resources.tables.read import read_into
from resources.warehouse import WarehouseError, quoted
from resources.warehouse.bigquery import BigQueryWarehouse

if TYPE_CHECKING:
    import duckdb

Say = Callable[[str], None]

ADDRESS = "DATABASE_URL"
"""The variable that holds the address of a Postgres database, where FROM names none."""

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".xlsb")

FORMS = (
    "a path to .csv, .tsv, .txt or .parquet files, a folder of them, `duckdb:file:table`, `postgres:table` or "
    f"`postgres:VARIABLE:table` (the address in the environment variable, by default {ADDRESS}), "
    "`bigquery:project.dataset.table`, or `airbyte:connection` for one that is in the warehouse already"
)


class FromError(CompanyError):
    """FROM cannot be read, or holds what no company can be made of; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """A table that is there already: how sentences call it, its raw name, and its fields in a company's file.

    `declared` is None for a stream of the Airbyte connection `connection`, whose settings another company may have.
    """

    place: str
    name: str
    declared: RawTable | None
    connection: str = ""
    connector: Connector | None = None


@dataclass
class Landed:
    """A table `looked` with all rows of a source, what was noticed while it was read, and the tables beside it."""

    engine: "duckdb.DuckDBPyConnection"
    source: Source
    types: dict[str, str]
    rows: int
    notes: list[str] = field(default_factory=list)
    others: list["Landed"] = field(default_factory=list)

    def one(self, sql: str) -> tuple[Any, ...]:
        """Return the first row of a query."""
        return self.engine.execute(sql).fetchone() or ()

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.engine.execute(sql).fetchall()


def landed(given: str, say: Say) -> list[Landed]:
    """Read all rows of the tables that FROM names.

    Raises:
        FromError: it cannot be read, or it is empty; the sentence says what was looked for.
    """
    if not given.strip():
        raise FromError(f"Expected FROM to name where the orders are: {FORMS}. It is empty.")
    head, _, rest = given.partition(":")
    if head == "airbyte":
        return [_airbyte(rest, say)]
    if head == "bigquery":
        return [_bigquery(rest, say)]
    if head == "duckdb":
        return _several(_of_duckdb(rest), say)
    if head == "postgres":
        return [_landed(_of_postgres(rest), [], say)]
    return _several(_of_files(rest if head in ("csv", "parquet") else given), say)


Declared = tuple[Source, list[str]]


def _several(found: Sequence[Declared], say: Say) -> list[Landed]:
    if len(found) == 1:
        return [_landed(*found[0], say)]
    # Of many tables an empty one is no fault; of one it is.
    return [one for source, notes in found if (one := _landed(source, notes, say, may_be_empty=True)).rows]


def _landed(source: Source, notes: list[str], say: Say, *, may_be_empty: bool = False) -> Landed:
    import duckdb

    assert source.declared is not None
    say(f"reading {source.place}")
    engine = _engine()
    with tempfile.TemporaryDirectory(prefix="company-") as scratch:
        try:
            read_into(engine, "looked", source.name, source.declared, Path.cwd(), Path(scratch))
        except TableError as error:
            raise FromError(f"{source.place}: {error.said}") from error
        except (duckdb.Error, OSError) as error:
            raise FromError(f"{source.place} cannot be read: {str(error).splitlines()[0]}") from error
    return _counted(engine, source, notes, say, may_be_empty=may_be_empty)


def _engine() -> "duckdb.DuckDBPyConnection":
    import duckdb

    engine = duckdb.connect(":memory:")
    engine.execute("set enable_progress_bar = false; set timezone = 'UTC'")
    return engine


def _counted(
    engine: "duckdb.DuckDBPyConnection", source: Source, notes: list[str], say: Say, *, may_be_empty: bool = False
) -> Landed:
    types = {str(name): str(kind) for name, kind, *_ in engine.execute("describe looked").fetchall()}
    rows = int((engine.execute("select count(*) from looked").fetchone() or (0,))[0])
    if not rows and not may_be_empty:
        raise FromError(
            f"{source.place} holds no row: its columns are {', '.join(types)}. A company is made from its orders; "
            "name the table or the file that holds them."
        )
    say(f"  {rows:,} rows, {len(types)} columns")
    return Landed(engine, source, types, rows, notes)


def _of_files(given: str) -> list[Declared]:
    path = Path(given).expanduser()
    if path.is_dir():
        return _of_folder(path)
    found = sorted(Path(one) for one in glob.glob(str(path), recursive=True))
    if not found:
        near = sorted(one.name for one in path.parent.glob("*") if _kind(one))[:5]
        seen = f" In that folder there are {', '.join(near)}." if near else ""
        raise FromError(f"Expected FROM to be {FORMS}. There is no file {given!r}.{seen}")
    stem = path.name if len(found) == 1 else re.split(r"[*?\[]", path.name)[0] or path.parent.name
    return [_of_group(given, path, found, stem)]


def _of_group(place: str, path: Path, found: list[Path], stem: str) -> Declared:
    """Return the source of files that are one table; `path` finds them all."""
    kinds = {_kind(one) for one in found}
    if kinds - {"parquet", "csv"} or len(kinds) > 1:
        odd = next((one for one in found if _kind(one) not in ("parquet", "csv")), found[0])
        raise FromError(_unreadable(odd, found))
    whole, name = path.absolute().as_posix(), identifier(stem.split(".")[0])
    if kinds == {"parquet"}:
        return Source(place, name, _table(f"parquet:{whole}")), []
    texts = [written(one) for one in found]
    if len({(one.delimiter, one.encoding) for one in texts}) > 1:
        shown = ", ".join(
            f"{one.name} ({text.encoding or 'utf-8'})" for one, text in zip(found[:4], texts, strict=False)
        )
        raise FromError(f"{place}: its files are written in several ways: {shown}. Save them alike.")
    declared = _table(f"csv:{whole}", delimiter=texts[0].delimiter, encoding=texts[0].encoding)
    return Source(place, name, declared), list(dict.fromkeys(note for text in texts for note in text.notes))


def _table(source: str, **fields: str) -> RawTable:
    return RawTable.model_validate({"source": source, **fields})


def _unreadable(odd: Path, found: Sequence[Path]) -> str:
    if odd.is_dir():
        return f"{odd} is a folder among files; name one folder, or files."
    if _kind(odd) in ("parquet", "csv"):
        return (
            f"{len(found)} files of several kinds cannot be one table: name those of one kind, such as *{odd.suffix}."
        )
    if odd.suffix.lower() in SHEETS:
        return f"{odd} is a spreadsheet, which is not read. Save its sheet of orders as CSV (UTF-8), and name that."
    return (
        f"{odd} has the ending {''.join(odd.suffixes[-2:]) or 'of no kind'!r}; .parquet, .csv, .tsv and .txt are read, "
        "the last three also packed by gzip. Write the table in one of them."
    )


def _kind(file: Path) -> str:
    name = file.name.lower()
    return "parquet" if name.endswith(PARQUET) else "csv" if name.endswith(TEXT) else ""


def _of_folder(folder: Path) -> list[Declared]:
    """Return the tables of a folder: files that have the same columns and begin alike are one."""
    files = sorted(one for one in folder.iterdir() if _kind(one))
    if not files:
        sheets = [one for one in folder.iterdir() if one.suffix.lower() in SHEETS]
        if sheets:
            raise FromError(_unreadable(sheets[0], sheets))
        raise FromError(f"{folder} is a folder without a .parquet, .csv, .tsv or .txt file. Name one that has some.")
    groups: dict[tuple[str, str, str], list[Path]] = {}
    for one in files:
        columns = "|".join(sorted(written(one).names)) if _kind(one) == "csv" else _parquet_columns(one)
        groups.setdefault((_kind(one), one.suffix, columns), []).append(one)
    made: list[Declared] = []
    for (_, suffix, _), found in groups.items():
        begin = _beginning(found[0].name, found[-1].name)
        # Next year's file shall be found, too.
        patterns = [folder / f"{one}*{suffix}" for one in (begin.rstrip("0123456789"), begin) if one]
        fitting = [one for one in patterns if len(found) > 1 and sorted(folder.glob(one.name)) == found]
        together = bool(fitting)
        for part in [found] if together else [[one] for one in found]:
            path = fitting[0] if together else part[0]
            stem = (begin.rstrip("-_. 0123456789") or folder.name) if together else path.name
            made.append(_of_group(str(path), path, part, stem))
    return made


def _beginning(first: str, last: str) -> str:
    """Return what two names have in common at their beginning; all that lie between them have it, too."""
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same]


def _parquet_columns(file: Path) -> str:
    import duckdb

    try:
        found = duckdb.execute("select * from read_parquet($1) limit 0", [str(file)]).description
    except duckdb.Error as error:
        raise FromError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    return "|".join(sorted(column[0] for column in found))


def _of_duckdb(rest: str) -> list[Declared]:
    file, _, table = rest.rpartition(":")
    if not file:
        file, table = table, ""
    path = Path(file).expanduser()
    if not path.is_file():
        raise FromError(f"Expected duckdb:file:table, such as duckdb:shop.duckdb:orders; there is no file {file!r}.")
    known = _tables_of(path)
    if table and not {table, f"main.{table}"} & set(known):
        shown = ", ".join(one.removeprefix("main.") for one in known[:8])
        raise FromError(f"{file} holds no table {table!r}; it holds {shown or 'none'}.")
    wanted = [table] if table else [one for one in known if one.startswith("main.")]
    if not wanted:
        raise FromError(f"{file} holds no table in its schema main; name one: duckdb:{file}:{(known or ['table'])[0]}.")
    return [
        (
            Source(
                f"{file}:{one.removeprefix('main.')}",
                identifier(one.rpartition(".")[2]),
                _table(f"duckdb:{path.absolute().as_posix()}:{one.removeprefix('main.')}"),
            ),
            [],
        )
        for one in wanted
    ]


def _tables_of(file: Path) -> list[str]:
    import duckdb

    try:
        with duckdb.connect(str(file), read_only=True) as there:
            found = there.execute(
                "select table_schema || '.' || table_name from information_schema.tables where table_catalog = "
                "current_database() order by 1"
            ).fetchall()
    except duckdb.Error as error:
        raise FromError(f"{file} cannot be opened: {str(error).splitlines()[0]}") from error
    return [one for (one,) in found]


def _of_postgres(rest: str) -> Source:
    variable, _, table = rest.rpartition(":")
    variable = variable or ADDRESS
    if not table:
        raise FromError(f"Expected postgres:table or postgres:VARIABLE:table; it is 'postgres:{rest}'.")
    if not os.environ.get(variable):
        raise FromError(
            f"Expected the address of the database in the environment variable {variable}, such as "
            "postgresql://user:password@host/database; it is not set. Set it, or name another by "
            f"postgres:VARIABLE:{table}. The company's file names the variable, and never the address."
        )
    declared = _table(f"postgres:{table}", connection=variable)
    return Source(f"postgres:{table}", identifier(table.rpartition(".")[2]), declared)


def _bigquery(place: str, say: Say) -> Landed:
    """Read a table of BigQuery, whole, as one query of the project that it is in, or of BATON_BIGQUERY_PROJECT."""
    import pyarrow as pa

    # From the right: a project may have a domain before it, as in example.com:shop.
    project, *below = place.rsplit(".", 2)
    if len(below) != 2 or not all((project, *below)) or any(":" in part for part in below):
        raise FromError(f"Expected bigquery:project.dataset.table; it is 'bigquery:{place}'.")
    say(f"reading bigquery:{place}")
    warehouse = BigQueryWarehouse(
        project=os.environ.get("BATON_BIGQUERY_PROJECT", project),
        location=os.environ.get("BATON_BIGQUERY_LOCATION", "US"),
    )
    engine, empty = _engine(), True
    try:
        for batch in warehouse.arrow_batches(f"select * from `{place}`"):
            engine.register("batch", pa.Table.from_batches([batch]))
            engine.execute("create table looked as from batch" if empty else "insert into looked from batch")
            empty = False
            engine.unregister("batch")
    except WarehouseError as error:
        raise FromError(str(error)) from error
    finally:
        warehouse.close()
    if empty:
        raise FromError(f"bigquery:{place} holds no row. A company is made from its orders; name the table of them.")
    source = Source(f"bigquery:{place}", identifier(below[1]), _table(f"bigquery:{place}"))
    return _counted(engine, source, [], say)


def _airbyte(rest: str, say: Say) -> Landed:
    """Read a connection's table where it was synced to: schema `raw` of a home's warehouse."""
    connection, _, table = rest.partition(":")
    given = os.environ.get("BATON_HOME")
    homes = [Path(given).expanduser()] if given else sorted(COMPANIES.parent.glob(".baton*"))
    files = [home / "warehouse.duckdb" for home in homes if (home / "warehouse.duckdb").is_file()]
    connector = _connector(connection)
    wanted = table or (_orders_stream(connector) if connector else "") or connection
    seen: list[str] = []
    for file in files:
        tables = _tables_of(file)
        seen += [one.removeprefix("raw.") for one in tables if one.startswith("raw.")]
        if f"raw.{wanted}" in tables:
            say(f"reading raw.{wanted}, to which the connection {connection} was synced")
            engine = _engine()
            engine.execute(f"attach '{file.as_posix()}' as there (read_only)")
            engine.execute(f"create table looked as from there.raw.{quoted(wanted)}")
            engine.execute("detach there")
            source = Source(f"airbyte:{rest}", wanted, None, connection, connector)
            return _counted(engine, source, [], say)
    raise FromError(
        "Expected airbyte:connection:table with a table that the connection was synced to; the warehouses in "
        f"{', '.join(one.name for one in homes) or 'no home'} hold {', '.join(seen[:8]) or 'none'}. Sync it first, or "
        f"give FROM otherwise: {FORMS}."
    )


def _connector(connection: str) -> Connector | None:
    """Return the settings of a connection that a company has already."""
    for one in names():
        found = load(COMPANIES / one).airbyte.get(connection)
        if found:
            return found
    return None


def _orders_stream(connector: Connector) -> str:
    likely = [one for one in connector.streams if re.search("order|transaction|sale|purchase|invoice", one)]
    return table_of(connector.prefix + likely[0]) if likely else ""


def identifier(text: str) -> str:
    """Return a name that a raw table may have: lower case, digits and `_`.

    >>> identifier("Online Retail (2010)")
    'online_retail_2010'
    """
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "orders"
    return (plain if plain[0].isalpha() else f"t_{plain}")[:63]
