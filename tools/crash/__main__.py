"""Kill whole process families at random moments, run once more, and compare every table cell by cell."""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import FrameType
from typing import TypeVar

from resources.profiles import stay_embedded
from tools.bundled import bundled_only
from tools.crash.disk import LOSSES, DiskError
from tools.crash.plan import FULL, KILLED, Kill, plan
from tools.crash.stages import Stage, stages
from tools.crash.suite import CrashError, Suite

Given = TypeVar("Given")
Made = TypeVar("Made")


def main() -> None:
    """Run the suite; exit code 1 if a home did not heal."""
    stay_embedded()
    bundled_only("`make crash`")
    known = stages()
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=None, help="the same seed is the same moments; default: drawn")
    arguments.add_argument("--stages", default=",".join(known), help="default: all")
    arguments.add_argument("--power", action="store_true", help="with each kill the power is lost, too")
    arguments.add_argument("--full", action="store_true", help="nothing is killed, but the disk is full at that moment")
    arguments.add_argument("--at-once", type=int, default=2, help="how many kills go on side by side")
    arguments.add_argument("--keep", type=Path, default=None, help="a folder for the homes that did not heal")
    given = arguments.parse_args()
    # What a daemon's run says of a full disk stands in the web UI, and nobody asks for that run once more.
    asked = [name for name in given.stages.split(",") if not (given.full and name == "daemon")]
    if given.kills < 1 or not asked or set(asked) - set(known):
        sys.exit(
            f"error: expected KILLS from 1 on and STAGES of {', '.join(known)} (none of a daemon where the disk is "
            f"full); got {given.kills} and {given.stages!r}."
        )
    hows = LOSSES if given.power else (FULL,) if given.full else (KILLED,)
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(run(plan([known[name] for name in asked], given.kills, seed, hows), seed, given.at_once, given.keep))
    except KeyboardInterrupt:
        sys.exit("interrupted; what was made is removed")
    except (CrashError, DiskError) as error:
        sys.exit(f"error: {error}")


def run(kills: Sequence[Kill], seed: int, at_once: int, keep: Path | None) -> int:
    """Try the kills and print the table; return the exit code."""
    began = time.monotonic()
    wanted = {kill.stage.name for kill in kills}
    print(f"{len(kills)} kill(s) of {', '.join(sorted(wanted))}, SEED={seed}", flush=True)
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="baton-crash-") as folder, ThreadPoolExecutor(at_once) as pool:
        hows = sorted({kill.how for kill in kills})
        suite = Suite(Path(folder), hows, keep.absolute() if keep else None, stop)
        for together in _in_turn(wanted):
            for stage, _ in _all(pool, suite.undisturbed, together, stop):
                print(f"      {stage.name:8s} {suite.durations[stage.name]:6.1f} s undisturbed", flush=True)
        healed = 0
        for _, outcome in _all(pool, suite.outcome, kills, stop):
            healed += outcome.healed
            print(outcome.line(), flush=True)
    print(f"{healed} of {len(kills)} healed, in {(time.monotonic() - began) / 60:.1f} minutes")
    return 0 if healed == len(kills) else 1


def _in_turn(wanted: set[str]) -> Iterator[list[Stage]]:
    """Yield the stages whose undisturbed homes are needed, those together that wait for no other."""
    needed = [stage for stage in stages().values() if stage.name in wanted]
    needed += [stages()[stage.after] for stage in needed if stage.after and stage.after not in wanted]
    yield list({stage.name: stage for stage in needed if not stage.after}.values())
    later = [stage for stage in needed if stage.after]
    if later:
        yield later


def _all(
    pool: ThreadPoolExecutor, do: Callable[[Given], Made], each: Sequence[Given], stop: threading.Event
) -> Iterator[tuple[Given, Made]]:
    """Do something for each, some at once, and yield what came of it as it comes; the first error ends all."""
    going: dict[Future[Made], Given] = {pool.submit(do, one): one for one in each}
    try:
        while going:
            # Interrupts are heard between two looks.
            done, _ = wait(going, timeout=0.5, return_when=FIRST_COMPLETED)
            for one in done:
                yield going.pop(one), one.result()
    except BaseException:
        stop.set()
        pool.shutdown(cancel_futures=True)
        raise


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
