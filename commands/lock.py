"""Resolve the dependencies again and write the locks: complete, hashed, and without the address of any registry."""

import subprocess
import sys

from resources.profiles import ROOT

CONNECTOR = ROOT / "connectors" / "source-complete-journey"
EMULATOR = ROOT / "tests" / "environments" / "bigquery_emulator"
ANALYZER = ROOT / "tests" / "environments" / "sql_analyzer"


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
    for folder in (EMULATOR, ANALYZER):
        subprocess.run([*compile_, "requirements.in", "-o", "requirements.lock"], cwd=folder, check=True)
    # The emulator names a newer Python than ours; its repairs make it run on this one.
    newer = [one if one != "3.11" else "3.13" for one in compile_]
    subprocess.run([*newer, "--no-deps", "any-python.in", "-o", "any-python.lock"], cwd=EMULATOR, check=True)
    print("wrote the locks; `make test` tells whether everything still holds")


if __name__ == "__main__":
    main()
