#!/usr/bin/env bash
# dbt-core 1.11.16 with dbt-duckdb 1.11.1.
#
# Expected: who interrupts `dbt build` stops it. dbt says `CANCEL query model.shop.slow ... [CANCEL]`, and a model that
# it calls cancelled is not built.
# Seen: dbt cancels each connection once and then waits for its threads. Right after `START sql table model` the
# thread has not sent its statement yet, so the cancel finds nothing to interrupt. The query begins a moment later, runs
# to its end, and the table is written: CANCEL and "OK created" stand in one log, seconds apart, and dbt ends only then.
# Here: a build of hours goes on after somebody stopped it. baton cancels again and again until the threads have ended.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==1.5.5
mkdir -p "$folder/shop/models"
cat > "$folder/shop/dbt_project.yml" <<'YML'
name: shop
version: "1.0"
profile: shop
models: {+materialized: table}
YML
cat > "$folder/shop/profiles.yml" <<'YML'
shop:
  target: here
  outputs: {here: {type: duckdb, path: "{{ env_var('SHOP') }}", threads: 1, settings: {threads: 1}}}
YML
echo "select count(*) as n from range(600000000) as a(i) where hash(i) % 7 = 3" > "$folder/shop/models/slow.sql"
cd "$folder/shop"
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

folder = Path(sys.argv[1])
print(*(f"{name} {version(name)}" for name in ("dbt-core", "dbt-duckdb", "duckdb")), sep=", ")


def interrupted(attempt: int) -> list[str]:
    """Interrupt a build as its model starts; return what the log says of the model, with its seconds."""
    logs = folder / f"logs{attempt}"
    # In the background a shell lets processes ignore the interrupt: as Python begins instead.
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from dbt.cli.main import cli; cli()"
    build = subprocess.Popen(
        [folder / "venv" / "bin" / "python", "-c", start, "build", "--log-path", logs],
        env=os.environ | {"SHOP": str(folder / f"shop{attempt}.duckdb")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = logs / "dbt.log"
    while "START sql" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    build.send_signal(signal.SIGINT)
    build.wait(timeout=300)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text()).splitlines()
    said = [line for line in lines if re.search(r"START sql|\[CANCEL|OK created", line)]
    return [f"{line[:8]}  {re.sub(r'[.]{4,}', '...', line.split('): ')[-1].split(']: ', 1)[-1])}" for line in said]


found = []
for attempt in range(5):
    found = interrupted(attempt)
    if any("CANCEL" in line for line in found) and any("OK created" in line for line in found):
        break
print(*found, sep="\n")
assert any("CANCEL" in line for line in found), "the behaviour changed: nothing is cancelled"
assert any("OK created" in line for line in found), "the behaviour changed: a cancelled model is not built"
print("as recorded: a model that was cancelled is built, and dbt waits for it")
PY
