"""Write `catalog.json`, the committed output of `discover`, next to the package."""

import json
from pathlib import Path

from source_complete_journey.streams import catalog

if __name__ == "__main__":
    text = json.dumps(catalog(), indent=1) + "\n"
    (Path(__file__).resolve().parent.parent / "catalog.json").write_text(text, encoding="utf-8")
