"""A disk that loses its power, and one that is full: disk.c watches what a family syncs and writes under a folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("disk.c")

EMPTY, CUT, NAMES_LOST = "empty", "cut", "names lost"
LOSSES = (EMPTY, CUT, NAMES_LOST)
"""What a power loss leaves. All: of each file what was last synced. `empty`: a file that never was is empty. `cut`: of
what was written later, a half. `names lost`: what was renamed or removed since anything was synced in its folder has
its former name, and a file that never was synced is not there."""


class DiskError(RuntimeError):
    """The machine cannot watch a disk; the message says what is missing."""


def build(folder: Path) -> Path:
    """Compile disk.c to a library in `folder`, and return that.

    Raises:
        DiskError: there is no C compiler, or it fails.
    """
    library = folder / "disk.so"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        raise DiskError(
            "Expected Linux and a C compiler called cc, gcc or clang, to watch what is synced, and there is none. "
            "Install one (Debian: apt-get install gcc libc6-dev), or leave POWER and FULL out."
        )
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DiskError(f"Expected {compiler} to compile {SOURCE}, and it does not: {done.stderr.strip()[-600:]}")
    return library


@dataclass
class Disk:
    """The disk under `home`, watched from now on: what is there now is durable. `room`: bytes that fit yet; -1: all."""

    library: Path
    home: Path
    shadow: Path
    room: int = -1
    begun: dict[int, Path] = field(init=False)

    def __post_init__(self) -> None:
        """Keep what is there."""
        self.home, self.shadow = self.home.resolve(), self.shadow.resolve()
        (self.shadow / "begun").mkdir(parents=True)
        self.begun = {}
        for file in _files(self.home):
            kept = self.shadow / "begun" / file.relative_to(self.home)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, kept)
            self.begun[file.stat().st_ino] = kept

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a process whose disk this is."""
        return {
            "LD_PRELOAD": str(self.library),
            "CRASH_DISK_HOME": str(self.home),
            "CRASH_DISK_SHADOW": str(self.shadow),
            "CRASH_DISK_ROOM": str(self.room) if self.room >= 0 else "",
        }

    @property
    def written(self) -> int:
        """How many bytes were asked to be written so far; counted where there is a `room`."""
        return int.from_bytes((self.shadow / "written").read_bytes(), sys.byteorder)

    def lose_power(self, how: str) -> None:
        """Replace the home by what was durable when its processes ended; `how` is one of LOSSES."""
        new = self.home.with_name(f"{self.home.name}.new")
        self.leave(how, new)
        shutil.rmtree(self.home)
        new.rename(self.home)

    def leave(self, how: str, into: Path) -> None:
        """Write to a folder what is durable of the home as it is now."""
        lines = self._log()
        names = {file: _Content(file, self._last(file)) for file in _files(self.home)}
        if how == NAMES_LOST:
            synced = {line[2] for line in lines if line[0] == "sync"}
            names = {file: content for file, content in names.items() if content.durable or str(file) in synced}
            self._undo(names, lines)
        for folder in [self.home, *(one for one in self.home.rglob("*") if one.is_dir() and not one.is_symlink())]:
            (into / folder.relative_to(self.home)).mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in names.items():
            target = into / file.relative_to(self.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.bytes(how))

    def _last(self, file: Path) -> Path | None:
        """Return where what was last synced of a file is kept; None: nothing ever was."""
        kept = self.shadow / str(file.stat().st_ino)
        return kept if kept.exists() else self.begun.get(file.stat().st_ino)

    def _log(self) -> list[list[str]]:
        log = self.shadow / "log"
        lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
        # A number that lost its last name is given to other files: what was there at the beginning is not theirs.
        for line in lines:
            former = {"unlink": 1, "rename": 3}.get(line[0])
            kept = self.begun.pop(int(line[former]), None) if former else None
            aside = self.shadow / f"gone-{line[-1]}"
            if kept and not aside.exists():
                shutil.copyfile(kept, aside)
        return lines

    def _undo(self, names: "dict[Path, _Content]", lines: list[list[str]]) -> None:
        """Give back the names that were lost since each folder was synced."""
        folders: set[str] = set()
        for kind, *what in reversed(lines):
            if kind == "folder":
                folders.add(what[0])
            elif kind == "sync":
                # As ext4, XFS and Btrfs do it: what came before in this folder is on the disk with it.
                folders.add(os.path.dirname(what[1]))
            elif kind == "unlink" and os.path.dirname(what[1]) not in folders:
                self._give_back(names, Path(what[1]), what[2])
            elif kind == "rename" and os.path.dirname(what[1]) not in folders:
                moved = names.pop(Path(what[1]), None)
                if moved:
                    names[Path(what[3])] = moved
                if what[2] != "0":
                    self._give_back(names, Path(what[1]), what[4])

    def _give_back(self, names: "dict[Path, _Content]", path: Path, line: str) -> None:
        aside = self.shadow / f"gone-{line}"
        if aside.exists():
            names[path] = _Content(aside, aside)
        else:
            # It was never synced: neither its name nor its content.
            names.pop(path, None)


@dataclass(frozen=True)
class _Content:
    """What is in a file, and where that is kept which was last synced of it."""

    present: Path
    durable: Path | None

    def bytes(self, how: str) -> bytes:
        """Return what a power loss leaves."""
        durable = self.durable.read_bytes() if self.durable else b""
        if how != CUT:
            return durable
        present = self.present.read_bytes()
        if not present.startswith(durable):
            return durable
        return present[: (len(durable) + len(present)) // 2]


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
