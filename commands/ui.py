"""Start the web UI and the daemon on this machine.

As `dagster dev` does, with a code server, a webserver and a daemon; but what can be done at once is: the code server
loads its packages while the home is looked at, the webserver while the code is loaded, and the daemon begins when there
is a page to see.
"""

# Nothing that takes time is imported up here: the code server must be on its way before.
import argparse
import contextlib
import importlib
import json
import os
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from commands.beside import Companion, beside

FIRST_PAGE = 3.0
"""Seconds for which the first page has the machine for itself before the daemon is loaded."""

LOOKED_EVERY = 0.1


def main() -> None:
    """Start all three on loopback; they run until interrupted."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=3000)
    port = arguments.parse_args().port
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="baton-ui-") as folder:
        socket, workspace = str(Path(folder) / "code"), Path(folder) / "workspace.yaml"
        pointer = ["--module-name", "definitions", "--location-name", "baton"]
        # What is wrong with the code is said here in a sentence, and after *Reload definitions* by the web UI.
        quiet = ["--log-level", "critical"]
        with beside(["dagster", "code-server", "start", "--socket", socket, *pointer, *quiet]) as code:
            workspace.write_text(_workspace(socket))
            _serve(code, socket, str(workspace), port)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End by either signal as by Ctrl-C: that is ignored in what a script starts in the background.

    Whoever ends this process means all that it started.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _workspace(socket: str) -> str:
    """Return a workspace of the one code server; YAML reads JSON."""
    about = {"module_name": "definitions"}
    server = {"socket": socket, "host": "localhost", "location_name": "baton", "additional_metadata": about}
    return json.dumps({"load_from": [{"grpc_server": server}]})


def _serve(code: Companion, socket: str, workspace: str, port: int) -> None:
    """Look at the home, let the code server begin, and serve until interrupted or until one of the others ends."""
    from commands.sentences import sentences

    with sentences():
        from commands.alone import daemon_is_alive, hold_for_ui
        from commands.ports import LOOPBACK
        from commands.session import embedded_only, instance, prepare_home, reap
        from resources.profiles import home

        embedded_only("ui")
        prepare_home()
        hold_for_ui(home(), port)
        page = f"http://{LOOPBACK}:{port}"
        settings = {name: os.environ[name] for name in ("BATON_HOME", "DAGSTER_HOME")}
        # Where the links of alerts begin.
        settings["BATON_UI"] = os.environ.get("BATON_UI") or page
        print(f"state: {home()}\nweb UI: {page}/asset-groups, in some ten seconds   (Ctrl-C ends it)", flush=True)
        with instance(sole=False) as opened:
            # Not before: in a new home each who opens it makes its tables, and two at once do not.
            code.begin(settings)
            if not daemon_is_alive(opened):
                for run_id in reap(opened, without_daemon=True):
                    print(f"run {run_id} was left unfinished by a killed process and is marked failed", flush=True)
        from click import Abort
        from dagster_webserver.cli import cli as webserver

        stopped = threading.Event()
        others = threading.Thread(target=_daemon, args=(code, page, workspace, settings, stopped))
        given = ["--host", LOOPBACK, "--port", str(port), "--workspace", workspace, "--dagster-log-level", "warning"]
        try:
            _wait_for_code(code, socket)
            others.start()
            webserver.main(given, prog_name="dagster-webserver", standalone_mode=False)
        except (KeyboardInterrupt, Abort):
            pass
        finally:
            stopped.set()
            if others.is_alive():
                others.join()


def _wait_for_code(code: Companion, socket: str) -> None:
    """Wait until the code is loaded. What is wrong with it is a sentence here, and a broken page in the web UI."""
    from dagster import DagsterError
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._serdes import deserialize_value
    from dagster_shared.error import SerializableErrorInfo

    client, found = DagsterGrpcClient(socket=socket), None
    while code.ended() is None and found is None:
        try:
            found = deserialize_value(client.list_repositories())
        except DagsterError:
            time.sleep(LOOKED_EVERY)
    if found is None or isinstance(found, SerializableErrorInfo):
        importlib.import_module("definitions")
        said = found.to_string() if found else f"its server ended ({code.ended()}); what it wrote is above"
        raise RuntimeError(f"Expected the code to load in its server as it does here, and it does not: {said}")


def _daemon(code: Companion, page: str, workspace: str, settings: dict[str, str], stopped: threading.Event) -> None:
    """Start the daemon when the first page could be seen, and end everything when one of the servers ended."""
    while not _answers(page) and not stopped.wait(LOOKED_EVERY):
        pass
    if stopped.wait(FIRST_PAGE):
        return
    with beside(["dagster-daemon", "run", "--workspace", workspace, "--log-level", "warning"]) as daemon:
        daemon.begin(settings)
        while not stopped.wait(1.0):
            gone = [name for name, one in (("code server", code), ("daemon", daemon)) if one.ended() is not None]
            if gone:
                print(f"the {gone[0]} ended, so the web UI ends too; what it wrote is above. Start anew: make ui")
                os.kill(os.getpid(), signal.SIGINT)
                return


def _answers(page: str) -> bool:
    try:
        urllib.request.urlopen(f"{page}/server_info", timeout=5).close()
    except (OSError, urllib.error.URLError):
        return False
    return True


if __name__ == "__main__":
    main()
