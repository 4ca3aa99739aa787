"""Serve the code location to a webserver and a daemon in other processes; this process executes the runs.

Runs that a dead predecessor left unfinished are failed first: nobody works on them any more, they would hold their
places for ever, and failed ones are tried again by Dagster's run retries.
"""

import argparse
import os
import sys

import dagster as dg

from commands.session import reap
from resources.profiles import ROOT


def main() -> None:
    """Become Dagster's gRPC server of the module `definitions`; the instance is that of DAGSTER_HOME."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=4000)
    given = arguments.parse_args()
    with dg.DagsterInstance.get() as instance:
        for run_id in reap(instance, without_daemon=True):
            print(f"run {run_id} was left unfinished by a killed process and is marked failed", flush=True)
    os.chdir(ROOT)
    dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
    address = ["--host", given.host, "--port", str(given.port)]
    os.execv(dagster, [dagster, "api", "grpc", "--module-name", "definitions", "--location-name", "baton", *address])


if __name__ == "__main__":
    main()
