"""The benchmark's folder without baton: a scorer whose every column is known here, and the entries to compare with."""

import csv
import json
import shutil
import subprocess
import sys
from importlib import util

import numpy as np
import pandas as pd
import pytest

from tools.benchmark.__main__ import chosen
from tools.benchmark.entries import ENTRIES, EVIDENTLY
from tools.benchmark.folder_of_worlds import OURS, READERS, strike

WEEKS = ["2024-01-01", "2024-01-08", "2024-01-15"]
TRUTH = {
    "cents": ("quality", ["data quality"], ["raw/lines"], ["team:data"], ["inspect"]),
    "quits": ("concept", ["concept"], [], ["team:ml"], ["improve"]),
    "closes": ("covariate", ["covariate", "none"], [], [], ["continue", "inspect"]),
    "prices": ("benign", ["none", "insufficient evidence"], [], [], ["continue"]),
}
# Mean log-loss of the model fitted on each Monday, week by week: bad rows make it worse, a new world makes it better.
LOSSES = {"cents": (0.5, 0.8), "quits": (0.6, 0.4), "closes": (0.5, 0.5), "prices": (0.5, 0.45)}
REPAIRED = (0.3, 0.9)
"""The same where amounts are in dollars again: what learned from cents pays."""
BEST = {"cents": 0.5, "quits": 0.5, "closes": 0.5, "prices": 0.5}
NOTHING = ("false", "", "", "", "continue")
BAD = ("true", "data quality", "team:data", "raw/lines", "inspect")
QUIT = ("true", "concept", "team:ml", "", "improve")
RETRAIN = ("true", "", "", "", "improve")
ROUTINE = ("false", "", "", "", "improve")


def module(name):
    """Load a file of the folder as it lies there."""
    spec = util.spec_from_file_location(name, READERS / f"{name}.py")
    loaded = util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def folder(tmp_path):
    """A benchmark of four worlds of three weeks, with a hundred customers each."""
    shutil.copyfile(READERS / "score.py", tmp_path / "score.py")
    (tmp_path / "answers").mkdir()
    told = []
    for name, (kind, cause, asset, owner, decision) in TRUTH.items():
        right = {"cause": cause, "asset": asset, "owner": owner, "decision": decision, "also": []}
        about = {"fault": name, "kind": kind, "first_day": WEEKS[0], "weeks": WEEKS, "promoted_on": None}
        told.append(about | right | {"best_loss": BEST[name]})
        place = tmp_path / "worlds" / name / "truth"
        place.mkdir(parents=True)
        first, later = LOSSES[name]
        kinds = {"served": (first, later)} | ({"repaired": REPAIRED} if kind == "quality" else {})
        rows = [
            (pd.Timestamp(week), pd.Timestamp(fitted), kind, 100, old if fitted == WEEKS[0] else new)
            for kind, (old, new) in kinds.items()
            for week in WEEKS
            for fitted in WEEKS
            if fitted <= week
        ]
        columns = ["week", "fitted_on", "kind", "rows", "log_loss"]
        pd.DataFrame(rows, columns=columns).to_parquet(place / "losses.parquet")
        labels = [(pd.Timestamp(week), str(one), one % 2) for week in WEEKS for one in range(100)]
        pd.DataFrame(labels, columns=["week", "customer_id", "label"]).to_parquet(place / "labels.parquet")
    (tmp_path / "truth.json").write_text(json.dumps(told))
    return tmp_path


def enter(folder, name, weeks_of_worlds):
    with (folder / "answers" / f"{name}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["fault", "week", "alarmed", "cause", "owner", "asset", "decision"])
        for world, said in weeks_of_worlds.items():
            rows.writerows([world, week, *one] for week, one in zip(WEEKS, said, strict=True))


def score(folder, *arguments):
    """Run the scorer with nothing but installed libraries: no checkout, no folder of the script on the path."""
    command = [sys.executable, "-I", str(folder / "score.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def row(folder, entry):
    done = score(folder)
    assert done.returncode == 0, done.stderr
    titles, *rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in done.stdout.splitlines()]
    return dict(zip(titles, next(cells for cells in rows if cells[0] == entry), strict=True))


def test_who_knows_everything_is_right_in_every_column(folder):
    silent = [NOTHING] * 3
    worlds = {"cents": [NOTHING, BAD, BAD], "quits": [NOTHING, QUIT, NOTHING], "closes": silent, "prices": silent}
    enter(folder, "knows", worlds)
    assert row(folder, "knows") == {
        "entry": "knows",
        "worlds": "4",
        "detected": "2 of 2",
        "delay": "7 d",
        "cause": "3 of 3",
        "owner": "2 of 2",
        "asset": "1 of 1",
        "decision": "3 of 3",
        "false alarms": "0",
        # One of four worlds: (.6 + .4 + .4) / 3 against .5.
        "harm": f"{((0.6 + 0.4 + 0.4) / 3 - 0.5) / 4:+.4f}",
        "once repaired": "+0.0000",
    }


def test_who_retrains_on_every_alarm_pays_in_the_worlds_whose_rows_are_bad(folder):
    enter(folder, "loud", {name: [NOTHING, RETRAIN, RETRAIN] for name in TRUTH})
    found = row(folder, "loud")
    assert (found["detected"], found["delay"], found["false alarms"]) == ("2 of 2", "7 d", "2")
    assert (found["cause"], found["owner"], found["asset"]) == ("-", "-", "-")
    # Right for customers who quit; wrong for amounts in cents, and for a store that closes.
    assert found["decision"] == "1 of 3"
    means = {name: (first + 2 * later) / 3 - BEST[name] for name, (first, later) in LOSSES.items()}
    assert found["harm"] == f"{np.mean([*means.values()]):+.4f}"
    # Two of three weeks with a model that learned from cents.
    assert found["once repaired"] == f"{2 / 3 * (0.9 - 0.3):+.4f}"


def test_a_calendar_raises_no_alarm_and_is_right_where_a_retraining_is(folder):
    enter(folder, "calendar", {name: [NOTHING, NOTHING, ROUTINE] for name in TRUTH})
    found = row(folder, "calendar")
    assert (found["detected"], found["delay"], found["false alarms"]) == ("0 of 2", "-", "0")
    # Customers who quit, and a store that closes, where going on was right; not on amounts in cents.
    assert found["decision"] == "2 of 3"


def test_who_never_does_anything_is_right_only_where_nothing_is_to_be_done(folder):
    enter(folder, "never", {name: [NOTHING] * 3 for name in TRUTH})
    found = row(folder, "never")
    assert (found["detected"], found["decision"], found["false alarms"]) == ("0 of 2", "1 of 3", "0")
    assert found["harm"] == f"{0.1 / 4:+.4f}"


def test_a_rollback_brings_the_model_before_back(folder):
    back = ("true", "", "", "", "rollback")
    enter(folder, "returns", {"cents": [NOTHING, RETRAIN, back]})
    assert row(folder, "returns")["harm"] == f"{(0.5 + 0.8 + 0.5) / 3 - 0.5:+.4f}"


def test_scores_of_an_entrys_own_models_go_before_its_decisions(folder):
    enter(folder, "own", {"cents": [NOTHING, BAD, BAD]})
    said = [("cents", pd.Timestamp(week), str(one), 0.9 if one % 2 else 0.1) for week in WEEKS for one in range(100)]
    scores = pd.DataFrame(said, columns=["fault", "week", "customer_id", "score"])
    scores.to_parquet(folder / "answers" / "own.parquet")
    assert row(folder, "own")["harm"] == f"{-np.log(0.9) - 0.5:+.4f}"


def test_a_person_who_promotes_past_every_entry_is_no_decision_of_theirs(folder):
    told = json.loads((folder / "truth.json").read_text())
    told[0]["promoted_on"] = WEEKS[1]
    (folder / "truth.json").write_text(json.dumps(told))
    enter(folder, "never", {"cents": [NOTHING] * 3})
    assert row(folder, "never")["harm"] == f"{(0.5 + 0.8 + 0.8) / 3 - 0.5:+.4f}"


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("decision", "retrain", "line 3: expected `decision` to be one of continue, improve, inspect, rollback; it is"),
        ("alarmed", "maybe", "line 3: expected `alarmed` to be one of true, false; it is 'maybe'"),
        ("fault", "unheard_of", "line 3: there is no world 'unheard_of'"),
        ("week", "8.1.2024", "line 3: expected `week` as 2024-01-31; it is '8.1.2024'"),
        ("week", "2024-01-15", "expected one row for each of the 3 weeks of cents, and it lacks 2024-01-08"),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused_with_its_line(folder, column, value, sentence):
    enter(folder, "odd", {"cents": [NOTHING] * 3})
    file = folder / "answers" / "odd.csv"
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows.loc[1, column] = value
    rows.to_csv(file, index=False)
    done = score(folder)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_file_of_other_columns_is_refused(folder):
    (folder / "answers" / "odd.csv").write_text("fault,alarmed\ncents,true\n")
    done = score(folder)
    assert (done.returncode, done.stderr) == (
        1,
        "error: odd.csv has no column week, decision; README.md lists the columns of an answer.\n",
    )


def test_the_index_of_a_known_shift_is_what_the_formula_says():
    module("world")
    entries = module("entries")
    reference = pd.Series(np.arange(1000.0))
    # A tenth of the reference lies in each bin; of these, .15 in the first, .05 in the second, a tenth elsewhere.
    current = pd.Series(np.repeat(np.arange(50.0, 1000, 100), [150, 50, *[100] * 8]))
    expected = 0.05 * np.log(1.5) - 0.05 * np.log(0.5)
    assert entries.psi(reference, current) == pytest.approx(expected)
    assert entries.psi(reference, reference) == 0


def test_any_psi_names_the_columns_that_moved_and_nulls_are_a_bin():
    module("world")
    entries = module("entries")
    reference = pd.DataFrame({name: np.arange(1000.0) for name in ("same", "shifted", "emptied")})
    current = reference.assign(shifted=reference["shifted"] + 500, emptied=np.nan)
    assert entries.above(reference, current) == (True, ["shifted", "emptied"])
    assert entries.above(reference, reference) == (False, [])


def test_the_calendar_retrains_in_each_fourth_week():
    module("world")
    entries = module("entries")

    class Nine:
        weeks = range(9)

    said = [one["decision"] for one in entries.every_4_weeks(Nine)]
    assert [place for place, decision in enumerate(said) if decision == "improve"] == [4, 8]


def test_a_world_that_is_made_again_loses_its_answers_and_others_keep_theirs(tmp_path):
    (tmp_path / "answers").mkdir()
    for entry in ("never", "a_strangers"):
        lines = ["fault,week,alarmed,decision", *(f"{fault},2024-01-01,false,continue" for fault in ("cents", "quits"))]
        (tmp_path / "answers" / f"{entry}.csv").write_text("\n".join([*lines, ""]))
    strike(tmp_path, "cents", ENTRIES)
    kept = pd.read_csv(tmp_path / "answers" / "never.csv")
    assert kept["fault"].tolist() == ["quits"]
    assert pd.read_csv(tmp_path / "answers" / "a_strangers.csv")["fault"].tolist() == ["cents", "quits"]


def test_every_entry_has_a_file_and_ours_has_none():
    assert {name for name, entry in ENTRIES.items() if entry is None} == {OURS}
    assert [entry.file for entry in ENTRIES.values() if entry and not (READERS / entry.file).exists()] == []


def test_an_unknown_fault_is_refused_with_those_that_are_there():
    with pytest.raises(ValueError, match="there is no fault 'cents'. There are amounts_times_100"):
        chosen("cents")
    assert chosen("natural_year, amounts_times_100") == ["natural_year", "amounts_times_100"]


@pytest.fixture
def watched(tmp_path):
    """A world of three weeks: 600 rows to learn from; on the second Monday all features move far, and stay."""
    for file in ("world.py", "entries.py", "evidently_default.py"):
        shutil.copyfile(READERS / file, tmp_path / file)
    drawn = np.random.default_rng(0)

    def rows(day, count, shift):
        features = {name: drawn.normal(shift, 1, count) for name in ("visits", "amount")}
        keys = {"cutoff_date": pd.Timestamp(day), "customer_id": [f"{day} {one}" for one in range(count)]}
        return pd.DataFrame(keys | features)

    past = rows("2023-12-04", 600, 0)
    new = [
        rows(week, 300, shift).assign(there_on=pd.Timestamp(week)) for week, shift in zip(WEEKS, (0, 5, 5), strict=True)
    ]
    seen, before = tmp_path / "worlds" / "moved" / "seen", tmp_path / "past" / "year"
    seen.mkdir(parents=True)
    before.mkdir(parents=True)
    labels = past[["cutoff_date", "customer_id"]].assign(label=0)
    past.to_parquet(before / "features.parquet")
    labels.to_parquet(before / "outcomes.parquet")
    own = pd.concat(new, ignore_index=True)
    own.to_parquet(seen / "features.parquet")
    labels.iloc[:0].assign(there_on=pd.Timestamp(WEEKS[0])).to_parquet(seen / "outcomes.parquet")
    served = pd.concat([past, own], ignore_index=True)[["cutoff_date", "customer_id"]]
    served.assign(score=drawn.uniform(size=len(served))).to_parquet(seen / "scores.parquet")
    about = {"weeks": WEEKS, "served_from": WEEKS[0], "past": "year"}
    about |= {"before": {"features": WEEKS[0], "outcomes": WEEKS[0]}}
    (seen.parent / "world.json").write_text(json.dumps(about))
    return tmp_path


def answered(folder, python, file, *arguments):
    command = [str(python), file, *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return pd.read_csv(folder / "answers" / f"{arguments[0] if arguments else file[:-3]}.csv", keep_default_na=False)


def test_a_monitor_of_distributions_alarms_while_what_it_learned_from_lies_elsewhere(watched):
    said = answered(watched, sys.executable, "entries.py", "any_psi")
    assert said["alarmed"].astype(str).str.lower().tolist() == ["false", "true", "true"]
    assert said["columns"].tolist() == ["", "visits amount", "visits amount"]
    assert said["decision"].tolist() == ["continue", "improve", "improve"]
    assert said["cause"].tolist() == ["", "", ""]


def test_what_was_answered_is_not_answered_again(watched):
    answered(watched, sys.executable, "entries.py", "never")
    file = watched / "answers" / "never.csv"
    file.write_text(file.read_text().replace("false", "true"))
    assert answered(watched, sys.executable, "entries.py", "never")["alarmed"].astype(str).str.lower().all()


REPORT = """
class Report:
    def __init__(self, metrics):
        pass

    def run(self, current, reference):
        if current["visits"].mean() > 8:
            raise ValueError("nothing to compare")
        self.moved = [abs(current[name].mean() - reference[name].mean()) > 1 for name in reference]
        return self

    def dict(self):
        return {"metrics": [{"value": {"share": sum(self.moved) / len(self.moved)}}]}
"""
"""What stands for the package where it is not installed: the share of columns whose mean moved by 1."""


def test_evidently_alarms_where_half_of_the_columns_drifted_or_there_is_no_report(watched):
    package = watched / "evidently"
    package.mkdir()
    (package / "__init__.py").write_text(REPORT)
    (package / "metrics.py").write_text("DriftedColumnsCount = object\n")
    said = answered(watched, sys.executable, "evidently_default.py")
    assert said["alarmed"].astype(str).str.lower().tolist() == ["false", "true", "true"]
    own = watched / "worlds" / "moved" / "seen" / "features.parquet"
    rows = pd.read_parquet(own)
    # Visits alone are one of three columns; beyond 8 there is no report.
    rows.assign(amount=0.0, visits=rows["visits"].where(rows["there_on"] < WEEKS[2], 20.0)).to_parquet(own)
    (watched / "answers" / "evidently_default.csv").unlink()
    said = answered(watched, sys.executable, "evidently_default.py")
    assert said["alarmed"].astype(str).str.lower().tolist() == ["false", "false", "true"]


@pytest.mark.slow
@pytest.mark.skipif(
    not EVIDENTLY.is_current(), reason="Evidently takes 1 GB: `make benchmark` installs it, CI does not"
)
def test_evidently_itself_answers_by_its_own_defaults(watched):
    said = answered(watched, EVIDENTLY.python, "evidently_default.py")
    # Two of three columns moved: more than the half from which a data set counts as drifted.
    assert said["alarmed"].astype(str).str.lower().tolist() == ["false", "true", "true"]
    assert said["decision"].tolist() == ["continue", "improve", "improve"]
