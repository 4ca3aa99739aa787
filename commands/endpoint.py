"""Serve scores to programs: look-ups by customer and scores of vectors, over HTTP, with version and age.

In production it is one process of the deployment, on a copy that it fetches when a run has published.
"""

import argparse
from functools import partial

from commands.fetching import kept_fetched
from commands.ports import LOOPBACK, port_for, serve
from commands.sentences import sentences
from commands.session import quiet
from endpoint.api import STALE_AFTER_DAYS, Settings, make_endpoint
from endpoint.held import Keeper
from ml_models.problems.lapse.rules import rules_of
from resources.profiles import SettingError, resources_for
from resources.registry_apart import read_apart
from steps.problem import problem
from steps.what_if import Models

USUAL = 8700


def main() -> None:
    """Serve until interrupted; requests that were begun are answered first."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help=f"default: {USUAL}, or the next free one")
    arguments.add_argument("--host", default=LOOPBACK, help="where to listen; elsewhere only behind a proxy that asks")
    arguments.add_argument("--stale-after", type=int, default=STALE_AFTER_DAYS, help="days; older than that is `stale`")
    arguments.add_argument("--refuse-stale", action="store_true", help="answer 409 to what is stale, not a flag")
    given = arguments.parse_args()
    quiet()
    with sentences():
        if given.stale_after < 1:
            raise SettingError(f"Expected --stale-after to be 1 day or more, and it is {given.stale_after}.")
        resources, asked = resources_for(), problem()
        file = kept_fetched(resources["warehouse"])
        keeper = Keeper(file, asked.name, Models(partial(read_apart, resources["registry"])), lambda said: print(said))
        settings = Settings(
            problem=asked,
            rules=rules_of(asked.catalogue, asked.question),
            now=resources["clock"].now,
            stale_after_days=given.stale_after,
            refuse_stale=given.refuse_stale,
        )
        port = port_for(given.port, USUAL, "serve")
        address = f"http://{LOOPBACK}:{port}"
        print(f"scores: {address}/problems/{asked.name}/customers/<id>   (Ctrl-C ends it)", flush=True)
        serve(make_endpoint(keeper, settings), port, given.host)


if __name__ == "__main__":
    main()
