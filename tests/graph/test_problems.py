"""A further problem is a folder: keys, tables, owners, jobs and a sensor come of it, and nothing else changes."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from ml_models.problems.about import FIRST, About, found, further
from resources.profiles import ROOT
from steps.problem import problem_named
from steps.tables import LAPSE, tables_of

VISITS = {
    "visits/__init__.py": '''
        """How many days a customer comes within the horizon."""
        from ml_models.problems.about import About

        ABOUT = About(
            name="visits",
            kind="regression",
            outcome="active_days_next_{horizon_days}d",
            predicts="on how many days the customer comes within the horizon",
            unit="days",
            made_by="ml_models.problems.visits.problem:visits",
        )
    ''',
    "visits/problem.py": '''
        """The problem visits: the rows of spend, another outcome."""
        from dataclasses import replace

        from ml_models.problems.contract import Rule
        from ml_models.problems.spend.problem import spend
        from ml_models.problems.visits import ABOUT


        def visits(question, parts, departments):
            """Return the problem."""
            asked = spend(question, parts, departments)
            days = f"active_days_{question.look_back_days}d"
            rule = Rule("pace", "the pace", lambda rows: rows[days].to_numpy("float64") / 3)
            amounts = replace(asked.amounts, rules=(rule,))
            return replace(asked, name="visits", label=ABOUT.label(question.horizon_days), amounts=amounts)
    ''',
}
"""A third problem, as somebody would add it: two files in a folder of their own."""

TOLD = """
import json, sys
import ml_models.problems
ml_models.problems.__path__.append(sys.argv[1])
import definitions
from tools.snapshot import describe
from steps.problem import problem_named
from steps.serving import SERVED
told = json.loads(json.dumps(describe(definitions.defs)))
told["label"] = problem_named("visits").label
told["served"] = sorted(key.to_user_string() for key in SERVED)
print(json.dumps(told))
"""


def told_with(folder):
    done = subprocess.run(
        [sys.executable, "-c", TOLD, str(folder)],
        cwd=ROOT,
        env={**os.environ, "BATON_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("third")
    for name, text in VISITS.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())
    return told_with(folder)


@pytest.fixture(scope="module")
def reviewed():
    return json.loads((ROOT / "tests/graph/snapshot.json").read_text())


def names(part):
    return set(part) if isinstance(part, dict) else {json.dumps(one, sort_keys=True) for one in part}


def test_a_folder_more_adds_what_carries_its_name_and_changes_nothing_else(told, reviewed):
    assets, before = told["assets"], reviewed["assets"]
    new = {key for key in assets if key.startswith("visits/")}
    assert new == {key.replace("spend/", "visits/") for key in before if key.startswith("spend/")}
    assert set(assets) == set(before) | new
    changed = {key for key in before if assets[key] != before[key]}
    assert changed == {"published/serving_copy", "features/catalogue"}, "what is published, and who uses a feature"
    assert {"retrain_visits", "rollback_visits"} == names(told["jobs"]) - names(reviewed["jobs"])
    assert [one for one in names(told["sensors"]) - names(reviewed["sensors"]) if "visits" not in one] == []
    assert told["label"] == "active_days_next_28d"
    assert "visits/predictions" in told["served"]


def test_lapse_keeps_the_tables_that_homes_and_queries_know():
    assert tables_of("lapse") == LAPSE
    assert LAPSE.predictions.path == ["predictions", "lapse_predictions"]
    assert tables_of("spend").holdout.path == ["spend", "holdout_predictions"]


def test_the_first_comes_first_and_each_says_its_kind():
    assert [(one.name, one.kind) for one in found() if one.name in ("lapse", "spend")] == [
        ("lapse", "binary"),
        ("spend", "regression"),
    ]
    assert found()[0].name == FIRST


def test_a_company_without_what_a_problem_needs_lacks_it():
    about = About("coupons", "regression", "", "", "", "", needs=frozenset({"coupons"}))
    assert about.needs <= {"coupons", "stores"}
    assert not about.needs <= {"stores"}
    assert {one.name for one in further(())} >= {"spend"}, "amounts are in every order line"


def test_a_problem_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(KeyError, match=r"lapse, .*spend.*got 'spent'"):
        problem_named("spent")
