"""Whatever a command cannot do its work for is a sentence that says what helps, and never a traceback."""

import ast
import contextlib
import errno
import importlib
import json
import re
import socket
import sqlite3
import sys

import pytest
import sqlalchemy.exc
from support.processes import command

from commands.sentences import sentence, sentences
from resources.airbyte import AirbyteError
from resources.environment import variables
from resources.profiles import ROOT

COMMANDS = {
    "airbyte": [],
    "backtest": [],
    "backup": ["--to", "{new}"],
    "check": [],
    "closed": ["--day", "2017-12-25"],
    "release": ["--week", "2017-12-25"],
    "company": ["--name", "webshop", "--from", "{new}/orders.csv"],
    "docs": [],
    "drill": ["--fault", "stores_not_loaded"],
    "promote": ["--version", "1"],
    "rebuild": ["--from", "2017-10-02"],
    "replay": [],
    "restore": ["--from", "{new}"],
    "run": [],
    "serve": ["--port", "0"],
    "summary": ["--only-summary"],
    "mlflow": [],
    "ui": ["--port", "0"],
    "upgrade": [],
}
"""Every command of the Makefile that stands on a home or a company, with arguments that it takes."""

READS_LATER = {"app", "endpoint"}
"""Commands that need nothing as they begin: their answers say what a home lacks (tests/app, tests/endpoint)."""


def test_every_command_is_tried():
    mains = {file.stem for file in (ROOT / "commands").glob("*.py") if "def main(" in file.read_text()}
    assert mains - READS_LATER == {name for name in COMMANDS if name != "summary"}


@contextlib.contextmanager
def called_as(name, *arguments):
    before, sys.argv = sys.argv, [name, *arguments]
    try:
        yield
    finally:
        sys.argv = before


def told(name, new, **environment):
    """Call a command; return what it says at its end. A traceback would come out as the error itself."""
    arguments = [text.replace("{new}", str(new)) for text in COMMANDS[name]]
    main = importlib.import_module(f"commands.{'run' if name == 'summary' else name}").main
    with (
        # Of all commands `serve` alone is told its instance; the others make it known to what they start.
        variables(
            {
                "BATON_COMPANY": "complete_journey",
                "DAGSTER_HOME": f"{environment['BATON_HOME']}/dagster",
                **environment,
            }
        ),
        called_as(name, *arguments),
        pytest.raises(SystemExit) as ended,
    ):
        sys.exit(main())
    return str(ended.value.code)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_home_that_cannot_be_made_is_a_sentence_of_every_command(tmp_path, name, capsys):
    (tmp_path / "file").write_text("no folder")
    said = told(name, tmp_path / "new", BATON_HOME=str(tmp_path / "file" / "home")) + capsys.readouterr().err
    assert "xpected" in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("airbyte", "company", "restore")])
def test_a_damaged_registry_or_warehouse_is_a_sentence_of_every_command_that_reads_them(tmp_path, name):
    home = tmp_path / "home"
    home.mkdir()
    for file in ("warehouse.duckdb", "mlflow.db"):
        (home / file).write_bytes(b"this is not a database" * 1000)
    (home / "dagster" / "history").mkdir(parents=True)
    (home / "dagster" / "history" / "runs.db").write_bytes(b"this is not a database" * 1000)
    said = told(name, tmp_path / "new", BATON_HOME=str(home))
    assert said.startswith("error: ")
    assert "xpected" in said


def test_a_postgres_that_does_not_answer_is_a_sentence_of_the_server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "dagster").mkdir()
    server = {"hostname": "127.0.0.1", "port": port, "username": "d", "password": "hidden", "db_name": "d"}
    storage = {"postgres": {"postgres_db": {"scheme": "postgresql+psycopg2", **server}}}
    (tmp_path / "dagster" / "dagster.yaml").write_text(json.dumps({"storage": storage}))
    said = told("serve", tmp_path / "new", BATON_HOME=str(tmp_path))
    assert said.startswith("error: Expected the Postgres of Dagster's instance to answer, and it does not: ")
    assert "dagster.yaml" in said
    assert "hidden" not in said


def test_settings_that_the_code_lacks_end_the_server_with_a_sentence_behind_its_log(tmp_path):
    (tmp_path / "dagster").mkdir()
    settings = {"BATON_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster"), "BATON_PROFILE": "productoin"}
    done = command("-m", "commands.serve", "--port", "0", **settings)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("error: BATON_PROFILE must be one of embedded, production; it is 'productoin'.")


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["discover", "shop"], {"BATON_PROFILE": "productoin"}, "BATON_PROFILE must be one of"),
        (["discover", "shop"], {"BATON_HOME": "/dev/null/home"}, "Expected "),
        (["reset", "complete_journey", "odors"], {}, "Expected a stream of complete_journey"),
    ],
)
def test_the_tools_for_embedded_connections_say_a_sentence_too(tmp_path, arguments, settings, says):
    done = command("-m", "resources.airbyte", *arguments, **{"BATON_HOME": str(tmp_path), **settings})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(says)


MALFORMED = ("[", '{"shop": {"source": "source-shop", "stream": ["orders"]}}', '["shop"]')


@pytest.mark.parametrize(("name", "text"), [*(("run", one) for one in MALFORMED), ("ui", "["), ("check", "[")])
def test_a_malformed_table_of_connections_is_one_sentence(tmp_path, name, text):
    file = tmp_path / "connections.json"
    file.write_text(text)
    home = {"BATON_HOME": str(tmp_path / "home"), "BATON_CONNECTIONS": str(file)}
    said = command("-m", f"commands.{name}", *COMMANDS[name], **home).stderr
    assert "Traceback" not in said
    assert said.startswith("error: Expected a table of connections")
    assert str(file) in said


ROOMS = ("app", "assets", "commands", "drills", "ml_models", "resources", "steps")


def error_classes():
    """Every class of an error that the project's rooms define."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef) and re.fullmatch(r"[A-Z]\w*Error", node.name):
                    yield ".".join(file.relative_to(ROOT).with_suffix("").parts), node.name


@pytest.mark.parametrize(("module", "name"), error_classes())
def test_every_error_of_the_project_ends_a_command_with_its_message(module, name):
    kind = getattr(importlib.import_module(module), name)
    # What some make their message of is a frame, or a job: only its coming through is looked at.
    error = type(
        name, (kind,), {"__init__": lambda self: None, "__str__": lambda _: "what came", "__module__": module}
    )()
    with pytest.raises(SystemExit) as ended, sentences():
        raise error
    assert ended.value.code == "error: what came"


NoAnswer = type("OperationalError", (Exception,), {"__module__": "psycopg2"})
"""What the driver of Postgres raises, which is there where an instance is on Postgres."""


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/home/x"), "The disk is full at /data/home/x"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/home/x"), "export BATON_HOME=<folder>"),
        (OSError(errno.EROFS, "Read-only file system", "/data/home/x"), "is not allowed at /data/home/x"),
        (MemoryError(), "not enough memory"),
        (sqlite3.DatabaseError("database disk image is malformed"), "move its folder dagster/ away"),
        (sqlite3.OperationalError("database or disk is full"), "The disk is full"),
        (sqlite3.OperationalError("disk I/O error"), "The disk is full, or it fails: disk I/O error. Make room"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "Give this user the right"),
        (
            sqlalchemy.exc.DatabaseError("select 1", None, sqlite3.DatabaseError("file is not a database")),
            "make restore FROM=<folder>",
        ),
        (
            sqlalchemy.exc.OperationalError("select 1", None, NoAnswer('connection to server at "db" failed\nretry')),
            r'Postgres of Dagster.s instance to answer, and it does not: connection to server at "db" failed\. Look',
        ),
        (ModuleNotFoundError("No module named 'skops.io'", name="skops.io"), "the package skops in .*then make setup"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else "",
)
def test_what_the_machine_lacks_is_said_with_what_helps(error, helps):
    with pytest.raises(SystemExit, match=helps), sentences():
        raise error


def test_what_a_library_wraps_is_said_all_the_same():
    wrapped = RuntimeError("a step failed")
    wrapped.__cause__ = AirbyteError("the source is away")
    with pytest.raises(SystemExit, match="the source is away"), sentences():
        raise wrapped


@pytest.mark.parametrize(
    "defect", [KeyError("orders"), TypeError("a defect"), ModuleNotFoundError("x", name="steps.x")]
)
def test_a_defect_keeps_its_traceback(defect):
    assert sentence(defect) == ""
    with pytest.raises(type(defect)), sentences():
        raise defect


def test_a_package_that_a_command_s_own_first_lines_need_is_named(tmp_path):
    code = "import sys; sys.modules['dagster'] = None; import commands.run"
    done = command("-c", code, BATON_HOME=str(tmp_path))
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"error: Expected the package dagster in {sys.prefix}, and it is not there.")
