"""Serve the code location to a webserver and a daemon in other processes; this process executes the runs.

Runs that a dead predecessor left unfinished are failed: nobody works on them any more, they would hold their places for
ever, and Dagster tries failed ones once more. That it does on hearing of the failure, and only if it can then reach
the code, so they are failed when the server answers and the daemon has had time to notice.
"""

import argparse
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import dagster as dg

from commands.alone import UNFINISHED
from commands.sentences import sentences
from commands.session import reap
from resources.profiles import ROOT, SettingError

NOTICED_AFTER = 10.0
"""Seconds from the server's first answer until daemon and webserver have found it again (they look each second)."""


def main() -> None:
    """Run Dagster's gRPC server of the module `definitions` until it ends; the instance is that of DAGSTER_HOME."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=4000)
    given = arguments.parse_args()
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
    address = ["--host", given.host, "--port", str(given.port)]
    with sentences(), _instance() as instance:
        left = unfinished(instance)
        # Heeded before it starts: a script's background job is started with SIGINT ignored, which would be inherited,
        # and Dagster treats SIGTERM as it finds SIGINT.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda _number, _frame: sys.exit(1))
        server = subprocess.Popen(
            [dagster, "api", "grpc", "--module-name", "definitions", "--location-name", "baton", *address], cwd=ROOT
        )
        stopped: list[int] = []

        def stop(number: int, _: object) -> None:
            stopped.append(number)
            server.send_signal(number)

        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, stop)
        if left and _answers(given.port, server.poll):
            time.sleep(NOTICED_AFTER)
            for run_id in reap(instance, without_daemon=True, only=left):
                print(f"run {run_id} was left unfinished by a killed process and is marked failed", flush=True)
        ended = server.wait()
        if ended > 0 and not stopped:
            # What is wrong with the code or its settings is a sentence here, behind the server's own log.
            importlib.import_module("definitions")
    sys.exit(ended)


def _instance() -> dg.DagsterInstance:
    """Open the instance of DAGSTER_HOME.

    Raises:
        SettingError: there is none, or its configuration cannot be read.
    """
    try:
        return dg.DagsterInstance.get()
    except dg.DagsterError as error:
        raise SettingError(
            "Expected DAGSTER_HOME to name the folder of the instance that webserver and daemon share, with its "
            f"dagster.yaml, and it cannot be used: {' '.join(str(error).split())[:300]} docs/deployment.md says which."
        ) from error


def unfinished(instance: dg.DagsterInstance) -> set[str]:
    """Return the ids of the runs that somebody is, or was, executing."""
    return {record.dagster_run.run_id for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))}


def _answers(port: int, ended: Callable[[], int | None]) -> bool:
    """Wait until the server answers; False when it ended instead (what it wrote says why)."""
    from dagster._grpc.client import DagsterGrpcClient

    client = DagsterGrpcClient(port=port, host="127.0.0.1")
    while ended() is None:
        try:
            client.ping("")
        except dg.DagsterError:
            time.sleep(0.5)
        else:
            return True
    return False


if __name__ == "__main__":
    main()
