"""The dbt project of one company: the canonical models, the company's staging, and its file as dbt's variables.

dbt reads a prepared folder, so that a company's models stand in the company's folder and its numbers in one file. The
folder is made anew whenever a file that it is made of changed; nobody edits it.
"""

import fcntl
import hashlib
import shutil
from pathlib import Path
from typing import Any

from resources.company.choice import CompanyError
from resources.company.model import Company
from resources.company.owners import name_owners

PROJECT = Path(__file__).resolve().parent.parent.parent / "dbt_project"
ENTITY = "customer"
"""Whom a row of features is about."""

_STAGING = Path("models") / "staging"
_STAMP = "made_of.sha256"
_LEFT_OUT = ("target", "logs", "dbt_packages", ".user.yml", "__pycache__")


def variables(company: Company) -> dict[str, Any]:
    """Return what the models are told about a company, by the names under which they ask for it."""
    question = company.question
    if question.first_cutoff is None:
        raise CompanyError(
            f"{company.title}: expected `question.first_cutoff` in company.toml, and it is missing. Write the first "
            f"Monday that has {question.look_back_days} days of orders before it."
        )
    return {
        "entity": ENTITY,
        "raw_entity_column": company.order_lines.customer.column,
        "order_lines_table": company.order_lines.table,
        "time_zone": company.time.zone,
        "first_cutoff": str(question.first_cutoff),
        "cadence_days": question.cadence_days,
        "window_days": question.look_back_days,
        "population_days": question.active_within_days,
        "horizon_days": question.horizon_days,
        "early_days": question.asked.early_days,
    }


def prepare(company: Company, folder: Path, into: Path, project: Path = PROJECT) -> Path:
    """Write a company's dbt project to a folder, unless it is there already; return the folder.

    `folder` is the company's own; its `staging/` becomes the staging models. Of several processes one writes. A kill in
    between leaves the old project, or none that counts as whole, and the next call goes on.

    Raises:
        CompanyError: the company has no staging.
    """
    staging = folder / "staging"
    if not any(staging.glob("*.sql")):
        raise CompanyError(
            f"Expected the staging models of {company.title} in companies/{folder.name}/staging/, and there is no .sql "
            "file. Write stg_order_lines.sql there; docs/how-to/source.md lists the canonical columns."
        )
    digest = _digest({**variables(company), "owners": company.owners}, project, staging)
    if made_of(into) == digest:
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    # The web server, the daemon and a command may come at once: one of them writes, the others find it written.
    with into.with_name(f"{into.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made_of(into) != digest:
            _write(company, folder, into, project)
            (into / _STAMP).write_text(digest)
    return into


def made_of(project: Path) -> str:
    """Return the digest of what a prepared project was made of; empty if there is none, or it is not whole."""
    stamp = project / _STAMP
    return stamp.read_text() if stamp.exists() else ""


def _write(company: Company, folder: Path, into: Path, project: Path) -> None:
    """Write the new project beside the old one, then put it in its place."""
    beside, old = into.with_name(f"{into.name}.new"), into.with_name(f"{into.name}.old")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(project, beside, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    shutil.copytree(folder / "staging", beside / _STAGING / folder.name)
    _add_variables(beside / "dbt_project.yml", variables(company))
    name_owners(beside, company)
    if into.exists():
        into.rename(old)
    beside.rename(into)
    shutil.rmtree(old, ignore_errors=True)


def _add_variables(file: Path, values: dict[str, Any]) -> None:
    import yaml  # type: ignore[import-untyped]

    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text.rstrip()}\n\n{yaml.safe_dump({'vars': values}, sort_keys=False)}", encoding="utf-8")


def _digest(values: dict[str, Any], *folders: Path) -> str:
    digest = hashlib.sha256(repr(values).encode())
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not set(file.relative_to(folder).parts) & set(_LEFT_OUT):
                digest.update(str(file.relative_to(folder)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
