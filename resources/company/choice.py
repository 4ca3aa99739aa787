"""Which company this process works for, and its file read in sentences."""

import difflib
import os
import tomllib
from collections.abc import Mapping
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


def folder_of(name: str) -> Path:
    """Return the folder of a company."""
    return COMPANIES / name


def names() -> list[str]:
    """Return the companies that have a folder with a file."""
    return sorted(file.parent.name for file in COMPANIES.glob(f"*/{FILE}"))


def chosen() -> str:
    """Return the name of BATON_COMPANY, else of the only company beside the bundled one, else the bundled one.

    Raises:
        CompanyError: there is no such company, or several and none is named.
    """
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
    return load(folder_of(chosen()))


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
