"""Undisturbed homes are made once a stage; each kill has a copy, is healed by the same command, and is compared."""

import contextlib
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.company.choice import BUNDLED
from resources.profiles import ROOT
from tools.crash.at_work import last_event
from tools.crash.compare import Difference, files, tables
from tools.crash.family import Family, start
from tools.crash.plan import Kill
from tools.crash.registry import registries
from tools.crash.stages import MODULO, STAGES, Stage
from tools.sample import write_connections, write_sample

LONGEST = 900.0
"""Seconds that a command may take; beyond, it hangs."""

LAST_WORDS = 600


class CrashError(RuntimeError):
    """An undisturbed run failed, so that nothing can be compared with it; the message says which and why."""


@dataclass(frozen=True)
class Outcome:
    """What came of one kill: after how many seconds, what was at work, and what is other than undisturbed."""

    kill: Kill
    seconds: float
    killed: int
    at_work: str
    differences: Sequence[Difference]
    took: float

    @property
    def healed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def line(self) -> str:
        """One row of the table, and a row for each thing that differs."""
        said = f"{self.kill.number:4d}  {self.kill.stage.name:8s} {self.seconds:6.1f} s  {self.at_work[:48]:48s}  "
        said += f"{'healed' if self.healed else f'{len(self.differences)} differ'}, after {self.took:.0f} s"
        return "\n".join([said, *(f"        {one}" for one in self.differences)])


class Suite:
    """The homes of one round of kills, in a folder of their own. `stop` ends whatever runs."""

    def __init__(self, folder: Path, keep: Path | None, stop: threading.Event) -> None:
        self.folder, self.keep, self.stop = folder, keep, stop
        self.durations: dict[str, float] = {}
        write_sample(folder / "source", MODULO)
        write_connections(folder / "source" / "connections.json", folder / "source")

    def undisturbed(self, stage: Stage) -> None:
        """Make the home in which nobody disturbs a stage, and measure how long its command takes.

        Raises:
            CrashError: the command failed.
        """
        self._begin(stage, self._beginning(stage))
        if stage.prepare:
            self._run(stage, stage.prepare, self._beginning(stage))
        place = self._undisturbed(stage)
        shutil.copytree(self._beginning(stage), place)
        self.durations[stage.name] = self._run(stage, stage.command, place)

    def _run(self, stage: Stage, command: Sequence[str], place: Path) -> float:
        family = self._start(stage, command, place)
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
        family = self._start(stage, stage.command, place)
        with contextlib.ExitStack() as ended:
            ended.callback(family.kill)
            family.wait(kill.fraction * self.durations[stage.name], self.stop)
            seconds = family.seconds
            ended.pop_all()
            killed = family.kill()
        at_work = last_event(place / "home")
        again = self._start(stage, stage.command, place)
        code = again.wait(LONGEST, self.stop)
        took = again.seconds
        left = again.members()
        again.kill()
        if code != 0:
            differences = [Difference("one more run", _said(code, place), 1, stage.command[-1])]
        else:
            differences = self.compared(stage, place)
        if left:
            differences.append(Difference("processes", "still there after the end", len(left), str(min(left))))
        self._put_away(place, failed=bool(differences))
        return Outcome(kill, seconds, killed, at_work, differences, took)

    def compared(self, stage: Stage, place: Path) -> list[Difference]:
        """Return what in a home differs from the undisturbed one of the stage."""
        undisturbed, healed = self._undisturbed(stage), place
        return [
            *tables(undisturbed / "home", healed / "home"),
            *registries(undisturbed / "home", healed / "home"),
            *files(undisturbed, healed),
        ]

    def _beginning(self, stage: Stage) -> Path:
        return self.folder / f"before-{stage.name}"

    def _undisturbed(self, stage: Stage) -> Path:
        return self.folder / f"undisturbed-{stage.name}"

    def _begin(self, stage: Stage, place: Path) -> None:
        if stage.after:
            shutil.copytree(self._undisturbed(STAGES[stage.after]), place)
            (place / "said.log").unlink()
        else:
            (place / "tmp").mkdir(parents=True)

    def _start(self, stage: Stage, command: Sequence[str], place: Path) -> Family:
        return start(command, self._environment(stage, place), ROOT, place / "said.log")

    def _environment(self, stage: Stage, place: Path) -> Mapping[str, str]:
        # Nothing of what this shell may be set to, such as a production profile.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "DAGSTER_"))}
        return {
            **inherited,
            "BATON_COMPANY": BUNDLED,
            "BATON_HOME": str(place / "home"),
            "BATON_CONNECTIONS": str(self.folder / "source" / "connections.json"),
            "TMPDIR": str(place / "tmp"),
            **stage.variables,
        }

    def _put_away(self, place: Path, *, failed: bool) -> None:
        if failed and self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            shutil.move(place, self.keep / place.name)
        else:
            shutil.rmtree(place)


def _said(code: int | None, place: Path) -> str:
    ended = f"ended with exit code {code}" if code is not None else f"had not ended after {LONGEST:.0f} s"
    return f"{ended}: …{(place / 'said.log').read_text(errors='replace')[-LAST_WORDS:].strip()}"
