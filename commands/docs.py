"""Open dbt's documentation of the warehouse: every table and column, what it is made of, and who uses it."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from commands.ports import LOOPBACK, asked_port, port_for, serve
from commands.sentences import sentences
from commands.session import prepare_home, quiet
from resources.dbt import DbtRunner
from resources.profiles import resources_for

USUAL = 8080
PAGE = "static_index.html"


def main() -> None:
    """Write the documentation into the home, and serve it on loopback until interrupted."""
    asked = asked_port(__doc__, USUAL)
    quiet()
    with sentences():
        prepare_home()
        port = port_for(asked, USUAL, "docs")
        page = write_docs(resources_for()["dbt"])
        print(f"file: {page}\ndocumentation: http://{LOOPBACK}:{port}/   (Ctrl-C ends it)", flush=True)
        serve(pages_of(page), port)


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


def pages_of(page: Path) -> Starlette:
    """Return an application that answers with that page only, whatever else lies in its folder."""

    def answer(_: Request) -> FileResponse:
        return FileResponse(page)

    return Starlette(routes=[Route(path, answer) for path in ("/", f"/{PAGE}")])


if __name__ == "__main__":
    main()
