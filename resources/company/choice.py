"""Which company this process works for, and its file read in sentences."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from resources.company.model import Company

COMPANIES = Path(__file__).resolve().parent.parent.parent / "companies"
BUNDLED = "complete_journey"
FILE = "company.toml"


class CompanyError(ValueError):
    """A company's folder or file is not what it must be; the message says what to do."""


@dataclass(frozen=True)
class Given:
    """A company that code gave, without a folder in companies/.

    `folder`: where relative paths of its tables begin, and its `staging/` is. `beside`: the folder that holds its home.
    """

    name: str
    company: Company
    folder: Path
    beside: Path


_given: Given | None = None
_read: str | None = None
"""The company of companies/ that this process works for already: texts of the graph are made of it."""


def use(name: str, fields: Mapping[str, Any], folder: Path, *, beside: Path | None = None, where: str = "") -> Company:
    """Let this process work for a company that code gives: the fields of a company.toml as a mapping.

    `folder` holds its `staging/`, if it has one; paths of its tables begin there. `beside`: the folder in which its
    home is made; default: `folder`. `where` is how sentences name the place of the fields.

    Raises:
        CompanyError: a field is not what it must be, or this process works for another company already.
    """
    global _given
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise CompanyError(
            "A company's name must be small letters, digits and _, as in webshop: it names folders. It is "
            f"{name!r}. Choose another one."
        )
    folder = folder.resolve()
    given = Given(name, _valid(fields, where or f"company {name}"), folder, (beside or folder).resolve())
    works_for = _given.name if _given else _read
    if works_for is not None and given != _given:
        raise CompanyError(
            f"Expected one company in a process; it works for {works_for!r} already, and {name!r} was given. Give a "
            "company before definitions are loaded, and each one in a code location of its own."
        )
    _given = given
    return given.company


def folder_of(name: str) -> Path:
    """Return the folder of a company."""
    return _given.folder if _given and name == _given.name else COMPANIES / name


def place_of(folder: Path) -> str:
    """Return how sentences name a company's folder: as a path from where its reader works."""
    above = folder_of_homes()
    return str(folder.relative_to(above)) if folder.is_relative_to(above) else str(folder)


def folder_of_homes() -> Path:
    """Return the folder in which homes are made: the project's root, or where the code that gave a company wants it."""
    return _given.beside if _given else COMPANIES.parent


def names() -> list[str]:
    """Return the companies that have a folder with a file."""
    # Asked for with every owner and window of the graph, and never kept: a folder may come at any time.
    with os.scandir(COMPANIES) as there:
        return sorted(one.name for one in there if os.path.isfile(os.path.join(one.path, FILE)))


def chosen() -> str:
    """Return the name of BATON_COMPANY, else of the only company beside the bundled one, else the bundled one.

    A company that code gave goes before all of them.

    Raises:
        CompanyError: there is no such company, or several and none is named.
    """
    if _given:
        return _given.name
    there = names()
    given = os.environ.get("BATON_COMPANY")
    if given:
        if given not in there:
            raise CompanyError(
                f"BATON_COMPANY must name a folder in companies/ with a {FILE}: {', '.join(there)}. It is {given!r}"
                f"{_meant(given, there)}. Correct it, or make the folder: docs/your_company.md says how."
            )
        return given
    own = [name for name in there if name != BUNDLED]
    if len(own) > 1:
        raise CompanyError(
            f"Expected BATON_COMPANY to say which of {len(there)} companies is meant: {', '.join(there)}. It is not "
            f"set. Set it: export BATON_COMPANY={own[0]}."
        )
    return own[0] if own else BUNDLED


def company() -> Company:
    """Return the company of this process.

    Raises:
        CompanyError: it cannot be read; the message says which field and what to do.
    """
    global _read
    if _given:
        return _given.company
    name = chosen()
    found = load(folder_of(name))
    _read = name
    return found


def load(folder: Path) -> Company:
    """Read a company's file; the same object for the same content.

    Raises:
        CompanyError: the file is not there, is no TOML, or a field is not what it must be.
    """
    file = folder / FILE
    where = f"companies/{folder.name}/{FILE}"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise CompanyError(
            f"Expected {where}, and it cannot be read: {error.strerror or error}. Write it: docs/your_company.md says "
            "how."
        ) from error
    except UnicodeDecodeError as error:
        raise CompanyError(f"{where} must be UTF-8 text: byte {error.start} is not. Save it as UTF-8.") from error
    return _parsed(text, where)


@cache
def _parsed(text: str, where: str) -> Company:
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CompanyError(f"{where} is no TOML: {error}. Correct that line.") from error
    return _valid(fields, where)


def _valid(fields: Mapping[str, Any], where: str) -> Company:
    try:
        return Company.model_validate(fields)
    except ValidationError as error:
        raise CompanyError(" ".join(_sentence(one, where) for one in error.errors()[:10])) from error


def _sentence(error: Any, where: str) -> str:
    path, kind = error["loc"], error["type"]
    field = ".".join(str(part) for part in path)
    if kind == "extra_forbidden":
        known = _fields(path[:-1])
        return (
            f"{where}: there is no field `{field}`{_meant(str(path[-1]), known)}. "
            f"Here may stand: {', '.join(known) or 'nothing'}."
        )
    if kind == "missing":
        return f"{where}: the field `{field}` is missing. Write it; docs/company_fields.md says what it is."
    message = error["msg"].removeprefix("Value error, ")
    what = "" if isinstance(error["input"], dict) or kind == "value_error" else f"; it is {error['input']!r}"
    return f"{where}: {f'`{field}`: ' if field else ''}{message}{what}. docs/company_fields.md lists all fields."


def _fields(path: tuple[Any, ...]) -> list[str]:
    """Return the fields that a table of the file may have."""
    model: Any = Company
    for part in path:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            continue  # a name of the user's own, or a place in a list
        model = next((one for one in _models(field.annotation)), model)
    return sorted(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models(inner)]


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
