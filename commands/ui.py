"""Start the web UI and the daemon on this machine."""

import argparse
import importlib
import os
import sys

from commands.alone import daemon_is_alive, hold_for_ui
from commands.ports import LOOPBACK
from commands.sentences import sentences
from commands.session import embedded_only, instance, prepare_home, reap
from resources.profiles import ROOT, home


def main() -> None:
    """Start `dagster dev` on loopback; it runs until interrupted."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=3000)
    port = arguments.parse_args().port
    with sentences():
        embedded_only("ui")
        folder = prepare_home()
        hold_for_ui(home(), port)
        # Loaded here first: what is wrong with it is a sentence here, and a broken page there.
        importlib.import_module("definitions")
        with instance(sole=False) as opened:
            if not daemon_is_alive(opened):
                for run_id in reap(opened, without_daemon=True):
                    print(f"run {run_id} was left unfinished by a killed process and is marked failed")
        print(
            f"state: {home()}\nweb UI: http://{LOOPBACK}:{port}/asset-groups, in some ten seconds   (Ctrl-C ends it)",
            flush=True,
        )
        os.chdir(ROOT)
        dagster = os.path.join(os.path.dirname(sys.executable), "dagster")
        os.environ["DAGSTER_HOME"] = str(folder)
        # Where the links of alerts begin.
        os.environ.setdefault("BATON_UI", f"http://{LOOPBACK}:{port}")
        # Its successor `dg dev` asks for a project of another shape; who works here can do nothing about it.
        os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
        # At "info" the queue says each second that a run is going on.
        said = ["--log-level", "warning"]
        os.execv(dagster, [dagster, "dev", "-w", "workspace.yaml", "--host", LOOPBACK, "--port", str(port), *said])


if __name__ == "__main__":
    main()
