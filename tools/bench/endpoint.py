"""What an answer of the endpoint costs: latency, vectors, and requests a second beside two servers of others.

Beside it stand `mlflow models serve` on the same champion, asked for the same vectors, and Feast's Python feature
server with an SQLite online store of the same features, asked for the same customers. Each server runs alone on one
core, with one worker and no log of requests, and is warmed up; the client is on another core, the same for all, and
keeps its connections open. Answers are compared before anything is timed. Feast has an environment of its own, which is
made on first use.
"""

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from resources.profiles import ROOT, home, resources_for
from resources.serving_copy import FILE, open_copy
from steps.problem import problem
from tools import bootstrap
from tools.bench.asking import at_once, latencies, request_bytes
from tools.bench.whole import show
from tools.bootstrap import Environment
from tools.lock import FEAST as FEAST_FOLDER
from tools.postgres import free_port

CONNECTIONS = 4
ONE_BY_ONE = 3_000
BATCHES = 60
CUSTOMERS = 1_000
PATIENCE = 180.0
SAME = 1e-9


def _fill(environment: Environment) -> None:
    bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])


FEAST = Environment(str(FEAST_FOLDER), "feast", "Feast's feature server", ["requirements.lock"], _fill)


class Rows(NamedTuple):
    """Customers of the newest cutoff with their features, as a program holds them, and what the table says of them."""

    customers: list[str]
    vectors: list[dict[str, float | int | None]]
    scores: list[float]


class Side(NamedTuple):
    """A server: how it is started on a port, what a request is, and what proves that it answers right."""

    name: str
    command: Callable[[int], Sequence[str | Path]]
    requests: list[bytes]
    ready: str
    proof: Callable[[int], None]
    environment: dict[str, str]


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0, help="for which each server is asked")
    arguments.add_argument("--without-feast", action="store_true", help="where it cannot be installed")
    given = arguments.parse_args()
    file = home() / FILE
    if not file.exists():
        sys.exit(f"error: expected a published copy at {file}. Run `make run` first, or set BATON_HOME.")
    cores = sorted(os.sched_getaffinity(0))
    # The client keeps away from the servers' core where there is another one.
    os.sched_setaffinity(0, set(cores[1:] or cores))
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as name:
        rows = known(file)
        show("what", "ours", "beside", "ratio", "goal")
        ours = our_side(rows)
        with served(ours, cores[0], Path(name)) as port:
            for line in our_lines(port, rows):
                show(*line)
            vector = at_once(port, vector_requests(rows), CONNECTIONS, given.seconds).a_second
            look_up = at_once(port, ours.requests, CONNECTIONS, given.seconds).a_second
        sides = [(mlflow_side(rows), vector, "one vector a request, beside MLflow's server (1/s)")]
        if not given.without_feast:
            bootstrap.bring_up_to_date([FEAST])
            sides.append((feast_side(rows, file, Path(name)), look_up, "one customer, beside Feast's server (1/s)"))
        for side, mine, what in sides:
            with served(side, cores[0], Path(name)) as port:
                theirs = at_once(port, side.requests, CONNECTIONS, given.seconds).a_second
            show(what, f"{mine:,.0f}", f"{theirs:,.0f}", f"{mine / theirs:.1f}", "≥ 5")


def known(file: Path) -> Rows:
    """Return customers of the newest scored cutoff, chosen by a hash of their names, repeated where they are fewer."""
    asked = problem()
    predictions, features = f"predictions.{asked.name}_predictions", list(asked.catalogue)
    with open_copy(file) as copy:
        found = copy.execute(
            f"select p.{asked.entity}, p.score, {', '.join(f'f.{name}' for name in features)} from {predictions} p "
            f"join features.feature_frame f using ({', '.join(asked.keys)}) "
            f"where p.cutoff_date = (select max(cutoff_date) from {predictions}) order by md5(p.{asked.entity}) "
            f"limit {CUSTOMERS}"
        ).fetchall()
    found = (found * (CUSTOMERS // len(found) + 1))[:CUSTOMERS]
    vectors = [dict(zip(features, values, strict=True)) for _, _, *values in found]
    return Rows([customer for customer, *_ in found], vectors, [score for _, score, *_ in found])


def our_side(rows: Rows) -> Side:
    """Return the endpoint, asked for customers."""
    base = f"/problems/{problem().name}"

    def proof(port: int) -> None:
        answer = _ask(port, "POST", f"{base}/score", {"rows": rows.vectors})
        _same([row.get("score") for row in answer["rows"]], rows.scores, "the endpoint's vectors")
        looked_up = [_ask(port, "GET", f"{base}/customers/{one}")["score"] for one in rows.customers[:50]]
        _same(looked_up, rows.scores[:50], "the endpoint's look-ups")

    return Side(
        "baton's endpoint",
        lambda port: [sys.executable, "-m", "commands.endpoint", "--port", str(port)],
        [request_bytes("GET", f"{base}/customers/{one}") for one in rows.customers],
        "/ready",
        proof,
        {},
    )


def vector_requests(rows: Rows) -> list[bytes]:
    """Return a request for each vector alone."""
    path = f"/problems/{problem().name}/score"
    return [request_bytes("POST", path, orjson.dumps({"rows": [one]})) for one in rows.vectors]


def our_lines(port: int, rows: Rows) -> Iterator[tuple[str, str, str, str, str]]:
    """Measure what one answer takes, one request at a time."""
    base = f"/problems/{problem().name}"
    look_ups = [request_bytes("GET", f"{base}/customers/{one}") for one in rows.customers]
    batch = request_bytes("POST", f"{base}/score", orjson.dumps({"rows": rows.vectors}))
    for what, requests, most in (
        ("one customer", (look_ups * (ONE_BY_ONE // len(look_ups)))[:ONE_BY_ONE], ("≤ 3.0", "≤ 12.0")),
        ("one vector", vector_requests(rows), ("≤ 3.0", "≤ 12.0")),
        (f"{CUSTOMERS:,} vectors in one request", [batch] * BATCHES, ("≤ 50.0", "")),
    ):
        taken = latencies(port, requests)
        half, last = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        yield f"{what}, p50 (ms)", f"{half * 1000:.2f}", "", "", most[0]
        yield f"{what}, p99 (ms)", f"{last * 1000:.2f}", "", "", most[1]


def mlflow_side(rows: Rows) -> Side:
    """Return MLflow's own server of the champion, asked for one vector at a time."""
    registry: Any = resources_for()["registry"]
    version = registry.by_alias("champion")
    bodies = [orjson.dumps({"dataframe_records": [one]}) for one in rows.vectors]

    def proof(port: int) -> None:
        answer = _ask(port, "POST", "/invocations", {"dataframe_records": rows.vectors})
        _same([row[1] for row in answer["predictions"]], rows.scores, "MLflow's vectors")

    uri = f"models:/{registry.model_name}/{version.version}"
    serve: list[str | Path] = [
        Path(sys.executable).with_name("mlflow"),
        "models",
        "serve",
        "--model-uri",
        uri,
        "--env-manager",
        "local",
    ]
    return Side(
        "mlflow models serve",
        lambda port: [*serve, "--workers", "1", "--port", str(port)],
        [request_bytes("POST", "/invocations", one) for one in bodies],
        "/ping",
        proof,
        {"MLFLOW_TRACKING_URI": registry.tracking_uri},
    )


def feast_side(rows: Rows, file: Path, folder: Path) -> Side:
    """Return Feast's feature server, asked for all features of one customer at a time."""
    import pandas as pd

    store, features = folder / "feast", folder / "features.parquet"
    store.mkdir()
    with open_copy(file) as copy:
        frame = copy.execute(
            "select * from features.feature_frame where cutoff_date = (select max(cutoff_date) from "
            f"predictions.{problem().name}_predictions)"
        ).fetchdf()
    names = list(problem().catalogue)
    frame["cutoff_date"] = pd.to_datetime(frame["cutoff_date"]).dt.tz_localize("UTC")
    frame[["customer_id", "cutoff_date", *names]].to_parquet(features)
    with (folder / "feast.log").open("wb") as log:
        made = subprocess.run(
            [FEAST.python, FEAST_FOLDER / "store.py", store, features],
            env=_apart(),
            stdout=log,
            stderr=log,
            check=False,
        )
    if made.returncode:
        sys.exit(f"error: expected a store of Feast's, and there is none: {_end_of(folder / 'feast.log')}")
    asked = [f"customers:{name}" for name in names]
    path = "/get-online-features"

    def body(customers: Sequence[str]) -> dict[str, Any]:
        return {"features": asked, "entities": {"customer_id": customers}}

    def proof(port: int) -> None:
        answer = _ask(port, "POST", path, body(rows.customers[:50]))
        columns = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        for name in names:
            wanted = [vector[name] for vector in rows.vectors[:50]]
            _same(columns[name]["values"], wanted, f"Feast's {name}")

    serve: list[str | Path] = [Path(FEAST.python).with_name("feast"), "--chdir", store, "serve", "--no-access-log"]
    # It ends its worker after a thousand requests unless it is told another number.
    serve += ["--workers", "1", "--max-requests", "100000000"]
    return Side(
        "feast serve",
        lambda port: [*serve, "--port", str(port)],
        [request_bytes("POST", path, orjson.dumps(body([one]))) for one in rows.customers],
        "/health",
        proof,
        _apart(),
    )


@contextlib.contextmanager
def served(side: Side, core: int, folder: Path) -> Iterator[int]:
    """Run a server alone on one core until it answers, prove its answers, warm it up, and yield its port."""
    port, log = free_port(), folder / "server.log"
    environment = side.environment if "PATH" in side.environment else {**os.environ, **side.environment}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*map(str, side.command(port))],
            cwd=ROOT,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        _wait(port, side, process, log)
        side.proof(port)
        at_once(port, side.requests, CONNECTIONS, 2.0)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, side: Side, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{side.ready}", timeout=10).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit(f"error: expected {side.name} to answer within {PATIENCE:.0f} s, and it does not: {_end_of(log)}")


def _ask(port: int, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return orjson.loads(answer.read())


def _same(answers: Sequence[float | None], wanted: Sequence[float | int | None], what: str) -> None:
    """End with a sentence where answers are not those that are wanted: what is wrong need not be fast."""
    for place, (answer, right) in enumerate(zip(answers, wanted, strict=True)):
        if (answer is None) != (right is None) or (answer is not None and abs(answer - (right or 0)) > SAME):
            sys.exit(f"error: expected {what} to be what the tables say, and row {place} is {answer}, not {right}.")


def _apart() -> dict[str, str]:
    """Return the environment for a program that shall see nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BATON_"))}
    return {**kept, "FEAST_USAGE": "False", "OMP_NUM_THREADS": "1"}


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-1500:]


if __name__ == "__main__":
    main()
