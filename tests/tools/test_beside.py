"""A former build that is not there is a sentence; one that is runs in this clone's environments and leaves nothing."""

import subprocess
from pathlib import Path

import pytest

from resources.profiles import ROOT
from tools.bench.beside import checkout

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the clone's history")


def trees() -> str:
    listing = ["git", "-C", str(ROOT), "worktree", "list"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout


def test_a_commit_that_is_not_there_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    sentence = "expected a commit of this repository.*'nowhere'.*git log --oneline"
    with pytest.raises(SystemExit, match=sentence), checkout("nowhere", tmp_path):
        pass
    assert str(tmp_path) not in trees()


def test_a_former_build_stands_there_with_our_environments_and_is_taken_away(tmp_path: Path) -> None:
    with checkout("HEAD", tmp_path) as former:
        assert (former / "definitions.py").exists()
        assert (former / ".venv").resolve() == (ROOT / ".venv").resolve()
    assert not former.exists()
    assert str(tmp_path) not in trees()
