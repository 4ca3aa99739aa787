"""What a killed process leaves of its private folders is removed by the next one, and a living one's is not."""

import subprocess
import sys

from resources.private_folder import private_folder
from resources.profiles import ROOT

HOLDS = """
import sys, time
from pathlib import Path
from resources.private_folder import private_folder

with private_folder(Path(sys.argv[1]), ".rows-") as folder:
    (folder / "rows.parquet").write_text("customers")
    print(folder.name, flush=True)
    time.sleep(600)
"""


def test_the_next_one_removes_what_a_killed_one_left_and_nothing_of_a_living_one(tmp_path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    killed, lives = (subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2))
    left, kept = killed.stdout.readline().strip(), lives.stdout.readline().strip()
    killed.kill()
    killed.communicate()
    try:
        with private_folder(tmp_path, ".other-"):
            assert (tmp_path / left).exists(), "what has another name is another's"
        with private_folder(tmp_path, ".rows-") as mine:
            assert {one.name for one in tmp_path.iterdir()} == {kept, mine.name}
            assert mine.stat().st_mode & 0o077 == 0
    finally:
        lives.kill()
        lives.communicate()
    with private_folder(tmp_path, ".rows-"):
        pass
    assert not list(tmp_path.iterdir())
