"""A polling process may die at any moment: the job goes on in Airbyte, and the next run follows it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

from contracts.airbyte_server.remote_world import SHOP, Remote

FOLLOW = """
import sys
from resources.airbyte import RemoteAirbyteWorkspace
from resources.clock import Clock
workspace = RemoteAirbyteWorkspace(clock=Clock(), poll_interval=0.01)
workspace.get_client().sync_and_poll(sys.argv[1])
"""
PATIENCE = 60.0


def test_a_run_that_was_killed_is_continued_by_the_next(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "running", "succeeded"])
    remote.server.hold = True
    # The environment names the server.
    process = subprocess.Popen([sys.executable, "-c", FOLLOW, SHOP.id])
    try:
        deadline = time.monotonic() + PATIENCE
        while remote.server.count("GET", "/jobs/1") < 3:
            assert time.monotonic() < deadline, "the process never polled"
            assert process.poll() is None, "the process ended by itself"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        process.kill()
    assert remote.server.jobs[1].status == "pending"
    remote.server.hold = False

    outcome = remote.materialise()
    assert outcome.success
    assert outcome.metadata["orders"]["airbyte/job_id"] == 1
    assert remote.server.count("POST", "/public/v1/jobs") == 1
    assert "job 1 was running already (pending); following it instead of starting another" in outcome.log
