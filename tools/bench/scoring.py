"""What scoring costs on each path: SQL in DuckDB, scikit-learn on a stream of batches, one `predict_proba` call.

Each measurement is a process of its own, so that its peak memory is its own; the three paths of a model are run in
turns. All write the scores to a table. Rows are the feature frame of a finished home, repeated; the models are the
problem's own candidates, fitted on that frame.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from resources.profiles import home
from resources.warehouse import open_duckdb
from steps.problem import problem
from tools.bench.whole import Cost, measure

PATHS = ("sql", "streamed", "one call")
MODELS = ("logistic", "boosting")

LARGEST_FRAME = 2_000_000
"""Beyond it one call is not tried: the frame and its copies alone are 1 kB a row."""


def main() -> None:
    """Measure and print the table, then the parity of each model."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="rows to score")
    arguments.add_argument("--runs", type=int, default=3, help="runs of each path")
    arguments.add_argument("--home", type=Path, default=None, help="a finished BATON_HOME (default: the present one)")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder:
        work = Path(folder)
        source = (given.home or home()) / "warehouse.duckdb"
        if not source.exists():
            sys.exit(f"error: expected a finished warehouse at {source}. Run `make run` first, or name a home.")
        for line in prepare(source, work):
            print(line, flush=True)
        print(
            f"{'model':10s} {'rows':>12s} {'path':10s} {'wall s':>8s} {'CPU s':>8s} {'peak MB':>8s} {'x streamed':>10s}"
        )
        for rows in given.rows:
            grow(work, rows)
            for model in MODELS:
                for line in table(work, model, rows, given.runs):
                    print(line, flush=True)


def prepare(source: Path, work: Path) -> list[str]:
    """Fit the candidates on a copy of the feature frame; return a line on the parity and size of each."""
    script = "from tools.bench.scoring import fit; import sys; fit(sys.argv[1], sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(source), str(work)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {done.stderr.strip()[-1500:]}")
    return done.stdout.splitlines()


def fit(source: str, folder: str) -> None:
    """Fit both candidates, keep them and their SQL in `folder`, and print the parity of each."""
    import joblib
    import numpy as np

    from ml_models.rows import features_of
    from ml_models.scoring_sql import compile_pipeline, parity
    from ml_models.training.fitting import fitted

    with open_duckdb(source, read_only=True) as connection:
        frame = connection.execute(
            f"select f.*, o.{problem().label} from features.feature_frame f "
            "join outcomes.customer_outcomes o using (customer_id, cutoff_date) order by customer_id, cutoff_date"
        ).fetchdf()
    with open_duckdb(str(Path(folder) / "rows.duckdb")) as connection:
        connection.register("given", frame)
        connection.execute("create table frame as select * from given")

        def run(sql: str, rows: Any) -> Any:
            connection.register("parity_rows", rows)
            return connection.execute(sql).fetchdf()["score"].to_numpy(dtype=np.float64)

        for candidate in (one for one in problem().candidates if one.name in MODELS):
            parameters = candidate.sample(np.random.default_rng(0), 1)[0]
            pipeline = fitted(candidate, parameters, 0, frame, problem())
            features = features_of(pipeline, problem())
            compiled = compile_pipeline(pipeline, features, "duckdb")
            google = compile_pipeline(pipeline, features, "googlesql")
            result = parity(pipeline, compiled, frame, run)
            print(f"{candidate.name}: {result.sentence}")
            print(f"{candidate.name}: {compiled.bytes:,} bytes of DuckDB, {google.bytes:,} of GoogleSQL.")
            (Path(folder) / f"{candidate.name}.sql").write_text(
                f"create or replace table scored as {compiled.select('big', ('customer_id', 'cutoff_date'))}"
            )
            joblib.dump(pipeline, Path(folder) / f"{candidate.name}.joblib")


def grow(work: Path, rows: int) -> None:
    """Make a table of `rows` rows."""
    script = (
        "import sys; from resources.warehouse import open_duckdb\n"
        "with open_duckdb(sys.argv[1]) as c:\n"
        "    n = c.execute('select count(*) from frame').fetchone()[0]\n"
        f"    c.execute(f'create or replace table big as select frame.* from frame, range({rows} // {{n}} + 1) "
        f"limit {rows}')\n"
    )
    measure([sys.executable, "-c", script, str(work / "rows.duckdb")])


def score(path: str, model: str, folder: str) -> None:
    """Score the table by one path; writes `scored`."""
    database = str(Path(folder) / "rows.duckdb")
    if path == "sql":
        statement = (Path(folder) / f"{model}.sql").read_text()
        with open_duckdb(database) as connection:
            connection.execute("set memory_limit = '2GB'")
            connection.execute(statement)
        return
    import joblib

    from ml_models.rows import features_of
    from ml_models.scoring_sql import score_streamed
    from ml_models.scoring_sql.paths import BATCH_ROWS

    pipeline = joblib.load(Path(folder) / f"{model}.joblib")
    features, keys = features_of(pipeline, problem()), ["customer_id", "cutoff_date"]
    with open_duckdb(database) as connection:
        connection.execute("set memory_limit = '2GB'")
        connection.execute("create or replace table scored (customer_id varchar, cutoff_date date, score double)")
        if path == "one call":
            frame = connection.execute("select * from big").fetchdf()
            given = frame[keys].assign(score=pipeline.predict_proba(frame[features])[:, 1])
            connection.register("given", given)
            connection.execute("insert into scored select * from given")
            return
        # A relation is read as it is asked for; what `execute` returns holds the whole result first.
        reader: Any = connection.cursor().sql("select * from big").to_arrow_reader(BATCH_ROWS)
        for batch in score_streamed(pipeline, reader, features=features, keys=keys):
            connection.register("given", batch)
            connection.execute("insert into scored select * from given")


def _cost(path: str, model: str, work: Path, environment: dict[str, str]) -> Cost:
    """Score in a process of its own; starting it and importing libraries is not counted."""
    script = "from tools.bench.scoring import timed; import sys; timed(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, path, model, str(work)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: scoring {model} by {path} ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def timed(path: str, model: str, folder: str) -> None:
    """Score and print wall and CPU seconds of that, and the process's peak memory in MB."""
    import duckdb  # noqa: F401

    if path != "sql":
        import sklearn.ensemble
        import sklearn.linear_model  # noqa: F401

        import ml_models.problems.lapse
        import ml_models.scoring_sql  # noqa: F401
    began, used = time.perf_counter(), time.process_time()
    score(path, model, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.perf_counter() - began, time.process_time() - used, peak]))


def table(work: Path, model: str, rows: int, runs: int) -> list[str]:
    """Run the paths in turns; return a line each: medians, and how many times as fast as the stream it was."""
    paths = [path for path in PATHS if path != "one call" or rows <= LARGEST_FRAME]
    costs: dict[str, list[Cost]] = {path: [] for path in paths}
    # Idle threads of scikit-learn that spin take DuckDB's cores.
    environment = {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    for _ in range(runs):
        for path in paths:
            costs[path].append(_cost(path, model, work, environment))
    streamed = statistics.median(one.wall for one in costs["streamed"])
    lines = []
    for path in paths:
        wall, cpu = (statistics.median(getattr(one, unit) for one in costs[path]) for unit in ("wall", "cpu"))
        peak = max(one.peak_mb for one in costs[path])
        lines.append(f"{model:10s} {rows:12,d} {path:10s} {wall:8.1f} {cpu:8.1f} {peak:8,.0f} {streamed / wall:10.1f}")
    return lines


if __name__ == "__main__":
    main()
