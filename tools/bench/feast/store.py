"""A feature store of Feast's with an SQLite online store, made of the features that a Parquet file holds.

Run by the Python of this folder's environment: `python store.py <folder> <features.parquet>`. The folder then holds
what `feast --chdir <folder> serve` serves.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType  # type: ignore[import-not-found, unused-ignore]
from feast.types import Float64, Int64  # type: ignore[import-not-found, unused-ignore]

KEYS = ("customer_id", "cutoff_date")

YAML = """project: baton
provider: local
registry: registry.db
online_store: {type: sqlite, path: online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
telemetry: false
"""


def main() -> None:
    """Make the store and write every customer's features online."""
    folder, features = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    (folder / "feature_store.yaml").write_text(YAML)
    frame = pd.read_parquet(features)
    columns = [name for name in frame.columns if name not in KEYS]
    store = FeatureStore(repo_path=str(folder))
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="customers",
        entities=[customer],
        ttl=timedelta(0),
        schema=[Field(name=name, dtype=Int64 if frame[name].dtype.kind == "i" else Float64) for name in columns],
        source=FileSource(path=str(features), timestamp_field="cutoff_date"),
    )
    store.apply([customer, view])
    store.write_to_online_store("customers", df=frame)


if __name__ == "__main__":
    main()
