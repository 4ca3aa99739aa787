"""Make the pictures of the documentation anew: a browser opens what a run made, and takes them.

    python -m tools.pictures [--only why] [--to docs/images]

They are of a copy of the home (`BATON_HOME`), so nothing that is looked at changes it. The home must be that of a whole
run, as `make run` leaves it. `make setup-tests` brings the browser.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from commands.session import alone_in_home, quiet
from resources.profiles import ROOT, home
from resources.serving_copy import FILE, open_copy
from tools.browser import Browser, browsing
from tools.bundled import bundled_only
from tools.postgres import free_port

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 1_500_000
"""Of all pictures: who clones the project loads them."""

COLOURS = 128
"""Of a picture: pages have few, and a file of so many is a quarter of one of all."""

WAIT_SECONDS = 180.0
PHONE, DESK = 390, 1280


@dataclass(frozen=True)
class Picture:
    """One picture: which server's which path (`{first}`: the first customer of the list), how large, what is done."""

    server: str
    path: str
    width: int = DESK
    height: int = 800
    steps: Sequence[tuple[str, Any]] = field(default=())
    wait_seconds: float = 90


SETTLED = ("pause", 2500)
"""Graphs and lists of a web UI move for a moment after they are there."""

PICTURES: Mapping[str, Picture] = {
    "week": Picture("app", "/", height=1120),
    "week_phone": Picture("app", "/", width=PHONE, height=844),
    "customer": Picture("app", "/customer?id={first}", height=1000),
    "trust": Picture("app", "/trust", height=900),
    "card": Picture("app", "/card", height=900),
    "graph": Picture(
        "ui",
        "/assets/predictions/lapse_predictions?view=lineage&lineageScope=upstream&lineageDepth=5",
        width=2000,
        height=860,
        steps=[("wait", "text=lapse_predictions"), SETTLED, SETTLED],
    ),
    "why": Picture(
        "ui",
        "/assets/monitoring/why?view=events",
        width=1440,
        height=900,
        steps=[("wait", "text=next_command"), SETTLED],
    ),
    "mlflow": Picture(
        "mlflow",
        "/#/models/lapse/versions/{version}",
        width=1440,
        height=900,
        steps=[("wait", "text=Version {version}"), SETTLED, ("click", "[aria-label='Close']"), SETTLED],
    ),
    "dbt": Picture(
        "docs",
        "/#!/model/model.baton.customers_at_risk",
        width=1440,
        height=900,
        steps=[("wait", "text=customers_at_risk"), SETTLED],
    ),
}


def command_of(server: str, port: int) -> list[str]:
    """Return what serves: the commands of people, but for the web UI, whose daemon would begin to work."""
    if server == "ui":
        webserver = Path(sys.executable).with_name("dagster-webserver")
        return [str(webserver), "-w", str(ROOT / "workspace.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", f"commands.{server}", "--port", str(port)]


@contextlib.contextmanager
def serving(server: str, folder: Path) -> Iterator[str]:
    """Run a server on a home until the block ends; yields its address once it answers.

    Raises:
        RuntimeError: it ended, or did not answer in time; its log is told.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = folder.parent / f"{server}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command_of(server, port),
            cwd=ROOT,
            env={**os.environ, "BATON_HOME": str(folder), "DAGSTER_HOME": str(folder / "dagster")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + WAIT_SECONDS
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(
                    f"Expected {server} to answer at {address}, and it did not: {log.read_text()[-1500:]}"
                )
            time.sleep(0.3)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 2)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def facts_of(folder: Path) -> dict[str, str]:
    """Return what paths name: the first customer of the list, and the version that serves."""
    with open_copy(folder / FILE) as copy:
        [first] = copy.execute("select customer_id from marts.customers_at_risk order by loss_rank limit 1").fetchall()
        [version] = copy.execute("select champion_version from published.serving_copy").fetchall()
    return {"first": quote(str(first[0])), "version": str(version[0])}


def take(browser: Browser, picture: Picture, address: str, facts: Mapping[str, str], file: Path) -> None:
    """Take one picture into a file, made small.

    Raises:
        RuntimeError: the page is not what it should be; the sentence says which step did not come.
    """
    from PIL import Image

    steps = [[kind, what.format(**facts) if isinstance(what, str) else what] for kind, what in picture.steps]
    said = browser.ask(
        picture=str(file),
        address=address + picture.path.format(**facts),
        width=picture.width,
        height=picture.height,
        steps=steps,
        wait_ms=1000 * picture.wait_seconds,
    )
    if said["wrong"]:
        raise RuntimeError(f"Expected a picture of {picture.server} {picture.path}, and got none: {said['wrong'][0]}")
    with Image.open(file) as full:
        few = full.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def main() -> None:
    """Take all pictures, or some."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=sorted(PICTURES), nargs="*", help="names of pictures; without, all")
    arguments.add_argument("--to", type=Path, default=IMAGES, help="a folder")
    given = arguments.parse_args()
    bundled_only("The documentation")
    quiet()
    wanted = {name: PICTURES[name] for name in given.only or PICTURES}
    given.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="baton-pictures-") as temporary, browsing() as browser:
        folder = Path(temporary) / "home"
        with alone_in_home():
            shutil.copytree(home(), folder)
        facts = facts_of(folder)
        for server in dict.fromkeys(one.server for one in wanted.values()):
            with serving(server, folder) as address:
                for name in (name for name, one in wanted.items() if one.server == server):
                    file = given.to / f"{name}.png"
                    take(browser, wanted[name], address, facts, file)
                    print(f"{file}: {file.stat().st_size // 1000} kB", flush=True)
    size = sum(one.stat().st_size for one in given.to.glob("*.png"))
    if size > MOST_BYTES:
        sys.exit(f"error: the pictures take {size:,} bytes, and {MOST_BYTES:,} are allowed: make one smaller.")


if __name__ == "__main__":
    main()
