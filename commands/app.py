"""Open the pages for people: whom to call this week, one customer, and whether the predictions can be trusted."""

from functools import partial

from app.pages import Reader, begin, make_app
from commands.ports import LOOPBACK, asked_port, port_for, serve
from commands.sentences import sentences
from commands.session import embedded_only, quiet
from resources.company import company
from resources.profiles import home, resources_for
from resources.registry_apart import read_apart
from resources.serving_copy import FILE
from steps.what_if import Models

USUAL = 8600


def main() -> None:
    """Serve the pages on loopback until interrupted; they read serving copy and registry, and change nothing."""
    asked = asked_port(__doc__, USUAL)
    quiet()
    with sentences():
        embedded_only("app")
        ours, question, resources = company(), company().question, resources_for()
        reader = Reader(
            file=home() / FILE,
            title=ours.title,
            currency=ours.money.currency,
            horizon_days=question.horizon_days,
            look_back_days=question.look_back_days,
            now=resources["clock"].now,
            models=Models(partial(read_apart, resources["registry"])),
        )
        pages = make_app(reader)
        port = port_for(asked, USUAL, "app")
        print(f"state: {home()}\npages: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
        begin(reader)
        serve(pages, port)


if __name__ == "__main__":
    main()
