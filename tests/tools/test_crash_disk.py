"""A disk that loses its power keeps what was synced; one that is full takes no more, whichever process writes."""

import os
import subprocess
import sys

import pytest

from tools.crash.disk import CUT, EMPTY, NAMES_LOST, Disk, DiskError, build

WRITES = """
import os, sys
from pathlib import Path

home = Path(sys.argv[1])

def write(name, text, sync):
    with (home / name).open("a") as file:
        file.write(text)
        file.flush()
        if sync:
            os.fsync(file.fileno())

write("was there", " and more", sync=False)
write("synced", "whole", sync=True)
write("synced", " and later", sync=False)
write("never", "abcdef", sync=False)
write("new", "second", sync=True)
os.replace(home / "new", home / "renamed")
os.unlink(home / "removed")
write("removed", "a new file, perhaps of the same number", sync=False)
os.unlink(home / "removed")
if "folder" in sys.argv:
    os.fsync(os.open(home, os.O_RDONLY))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def home(tmp_path):
    made = tmp_path / "home"
    made.mkdir()
    for name in ("was there", "renamed", "removed"):
        (made / name).write_text("first")
    return made


def run(disk, script, *arguments):
    command = [sys.executable, "-c", script, str(disk.home), *arguments]
    environment = {**os.environ, **disk.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def held(home):
    return {file.name: file.read_text() for file in home.iterdir()}


KEPT = {"was there": "first", "synced": "whole", "renamed": "second"}


@pytest.mark.parametrize(
    ("how", "left"),
    [
        (EMPTY, {**KEPT, "never": ""}),
        (CUT, {**KEPT, "was there": "first and", "synced": "whole and ", "never": "abc"}),
        (NAMES_LOST, {**KEPT, "renamed": "first", "new": "second", "removed": "first"}),
    ],
)
def test_a_power_loss_leaves_what_was_synced(library, home, tmp_path, how, left):
    disk = Disk(library, home, tmp_path / "shadow")
    assert run(disk, WRITES).returncode == 0
    disk.lose_power(how)
    assert held(home) == left


def test_names_are_kept_from_the_moment_on_at_which_their_folder_was_synced(library, home, tmp_path):
    disk = Disk(library, home, tmp_path / "shadow")
    assert run(disk, WRITES, "folder").returncode == 0
    disk.lose_power(NAMES_LOST)
    assert held(home) == KEPT


FILLS = """
import os, sys
from pathlib import Path

child = os.fork()
try:
    with (Path(sys.argv[1]) / str(os.getpid())).open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(100))
except OSError as error:
    os.write(1, error.strerror.encode() + b"\\n")
if child:
    os.wait()
Path(sys.argv[2]).write_text("fits")
"""


def test_a_full_disk_takes_no_more_from_any_process_and_other_folders_are_not_full(library, home, tmp_path):
    disk = Disk(library, home, tmp_path / "shadow", room=1000)
    said = run(disk, FILLS, str(tmp_path / "elsewhere")).stdout.splitlines()
    assert said == ["No space left on device"] * 2
    assert (tmp_path / "elsewhere").read_text() == "fits"
    assert sum(file.stat().st_size for file in home.iterdir()) == 15 + 1000
    assert disk.written == 1200


def test_without_a_compiler_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DiskError, match="Expected Linux and a C compiler"):
        build(tmp_path)
