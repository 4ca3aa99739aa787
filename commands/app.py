"""Open the pages for people: whom to call this week, one customer, and whether the predictions can be trusted.

In production they are one process of the deployment, behind its proxy, on a copy that it fetches when a run has
published.
"""

import argparse
from functools import partial

from app.pages import Reader, begin, make_app
from commands.fetching import kept_fetched
from commands.ports import LOOPBACK, port_for, serve
from commands.sentences import sentences
from commands.session import quiet
from resources.company import company
from resources.profiles import home, resources_for
from resources.registry_apart import read_apart
from steps.what_if import Models

USUAL = 8600


def main() -> None:
    """Serve the pages until interrupted; they read serving copy and registry, and change nothing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help=f"default: {USUAL}, or the next free one")
    arguments.add_argument("--host", default=LOOPBACK, help="where to listen; elsewhere only behind a proxy that asks")
    arguments.add_argument("--name", action="append", default=[], help="a name that a proxy asks for, beside localhost")
    given = arguments.parse_args()
    quiet()
    with sentences():
        ours, question, resources = company(), company().question, resources_for()
        reader = Reader(
            file=kept_fetched(resources["warehouse"]),
            title=ours.title,
            currency=ours.money.currency,
            horizon_days=question.horizon_days,
            look_back_days=question.look_back_days,
            now=resources["clock"].now,
            models=Models(partial(read_apart, resources["registry"])),
        )
        pages = make_app(reader, [LOOPBACK, "localhost", *given.name])
        port = port_for(given.port, USUAL, "app")
        print(f"state: {home()}\npages: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
        begin(reader)
        serve(pages, port, given.host)


if __name__ == "__main__":
    main()
