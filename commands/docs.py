"""Open dbt's documentation of the warehouse: every table and column, what it is made of, and who uses it."""

import argparse
import contextlib
import functools
import http.server
from pathlib import Path

from commands.ports import LOOPBACK, add_port, port_for
from commands.sentences import sentences
from commands.session import prepare_home, quiet
from resources.dbt import DbtRunner
from resources.profiles import resources_for

USUAL = 8080
PAGE = "static_index.html"


def main() -> None:
    """Write the documentation into the home, and serve it on loopback until interrupted."""
    arguments = argparse.ArgumentParser(description=__doc__)
    add_port(arguments, USUAL)
    asked = arguments.parse_args().port
    quiet()
    with sentences():
        prepare_home()
        port = port_for(asked, USUAL, "docs")
        page = write_docs(resources_for()["dbt"])
        with server(page, port) as serving:
            print(f"file: {page}\ndocumentation: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                serving.serve_forever()


def write_docs(dbt: DbtRunner) -> Path:
    """Write one page that needs no other file, and return its path.

    Types and sizes of columns are read from the warehouse, if there is one yet.

    Raises:
        DbtError: the project cannot be read, or another program has the warehouse open.
    """
    target = Path(dbt.state_dir) / "docs"
    unbuilt = bool(dbt.warehouse_path) and not Path(dbt.warehouse_path).is_file()
    dbt.invoke(
        ["docs", "generate", "--static", *(["--empty-catalog"] if unbuilt else [])],
        {"BATON_WAREHOUSE": ":memory:"} if unbuilt else None,
        target=target,
    )
    return target / PAGE


def server(page: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of that page only, on loopback."""
    return http.server.ThreadingHTTPServer((LOOPBACK, port), functools.partial(_Page, page))


class _Page(http.server.BaseHTTPRequestHandler):
    """Answers with the page, whatever else lies in its folder."""

    def __init__(self, page: Path, *args: object) -> None:
        self.page = page
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path.split("?")[0] not in {"/", f"/{PAGE}"}:
            self.send_error(404)
            return
        text = self.page.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing: who reads a page is nobody's news."""


if __name__ == "__main__":
    main()
