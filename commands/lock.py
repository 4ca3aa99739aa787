"""Resolve the dependencies again and write the locks: complete, hashed, and without the address of any registry."""

import subprocess
import sys

from resources.profiles import ROOT

CONNECTOR = ROOT / "connectors" / "source-complete-journey"


def main() -> None:
    """Write every lock file of the project."""
    tool = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "uv"]
    subprocess.run(tool, check=True)
    shared = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-annotate"]
    compile_ = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", *shared]
    groups = ["--group", "dev", "--group", "build", "pyproject.toml"]
    subprocess.run([*compile_, *groups, "-o", "requirements.lock"], cwd=ROOT, check=True)
    subprocess.run([*compile_, "--no-deps", "requirements.in", "-o", "requirements.lock"], cwd=CONNECTOR, check=True)
    subprocess.run([*compile_, "requirements-cdk.in", "-o", "requirements-cdk.lock"], cwd=CONNECTOR, check=True)
    print("wrote the locks; `make test` tells whether everything still holds")


if __name__ == "__main__":
    main()
