"""What the pages show to be typed, and what becomes of each: it is run here or elsewhere, or there is a reason why not.

A page that shows something new fails a test until it is in one of these tables.
"""

import functools
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from resources.profiles import ROOT

WALKED = {"docs/afternoon.md": "tests/deploy/test_afternoon.py"}
"""Pages whose blocks are typed as they stand, from the first to the last, by a test of their own."""

PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    # What a changelog names may be gone.
    if page.name != "CHANGELOG.md"
)

PROGRAMS = (
    "make",
    "dagster",
    "dbt",
    "docker",
    "git",
    "helm",
    "kubectl",
    "gcloud",
    "bq",
    "mlflow",
    "pytest",
    "systemctl",
)

BLOCK = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
"""A block of code: how far it is indented, what stands behind its first fence, and its text."""


class Shown(NamedTuple):
    """Something that a page shows: where, in which language (`sh`, `sql`, `python`, `toml`), and the text."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


@functools.cache
def shown() -> list[Shown]:
    """Return everything that the pages show, each text once a page."""
    found: dict[Shown, None] = {}
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        text = page.read_text()
        for language, written in (*_in_blocks(text, name in WALKED), *_in_lines(BLOCK.sub("", text))):
            found[Shown(name, language, written)] = None
    return list(found)


def _in_blocks(text: str, walked: bool) -> Iterator[tuple[str, str]]:
    for indented, info, block in BLOCK.findall(text):
        language = info.split(" ")[0]
        if language == "toml" or (language in ("sql", "python") and not indented):
            yield language, textwrap.dedent(block)
        # Within a step of a walk, SQL and Python are the lines that it adds to a file.
        elif language in ("", "sh", "console", "yaml") and not walked:
            # What a block of settings shows to be typed stands in a comment.
            for line in block.replace("\\\n", " ").splitlines():
                bare = re.sub(r"^[$#] ", "", line.strip()).partition("  #")[0].strip()
                if re.match(r"(select|from|with) ", bare):
                    yield "sql", bare
                elif _is_command(bare):
                    yield "sh", bare


def _in_lines(text: str) -> Iterator[tuple[str, str]]:
    for code in re.findall(r"`([^`\n]+)`", text):
        # A table writes a pipe so.
        bare = code.replace(r"\|", "|").strip()
        if re.match(r"select ", bare):
            yield "sql", bare
        elif _is_command(bare):
            yield "sh", bare


def _is_command(text: str) -> bool:
    """Return whether a text is something to type, and not only the name of a program or of a file."""
    rest = re.sub(r"^(?:env (?:-u \w+ )*|\w+=\S+ )+", "", text)
    if re.match(r"(?:\.venv/bin/\w+ \S|python -[mc] |\.ci/run$)", rest):
        return True
    program, _, arguments = rest.partition(" ")
    return program in PROGRAMS and bool(arguments)


class Elsewhere(NamedTuple):
    """It is run by another test, or by CI: the file, and what that file must hold."""

    file: str
    holds: str


class Not(NamedTuple):
    """It is not run, and this is why."""

    reason: str


class Here(NamedTuple):
    """It is run by tests/graph/test_shown_on_a_home.py on a home of a sample, as it stands but for what `given` says.

    `given` is what takes the place of a text of the command: where a page names a folder, the test has its own.
    """

    given: tuple[tuple[str, str], ...] = ()


class Served(NamedTuple):
    """It serves until it is interrupted: the same test starts it, opens the page that it names, and ends it."""

    path: str = "/"


Fate = Elsewhere | Not | Here | Served

GOOGLE = Not("it needs a project of Google's; the page says so")
AIRBYTE = Elsewhere("tests/contracts/airbyte_server/test_airbyte_server_snapshot.py", "commands.airbyte")
CONTAINERS = Not("it needs Docker, which neither CI nor the tests have; tests/deploy holds the files to their schemas")
CLUSTER = Not("it needs a cluster of Kubernetes; tests/deploy/test_kubernetes.py holds the values to the chart")
MEASURES = Not("it measures a machine for minutes; what it prints stands on the page with the machine")
CI = Elsewhere(".ci/run", "make test")

TARGETS: dict[str, Fate] = {
    "airbyte": AIRBYTE,
    "app": Served(),
    "backtest": Elsewhere("tests/commands/test_backtest.py", "commands.backtest"),
    "backup": Here((("<folder>", "{new}/backup"), ("/backups/2024-09-02", "{new}/dated"))),
    "bench": MEASURES,
    "benchmark": Elsewhere("tests/tools/test_benchmark.py", "tools.benchmark"),
    "check": Here((("BATON_COMPANY=cdnow ", ""), ("BATON_COMPANY=webshop ", ""))),
    "closed": Here((("DAY=…", "DAY=2017-12-25"), ("DAY=2024-08-29", "DAY=2017-12-25"))),
    "company": Elsewhere("tests/company/test_make_company.py", "commands.company"),
    "coverage": Not("it runs the quick tests, which CI does, and counts lines"),
    "crash": Elsewhere("tests/tools/test_crash.py", "tools.crash"),
    "docs": Served(),
    "drill": Elsewhere("tests/drills/test_short_drill.py", "drill"),
    "drill-all": Not("it takes half an hour on the whole data; tests/drills drives a short one of each kind"),
    "help": Elsewhere("tests/docs/test_docs_and_code.py", '"help"'),
    "lint": Elsewhere("Makefile", "--jobs 2 lint"),
    "lock": Not("it asks a registry; tests/commands/test_commands.py holds it to the locks that are there"),
    "losses": Elsewhere("tests/graph/test_losses.py", "losses"),
    "mlflow": Served(),
    "promote": Here(
        tuple((one, "VERSION=1") for one in ("VERSION=3", "VERSION=<the previous one>", "VERSION=<another>"))
    ),
    "rebuild": Here((("FROM=…", "FROM=2017-10-02"), ("FROM=<first cutoff concerned>", "FROM=2017-10-02"))),
    "release": Elsewhere("tests/resources/test_releases.py", "release"),
    "replay": Elsewhere("tests/commands/test_replay.py", "commands.replay"),
    "restore": Here(
        (("<folder>", "{new}/backup"), ("<backup>", "{new}/backup"), ("/backups/2024-09-02", "{new}/dated"))
    ),
    "run": Here((("BATON_COMPANY=cdnow ", ""), ("BATON_COMPANY=webshop ", ""))),
    "scale": Elsewhere("tests/tools/test_scale.py", "scale"),
    "serve": Served("/health"),
    "setup": Elsewhere("tests/commands/test_commands.py", "tools/bootstrap.py"),
    "setup-tests": CI,
    "snapshot": Elsewhere("tests/graph/test_snapshot.py", "snapshot"),
    "summary": Here(),
    "test": CI,
    "test-slow": CI,
    "ui": Served("/server_info"),
    "upgrade": Here(),
}
"""What becomes of `make <target>`."""

OTHERS: tuple[tuple[str, Fate], ...] = (
    (r"\.venv/bin/dagster asset list -m definitions", Here()),
    (r"\.venv/bin/dagster asset materialize -m definitions --select '\*'", Elsewhere(".ci/run", "asset materialize")),
    (
        r"BATON_PROFILE=production \.venv/bin/dagster definitions validate .*",
        Elsewhere(".ci/run", "definitions validate"),
    ),
    (
        r"(\.venv/bin/)?dagster job execute -m definitions -j retrain( .*)?",
        Elsewhere("tests/graph/test_recalibration.py", "retrain"),
    ),
    (
        r"\.venv/bin/dagster job execute -m definitions -j weekly_judge .*",
        Here((("override.yaml", "{new}/override.yaml"),)),
    ),
    (
        r"dagster job execute -m definitions -j ingest_and_build --tags .*",
        Elsewhere("tests/contracts/airbyte/test_airbyte_unchanged.py", "FORCE"),
    ),
    (r"\.venv/bin/dagster job launch --workspace .*", Elsewhere("tests/deploy/test_afternoon.py", "PAGE")),
    (r"\.venv/bin/pytest tests/\S+( tests/\S+)*", Elsewhere("Makefile", "$(PYTEST)")),
    (r"\.venv/bin/python -c .*BigQueryWarehouse.*", GOOGLE),
    (r"\.venv/bin/python -m commands\.airbyte( .*)?", AIRBYTE),
    (
        r"\.venv/bin/python -m resources\.airbyte discover (shop|<connection>)",
        Not("the page's connection is the reader's"),
    ),
    (
        r"\.venv/bin/python -m resources\.airbyte reset complete_journey transactions",
        Elsewhere("tests/contracts/airbyte/test_airbyte_incremental.py", "reset"),
    ),
    (r"(\.venv/bin/)?python -m tools\.bench\..*", MEASURES),
    (r"python -m tools\.ta_feng .*", Not("a person downloads its file; tests/tools/test_ta_feng.py has a small one")),
    (r"python -m commands\.app", Elsewhere("tests/commands/test_app.py", "commands.app")),
    (r"python -m commands\.endpoint", Elsewhere("tests/deploy/test_kubernetes.py", "commands.{mine}")),
    (r"mlflow models serve", Elsewhere("tools/bench/endpoint.py", "models")),
    (r"python -m commands\.serve", Elsewhere("tests/deploy/test_processes.py", "commands.serve")),
    (
        r"(\.venv/bin/)?python -m tools\.company_fields",
        Elsewhere("tests/company/test_company_fields.py", "company_fields"),
    ),
    (
        r"(\.venv/bin/)?python -m tools\.pictures",
        Elsewhere("tests/graph/test_in_a_browser.py", "pictures.take"),
    ),
    (r"(\.venv/bin/)?python -m tools\.thresholds", Elsewhere("tests/tools/test_thresholds.py", "thresholds")),
    (r"\.ci/run", Not("it is what runs the tests")),
    (r"BATON_DBT_TARGET=production .*", GOOGLE),
    (r"dbt (run --full-refresh|build|--version)", Not("said of dbt in general, or where not to type it")),
    (r"dagster asset materialize --select '\*'", Not("said of Dagster in general, in a decision")),
    (r"(docker|cp|printf|chmod|cd) .*", CONTAINERS),
    (r"(kubectl|helm) .*", CLUSTER),
    (r"(gcloud|bq) .*", GOOGLE),
    (r"git .*", Not("the address is the reader's")),
    (r"systemctl .*", Not("it needs systemd; tests/deploy/test_processes.py starts what its units start")),
    (r"make PYTHON=\S+ setup", Elsewhere("tests/commands/test_commands.py", "baton needs Python")),
)
"""What becomes of every other command, by a regular expression of the whole of it. The first that fits counts."""

SQL_ELSEWHERE: tuple[tuple[str, Fate], ...] = (
    (r"select \* from copied\.tables", Not("only where the local copy is another file than the warehouse")),
    (
        r"select r\.\* from marts\.customers_at_risk r join campaigns\..*",
        Not("nobody is drawn where no campaign is set"),
    ),
    (r"select cutoff_date, count\(\*\)", Not("half of a statement, in a decision")),
)
"""SQL that a finished home cannot answer; all other is asked of one."""


def target_of(command: str) -> str:
    """Return the target of a `make` command; empty where it is another command."""
    found = re.match(r"(?:env -u \w+ )?(?:\w+=\S+ )*make ([a-z][a-z-]*)", command)
    return found[1] if found else ""


def fate(one: Shown) -> Fate | None:
    """Return what becomes of something shown; None where no table knows it."""
    if one.language == "sh" and target_of(one.text):
        return TARGETS.get(target_of(one.text))
    table = SQL_ELSEWHERE if one.language == "sql" else OTHERS
    found = next((what for pattern, what in table if re.fullmatch(pattern, one.text.strip(), re.DOTALL)), None)
    return found or (None if one.language == "sh" else Here())


def is_name_only(command: str) -> bool:
    """Return whether a `make` command is only named: its target takes a variable that is not given."""
    recipe = re.search(rf"^{target_of(command)}:.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # What stands between `$(if` and `)` may be left away.
    asked = re.findall(r'(?<!,)--\w+ "\$\((\w+)\)"', recipe[1]) if recipe else []
    return any(f"{name}=" not in command for name in asked)


def filled(command: str, given: tuple[tuple[str, str], ...], new: Path) -> str:
    """Return a command with what a test gives in the place of what a page names."""
    for said, ours in given:
        command = command.replace(said, ours.format(new=new))
    return command.replace("…", "something")


def words_of(command: str) -> list[str]:
    """Return the words of a command without the variables before it; `<a folder>` and the like are one word."""
    words = shlex.split(re.sub(r"<[^>]*>", lambda one: one[0].replace(" ", "-"), command), comments=True)
    while words and re.match(r"\w+=|env$|-u$|BATON_\w+$", words[0]):
        words.pop(0)
    return words
