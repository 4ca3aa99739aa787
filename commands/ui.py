"""Start the web UI and the daemon on this machine."""

import argparse
import os
import sys
import time

import dagster as dg

from commands.session import embedded_only, instance, prepare_home, reap, sentences
from resources.profiles import ROOT, home


def main() -> None:
    """Start `dagster dev` on loopback; it runs until interrupted."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=3000)
    port = arguments.parse_args().port
    with sentences():
        embedded_only("ui")
        folder = prepare_home()
        with instance() as opened:
            if not _daemon_is_alive(opened):
                for run_id in reap(opened, without_daemon=True):
                    print(f"run {run_id} was left unfinished by a killed process and is marked failed")
        print(f"state: {home()}\nweb UI: http://127.0.0.1:{port}/asset-groups   (Ctrl-C ends it)", flush=True)
        os.chdir(ROOT)
        dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
        os.environ["DAGSTER_HOME"] = str(folder)
        os.execv(dagster, [dagster, "dev", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)])


def _daemon_is_alive(opened: dg.DagsterInstance) -> bool:
    """Tell whether a daemon on the same state reported within the last two minutes."""
    beats = opened.get_daemon_heartbeats()
    return any(time.time() - beat.timestamp < 120 for beat in beats.values())


if __name__ == "__main__":
    main()
