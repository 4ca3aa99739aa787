"""What a project says of itself in a process of its own, where another company is chosen than in this one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def told_by(project: Path, code: str, **environment: str) -> dict[str, Any]:
    """Run code in a project and return the JSON of its last line."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found
