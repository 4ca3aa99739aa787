"""Weeks of what a customer buys next, lived through: a fault arrives, and the lists' own decision answers it.

What the graph's assets call is called here, on a warehouse and a registry in a folder of the drill: each Monday the
shared judgement of the data (without a model, as of a company that predicts nothing yet), the watch on product types,
lists, their performance, the one decision, and what it asks for. Tables are those that dbt's own compiled SQL makes of
the perturbed rows (`drills.one_pass`).

The weeks before FROM are the same for all faults, and so is the champion, who learned what had matured on FROM; both
are made once, and copied. The lists of the four Mondays before are this champion's: of cutoffs that it did not learn
from.
"""

import hashlib
import math
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from drills.description import refuse_mistakes
from drills.faults import Fault
from drills.one_pass import ITS_OWN_NEWEST, OnePass
from drills.recording import Recording
from drills.run import SILENT, Score, span_of, unnoticeable
from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.decision.ledger import append, empty_ledger, ledger_row, read_anomalies
from ml_models.policy_backtest import Ours, evidence_of
from ml_models.problems import next_product as made_by
from ml_models.problems.contract import Problem
from ml_models.problems.next_product.assortment import USUAL
from ml_models.problems.next_product.pairs import SEEN
from ml_models.problems.next_product.training import scorer
from ml_models.training.search import simplest_recipe
from resources.clock import Clock
from resources.private_folder import scratch_folder
from resources.registry import ModelRegistry
from resources.sandbox import Sandbox
from resources.warehouse import DuckDBWarehouse
from steps import next_product as taken_by
from steps.champions import promote_challenger, roll_back
from steps.further.decisions import judge_further_week
from steps.next_product.decisions import list_evidence
from steps.next_product.keys import HOLDOUT_LISTS, NAME, PREDICTIONS
from steps.next_product.lists import lists_by, make_lists, measure_drift, measure_performance, pairs_of
from steps.next_product.training import find_candidate, is_learned, make_training_set
from steps.tables import DECISIONS, store, store_part, tables_of

DRILLED_PAIRS = 200_000
"""About so many labelled pairs a drill's model learns from and is judged on: fits are most of what a drill costs."""

POPULAR = "popular_types.parquet"
"""Beside the world before FROM: how many customers bought each type before each cutoff of the recorded year."""

_NEVER = "BATON_NOT_IN_DRILLS"


@dataclass
class ListWorld:
    """A warehouse and a registry of next product in a folder, as they are on one Monday after the other."""

    folder: Path

    @property
    def warehouse(self) -> DuckDBWarehouse:
        """The warehouse of the drill."""
        return DuckDBWarehouse(path=str(self.folder / "warehouse.duckdb"))

    @property
    def registry(self) -> ModelRegistry:
        """The registry of the drill; artefacts are found wherever the folder is."""
        return ModelRegistry(
            tracking_uri=f"sqlite:///{self.folder / 'mlflow.db'}", artifact_root=(self.folder / "models").as_uri()
        )

    def clock(self, morning: date) -> Clock:
        """Return the clock of a Monday's forenoon."""
        return Clock(reads=f"{morning}T15:00:00+00:00", override_variable=_NEVER)

    def add(self, tables: Mapping[str, pd.DataFrame], frame: pd.DataFrame, labels: pd.DataFrame, matured: int) -> None:
        """Add what dbt made on a morning: tables of next product, keys of the frame, and which outcomes are known."""
        keys = ["customer_id", "cutoff_date"]
        known = labels[["cutoff_date"]].drop_duplicates()
        known = known.assign(matured_on=cutoff_dates(known["cutoff_date"]) + pd.Timedelta(days=matured))
        days = frame[["cutoff_date"]].drop_duplicates()
        days = days.assign(matured_on=cutoff_dates(days["cutoff_date"]) + pd.Timedelta(days=matured))
        for schema, name, rows in (
            *((NAME, name, rows) for name, rows in tables.items()),
            ("features", "feature_frame", frame[keys]),
            ("features", "cutoffs", days),
            ("outcomes", "customer_outcomes", known),
        ):
            if not self.warehouse.exists(schema, name):
                self.warehouse.replace_table(schema, name, rows)
            elif len(rows):
                values = [stamp.date() for stamp in cutoff_dates(rows["cutoff_date"].unique())]
                self.warehouse.replace_partitions(schema, name, rows, column="cutoff_date", values=values)

    def forget(self, before: date) -> None:
        """Leave out lists of earlier cutoffs, and those of the holdout: what they came to was told, and costs again."""
        with self.warehouse.connect(read_only=False) as connection:
            connection.execute(f"delete from {'.'.join(PREDICTIONS.path)} where cutoff_date < date '{before}'")
            connection.execute(f"delete from {'.'.join(HOLDOUT_LISTS.path)}")

    def train(self, window: str, log: Callable[[str], None], reason: str, run_id: str) -> None:
        """Train, and promote what passes the gate: what the job `retrain_next_product` does."""
        make_training_set(self.warehouse, window=window, most_pairs=DRILLED_PAIRS)
        found = find_candidate(self.warehouse, self.registry, log=log, run_id=run_id)
        if found.version is not None:
            of = tables_of(NAME)
            log(promote_challenger(self.registry.of(NAME), self.warehouse, reason=reason, run_id=run_id, of=of))


def clean_world(recording: Recording, sandbox: Sandbox, problem: Problem, start: date, keep: Path) -> ListWorld:
    """Return the world as it was on FROM before that morning, made once and kept under `keep`."""
    stat = Path(sandbox.warehouse_path).stat()
    basis = (sandbox.dbt.digest(), stat.st_size, stat.st_mtime_ns, start, problem.question, _code())
    folder = keep / hashlib.sha256(repr(basis).encode()).hexdigest()[:12]
    if not folder.exists():
        half = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        half.mkdir(parents=True)
        _begin(ListWorld(half), recording, sandbox, problem, start)
        try:
            half.rename(folder)
        except OSError:
            # Another process was faster, with the same.
            shutil.rmtree(half)
    return ListWorld(folder)


def _begin(world: ListWorld, recording: Recording, sandbox: Sandbox, problem: Problem, start: date) -> None:
    horizon = timedelta(days=problem.horizon_days)
    before = [day for day in recording.cutoffs if day < start]
    learned = [day for day in before if is_learned(day) and day + horizon <= start]
    served = [day for day in before if day >= start - horizon]
    with sandbox.scenario(
        [ITS_OWN_NEWEST],
        cutoffs=sorted({*learned, *served}),
        until=start,
        build=["next_product/candidates", "next_product/outcomes"],
    ) as made:
        candidates = made.read("select * from next_product.candidates")
        outcomes = made.read("select * from next_product.outcomes")
    with sandbox.scenario((), build=["next_product/popular_types"]) as made:
        popular = made.read("select * from next_product.popular_types")
    popular.to_parquet(world.folder / POPULAR)
    popular = popular[cutoff_dates(popular["cutoff_date"]) < pd.Timestamp(start)]
    frame, labels = recording.features, recording.outcomes
    frame = frame[cutoff_dates(frame["cutoff_date"]) < pd.Timestamp(start)]
    labels = labels[cutoff_dates(labels["cutoff_date"]) < pd.Timestamp(start - horizon)]
    tables = {"popular_types": popular, "candidates": candidates, "outcomes": outcomes}
    world.add(tables, frame, labels, problem.horizon_days)
    world.train("expanding", lambda _: None, "the first", "before")
    _serve_again(world, served)


def _serve_again(world: ListWorld, days: Sequence[date]) -> None:
    """Make the champion's lists of past cutoffs, whose outcome nobody knows yet."""
    champion = world.registry.of(NAME).by_alias("champion")
    if champion is None:
        return
    score = scorer(world.registry.of(NAME).load(champion))
    for day in days:
        at = pd.Timestamp(day, tz="UTC")
        made = [lists_by(champion, pairs, score(pairs), at) for pairs in pairs_of(world.warehouse, day)]
        store_part(world.warehouse, PREDICTIONS, pd.concat(made), "cutoff_date", day)


def _code() -> str:
    """Return a digest of what makes lists and trains them, and of what makes the world before FROM."""
    folders = [Path(str(package.__file__)).parent for package in (made_by, taken_by)]
    files = [Path(__file__), *(file for folder in folders for file in sorted(folder.glob("*.py")))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def drill_lists(
    fault: Fault,
    recording: Recording,
    sandbox: Sandbox,
    problem: Problem,
    lineage: Mapping[str, Sequence[str]],
    owners: Mapping[str, str],
    keep: Path,
    start: date | None = None,
    weeks: int | None = None,
    log: Callable[[str], None] | None = None,
) -> tuple[Score, pd.DataFrame]:
    """Let the weekly decision on lists live through one fault; return its score, and what was said each week.

    `problem`: the first one, whose judgement of the data all share. `keep`: where the world before FROM is kept.

    Raises:
        DescriptionError: it names what there is not in the graph or the SQL.
        ValueError: its mornings cannot be built in one pass, or it changes nothing.
    """
    began, tell = time.monotonic(), log or (lambda _: None)
    start, weeks, end = span_of(fault, recording, problem, start, weeks)
    history = OnePass(fault, start, recording, sandbox, problem, lineage, owners, end=end)
    history.refuse_others()
    refuse_mistakes(fault, sandbox, lineage, owners, start, end)
    clean = clean_world(recording, sandbox, problem, start, keep)
    if fault.kind != "benign" and not history.differs_from(pd.read_parquet(clean.folder / POPULAR)):
        raise unnoticeable(fault, start, end)
    with scratch_folder("baton-lists-") as folder:
        shutil.copytree(clean.folder, folder, dirs_exist_ok=True)
        told = _lived_through(ListWorld(Path(folder)), history, end, tell)
    return score_lists(fault, start, weeks, told, time.monotonic() - began), told


def _lived_through(world: ListWorld, history: OnePass, end: date, log: Callable[[str], None]) -> pd.DataFrame:
    """Return a row a Monday: cutoff, the decision, and what the watch on product types saw."""
    shared, ledger, rows = Ours(), empty_ledger(), []
    own, of, refit = world.registry.of(NAME), tables_of(NAME), simplest_recipe(history.problem)
    horizon = history.problem.horizon_days
    for morning in [day for day in history.cutoffs() if history.start <= day <= end]:
        run = f"week-{morning}"
        frame = history.frame(morning)
        evidence = replace(evidence_of(history, morning, frame, [], ledger, refit, looks=True), rebuild=None)
        decision, judged = shared.decide(evidence)
        anomalies = read_anomalies(judged.ledger_row["anomalies"]) if judged is not None else []
        ledger = append(ledger, ledger_row(decision, anomalies, ""))
        store(world.warehouse, DECISIONS, ledger)
        days = cutoff_dates(frame["cutoff_date"])
        known = history.outcomes(morning)
        world.add(
            history.types_bought(morning),
            frame[days == pd.Timestamp(morning)],
            known[cutoff_dates(known["cutoff_date"]) == pd.Timestamp(morning - timedelta(days=horizon))],
            horizon,
        )
        drift = measure_drift(world.warehouse)
        clock = world.clock(morning)
        make_lists(world.warehouse, world.registry, clock)
        world.forget(before=morning - timedelta(days=horizon))
        measure_performance(world.warehouse, world.registry)
        judge_further_week(
            world.warehouse, own, clock, of, list_evidence, finished_run=lambda _: None, log=lambda _: None
        )
        week = world.warehouse.read(f"select * from {NAME}.decisions order by cutoff desc limit 1").iloc[0].to_dict()
        if week["action"] == "improve":
            world.train(str(week["window"]), log, str(week["reason"]), run)
            make_lists(world.warehouse, world.registry, clock, rescore=True)
        elif week["action"] == "rollback":
            log(roll_back(own, world.warehouse, None, reason=str(week["reason"]), run_id=run, of=of))
        seen = drift.sort_values("cutoff_date").iloc[-1]
        log(f"{morning}: {week['action']}, types {seen['verdict']}")
        rows.append(
            {
                **week,
                "cutoff": morning,
                "types": seen["verdict"],
                "types_sentence": seen["sentence"],
                "shared_action": decision.action,
            }
        )
    return pd.DataFrame(rows)


def score_lists(fault: Fault, start: date, weeks: int, told: pd.DataFrame, seconds: float) -> Score:
    """Compare what was decided and seen with what is expected; no harm is counted."""
    expected, benign = fault.expected, fault.kind == "benign"
    # What the calendar asks for (labels outgrew the champion) is no answer to a fault.
    unscheduled = told[told["cause"] != "labels"]
    seen = unscheduled["types"].isin(SEEN)
    loud = unscheduled[seen | ~unscheduled["cause"].isin(SILENT)]
    acted = unscheduled[unscheduled["action"] != "continue"]
    right_ones = loud if "continue" in expected.decision else acted
    wanted = right_ones[right_ones["action"].isin(expected.decision)]
    counts = next((rows.iloc[0] for rows in (wanted, loud, acted) if len(rows)), None)
    allowed = {*expected.decision, *expected.also, "continue"}
    right = acted["action"].isin(allowed).all() and (len(wanted) > 0 or "continue" in expected.decision)
    cause, asset, owner, action, verdict, sentence = "none", "", "", "continue", "", ""
    if counts is not None:
        cause, asset, owner, action = (
            str(counts[name] or "") for name in ("cause", "first_bad_asset", "owner", "action")
        )
        verdict = str(counts["types"]) if counts["types"] in SEEN else ""
        sentence = " ".join(filter(None, (str(counts["reason"]), str(counts["types_sentence"]) if verdict else "")))
    judged = cause in expected.cause and (not expected.types or verdict in expected.types)
    return Score(
        name=fault.name,
        kind=fault.kind,
        start=start,
        weeks=weeks,
        detected=len(loud) > 0,
        delay_days=float((loud["cutoff"].iloc[0] - start).days) if len(loud) else math.nan,
        cause=": ".join(filter(None, (cause, verdict))),
        cause_right=None if benign else judged,
        first_bad_asset=asset,
        asset_right=asset in expected.first_bad_asset if expected.first_bad_asset else None,
        owner=owner,
        owner_right=owner == expected.owner if expected.owner else None,
        decision=action,
        decision_right=bool(right),
        false_alarms=len(acted) if benign else 0,
        harm=math.nan,
        seconds=seconds,
        decisions=" ".join(_short(week) for _, week in told.iterrows()),
        sentence=sentence,
    )


def _short(week: pd.Series) -> str:
    said = [word for word in (str(week["cause"]), str(week["types"])) if word not in SILENT and word not in USUAL]
    return str(week["action"])[:4] + (f"({', '.join(said)})" if said else "")
