#!/usr/bin/env bash
# dagster 1.13.27 (its default storage, SQLite).
#
# Expected: a process that executes a run opens the databases of its instance once, or a few times.
# Seen: an engine and a connection are made for every statement on the event log and on the runs: a run of one asset with ten
# checks, 42 events, opens its three SQLite files 139 times. Whoever closes a file as the last one also moves its
# write-ahead log into it and waits for the disk. In a graph of 70 assets and 170 checks that was a quarter of the
# whole run's time on a busy machine: 31 of 123 s for 691 events.
# Here: `resources/dagster_history.py` is the same storage, with the event log's files held open: 5 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27
cd "$folder"
mkdir home
export HOME="$folder" DAGSTER_HOME="$folder/home" DAGSTER_DISABLE_TELEMETRY=true
touch home/dagster.yaml
cat > show.py <<'PY'
import logging
import sys

import dagster as dg

logging.disable()
CHECKS = [f"check_{number}" for number in range(10)]


@dg.asset(check_specs=[dg.AssetCheckSpec(name, asset="orders") for name in CHECKS])
def orders() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name=name, passed=True) for name in CHECKS])


opened: list[str] = []
with dg.DagsterInstance.get() as instance:
    dg.materialize([orders], instance=instance)  # once before, so that the files are there
    sys.addaudithook(lambda event, of: opened.append(str(of[0])) if event == "sqlite3.connect" else None)
    result = dg.materialize([orders], instance=instance)
    events = len(instance.all_logs(result.run_id))
print(f"{events} events of a run, and SQLite files were opened {len(opened)} times, {len(set(opened))} of them")
assert result.success
assert len(opened) > 3 * events, (len(opened), events)
PY
venv/bin/python show.py 2>> log.txt || { tail -20 log.txt; exit 1; }
echo "as recorded: several connections for each event"
