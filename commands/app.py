"""Open the pages for people: whom to call this week, one customer, and whether the predictions can be trusted.

In production they are one process of the deployment, behind its proxy, on a copy that it fetches when
a run has published.
"""

import argparse
import sys
import threading
from pathlib import Path

from app.pages import Reader, make_app
from commands.ports import LOOPBACK, port_for, serve
from commands.sentences import sentences
from commands.session import quiet
from resources.company import company
from resources.folders import make_private
from resources.profiles import home, resources_for
from resources.serving_copy import FILE
from resources.warehouse import DuckDBWarehouse, Source, WarehouseError
from steps.serving import fetch_for_readers

USUAL = 8600

LOOKS_EVERY = 60.0
"""Seconds after which a process of a deployment looks whether something was published; to look costs nothing."""


def main() -> None:
    """Serve the pages until interrupted; they read the serving copy, and change nothing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help=f"default: {USUAL}, or the next free one")
    arguments.add_argument("--host", default=LOOPBACK, help="where to listen; elsewhere only behind a proxy that asks")
    arguments.add_argument("--name", action="append", default=[], help="a name that a proxy asks for, beside localhost")
    given = arguments.parse_args()
    quiet()
    with sentences():
        ours, question = company(), company().question
        resources, file = resources_for(), home() / FILE
        pages = make_app(
            Reader(
                file=file,
                title=ours.title,
                currency=ours.money.currency,
                horizon_days=question.horizon_days,
                look_back_days=question.look_back_days,
                now=resources["clock"].now,
            ),
            [LOOPBACK, "localhost", *given.name],
        )
        port = port_for(given.port, USUAL, "app")
        warehouse = resources["warehouse"]
        if not isinstance(warehouse, DuckDBWarehouse):
            make_private(home())
            threading.Thread(target=_keep_fetched, args=(warehouse, file), daemon=True).start()
        print(f"state: {home()}\npages: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
        serve(pages, port, given.host)


def _keep_fetched(source: Source, file: Path) -> None:
    """Fetch after each publication, for as long as the process lives; what is wrong is said once."""
    said, pause = "", threading.Event()
    while True:
        try:
            new, wrong = fetch_for_readers(source, file), ""
        except WarehouseError as error:
            new, wrong = False, str(error)
        except Exception as error:  # noqa: BLE001 - the pages go on with what they have, whatever it was
            new, wrong = False, f"The published tables could not be fetched: {type(error).__name__}: {error}"
        if new or wrong != said:
            print(wrong or "fetched what was published last", file=sys.stderr if wrong else sys.stdout, flush=True)
        said = wrong
        pause.wait(LOOKS_EVERY)


if __name__ == "__main__":
    main()
