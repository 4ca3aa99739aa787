"""The dbt project of one company: the canonical models, the company's staging, and its file as dbt's variables.

dbt reads a prepared folder, so that a company's models stand in the company's folder and its numbers in one file. The
folder is made anew whenever a file that it is made of changed; nobody edits it.
"""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from ml_models.problems.next_product.pairs import OWN_TYPES, POPULAR_TYPES
from resources.company.canonical import TABLES
from resources.company.choice import FILE, CompanyError, place_of
from resources.company.documentation import fitted
from resources.company.model import Company
from resources.company.owners import name_owners
from resources.company.reading import Dialect
from resources.company.staging import staging_files
from resources.folders import make_private, to_disk, write_whole

PROJECT = Path(__file__).resolve().parent.parent.parent / "dbt_project"
ENTITY = "customer"
"""Whom a row of features is about."""

_STAGING = Path("models") / "staging"
_STAMP = "made_of.sha256"
_OWN = ("staging", "unit_tests")
"""What of a company's folder comes into the project."""

_FILES_OF_PARTS = {
    "campaigns": ("models/marts/campaign_contacts.sql",),
    "product_types": ("models/next_product", "tests/next_product"),
}
"""Models and tests that a company without the part does not have: files, and whole folders."""

_HERE = Path(__file__).resolve().parent
_PROBLEMS = _HERE.parent.parent / "ml_models" / "problems"
_MADE_BY = (
    _HERE,
    _PROBLEMS / "question.py",
    _PROBLEMS / "lapse" / "features.py",
    _PROBLEMS / "next_product" / "pairs.py",
)
"""The code that writes into the project."""

_LEFT_OUT = ("target", "logs", "dbt_packages", ".user.yml", "__pycache__", _STAMP)


def variables(company: Company) -> dict[str, Any]:
    """Return what the models are told about a company, by the names under which they ask for it."""
    question, asked = company.question, company.question.asked
    return {
        "entity": ENTITY,
        "raw_entity_column": company.order_lines.customer.column,
        "order_lines_table": company.order_lines.table,
        "time_zone": company.time.zone,
        "first_cutoff": str(question.first_cutoff or ""),
        "cadence_days": asked.cadence_days,
        "window_days": asked.look_back_days,
        "period_days": asked.period_days,
        "periods": asked.periods,
        "windows": list(asked.windows),
        "population_days": asked.active_within_days,
        "horizon_days": asked.horizon_days,
        "early_days": asked.early_days,
        "parts": sorted(company.parts),
        "levels_in_lines": company.levels_in_lines,
        "departments": [
            {"name": one.name, "values": list(one.values), "trips": one.trips} for one in company.departments
        ],
        "attributes": list(company.attributes),
        "horizon_cutoffs": asked.horizon_cutoffs,
        "learned_share": company.next_product.learned_share,
        "own_types": OWN_TYPES,
        "popular_types": POPULAR_TYPES,
        "currency": company.money.currency,
        # Zero where the company does not say it.
        "contact_price": company.prices.contact if company.prices and company.prices.won_back else 0,
        "won_back": company.prices.won_back or 0 if company.prices else 0,
    }


def prepare(company: Company, folder: Path, into: Path, project: Path = PROJECT, dialect: Dialect = "duckdb") -> Path:
    """Write a company's dbt project to a folder, unless it is there already; return the folder.

    `folder` is the company's own: models in its `staging/` take the place of those that its file gives, and its
    `unit_tests/` come along. Of several processes one writes. A kill in between leaves the old project, or none that
    counts as whole, and the next call goes on.

    Raises:
        CompanyError: a part that the file names has no staging.
    """
    _require_staging(company, folder)
    digest = _digest((company.model_dump_json(), dialect), project, *(folder / name for name in _OWN), *_MADE_BY)
    if made_of(into) == digest:
        return into
    make_private(into.parent)
    # The web server, the daemon and a command may come at once: one of them writes, the others find it written.
    with into.with_name(f"{into.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made_of(into) != digest:
            _write(company, folder, into, project, dialect)
            write_whole(into / _STAMP, f"{digest} {_whole(into)}")
    return into


def file_of(path: str, folder: Path, into: Path, project: Path = PROJECT) -> Path:
    """Return the file that a person edits to change a file of the prepared project, `path` within it.

    It stands in the canonical project or in the company's folder; where it is made of the company's file, it is the
    prepared one that shows what was made.
    """
    inner = Path(path)
    own = _STAGING / folder.name
    places = [project / inner]
    if inner.is_relative_to(own):
        # Its models stand in `staging`, all else under its own name.
        places += [folder / "staging" / inner.relative_to(own), folder / inner.relative_to(own)]
    return next((place for place in places if place.is_file()), into / inner)


def _require_staging(company: Company, folder: Path) -> None:
    """Refuse a file that names campaigns without the models of them: there is no plain renaming of those."""
    lacking = [
        f"{table.name}.sql"
        for table in TABLES
        if table.part == "campaigns" and company.campaigns and not (folder / "staging" / f"{table.name}.sql").exists()
    ]
    if lacking:
        place = place_of(folder)
        raise CompanyError(
            f"{place}/{FILE} says `campaigns = true`, which needs {', '.join(lacking)} in {place}/staging/, and they "
            "are not there. Write them (docs/canonical_tables.md has their columns), or take the line out."
        )


def made_of(project: Path) -> str:
    """Return the digest of what a prepared project was made of; empty if there is none, or it is not whole.

    It is whole while its files are those that were written: none lost, cut short or edited.
    """
    stamp = project / _STAMP
    digest, _, whole = (stamp.read_text() if stamp.exists() else "").partition(" ")
    return digest if whole and whole == _whole(project) else ""


def _whole(project: Path) -> str:
    """Return a digest of all files of a prepared project but its stamp, and what dbt may leave beside them."""
    return _digest(None, project)


def _write(company: Company, folder: Path, into: Path, project: Path, dialect: Dialect) -> None:
    """Write the new project beside the old one, then put it in its place."""
    beside, old = into.with_name(f"{into.name}.new"), into.with_name(f"{into.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(project, beside, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for part, places in _FILES_OF_PARTS.items():
        for place in places if part not in company.parts else ():
            (shutil.rmtree if (beside / place).is_dir() else os.unlink)(beside / place)
    staging = beside / _STAGING / folder.name
    staging.mkdir(parents=True)
    for name in _OWN:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, staging / name if name != "staging" else staging, dirs_exist_ok=True)
    # Before what is made of the file, which names the company's teams already.
    name_owners(beside, company)
    for name, text in staging_files(company, folder / "staging", dialect).items():
        (staging / name).write_text(text, encoding="utf-8")
    values = variables(company)
    for file in (beside / "models").rglob("*.yml"):
        if file.is_relative_to(staging):
            continue
        text = fitted(file.read_text(encoding="utf-8"), company, values)
        file.write_text(text, encoding="utf-8") if text else file.unlink()
    _add_variables(beside / "dbt_project.yml", values)
    to_disk(beside)
    if into.exists():
        into.rename(old)
    beside.rename(into)
    shutil.rmtree(old, ignore_errors=True)


def _add_variables(file: Path, values: dict[str, Any]) -> None:
    import yaml  # type: ignore[import-untyped]

    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text.rstrip()}\n\n{yaml.safe_dump({'vars': values}, sort_keys=False)}", encoding="utf-8")


def _digest(values: object, *places: Path) -> str:
    digest = hashlib.sha256(repr(values).encode())
    for folder in places:
        if folder.is_file():
            digest.update(folder.read_bytes())
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not set(file.relative_to(folder).parts) & set(_LEFT_OUT):
                digest.update(str(file.relative_to(folder)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
