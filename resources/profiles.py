"""The profiles: which engine stands behind each resource.

A table without fallback: an unknown profile is an error that names the choices, because a typo that silently fell back
to another warehouse would be found weeks later.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.airbyte.server import RemoteAirbyteWorkspace
from resources.alerts import Alerts
from resources.clock import Clock
from resources.company import company
from resources.company.choice import BUNDLED, chosen, folder_of_homes
from resources.dbt import DbtRunner
from resources.folders import make_private, write_whole
from resources.model_page import SETTING as MLFLOW_UI
from resources.model_page import ModelPageError, checked_address
from resources.registry import ModelRegistry
from resources.warehouse import DuckDBWarehouse, LocalCopy
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.week_report import FOLDER as REPORT
from resources.week_report import WeekReport

ROOT = Path(__file__).resolve().parent.parent
"""The project's root: the folder that holds `pyproject.toml`."""

MARK = "company"
"""The file in a home that names whose state it holds."""

STATE = ("warehouse.duckdb", "mlflow.db", "local_copy.duckdb")
"""Files that a home without the mark holds if it was used: before there were several companies, by the bundled one."""

LOCAL_COPY = "local_copy.duckdb"
"""The file in the home that holds what the weekly judgement measures and replays of a large or remote warehouse."""

WAIT_SECONDS = 600
"""How long a run waits for a program that holds the warehouse, unless `BATON_WAIT_SECONDS` says otherwise."""

MAXIMUM_BYTES_BILLED = 200 * 1024**3
"""What one query may scan in production unless `BATON_BIGQUERY_MAX_BYTES` says otherwise: about a dollar's worth."""


class ProfileError(ValueError):
    """The environment does not say what a profile needs; the message names what to set."""


class UnknownProfileError(ProfileError):
    """`BATON_PROFILE` names no profile."""


class SettingError(ProfileError):
    """A variable that a profile needs is not set, or is not what it must be; the message names it."""


class HomeError(ProfileError):
    """The home holds another company's state, or cannot be where it is."""


NO_LETTERS_OF_A_HOME = r"[?#%\\\x00-\x1f]"
"""SQLite, DuckDB or dbt read these in an address as something else, and would make files elsewhere."""


def home() -> Path:
    """Return the folder that holds all state of this process's company.

    `BATON_HOME`, or in the project's root `.baton` for the bundled company and `.baton-<name>` for another. For a
    company that code gave, the root is that of the project which gave it.

    Raises:
        CompanyError: it is not clear whose.
        HomeError: the folder holds another company's state, or its path has a letter that an engine misreads.
    """
    given, name = os.environ.get("BATON_HOME"), chosen()
    folder = Path(given).expanduser().resolve() if given else folder_of_homes() / _folder(name)
    odd = re.search(NO_LETTERS_OF_A_HOME, str(folder))
    if odd:
        raise HomeError(
            f"Expected a home whose path DuckDB and SQLite can read, and {str(folder)!r} holds {odd[0]!r}. Name a "
            "folder without it: export BATON_HOME=<folder>. What is there already can be moved as it is. Nothing was "
            "changed."
        )
    own = f"leave BATON_HOME unset ({_folder(name)} is its own)" if given else f"move {folder} away"
    refuse_other_owner(folder, f"name another folder: export BATON_HOME=<folder>, or {own}")
    return folder


def refuse_other_owner(folder: Path, instead: str = "name another folder") -> None:
    """Refuse a folder that holds another company's state; `instead` is what one does for this process's company.

    Raises:
        HomeError: it does.
    """
    name, owner = chosen(), owner_of(folder)
    if owner not in (None, name):
        raise HomeError(
            f"Expected a home of the company {name}, and {folder} holds the state of {owner}. For {name}, {instead}. "
            f"For {owner}: export BATON_COMPANY={owner}. Nothing was changed."
        )


def _folder(name: str) -> str:
    return ".baton" if name == BUNDLED else f".baton-{name}"


def owner_of(folder: Path) -> str | None:
    """Return the company whose state a home holds; None: nobody's yet.

    Where its mark was lost, the models that were prepared in it tell.
    """
    marked = _mark(folder)
    if marked:
        return marked[0]
    if not any((folder / name).exists() for name in STATE):
        return None
    staged = sorted(one.name for one in (folder / "dbt" / "project" / "models" / "staging").glob("*/"))
    return staged[0] if len(staged) == 1 else BUNDLED


def _mark(folder: Path) -> list[str]:
    """Return the lines of a home's mark: the company, and the question that its tables answer.

    None: it is not marked, or the mark was cut short.
    """
    try:
        text = (folder / MARK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # Former builds wrote it so that a power loss could leave it empty.
    return text.split("\n")[:2] if text.endswith("\n") and text.strip("\n\0") else []


def claim_home(*, answering: bool = True) -> Path:
    """Return the home, made and marked as this company's, so that another one's state never comes into it.

    `answering`: what is made in it answers the company's question; before that, the question may still be changed.

    Raises:
        HomeError: it holds another company's state, or answers another question.
    """
    folder, marked = home(), _mark(home())
    before = marked[1] if len(marked) > 1 else ""
    asked = _asked() if answering else before
    if before not in ("", asked):
        raise HomeError(
            f"{folder} holds tables and models that answer {before}, and company.toml asks {asked}. Features, labels "
            "and judgements of two questions do not go together. Ask as before, or start anew: move the folder away, "
            "or name another by export BATON_HOME=<folder>. Nothing was changed."
        )
    if marked != [chosen(), asked]:
        make_private(folder)
        write_whole(folder / MARK, f"{chosen()}\n{asked}\n")
    return folder


def _asked() -> str:
    """Return the question in one line."""
    question = company().question.asked
    return ", ".join(f"{field.name} = {getattr(question, field.name)}" for field in fields(question))


def stay_embedded() -> None:
    """Set the embedded profile for this process, whatever the shell is set to.

    For what works on copies and samples, or describes the graph: it has nothing to look for in production.
    """
    os.environ["BATON_PROFILE"] = "embedded"


def embedded(home: Path) -> dict[str, Any]:
    """Everything on one machine: a DuckDB file, real Airbyte connectors without a server, MLflow on SQLite."""
    here = company()
    clock = Clock(reads=here.recording_ends.isoformat() if here.recording_ends else "")
    file = str(home / "warehouse.duckdb")
    # All that open a file which another process may hold are equally patient.
    wait = float(_number("BATON_WAIT_SECONDS", WAIT_SECONDS, "seconds"))
    dbt = DbtRunner(state_dir=str(home / "dbt"), warehouse_path=file, wait_seconds=wait)
    copy = LocalCopy(str(home / LOCAL_COPY), dbt.entity_columns(), wait_seconds=wait)
    warehouse = DuckDBWarehouse(path=file, local_copy=copy, wait_seconds=wait)
    return {
        "clock": clock,
        "warehouse": warehouse,
        "airbyte": EmbeddedAirbyteWorkspace(
            warehouse_path=warehouse.path,
            clock=clock,
            connections_file=os.environ.get("BATON_CONNECTIONS", ""),
            wait_seconds=wait,
        ),
        "dbt": dbt,
        "registry": ModelRegistry(
            tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
            artifact_root=(home / "mlartifacts").as_uri(),
            # One run at a time works in a home: no other training is going on.
            orphan_after=0.0,
            ui=_mlflow_ui(),
        ),
        "alerts": _alerts(home),
        "report": _report(home),
    }


def production(home: Path) -> dict[str, Any]:
    """BigQuery, an Airbyte server or Cloud, MLflow where `MLFLOW_TRACKING_URI` says; `home` holds copies and scratch.

    The models' places have no default: one beside each process, on a machine that goes after its run, would be taken
    for a registry until a version is asked for that another machine made. No server is asked before something runs;
    what is missing there is said by whoever needs it.
    """
    project = _required("BATON_BIGQUERY_PROJECT", "the Google Cloud project that holds the datasets")
    clock = Clock()
    dbt = DbtRunner(
        state_dir=str(home / "dbt-production"),
        target="production",
        variables_of_target={"BATON_BIGQUERY_PROJECT": project},
    )
    return {
        "clock": clock,
        "warehouse": BigQueryWarehouse(
            project=project,
            location=os.environ.get("BATON_BIGQUERY_LOCATION", "US"),
            maximum_bytes_billed=_number("BATON_BIGQUERY_MAX_BYTES", MAXIMUM_BYTES_BILLED, "bytes"),
            local_copy=LocalCopy(str(home / LOCAL_COPY), dbt.entity_columns()),
        ),
        "airbyte": RemoteAirbyteWorkspace(clock=clock),
        "dbt": dbt,
        "registry": ModelRegistry(
            tracking_uri=_required(
                "MLFLOW_TRACKING_URI", "the MLflow server that registers models, or a file that stays"
            ),
            artifact_root=_required("BATON_ARTIFACT_ROOT", "the bucket or folder that holds the models"),
            ui=_mlflow_ui(),
        ),
        "alerts": _alerts(home),
        "report": _report(home),
    }


def _alerts(home: Path) -> Alerts:
    """Return what delivers alerts; wrong settings are refused here, before there is something to tell."""
    alerts = Alerts(path=str(home / "alerts.jsonl"), report=_report(home))
    alerts.routes()
    return alerts


def _mlflow_ui() -> str:
    try:
        return checked_address(os.environ.get(MLFLOW_UI, ""))
    except ModelPageError as error:
        raise SettingError(str(error)) from None


def _report(home: Path) -> WeekReport:
    """Return where the report of the week is written: in the home, or in the folder that BATON_REPORT names."""
    folder = os.environ.get("BATON_REPORT")
    return WeekReport(path=str((Path(folder).expanduser().resolve() if folder else home) / REPORT))


def _required(variable: str, what: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise SettingError(
            f"The profile `production` expects {variable}, {what}, and it is not set. docs/production.md lists all "
            "variables."
        )
    return value


def _number(variable: str, default: int, unit: str) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or int(text) == 0:
        raise SettingError(f"{variable} must be a whole number of {unit}, such as {default}; it is {text!r}.")
    return int(text)


PROFILES: Mapping[str, Callable[[Path], dict[str, Any]]] = {"embedded": embedded, "production": production}


def resources_for(profile: str | None = None) -> dict[str, Any]:
    """Return the resources of a profile (default: the environment's `BATON_PROFILE`, else `embedded`).

    Raises:
        UnknownProfileError: there is no such profile; the message names those that exist.
    """
    name = profile or os.environ.get("BATON_PROFILE") or "embedded"
    if name not in PROFILES:
        raise UnknownProfileError(
            f"BATON_PROFILE must be one of {', '.join(sorted(PROFILES))}; it is {name!r}. Correct it, or unset it for "
            "the embedded profile."
        )
    return PROFILES[name](home())
