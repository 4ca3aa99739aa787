"""The servers that slow tests and measurements stand on: found where they are, on any Debian or Ubuntu, never fetched
by a test.
"""

import os
from pathlib import Path

import pytest
from environments import install

from tools import debian, postgres
from tools.bootstrap import Environment

# What `apt-cache depends postgresql` and `apt-cache pkgnames postgresql-` say.
DEBIAN_12 = "postgresql\n  Depends: postgresql-15\n  Suggests: postgresql-doc\npostgresql-15\npostgresql-15-cron\n"
DEBIAN_13 = "postgresql\n  Depends: postgresql-17\n  Suggests: postgresql-doc\npostgresql-17\npostgresql-common\n"
UBUNTU_24_04 = "postgresql\n  Depends: postgresql-16\n  Suggests: postgresql-doc\npostgresql-16\npostgresql-16-repack\n"


def programs(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


@pytest.mark.parametrize(
    ("known", "package"),
    [
        (DEBIAN_12, "postgresql-15"),
        (DEBIAN_13, "postgresql-17"),
        (UBUNTU_24_04, "postgresql-16"),
        ("postgresql-9\npostgresql-16\npostgresql-17-cron\npostgresql-15\n", "postgresql-16"),
        ("", None),
    ],
)
def test_each_release_brings_its_own_version_of_postgres(known: str, package: str | None) -> None:
    assert postgres.newest_package(known) == package


def test_the_newest_server_that_is_there_is_used_wherever_it_comes_from(tmp_path: Path) -> None:
    installed, fetched, on_path = tmp_path / "installed", tmp_path / "fetched", tmp_path / "path"
    on_path.mkdir()

    def found() -> Path:
        return postgres.programs(installed, fetched, str(on_path))

    # A client alone is no server.
    programs(installed / "17" / "bin", "psql")
    with pytest.raises(RuntimeError, match="Expected the programs postgres and initdb .* Run `make setup-tests`"):
        found()
    unpacked = programs(fetched / "postgresql-16" / "usr/lib/postgresql/16/bin", "postgres", "initdb")
    assert found() == unpacked
    local = programs(tmp_path / "local", "postgres", "initdb")
    (on_path / "postgres").symlink_to(local / "postgres")
    assert found() == local
    programs(installed / "9" / "bin", "postgres", "initdb")
    newest = programs(installed / "15" / "bin", "postgres", "initdb")
    assert found() == newest


def test_of_what_a_package_needs_only_libraries_that_are_missing_are_fetched() -> None:
    said = (
        "Inst libllvm14 (1:14.0.6-12 Debian:12.12/oldstable [amd64])\n"
        "Inst libpq5 (15.18-0+deb12u1 Debian:12.12/oldstable [amd64])\n"
        "Inst libssl3 [3.0.15-1] (3.0.17-1 Debian:12.12/oldstable [amd64])\n"
        "Inst postgresql-client-15 (15.18-0+deb12u1 Debian:12.12/oldstable [amd64])\n"
        "Inst libicu72 (72.1-3 Debian:12.12/oldstable [amd64])\n"
        "Conf libpq5 (15.18-0+deb12u1 Debian:12.12/oldstable [amd64])\n"
    )
    assert debian.lacking(said) == ["libpq5", "libicu72"]


def test_a_program_that_was_not_set_up_is_a_sentence_and_no_download() -> None:
    before = set(debian.HERE.glob("*"))
    with pytest.raises(RuntimeError, match="Expected the program no-such-server, .* Run `make setup-tests`"):
        debian.program("no-such-package", "usr/sbin/no-such-server")
    assert set(debian.HERE.glob("*")) == before


def test_an_environment_that_was_not_set_up_is_a_sentence_and_no_installation(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()

    def fill(environment: Environment) -> None:
        raise AssertionError("a test installs")

    absent = Environment(str(tmp_path), "absent", "a program", ["requirements.lock"], fill)
    with pytest.raises(RuntimeError, match="Expected a program in .* Run `make setup-tests`; tests install nothing"):
        install.python_in(absent)
    assert os.listdir(tmp_path) == ["requirements.lock"]


def test_every_environment_of_the_tests_is_one_that_make_setup_tests_installs() -> None:
    folders = {file.parent.name for file in install.HERE.glob("*/requirements.lock")}
    assert folders <= set(install.ENVIRONMENTS)
    for environment in install.ENVIRONMENTS.values():
        assert all((Path(environment.folder) / name).is_file() for name in environment.files)
