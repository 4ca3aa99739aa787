"""Reads Parquet, CSV and DuckDB files: the SQL that selects their rows, after what could be misread was refused.

CSV lands as text, every column: staging casts, and counts what a cast changes. No row is dropped or cut: one that does
not fit its header is refused.
"""

import csv
import glob
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resources.company.model import RawTable
from resources.tables.errors import TableError
from resources.warehouse import quoted

if TYPE_CHECKING:
    import duckdb

DELIMITERS = ",;\t|"
BLANKS = " "
"""The `delimiter` of columns that are aligned by any number of blanks."""

UTF_8 = ("", "utf-8", "utf8", "utf-8-sig")
SCRATCH_COPY = 1 << 20


def select(connection: "duckdb.DuckDBPyConnection", name: str, table: RawTable, folder: Path, scratch: Path) -> str:
    """Return the select of a file's rows; `scratch` is a folder for what has to be written anew to be read."""
    kind, _, place = table.source.partition(":")
    if kind == "parquet":
        return f"select * from read_parquet({_list(files(name, table, folder))}, union_by_name = true)"
    if kind == "csv":
        return _csv(name, table, files(name, table, folder), scratch)
    inside = place.rpartition(":")[2]
    connection.execute(f"attach {text(str(files(name, table, folder)[0]))} as _theirs (read_only)")
    return "select * from _theirs." + ".".join(quoted(part) for part in inside.split("."))


def files(name: str, table: RawTable, folder: Path) -> list[Path]:
    """Return the files of a table, sorted; relative paths begin in `folder`.

    Raises:
        TableError: there is none.
    """
    kind, _, place = table.source.partition(":")
    if kind == "duckdb":
        place = place.rpartition(":")[0]
    found = sorted(glob.glob(str(folder / Path(place).expanduser()), recursive=True))
    if not found:
        raise TableError(
            name,
            f"expected a file at {place} (seen from {folder.name}/), and there is none. Correct `source`, or put "
            "the file there.",
        )
    return [Path(one) for one in found]


def changed_at(name: str, table: RawTable, folder: Path) -> float:
    """Return when the newest of a table's files was written, in seconds since 1970."""
    return max(one.stat().st_mtime for one in files(name, table, folder))


def refuse_collisions(name: str, columns: Sequence[str], where: str) -> None:
    """Refuse columns that are one and the same without case, as they are in a warehouse."""
    twice = [column for column, times in Counter(one.lower() for one in columns).items() if times > 1]
    if twice:
        raise TableError(
            name,
            f"expected columns that differ in more than case, but {where} has {twice[0]} more than once. Rename "
            "one of them.",
        )


def _csv(name: str, table: RawTable, found: list[Path], scratch: Path) -> str:
    selects, first = [], list[str]()
    for number, file in enumerate(found):
        readable = _readable(name, file, table, scratch / str(number) / file.name)
        given = "\t" if table.delimiter == BLANKS else table.delimiter
        header, delimiter, skipped = _header(name, file, readable, given)
        refuse_collisions(name, header, file.name)
        first = first or header
        if set(header) != set(first):
            raise TableError(
                name,
                f"expected the columns of {found[0].name} ({', '.join(first)}) in every file, but {file.name} has "
                f"{', '.join(header)}. Give it a table of its own.",
            )
        fields = ", ".join(f"{text(column)}: 'VARCHAR'" for column in header)
        selects.append(
            f"select * from read_csv({text(str(readable))}, auto_detect = false, header = true, skip = {skipped}, "
            f"delim = {text(delimiter)}, quote = '\"', escape = '\"', store_rejects = true, columns = {{{fields}}})"
        )
    return " union all by name ".join(selects)


def _readable(name: str, file: Path, table: RawTable, copy: Path) -> Path:
    """Return a file that is UTF-8 and not packed: itself, or a copy that was written from it.

    Columns that are aligned by blanks are parted by tabs in the copy.
    """
    encoding = table.encoding.lower().replace("_", "-")
    packed = file.suffix.lower() == ".gz"
    if encoding in UTF_8 and not packed and table.delimiter != BLANKS:
        return file
    copy = copy.with_suffix("") if packed else copy
    copy.parent.mkdir()
    opened = gzip.open if packed else open
    encoding = "utf-8-sig" if encoding in UTF_8 else table.encoding
    try:
        with (
            opened(file, "rt", encoding=encoding, newline="") as theirs,
            copy.open("w", encoding="utf-8", newline="") as ours,
        ):
            if table.delimiter == BLANKS:
                ours.writelines("\t".join(line.split()) + "\n" for line in theirs if line.strip())
            else:
                while part := theirs.read(SCRATCH_COPY):
                    ours.write(part)
    except UnicodeDecodeError as error:
        said = _not_utf8(file, str(error)) if encoding == "utf-8-sig" else _not_encoded(file, encoding, str(error))
        raise TableError(name, said) from error
    except (UnicodeError, LookupError) as error:
        raise TableError(name, _not_encoded(file, encoding, str(error))) from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise TableError(
            name, f"expected a file packed by gzip in {file.name}, but: {error}. Pack it again."
        ) from error
    return copy


def _header(name: str, file: Path, readable: Path, delimiter: str) -> tuple[list[str], str, int]:
    """Return a file's columns, its delimiter (by default the one that makes most columns), and the empty lines before.

    Raises:
        TableError: it holds no line, or is no text.
    """
    try:
        found = {one: _first_row(readable, one) for one in ([delimiter] if delimiter else DELIMITERS)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(name, _not_utf8(file, str(error))) from error
    chosen = max(found, key=lambda one: len(found[one][0]))
    header, skipped = found[chosen]
    if not header:
        raise TableError(name, f"expected a first line with the columns in {file.name}, and it holds none.")
    return [cell.strip() or f"column_{number}" for number, cell in enumerate(header, 1)], chosen, skipped


def _first_row(readable: Path, delimiter: str) -> tuple[list[str], int]:
    skipped = 0
    with readable.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream, delimiter=delimiter):
            if row:
                return row, skipped
            skipped += 1
    return [], skipped


def refuse_rejected(connection: "duckdb.DuckDBPyConnection", name: str) -> None:
    """Refuse a CSV table of which DuckDB rejected a row, because it does not fit its header, while it was read."""
    rejected = connection.execute(
        "select file_path, columns, error_type, csv_line, line, error_message, "
        # A row has an error for each column that it lacks.
        "(select count(distinct (scan_id, file_id, line)) from reject_errors) from reject_errors join "
        "reject_scans using (scan_id, file_id) order by scan_id, file_id, line limit 1"
    ).fetchone()
    if rejected is None:
        return
    path, columns, kind, example, line, message, count = rejected
    file = Path(path)
    if kind == "INVALID ENCODING":
        raise TableError(name, _not_utf8(file, str(message).splitlines()[0]))
    fields = str(columns).count("'VARCHAR'")
    what = {"MISSING COLUMNS": "has fewer", "TOO MANY COLUMNS": "has more"}.get(kind, f"is no CSV ({kind.lower()})")
    raise TableError(
        name,
        f"expected {fields} fields in every row of {file.name}, but {count:,} row(s) of the table do not fit. The "
        f"first, in line {line}, {what}: {str(example).strip()[:200]!r}. Correct it in the file, or quote the text "
        "that holds a delimiter.",
    )


def _not_encoded(file: Path, encoding: str, said: str) -> str:
    return f"expected {encoding} text in {file.name}, but: {said}. Give its `encoding` in company.toml."


def _not_utf8(file: Path, said: str) -> str:
    return f'expected utf-8 text in {file.name}, but: {said}. Give its `encoding`, such as "cp1252", in company.toml.'


def _list(found: list[Path]) -> str:
    return "[" + ", ".join(text(str(one)) for one in found) + "]"


def text(value: str) -> str:
    """Return a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
