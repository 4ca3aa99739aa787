"""A browser without a screen: for tests that walk the pages, and for the pictures of the documentation.

The program is Debian's Chromium, its driver Playwright in an environment of its own (`make setup-tests` installs both).
What happens in the browser is written in `tests/environments/browser/`; here it is found and started.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools import bootstrap, debian
from tools.bootstrap import Environment
from tools.lock import ENVIRONMENTS

PACKAGE, PROGRAM = "chromium", "usr/lib/chromium/chromium"
BESIDE = ("chromium-common", "fontconfig-config", "fonts-dejavu-core")
"""Packages without which the program does not start, or writes no letter, on a machine that has no desktop."""

FOLDER = ENVIRONMENTS / "browser"


def _fill(environment: Environment) -> None:
    bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])


DRIVER = Environment(
    str(FOLDER), "browser", "Playwright, which drives a browser, and axe-core", ["requirements.lock"], _fill
)


def fetch() -> None:
    """Unpack Debian's Chromium into the environment where the machine has none.

    Raises:
        RuntimeError: it cannot be had here; the message says what to install.
    """
    with contextlib.suppress(RuntimeError):
        debian.program(PACKAGE, PROGRAM)
        return
    debian.fetch(PACKAGE, PROGRAM, BESIDE)


def program() -> tuple[Path, dict[str, str]]:
    """Return the browser's path, and the variables that it needs beside the usual ones.

    Raises:
        RuntimeError: it is not there; the message says how to get it.
    """
    found = debian.program(PACKAGE, PROGRAM)
    unpacked = debian.HERE / PACKAGE
    if not found.is_relative_to(unpacked):
        return found, {}
    # Letters come from the machine's folders first, and from what was unpacked where there are none.
    fonts = unpacked / "fonts.conf"
    folders = "".join(f"<dir>{one}</dir>" for one in ("/usr/share/fonts", unpacked / "usr/share/fonts"))
    fonts.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">'
        f"<fontconfig>{folders}<cachedir>{unpacked}/fontcache</cachedir></fontconfig>"
    )
    return found, {**debian.libraries(found), "FONTCONFIG_FILE": str(fonts)}


class Browser:
    """A running browser; make one by `browsing()`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request; `tests/environments/browser/browse.py` says what both hold.

        Raises:
            RuntimeError: the browser ended; what it wrote to standard error says why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Expected an answer of the browser, and it ended: what it wrote above says why.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Run a browser until the block ends, with a profile of its own that is removed then.

    Raises:
        RuntimeError: the browser or its driver is not there as the locks say; nothing is installed.
    """
    if not DRIVER.is_current():
        raise RuntimeError(
            f"Expected {DRIVER.what} in {DRIVER.venv}, as its lock says, and it is not there or not up to date. "
            "Run `make setup-tests`."
        )
    found, variables = program()
    with subprocess.Popen(
        [DRIVER.python, str(FOLDER / "browse.py"), str(found)],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield Browser(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
