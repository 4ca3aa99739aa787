"""Undisturbed homes are made once a stage; each kill has a copy, is healed by the same command, and is compared."""

import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.company.choice import BUNDLED
from resources.profiles import ROOT
from tools.crash.at_work import last_event
from tools.crash.compare import Difference, files, tables, unfinished
from tools.crash.disk import LOSSES, Disk, build
from tools.crash.family import Family, start
from tools.crash.plan import FULL, KILLED, Kill
from tools.crash.registry import registries
from tools.crash.stages import MODULO, Stage, stages
from tools.sample import write_connections, write_sample

LONGEST = 1200.0
"""Seconds that a command may take; beyond, it hangs."""

LAST_WORDS = 600

BOUNDLESS = 1 << 60
"""Bytes of a disk that is never full, on which it is counted what is written."""


NAMED = re.compile("disk.* full|no space|room on the disk", re.IGNORECASE)
"""How a sentence says that the disk is full."""


class CrashError(RuntimeError):
    """An undisturbed run failed, so that nothing can be compared with it; the message says which and why."""


@dataclass(frozen=True)
class Outcome:
    """What came of one kill: after how many seconds, what was at work (of a full disk: what was said), what differs.

    `twice`: it is like an undisturbed home in which the command ran twice.
    """

    kill: Kill
    seconds: float
    at_work: str
    differences: Sequence[Difference]
    took: float
    twice: bool = False

    @property
    def healed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def line(self) -> str:
        """One row of the table, and a row for each thing that differs."""
        said = f"{self.kill.number:4d}  {self.kill.stage.name:8s} {self.kill.how:10s} {self.seconds:6.1f} s  "
        said += f"{self.at_work[:60]:60s}  "
        said += f"{'healed' if self.healed else f'{len(self.differences)} differ'} after {self.took:.0f} s"
        said += ", as where it ran twice" if self.twice else ""
        return "\n".join([said, *(f"        {one}" for one in self.differences)])


class Suite:
    """The homes of one round of kills, in a folder of their own. `stop` ends whatever runs.

    `homes` are undisturbed ones that there are already, by stage, and `source` the folder that their rows came from.
    A place of a kill holds `home`, `tmp` (what it has for temporary files), and `said.log`.
    """

    def __init__(
        self,
        folder: Path,
        hows: Sequence[str],
        keep: Path | None,
        stop: threading.Event,
        *,
        homes: Mapping[str, Path] | None = None,
        source: Path | None = None,
    ) -> None:
        self.folder, self.keep, self.stop, self.homes = folder, keep, stop, homes or {}
        self.durations: dict[str, float] = {}
        self.written: dict[str, int] = {}
        self.library = build(folder) if set(hows) - {KILLED} else None
        self._one_at_a_time = threading.Lock()
        if source is None:
            source = folder / "source"
            write_sample(source, MODULO)
        self.connections = folder / "connections.json"
        write_connections(self.connections, source)

    def undisturbed(self, stage: Stage) -> None:
        """Make the home in which nobody disturbs a stage, and measure how long its command takes.

        Raises:
            CrashError: the command failed.
        """
        place, beginning = self._undisturbed(stage), self._beginning(stage)
        (beginning / "tmp").mkdir(parents=True)
        if stage.after:
            former = self.homes.get(stage.after) or self._undisturbed(stages()[stage.after]) / "home"
            shutil.copytree(former, beginning / "home")
        else:
            (beginning / "home").mkdir()
        if stage.prepare:
            self._run(stage, stage.prepare, beginning)
        shutil.copytree(beginning, place)
        disk = self._disk(stage.name, place, BOUNDLESS)
        self.durations[stage.name] = self._run(stage, stage.command, place, disk)
        self.written[stage.name] = disk.written if disk else 0

    def _run(self, stage: Stage, command: Sequence[str], place: Path, disk: Disk | None = None) -> float:
        family = self._start(stage, command, place, disk)
        code = family.wait(LONGEST, self.stop)
        took = family.seconds
        family.kill()
        if code != 0:
            raise CrashError(f"Expected the stage {stage.name} to run undisturbed, and it {_said(code, place)}")
        return took

    def outcome(self, kill: Kill) -> Outcome:
        """Kill the stage's command at its moment, run it once more, and compare what is there."""
        stage, place = kill.stage, self.folder / f"kill-{kill.number}"
        shutil.copytree(self._beginning(stage), place)
        full = kill.how == FULL
        room = int(kill.fraction * self.written[stage.name]) if full else -1
        disk = self._disk(place.name, place, room) if kill.how != KILLED else None
        family = self._start(stage, stage.command, place, disk)
        family.wait(LONGEST if full else kill.fraction * self.durations[stage.name], self.stop)
        seconds = family.seconds
        family.kill()
        at_work, differences = _told(place) if full else (last_event(place / "home"), [])
        if disk and kill.how in LOSSES:
            disk.lose_power(kill.how)
        again = self._start(stage, stage.command, place)
        code = again.wait(LONGEST, self.stop)
        took = again.seconds
        left = again.left() if code is not None else set()
        again.kill()
        if left:
            differences.append(Difference("processes", "still there after the end", len(left), str(min(left))))
        if code != 0:
            differences.append(Difference("one more run", stage.command[2], 1, f"it {_said(code, place)}"))
        compared = _compared(self._undisturbed(stage), place) if code == 0 else []
        # Killed after its judgement, a run's week is known to the next: what it quarantines is learned from no more.
        twice = bool(compared) and not _compared(self._ran_twice(stage), place)
        differences += [] if twice else compared
        self._put_away(place, failed=bool(differences))
        return Outcome(kill, seconds, at_work, differences, took, twice)

    def _ran_twice(self, stage: Stage) -> Path:
        """Return the place of an undisturbed home in which the stage's command ran twice, made when first asked for."""
        place = self.folder / f"twice-{stage.name}"
        with self._one_at_a_time:
            if not place.exists():
                shutil.copytree(self._undisturbed(stage), place)
                self._run(stage, stage.command, place)
        return place

    def _beginning(self, stage: Stage) -> Path:
        return self.folder / f"before-{stage.name}"

    def _undisturbed(self, stage: Stage) -> Path:
        return self.folder / f"undisturbed-{stage.name}"

    def _disk(self, name: str, place: Path, room: int) -> Disk | None:
        return Disk(self.library, place / "home", self.folder / f"disk-{name}", room) if self.library else None

    def _start(self, stage: Stage, command: Sequence[str], place: Path, disk: Disk | None = None) -> Family:
        environment = {**self._environment(stage, place), **(disk.environment if disk else {})}
        return start(command, environment, ROOT, place / "said.log")

    def _environment(self, stage: Stage, place: Path) -> Mapping[str, str]:
        # Nothing of what this shell may be set to, such as a production profile.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "DAGSTER_"))}
        return {
            **inherited,
            "BATON_COMPANY": BUNDLED,
            "BATON_HOME": str(place / "home"),
            "BATON_CONNECTIONS": str(self.connections),
            "TMPDIR": str(place / "tmp"),
            "BATON_NOW": stage.clock,
        }

    def _put_away(self, place: Path, *, failed: bool) -> None:
        shutil.rmtree(self.folder / f"disk-{place.name}", ignore_errors=True)
        if failed and self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            shutil.move(place, self.keep / place.name)
        else:
            shutil.rmtree(place)


def _compared(undisturbed: Path, place: Path) -> list[Difference]:
    return [
        *tables(undisturbed / "home", place / "home"),
        *registries(undisturbed / "home", place / "home"),
        *files(undisturbed, place),
        *unfinished(place / "home"),
    ]


def _told(place: Path) -> tuple[str, list[Difference]]:
    """Return what a run said of a full disk, and what is wrong with that."""
    said = (place / "said.log").read_text(errors="replace")
    if "Traceback" in said:
        return "", [Difference("full disk", "a traceback", said.count("Traceback"), said[-LAST_WORDS:].strip())]
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if errors and not NAMED.search(errors[0]):
        return "", [Difference("full disk", "a sentence without it", 1, errors[0])]
    return errors[0] if errors else "the disk was large enough", []


def _said(code: int | None, place: Path) -> str:
    ended = f"ended with exit code {code}" if code is not None else f"had not ended after {LONGEST:.0f} s"
    return f"{ended}: …{(place / 'said.log').read_text(errors='replace')[-LAST_WORDS:].strip()}"
