"""What the slow tests stand on beside baton's own environment; `make setup-tests` installs it, before any test starts.

A folder here with locks is an environment of its own, kept beside them (`.venv/`, not in git); a changed lock or repair
fills it again. Servers come from Debian packages. Tests themselves install nothing and ask no registry.
"""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resources.profiles import ROOT
from tools import bootstrap, browser, debian, postgres
from tools.bootstrap import Environment

HERE = Path(__file__).resolve().parent
CONNECTOR = ROOT / "connectors" / "source-complete-journey"
NGINX = ("nginx", "usr/sbin/nginx")


def _fill(environment: Environment) -> None:
    bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])


def _fill_emulator(environment: Environment) -> None:
    folder = environment.folder
    # The emulator names a newer Python than ours; the repairs make it run on this one.
    bootstrap.install(environment, [f"{folder}/requirements.lock"], beyond=[f"{folder}/any-python.lock"])
    bootstrap.run([environment.python, f"{folder}/repairs.py"], "repair the emulator of BigQuery")


def _fill_kit(environment: Environment) -> None:
    folder = environment.folder
    bootstrap.install(environment, [f"{folder}/requirements.lock", f"{folder}/requirements-cdk.lock"])
    bootstrap.install_editable(environment, folder)


ENVIRONMENTS = {
    "airbyte_kit": Environment(
        str(CONNECTOR),
        "airbyte_kit",
        "the connector on Airbyte's own development kit",
        ["requirements.lock", "requirements-cdk.lock", "pyproject.toml"],
        _fill_kit,
        ".venv-cdk",
    ),
    "bigquery_emulator": Environment(
        str(HERE / "bigquery_emulator"),
        "bigquery_emulator",
        "an emulator of BigQuery",
        ["requirements.lock", "any-python.lock", "repairs.py"],
        _fill_emulator,
    ),
    "browser": browser.DRIVER,
    "source_declarative": Environment(
        str(HERE / "source_declarative"),
        "source_declarative",
        "Airbyte's runner of declarative sources",
        ["requirements.lock"],
        _fill,
    ),
    "source_faker": Environment(
        str(HERE / "source_faker"), "source_faker", "a source of Airbyte's", ["requirements.lock"], _fill
    ),
    "sql_analyzer": Environment(
        str(HERE / "sql_analyzer"), "sql_analyzer", "Google's analyzer of GoogleSQL", ["requirements.lock"], _fill
    ),
}


def python_of(name: str) -> Path:
    """Return the interpreter of an environment by its name; see `python_in`."""
    return python_in(ENVIRONMENTS[name])


def python_in(environment: Environment) -> Path:
    """Return the interpreter of an environment.

    Raises:
        RuntimeError: it is not there as its locks say; nothing is installed, because a test would wait for a registry.
    """
    if not environment.is_current():
        raise RuntimeError(
            f"Expected {environment.what} in {environment.venv}, as its locks say, and it is not there or not up to "
            "date. Run `make setup-tests`; tests install nothing."
        )
    return Path(environment.python)


def _nginx() -> None:
    with contextlib.suppress(RuntimeError):
        debian.program(*NGINX)
        return
    debian.fetch(*NGINX)


def main() -> None:
    """Install all of it, side by side."""
    with ThreadPoolExecutor() as pool:
        at_work = [
            pool.submit(bootstrap.bring_up_to_date, list(ENVIRONMENTS.values())),
            pool.submit(_nginx),
            pool.submit(postgres.fetch),
            pool.submit(browser.fetch),
        ]
    for one in at_work:
        try:
            one.result()
        except RuntimeError as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
