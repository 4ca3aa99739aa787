"""Drive a browser: answer requests, one line of JSON each, with a line of JSON; the argument is the browser's program.

Runs in the environment of this folder. Two kinds of requests:

- `{"walk": name, "address": …, "width": …, "facts": …}` does a task of walks.py.
- `{"picture": file, "address": …, "width": …, "height": …}` takes a picture, see pictures.py.

The answer is `{"wrong": [sentences]}`, empty where all is well.
"""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pictures
import walks
from playwright.sync_api import Browser, Error, sync_playwright

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Whatever a page asks for elsewhere is not there: it comes out as an error, on every machine alike.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

KINDS: dict[str, Callable[[Browser, dict[str, Any]], list[str]]] = {"walk": walks.walk, "picture": pictures.take}


def main() -> None:
    """Answer until standard input ends."""
    with sync_playwright() as playwright:
        # With a folder for its profile that is new and goes with it.
        browser = playwright.chromium.launch(executable_path=sys.argv[1], args=OPTIONS)
        for line in sys.stdin:
            request = json.loads(line)
            [kind] = KINDS.keys() & request.keys()
            try:
                wrong = KINDS[kind](browser, request)
            except (AssertionError, Error) as error:
                last = traceback.extract_tb(error.__traceback__)
                ours = next((one for one in reversed(last) if one.name in walks.WALKS or kind in one.name), last[-1])
                wrong = [f"{request[kind]}, line {ours.lineno} of {ours.filename}: {ours.line}: {error}"]
            sys.stdout.write(json.dumps({"wrong": wrong}) + "\n")
            sys.stdout.flush()
        browser.close()


if __name__ == "__main__":
    main()
