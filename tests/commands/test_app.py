"""`make app` says where the pages are, serves them to this machine, and ends with Ctrl-C as if nothing had been."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from resources.profiles import ROOT


def opened(address):
    """Open a page of a server that says its address a moment before it listens."""
    for _ in range(600):
        try:
            return urllib.request.urlopen(address, timeout=10)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(address)


def test_the_pages_are_where_the_command_says_and_end_quietly(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "commands.app"],
        cwd=ROOT,
        env={**os.environ, "BATON_HOME": str(tmp_path / "home"), "BATON_PROFILE": "embedded"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            assert serving.stdout.readline() == f"state: {tmp_path / 'home'}\n"
            [address] = re.findall(r"^pages: (http://127\.0\.0\.1:\d+/) ", serving.stdout.readline())
            with pytest.raises(urllib.error.HTTPError, match="503") as answer:
                opened(address)
            assert "none was published yet" in answer.value.read().decode()
        finally:
            serving.send_signal(signal.SIGINT)
        out, error = serving.communicate(timeout=60)
    assert (serving.returncode, out, error) == (0, "", "")
    assert not (tmp_path / "home").exists(), "who reads makes nothing"
