"""The sensor daemon's own loop, for a few ticks: `python ticking.py WORKSPACE kill POINT` or `... go 3`.

`kill` sends SIGKILL to this process when the daemon, acting on the drift sensor, comes to a point; `go` ticks that many
times, the clock moved on by the sensor's interval between, so that nobody has to wait for it.
"""

import logging
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.sensor import execute_sensor_iteration

from sensors.drift import DRIFT_SENSOR, EVERY_SECONDS

POINTS = ("TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")


def main(workspace: str, mode: str, detail: str) -> None:
    log = logging.getLogger("ticking")
    flags = {DRIFT_SENSOR: {detail: signal.SIGKILL}} if mode == "kill" else None
    with (
        dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance,
        create_test_daemon_workspace_context(WorkspaceFileTarget([workspace]), instance) as context,
    ):
        for number in range(1, 2 if mode == "kill" else int(detail) + 1):
            later = timedelta(seconds=0 if mode == "kill" else number * (EVERY_SECONDS + 1))
            with freeze_time(datetime.now(UTC) + later):
                for failure in execute_sensor_iteration(context, log, None, None, debug_crash_flags=flags):
                    if failure is not None:
                        sys.exit(failure.to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
