"""An Airbyte source for tests: it says what its configuration tells it to say, and behaves as badly as that asks for.

The configuration's `script` is a list of steps. A step is a message (an object with `type`), a record `["stream",
{data}]`, a raw line (a string), or a directive: `{"sleep": seconds}`, `{"exit": code}`, `{"kill": true}`, `{"stderr":
text}`, `{"half_line": text}`. `{"rows_since_state": …}` sends the rows of a stream that its state has not seen.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def record(stream: str, data: dict[str, Any], namespace: str | None = None) -> None:
    body: dict[str, Any] = {"stream": stream, "data": data, "emitted_at": 1_500_000_000_000}
    if namespace:
        body["namespace"] = namespace
    say({"type": "RECORD", "record": body})


def rows_since_state(step: dict[str, Any], state: Any) -> None:
    """Send rows from the cursor on (inclusive), with a state after every `checkpoint_every` of them."""
    stream, cursor = step["stream"], step["cursor"]
    seen = {entry["stream"]["stream_descriptor"]["name"]: entry["stream"]["stream_state"] for entry in state or []}
    since = seen.get(stream, {}).get(cursor)
    rows = sorted((row for row in step["rows"] if since is None or row[cursor] >= since), key=lambda row: row[cursor])
    size = step.get("checkpoint_every", len(rows) or 1)
    for start in range(0, len(rows), size):
        for row in rows[start : start + size]:
            record(stream, row)
            time.sleep(step.get("seconds_a_row", 0))
        reached = rows[min(start + size, len(rows)) - 1][cursor]
        inner = {"stream_descriptor": {"name": stream}, "stream_state": {cursor: reached}}
        say({"type": "STATE", "state": {"type": "STREAM", "stream": inner}})


def run(script: list[Any], state: Any) -> int:
    for step in script:
        if isinstance(step, str):
            sys.stdout.write(step + "\n")
        elif isinstance(step, list):
            record(*step)
        elif "type" in step:
            say(step)
        elif "rows_since_state" in step:
            rows_since_state(step["rows_since_state"], state)
        elif "sleep" in step:
            sys.stdout.flush()
            time.sleep(step["sleep"])
        elif "stderr" in step:
            sys.stderr.write(step["stderr"] + "\n")
        elif "half_line" in step:
            sys.stdout.write(step["half_line"])
        elif "kill" in step:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        elif "exit" in step:
            return int(step["exit"])
        else:
            raise ValueError(step)
    return 0


def main() -> int:
    command, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    config_file = Path(options["--config"])
    config = json.loads(config_file.read_text())
    if command == "discover":
        say({"type": "CATALOG", "catalog": config["catalog"]})
        return 0
    state = json.loads(Path(options["--state"]).read_text())
    if "diary" in config:
        seen = {
            "config_file": str(config_file),
            "mode": oct(config_file.stat().st_mode & 0o777),
            "state": state,
            "catalog": json.loads(Path(options["--catalog"]).read_text()),
            "config": config,
            "pid": os.getpid(),
        }
        with Path(config["diary"]).open("a") as diary:
            diary.write(json.dumps(seen) + "\n")
    return run(config["script"], state)


if __name__ == "__main__":
    sys.exit(main())
