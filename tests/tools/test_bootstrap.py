"""Setting up: what is there is what the locks say, whatever was interrupted, changed or done twice at once."""

import hashlib
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from resources.profiles import ROOT
from tools import bootstrap
from tools.bootstrap import LOCK, Environment


def wheel(folder: Path, name: str) -> str:
    """Make a package with one module; return its line in a lock."""
    file = folder / f"{name}-1-py3-none-any.whl"
    about = f"{name}-1.dist-info"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(f"{name}.py", "")
        made.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        made.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{about}/RECORD", f"{name}.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return f"{name}==1 \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


class Project:
    """A folder with a lock of packages that are in the folder, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = {name: wheel(folder, name) for name in ("here", "there")}
        self.environment = Environment(str(folder), "a project", "two packages", ["requirements.lock"], self.fill)
        self.lock("here", "there")

    def lock(self, *names: str) -> None:
        lines = "".join(self.lines[name] for name in names)
        (self.folder / "requirements.lock").write_text(f"--no-index\n--find-links {self.folder}\n{lines}")

    @staticmethod
    def fill(environment: Environment) -> None:
        bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])

    def set_up(self) -> None:
        bootstrap.bring_up_to_date([self.environment])

    def imports(self, name: str) -> bool:
        return subprocess.run([self.environment.python, "-c", f"import {name}"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first set-up was interrupted: the interpreter is there, and pip is not yet."""
    made = Project(tmp_path_factory.mktemp("project"))
    venv.create(made.environment.venv, with_pip=False)
    made.set_up()
    return made


def test_a_set_up_that_was_interrupted_is_made_anew(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert project.environment.is_current()
    assert project.imports("here")
    assert project.imports("there")
    project.set_up()
    assert capfd.readouterr().out == "", "a second set-up finds everything done"


def test_what_the_lock_no_longer_names_is_gone_and_the_rest_stays_where_it_is(project: Project) -> None:
    mine = Path(project.environment.venv) / "mine"
    mine.touch()
    project.lock("here")
    assert not project.environment.is_current()
    project.set_up()
    assert project.environment.is_current()
    assert project.imports("here")
    assert not project.imports("there")
    assert project.imports("pip")
    assert mine.exists(), "a changed lock does not make the environment anew"


def test_another_python_finds_no_environment_of_its_own(project: Project) -> None:
    project.set_up()
    assert project.environment.is_whole()
    asked = (
        "import sys; sys.version_info = (3, 99, 0, 'final', 0)\n"
        "from tools.bootstrap import Environment\n"
        "found = Environment(sys.argv[1], '', '', ['requirements.lock'], None)\n"
        "print(found.is_current(), found.is_whole())"
    )
    told = subprocess.run(
        [sys.executable, "-c", asked, str(project.folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "False"]


def test_an_update_that_was_interrupted_is_made_anew_even_when_the_lock_is_as_before(project: Project) -> None:
    def interrupted(environment: Environment) -> None:
        raise KeyboardInterrupt

    environment = project.environment
    before = (project.folder / "requirements.lock").read_text()
    project.lock("here", "there")
    broken = Environment(environment.folder, environment.title, environment.what, environment.files, interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.bring_up_to_date([broken])
    (project.folder / "requirements.lock").write_text(before)
    assert not environment.is_current()
    assert not environment.is_whole()


def test_an_environment_whose_python_is_gone_from_the_machine_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()
    found = Environment(str(tmp_path), "", "", ["requirements.lock"], None)
    python = Path(found.python)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    Path(found.stamp).write_text(bootstrap.digest_of(found.folder, found.files))
    assert found.is_current()
    python.unlink()
    python.symlink_to(tmp_path / "no-python")
    assert not found.is_current()


def test_of_two_set_ups_at_once_the_second_waits_and_finds_everything_done(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").touch()
    script = (
        "import sys, time\n"
        "from tools.bootstrap import Environment, bring_up_to_date\n"
        "class Made(Environment):\n"
        "    def is_whole(self):\n"
        "        return True\n"
        "def fill(environment):\n"
        "    with open(sys.argv[1] + '/filled', 'a') as stream:\n"
        "        stream.write('once ')\n"
        "    time.sleep(1)\n"
        "bring_up_to_date([Made(sys.argv[1], '', '', ['requirements.lock'], fill)])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    assert (tmp_path / "filled").read_text() == "once "
    assert (tmp_path / ".venv" / LOCK).exists()


def company(folder: Path, name: str, block: str) -> None:
    """Write a company's file with this block of connections."""
    (folder / "companies" / name).mkdir(parents=True)
    (folder / "companies" / name / "company.toml").write_text(f'title = "{name}"\n{block}')


def published(folder: Path) -> list[Environment]:
    return bootstrap.published(str(folder / "connectors"), str(folder / "companies"))


BLOCK = '[airbyte.shop]\nsource = "here"\npackage = "here"\nversion = "1"\n'


def test_a_published_connector_gets_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path, "here")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    company(tmp_path, "shop", BLOCK)
    company(tmp_path, "other", BLOCK + '[airbyte.own]\nsource = "source-own"\n')
    [environment] = published(tmp_path)
    bootstrap.bring_up_to_date([environment])
    assert environment.folder == str(tmp_path / "connectors" / "here")
    assert subprocess.run([environment.python, "-c", "import here"], check=False).returncode == 0
    [again] = published(tmp_path)
    assert again.is_current()
    (tmp_path / "companies" / "other" / "company.toml").unlink()
    file = tmp_path / "companies" / "shop" / "company.toml"
    file.write_text(file.read_text().replace('"1"', '"2"'))
    [newer] = published(tmp_path)
    assert not newer.is_current(), "another version is installed anew"


@pytest.mark.parametrize("block", ["[airbyte.shop\n", "airbyte = 3\n", '[airbyte.shop]\npackage = "here"\n', ""])
def test_a_file_that_cannot_be_read_is_left_to_whoever_tells_what_is_wrong(tmp_path: Path, block: str) -> None:
    company(tmp_path, "shop", block)
    assert published(tmp_path) == []


def test_two_versions_of_one_connector_are_refused(tmp_path: Path) -> None:
    company(tmp_path, "one", BLOCK)
    company(tmp_path, "two", BLOCK.replace('"1"', '"2"'))
    with pytest.raises(SystemExit, match=r"one version of here in all companies, and .*one.* names here==1, .*here==2"):
        published(tmp_path)


def test_a_package_under_the_name_of_a_connector_that_is_there_is_refused(tmp_path: Path) -> None:
    company(tmp_path, "shop", BLOCK)
    (tmp_path / "connectors" / "here").mkdir(parents=True)
    (tmp_path / "connectors" / "here" / "requirements.lock").touch()
    with pytest.raises(SystemExit, match="the connector here of connectors/ without a package"):
        published(tmp_path)
