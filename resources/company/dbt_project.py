"""The dbt project of one company: the canonical models, the company's staging, and its file as dbt's variables.

dbt reads a prepared folder, so that a company's models stand in the company's folder and its numbers in one file. The
folder is made anew whenever a file that it is made of changed; nobody edits it.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from resources.company.choice import CompanyError
from resources.company.model import Company

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
        "early_days": question.early,
    }


def prepare(company: Company, folder: Path, into: Path, project: Path = PROJECT) -> Path:
    """Write a company's dbt project to a folder, unless it is there already; return the folder.

    `folder` is the company's own; its `staging/` becomes the staging models. Another process that reads the folder
    meanwhile finds the old or the new one, never a part: the new one takes its place by a rename.

    Raises:
        CompanyError: the company has no staging.
    """
    staging = folder / "staging"
    if not any(staging.glob("*.sql")):
        raise CompanyError(
            f"Expected the staging models of {company.title} in companies/{folder.name}/staging/, and there is no .sql "
            "file. Write stg_order_lines.sql there; docs/how-to/source.md lists the canonical columns."
        )
    digest = _digest(variables(company), project, staging)
    stamp = into / _STAMP
    if stamp.exists() and stamp.read_text() == digest:
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    beside = into.with_name(f"{into.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(project, beside, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    shutil.copytree(staging, beside / _STAGING / folder.name)
    _add_variables(beside / "dbt_project.yml", variables(company))
    (beside / _STAMP).write_text(digest)
    _take_place(beside, into)
    return into


def _take_place(beside: Path, into: Path) -> None:
    """Put a folder in another's place; of two processes that do so at once the first one wins, with equal content."""
    old = into.with_name(f"{beside.name}.old")
    try:
        if into.exists():
            into.rename(old)
        beside.rename(into)
    except OSError:
        if not (into / _STAMP).exists():
            raise
        shutil.rmtree(beside, ignore_errors=True)
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
