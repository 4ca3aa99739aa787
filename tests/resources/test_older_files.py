"""What another release wrote is read, brought up by a command, or refused with both versions and what helps.

The files in `older/` were made by the releases that they are called after.
"""

import contextlib
import shutil
import sqlite3
import struct
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from support.registered import fitted, log, registry_of

from resources.registry import CHAMPION, RegistryError
from resources.warehouse import DuckDBWarehouse, WarehouseError

OLDER = Path(__file__).with_name("older")


@pytest.fixture
def older_registry(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.executescript((OLDER / "mlflow_2_14.sql").read_text())
    return registry_of(tmp_path)


def test_an_earlier_mlflow_s_database_is_refused_with_both_versions_until_make_upgrade(older_registry, tmp_path):
    here = version("mlflow")
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(RegistryError, match=rf"schema of MLflow {here}.*earlier MLflow \(5b0e9adcef9c\).*make upgrade"):
        older_registry.by_alias(CHAMPION)
    assert (tmp_path / "mlflow.db").read_bytes() == before

    said = older_registry.upgraded()
    assert f"was brought from the schema 5b0e9adcef9c to that of MLflow {here}" in said
    assert (tmp_path / "mlflow.db.5b0e9adcef9c").is_file(), "as it was is kept"
    champion = older_registry.by_alias(CHAMPION)
    assert (champion.version, champion.algorithm) == (1, "logistic")
    assert log(older_registry, fitted(0)[0], "f2").version == 2
    assert (tmp_path / "mlartifacts").is_dir(), "its addresses are of this home"
    assert "is in the schema of MLflow" in older_registry.upgraded(), "once is enough"


def test_a_later_mlflow_s_database_is_refused_with_both_versions(registered_home):
    with contextlib.closing(sqlite3.connect(registered_home / "mlflow.db")) as database:
        database.execute("update alembic_version set version_num = 'f00dfeed0000'")
        database.commit()
    registry = registry_of(registered_home)
    for asked in (registry.upgraded, lambda: registry.by_alias(CHAMPION)):
        with pytest.raises(
            RegistryError, match=rf"MLflow {version('mlflow')}.*a later MLflow wrote it \(f00dfeed0000\)"
        ):
            asked()


def test_a_champion_of_another_scikit_learn_is_refused_with_both_versions_and_retraining_is_named(registered_home):
    registry, champion = registry_of(registered_home), registry_of(registered_home).version(1)
    shutil.copyfile(OLDER / "scikit_learn_1_6.skops", next(registered_home.rglob("model.skops")))
    here = version("scikit-learn")
    with pytest.raises(RegistryError, match=rf"scikit-learn {here}, which is installed.*fitted by 1\.6\.1.*`make run`"):
        registry.load(champion)
    assert "fitted by 1.6.1" in registry.lost(champion), "a retraining does not wait for it"


def test_a_champion_of_another_patch_release_serves(registered_home):
    """The file of today's release, told to be of another patch."""
    here = version("scikit-learn")
    patched = ".".join([*here.split(".")[:2], "99"])
    [file] = registered_home.rglob("model.skops")
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["schema.json"] = content["schema.json"].replace(f'\\"{here}\\"'.encode(), f'\\"{patched}\\"'.encode())
    assert patched.encode() in content["schema.json"]
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    registry = registry_of(registered_home)
    assert registry.load(registry.version(1))


def test_a_warehouse_of_an_earlier_duckdb_is_read_and_written(tmp_path):
    shutil.copyfile(OLDER / "duckdb_1_3.duckdb", tmp_path / "warehouse.duckdb")
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    rows = warehouse.read("select * from a.b order by x")
    assert rows["x"].tolist() == [0, 1, 2]
    warehouse.replace_partitions("a", "b", rows.head(1), column="x", values=[0])
    assert warehouse.row_count("a", "b") == 3


def test_a_warehouse_of_a_later_duckdb_is_refused_with_both_versions_and_untouched(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    content = bytearray((OLDER / "duckdb_1_3.duckdb").read_bytes())
    content[12:20] = struct.pack("<Q", 1200)
    content[:8] = struct.pack("<Q", header_digest(bytes(content[8:4096])))
    file.write_bytes(content)
    here = version("duckdb")
    with pytest.raises(WarehouseError, match=rf"DuckDB {here} reads.*a later DuckDB wrote .*storage version 1200"):
        DuckDBWarehouse(path=str(file)).exists("a", "b")
    assert file.read_bytes() == content


def header_digest(words):
    """DuckDB's own: without it a changed header is a damaged file."""
    digest = 5381
    for (word,) in struct.iter_unpack("<Q", words):
        digest ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return digest
