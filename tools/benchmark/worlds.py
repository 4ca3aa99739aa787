"""One drill, written as a world of the benchmark: what was there each Monday, what is true, what the judgement said.

tools/benchmark/folder/README.md describes the files for who reads them; world.py in the same folder reads them.
"""

import hashlib
import json
import math
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from drills.recording import Recording
from drills.run import SILENT, Drilled
from drills.scenario import DrilledHistory
from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import score_metrics
from ml_models.model_version import Deployed
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.decision.ledger import read_anomalies
from ml_models.policy_backtest import first_champion
from ml_models.problems.contract import Problem
from ml_models.rows import labelled_rows, scored
from resources.folders import name_to_disk, to_disk

LABELS = ("outcomes", "early")
PAST = ("features", *LABELS, "measures")

Refit = Callable[[pd.DataFrame], Any]


def write_world(done: Drilled, refit: Refit, folder: Path, made_of: str) -> Path:
    """Write a drill as `folder/worlds/<fault>`, whole or not at all; return it.

    `made_of` tells it from one of other tables or other code.
    """
    worlds, name = folder / "worlds", done.fault.name
    half = worlds / f".{name}.{uuid.uuid4().hex}"
    (half / "seen").mkdir(parents=True)
    (half / "truth").mkdir()
    try:
        weeks = [stamp.date() for stamp in done.result.weeks["cutoff_date"]]
        models = _models(done, weeks, refit)
        _seen(done, weeks, half / "seen")
        _scores(done, models, weeks, half / "seen")
        _truth(done, models, weeks, half / "truth")
        _ours(done, half / "this_judgement")
        about = _about(done, weeks, [*models], _past(done.history.recording, done.history.problem, folder))
        (half / "world.json").write_text(json.dumps(about | {"made_of": made_of}, indent=1), encoding="utf-8")
        to_disk(half)
        shutil.rmtree(worlds / name, ignore_errors=True)
        return name_to_disk(half.rename(worlds / name))
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _models(done: Drilled, weeks: Sequence[date], refit: Refit) -> dict[date, Deployed]:
    """Return the model that a retraining on each Monday gives, on all that had matured; none where that is too little.

    Where nothing is known of who knew the truth, no harm is asked for: then the first one is enough.
    """
    found: dict[date, Deployed] = {}
    for day in weeks:
        if found and math.isnan(done.best):
            break
        model = first_champion(done.history, day, refit)
        if model is not None:
            found[day] = model
    return found


def _about(done: Drilled, weeks: Sequence[date], served: Sequence[date], past: str) -> dict[str, object]:
    problem, start = done.history.problem, done.score.start
    before = {
        "features": start,
        "outcomes": start - timedelta(days=problem.horizon_days),
        "early": start - timedelta(days=problem.early_days),
        "measures": start - timedelta(days=WEEK),
    }
    failed = {str(day): reason for day in weeks if (reason := done.history.failed(day))}
    return {
        "weeks": [str(day) for day in weeks],
        "served_from": str(served[0]) if served else None,
        "promoted_on": _mishap(done),
        "past": past,
        "before": {name: str(day) for name, day in before.items()},
        "horizon_days": problem.horizon_days,
        "failed": failed,
    }


def _mishap(done: Drilled) -> str | None:
    after = done.fault.promoted_after
    return None if after is None else str(done.score.start + timedelta(days=after))


def _past(recording: Recording, problem: Problem, folder: Path) -> str:
    """Write the year as it was before anything happened, once for all worlds that have the same; return its name."""
    digest = hashlib.sha256()
    for name in PAST:
        digest.update(pd.util.hash_pandas_object(getattr(recording, name), index=False).to_numpy().tobytes())
    place = folder / "past" / digest.hexdigest()[:12]
    if not place.exists():
        half = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        half.mkdir(parents=True)
        for name in PAST:
            _parquet(_plain(getattr(recording, name), problem), half / f"{name}.parquet")
        to_disk(half)
        # Another process may have written the same meanwhile.
        with suppress(OSError):
            half.rename(place)
        shutil.rmtree(half, ignore_errors=True)
        name_to_disk(place)
    return place.name


def _seen(done: Drilled, weeks: Sequence[date], folder: Path) -> None:
    """Write what each morning added, with the day on which it was there."""
    history, problem, start = done.history, done.history.problem, done.score.start
    if done.fault.rebuild:
        frame = history.frame(start)
        _parquet(frame[cutoff_dates(frame[problem.cutoff]) < pd.Timestamp(start)], folder / "features_before.parquet")
    for name, delay in (("features", 0), ("outcomes", problem.horizon_days), ("early", problem.early_days)):
        known = {day for day in history.cutoffs() if day < start - timedelta(days=delay)}
        parts = []
        for week in weeks:
            rows = history.frame(week) if name == "features" else getattr(history, name)(week)
            days = cutoff_dates(rows[problem.cutoff])
            new = {stamp.date() for stamp in days.unique()} - known
            known |= new
            parts.append(_on(rows[days.isin([pd.Timestamp(day) for day in new])], week))
        _parquet(_plain(pd.concat(parts, ignore_index=True), problem), folder / f"{name}.parquet")
    measures, columns = [], []
    for week in weeks:
        rows = history.profile(week)
        measures.append(_on(rows[rows["period_start"] >= pd.Timestamp(week - timedelta(days=WEEK))], week))
        columns.append(_on(_listed(history.columns(week)), week))
    _parquet(pd.concat(measures, ignore_index=True), folder / "measures.parquet")
    _parquet(pd.concat(columns, ignore_index=True), folder / "columns.parquet")


def _listed(types: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    rows = [(asset, name, kind) for asset, kinds in types.items() for name, kind in kinds.items()]
    return pd.DataFrame(rows, columns=["asset", "column_name", "type"])


def _scores(done: Drilled, models: Mapping[date, Deployed], weeks: Sequence[date], folder: Path) -> None:
    """Write what the first model says of every row that was served."""
    problem, frame = done.history.problem, done.history.frame(weeks[-1])
    keys = frame[list(problem.keys)]
    first = next(iter(models.values()), None)
    rows = (
        keys.assign(score=scored(first.pipeline, frame, problem)) if first is not None else keys.assign(score=math.nan)
    )
    _parquet(rows, folder / "scores.parquet")


def _truth(done: Drilled, models: Mapping[date, Deployed], weeks: Sequence[date], folder: Path) -> None:
    """Write what is right, the true labels, and the log-loss of each model that could have been fitted."""
    problem, expected = done.history.problem, done.fault.expected
    right = {
        "fault": done.fault.name,
        "words": done.fault.words,
        "kind": done.fault.kind,
        "first_day": str(done.score.start),
        "weeks": [str(day) for day in weeks],
        "columns": sorted({f"{it.table}.{it.column}" for it in done.history.perturbations if it.column}),
        "cause": list(expected.cause),
        "owner": [expected.owner] if expected.owner else [],
        "asset": list(expected.first_bad_asset),
        "decision": list(expected.decision),
        "also": list(expected.also),
        "promoted_on": _mishap(done),
        "best_loss": None if math.isnan(done.best) else done.best,
    }
    (folder / "truth.json").write_text(json.dumps(right, indent=1), encoding="utf-8")
    rows = {week: _labelled(done.history, week) for week in weeks}
    labels = [part[[problem.entity, problem.label]].assign(week=pd.Timestamp(week)) for week, part in rows.items()]
    named = {problem.entity: "customer_id", problem.label: "label"}
    _parquet(pd.concat(labels, ignore_index=True).rename(columns=named), folder / "labels.parquet")
    parts = [losses_of(models, rows, problem, "served")]
    if not done.fault.changes_the_truth:
        recording = done.history.recording
        whole = labelled_rows(recording.features, recording.outcomes, problem)
        by_week = {week: whole[whole[problem.cutoff] == pd.Timestamp(week)] for week in weeks}
        parts.append(losses_of(models, by_week, problem, "repaired"))
    _parquet(pd.concat(parts, ignore_index=True), folder / "losses.parquet")


def losses_of(
    models: Mapping[date, Deployed], rows: Mapping[date, pd.DataFrame], problem: Problem, kind: str
) -> pd.DataFrame:
    """Return the mean log-loss of each model in the weeks from its fit on: week, fitted_on, kind, rows, log_loss.

    `rows` are labelled rows by week. `kind`: `served` are the rows as they were, `repaired` as they are without the
    fault, which is what a model meets once somebody has repaired it.
    """
    found = []
    for week, part in rows.items():
        for fitted_on, model in models.items():
            if fitted_on <= week and len(part):
                loss = score_metrics(part[problem.label], scored(model.pipeline, part, problem))["log_loss"]
                found.append((pd.Timestamp(week), pd.Timestamp(fitted_on), kind, len(part), loss))
    return pd.DataFrame(found, columns=["week", "fitted_on", "kind", "rows", "log_loss"])


def _labelled(history: DrilledHistory, week: date) -> pd.DataFrame:
    frame = history.frame(week)
    now = frame[cutoff_dates(frame[history.problem.cutoff]) == pd.Timestamp(week)]
    return labelled_rows(now, history.truth(week), history.problem)


def _ours(done: Drilled, folder: Path) -> None:
    """Write what this project's judgement answered, and the scores of what it had deployed."""
    folder.mkdir()
    answers_of(done).to_csv(folder / "answers.csv", index=False)
    problem, made = done.history.problem, done.result.predictions
    rows = made.rename(columns={problem.entity: "customer_id", problem.cutoff: "week"})
    _parquet(rows[["week", "customer_id", "score"]].assign(fault=done.fault.name), folder / "scores.parquet")


def answers_of(done: Drilled) -> pd.DataFrame:
    """Return the judgement's answers as an entry gives them, one row a week."""
    mishap, rows = _mishap(done), []
    for week in done.result.weeks.to_dict("records"):
        day = week["cutoff_date"].date()
        judged = done.result.judgements[day]
        # What a person promoted past the gate was no decision of the judgement.
        decision = judged.decision.action if str(day) == mishap else str(week["action"])
        silent = week["cause"] in SILENT and decision == "continue"
        columns = {one.column for one in read_anomalies(judged.ledger_row["anomalies"]) if one.column}
        rows.append(
            {
                "fault": done.fault.name,
                "week": str(day),
                "alarmed": str(not silent and not week["scheduled"]).lower(),
                "columns": " ".join(sorted(columns)),
                "cause": judged.diagnosis.cause,
                "owner": judged.diagnosis.owner,
                "asset": judged.diagnosis.first_bad_asset,
                "decision": decision,
            }
        )
    return pd.DataFrame(rows)


def _on(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    return rows.assign(there_on=pd.Timestamp(day).as_unit("us"))


def _plain(rows: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return rows whose label is called so, whatever the problem calls it."""
    return rows.rename(columns={problem.label: "label", problem.early_label: "label"})


def _parquet(rows: pd.DataFrame, file: Path) -> None:
    rows.to_parquet(file, index=False, compression="zstd")
