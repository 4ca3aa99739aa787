"""Whoever asks "what if" sees what the model would say, how far that can be trusted, and what it leaves out."""

import html
import math
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import duckdb
import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient
from support.bundled import FEATURES, PROBLEM
from support.registered import log, registry_of
from support.shown_pages import page_of
from support.simulated_shop import make_frame

from app.pages import Reader, begin, make_app
from ml_models.explain import reference_values
from ml_models.rows import scored
from resources.profiles import ROOT
from resources.registry import RegistryError
from resources.registry_apart import read_apart, read_version
from resources.serving_copy import FILE, LAYOUT
from steps.what_if import AGAIN_SECONDS, Models

COLUMNS = ["customer_id", "cutoff_date", *FEATURES]


@pytest.fixture(scope="module")
def world():
    return make_frame(customers=700, cutoffs=6)


@pytest.fixture(scope="module")
def fitted(world):
    """Two versions: the first learned from all, the second from half; and what is typical to each."""
    logistic = PROBLEM.candidates[0]
    halves = (world, world.iloc[::2])
    return {
        number: (
            logistic.build({"C": 0.02}, 0).fit(rows[FEATURES], rows["lapsed"]),
            reference_values(rows[FEATURES], PROBLEM),
        )
        for number, rows in enumerate(halves, 1)
    }


@pytest.fixture(scope="module")
def registry(fitted, tmp_path_factory):
    made = registry_of(tmp_path_factory.mktemp("registry"))
    for number, (pipeline, reference) in fitted.items():
        log(made, pipeline, fingerprint=f"f{number}", **{"reference.csv": reference.to_csv()})
    return made


@pytest.fixture(scope="module")
def newest(world):
    """The rows that are scored: those of the newest cutoff."""
    return world[world["cutoff_date"] == world["cutoff_date"].max()].reset_index(drop=True)


@pytest.fixture(scope="module")
def copy(world, newest, tmp_path_factory):
    """A serving copy whose newest cutoff is scored, and whose cutoff before is known."""
    days = sorted(world["cutoff_date"].unique())
    known = world[world["cutoff_date"] == days[-2]]
    file = tmp_path_factory.mktemp("copy") / FILE
    with duckdb.connect(file) as made:
        made.register("newest", newest[COLUMNS])
        made.register("known", known[[*COLUMNS, "lapsed"]].assign(split="holdout"))
        made.execute(f"""
            create schema published; create schema features; create schema training; create schema predictions;
            create table published.serving_copy as select {LAYOUT} as layout, timestamptz '2024-05-06 12:00:00+00'
              as published_at, 'shop' as company, 'lapse' as problem, date '{days[-1]:%Y-%m-%d}' as newest_cutoff,
              1::bigint as champion_version;
            create table features.feature_frame as select * replace (cutoff_date::date as cutoff_date) from newest;
            create table training.training_set as select * from known;
            create table training.candidate as select unnest([1, 2]) as model_version;
            create table predictions.lapse_predictions as select customer_id, cutoff_date::date as cutoff_date,
              0.1e0 as score, 1 as model_version, null::varchar as reason_1, null::varchar as reason_2,
              null::varchar as reason_3 from newest;
        """)
    return file


def pages_of(copy, models):
    now = datetime(2024, 5, 6, 12, tzinfo=UTC)
    reader = Reader(copy, "Shop", "EUR", horizon_days=28, look_back_days=84, now=lambda: now, models=models)
    return reader, TestClient(make_app(reader), base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def models(registry):
    read = Models(partial(read_version, registry))
    assert read.wait(1).model, read.wait(1).why
    return read


@pytest.fixture(scope="module")
def ours(copy, models):
    return pages_of(copy, models)[1]


@pytest.fixture(scope="module")
def somebody(newest):
    """One who came in the newest week, and has spent."""
    rows = newest[(newest["active_days_week_1"] == 1) & (newest["active_days_84d"].between(6, 20))]
    return rows.iloc[0]


def asked(ours, row, status=200, **moved):
    answer = ours.get("/customer", params={"id": row["customer_id"], **moved})
    return page_of(answer, status), answer.text


def percent(score):
    return f"{100 * score:.1f} %"


def test_a_moved_customer_is_scored_as_the_model_scores_the_whole_changed_row(ours, somebody, fitted):
    pipeline = fitted[1][0]
    own = scored(pipeline, pd.DataFrame([somebody]), PROBLEM)[0]
    page, _ = asked(ours, somebody)
    assert f"Nothing is moved. The model says {percent(own)}." in page.text
    row = {name: float(somebody[name]) for name in FEATURES}
    moved = PROBLEM.what_if.follow(row, {"active_days_week_1": 4.0})
    then = scored(pipeline, pd.DataFrame([moved]), PROBLEM)[0]
    assert abs(then - own) > 0.001
    page, _ = asked(ours, somebody, active_days_week_1="4")
    assert f"The model would say {percent(then)} instead of {percent(own)}" in page.text
    assert "With shopping days in the newest week 4 instead of 1." in page.text
    assert "not what would happen" in page.text


def test_what_moved_along_and_what_is_held_is_told(ours, somebody):
    _, text = asked(ours, somebody, active_days_week_1="4")
    along = text[text.index("Moved along") : text.index(">Held<")]
    assert "Trips in 7 days" in along
    assert "Spend in 84 days" in along
    held = text[text.index(">Held<") : text.index('id="moves"')]
    assert "Unevenness of weekly spend" in held
    assert "Trips in 7 days" not in held


def test_the_address_of_an_answer_can_be_sent_and_what_equals_the_customer_is_not_moved(ours, somebody):
    own = {lever.feature: f"{somebody[lever.feature]:g}" for lever in PROBLEM.what_if.levers[:5]}
    page, text = asked(ours, somebody, **own)
    assert "Nothing is moved." in page.text
    sliders = dict(re.findall(r'<input type="range" id="(\w+)".*? value="([^"]*)"', text))
    page, _ = asked(ours, somebody, **sliders)
    assert "Nothing is moved." in page.text, "a form without a script sends all of its sliders"
    _, text = asked(ours, somebody, **(sliders | {"active_days_week_1": "3"}))
    assert 'name="active_days_week_1" min="0" max="7" step="1" value="3"' in text


def test_each_slider_spans_what_the_champion_has_seen_and_shows_its_value(ours, somebody, fitted):
    _, text = asked(ours, somebody)
    reference = fitted[1][1]
    sliders = re.findall(
        r'<input type="range" id="(\w+)".*? min="([^"]*)" max="([^"]*)" step="([^"]*)" value="([^"]*)"', text
    )
    assert len(sliders) > 10
    for name, least, most, step, value in sliders:
        assert float(least) <= max(reference.loc[name, "least"], float(least))
        assert float(most) >= reference.loc[name, "most"] - 1e-9, name
        assert float(least) <= float(value) <= float(most)
        steps = (float(value) - float(least)) / float(step)
        assert math.isclose(steps, round(steps), abs_tol=1e-6), f"{name}: a browser would move it to a step"
        assert f'<output for="{name}"' in text
        assert f'<label for="{name}"' in text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("many", "'many' was asked for"),
        ("2.5", "expected a whole number from 0 to 7, and '2.5' was asked for"),
        ("8", "expected a whole number from 0 to 7, and '8' was asked for"),
        ("-1", "'-1' was asked for"),
        ("nan", "'nan' was asked for"),
        ("1e3", "'1e3' was asked for"),
        ("³", "'³' was asked for"),
        ("9" * 400, "was asked for"),
    ],
)
def test_a_value_outside_its_type_is_a_sentence_and_the_rest_works(ours, somebody, value, says):
    page, _ = asked(ours, somebody, 400, active_days_week_1=value, active_days_week_2="3")
    assert says in page.text
    assert "It stays as it is." in page.text
    assert "With shopping days in the week before 3 instead of" in page.text


def test_a_value_that_the_champion_has_never_seen_is_a_warning(ours, somebody, fitted):
    most = fitted[1][1].loc["mean_basket_cents_84d", "most"]
    page, _ = asked(ours, somebody, mean_basket_cents_84d=f"{2 * most:.0f}")
    assert re.search(r"Version 1 has never seen .*? Mean basket: EUR [\d,]+ \(seen: ", page.text)
    page, _ = asked(ours, somebody)
    assert "has never seen" not in page.text, "it learned from this row"


def test_the_nearest_real_customer_is_the_nearest_by_the_measure_that_is_told(ours, somebody, world, fitted):
    """Again from the rows: root mean square of differences in standard deviations, nulls as typical."""
    reference = fitted[1][1]
    days = sorted(world["cutoff_date"].unique())
    known = world[world["cutoff_date"] == days[-2]]
    typical, spread = (reference[name].to_numpy() for name in ("typical", "spread"))
    places = np.nan_to_num((known[FEATURES].to_numpy(dtype="float64") - typical) / spread)
    place = np.nan_to_num((somebody[FEATURES].to_numpy(dtype="float64") - typical) / spread)
    distances = np.sqrt(((places - place) ** 2).mean(axis=1))
    distances[(known["customer_id"] == somebody["customer_id"]).to_numpy()] = np.inf
    nearest = known.iloc[int(distances.argmin())]
    page, _ = asked(ours, somebody)
    came = "stayed away" if nearest["lapsed"] else "came"
    assert f"customer {nearest['customer_id']} was nearest to this" in page.text
    assert f"It {came} in the 28 days after." in page.text
    assert f"Distance {distances.min():.2f}" in page.text
    around = int(known["lapsed"].to_numpy()[np.argsort(distances, kind="stable")[:100]].sum())
    assert f"Of the 100 real customers nearest to this, {around} stayed away." in page.text


def test_a_customer_like_nobody_is_called_so(ours, somebody, fitted):
    far = {"mean_basket_cents_84d": f"{9 * fitted[1][1].loc['mean_basket_cents_84d', 'most']:.0f}"}
    assert "No real customer is close to this" in asked(ours, somebody, **far)[0].text
    assert "No real customer is close to this" not in asked(ours, somebody)[0].text


def test_two_versions_stand_side_by_side(ours, somebody, models, fitted):
    _, text = asked(ours, somebody, against="2", active_days_week_1="3")
    if "being read" in text:
        models.wait(2)
        _, text = asked(ours, somebody, against="2", active_days_week_1="3")
    table = text[text.index("Two versions side by side") : text.index("The nearest real customer")]
    row = {name: float(somebody[name]) for name in FEATURES}
    moved = PROBLEM.what_if.follow(row, {"active_days_week_1": 3.0})
    for pipeline, _ in fitted.values():
        for one in (row, moved):
            assert percent(scored(pipeline, pd.DataFrame([one]), PROBLEM)[0]) in table
    page, _ = asked(ours, somebody, 400, against="7")
    assert "There is no other version '7' to compare with: there is 2." in page.text


def test_a_version_that_cannot_be_read_is_a_sentence_and_the_rest_of_the_page_works(copy, registry, somebody):
    seconds = [0.0]

    def read(number):
        if number == 2:
            raise RegistryError("Expected the model file of lapse version 2, and it is missing or damaged.")
        return read_version(registry, number)

    models = Models(read, clock=lambda: seconds[0])
    models.wait(1)
    assert "damaged" in models.wait(2).why
    _, ours = pages_of(copy, models)
    page, _ = asked(ours, somebody, against="2")
    assert "Expected the model file of lapse version 2, and it is missing or damaged." in page.text
    assert "The nearest real customer" in page.text
    assert not models.ask(2).waiting, "not asked again at once"
    seconds[0] = AGAIN_SECONDS + 1
    assert models.ask(2).waiting, "and again after a while"
    models.wait(2)


def test_while_the_champion_is_read_the_page_says_so_and_waits_for_nothing(copy, registry, somebody):
    go = threading.Event()

    def read(number):
        go.wait(60)
        return read_version(registry, number)

    models = Models(read)
    reader, ours = pages_of(copy, models)
    begin(reader)
    try:
        page, _ = asked(ours, somebody, active_days_week_1="3")
        assert "Version 1 of the model is being read, which takes some seconds." in page.text
        assert "Over time" in page.text
        # No fragment: an address that differs from the page's own by that alone loads nothing.
        [again] = [link for link in page.links if "active_days_week_1=3" in link]
        assert "#" not in again
        assert dict(parse_qsl(urlsplit(html.unescape(again)).query))["active_days_week_1"] == "3"
        assert page_of(ours.get("/"))
    finally:
        go.set()
    models.wait(1)
    assert "The model would say" in asked(ours, somebody, active_days_week_1="3")[0].text


def changed(copy, tmp_path, *changes):
    file = tmp_path / FILE
    file.write_bytes(copy.read_bytes())
    with duckdb.connect(file) as made:
        for change in changes:
            made.execute(change)
    return file


def test_a_copy_that_names_another_champion_is_answered_by_that_one(copy, models, somebody, tmp_path):
    models.wait(2)
    _, ours = pages_of(changed(copy, tmp_path, "update published.serving_copy set champion_version = 2"), models)
    page, _ = asked(ours, somebody)
    assert "Beside version 2" in page.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("update published.serving_copy set champion_version = null", "No version of the model serves yet."),
        ("delete from features.feature_frame", "This customer was not scored in the newest week"),
        ("drop table features.feature_frame", "This customer was not scored in the newest week"),
        ("drop table training.training_set", "No outcome of a real customer is known here yet"),
        ("delete from training.training_set", "No outcome of a real customer is known here yet"),
        ("alter table features.feature_frame drop column stores_84d", "the rows have no stores_84d"),
    ],
)
def test_what_is_not_there_is_said_and_the_rest_of_the_page_works(copy, models, somebody, tmp_path, change, says):
    _, ours = pages_of(changed(copy, tmp_path, change), models)
    page, _ = asked(ours, somebody)
    assert says in page.text
    assert "Over time" in page.text


def test_a_version_of_a_release_that_kept_no_ranges_says_whose_ranges_these_are(copy, fitted, registry, somebody):
    def read(number):
        found = read_version(registry, number)
        kept = fitted[number][1].drop(columns=["least", "most"])
        return found._replace(reference=kept.to_csv())

    models = Models(read)
    models.wait(1)
    page, text = asked(pages_of(copy, models)[1], somebody)
    assert "was registered before the values that it has seen were kept" in page.text
    assert text.count('type="range"') > 10
    far = str(9 * int(fitted[1][1].loc["mean_basket_cents_84d", "most"]))
    page, _ = asked(pages_of(copy, models)[1], somebody, mean_basket_cents_84d=far)
    assert "has never seen" not in page.text, "nobody knows that"
    assert "No customer whose outcome was known last has" in page.text


def test_the_registry_is_read_by_a_process_of_its_own_and_what_fails_there_is_a_sentence(registry, fitted, newest):
    found = read_apart(registry, 1)
    ours, theirs = (scored(one, newest, PROBLEM) for one in (fitted[1][0], found.pipeline))
    assert np.array_equal(ours, theirs)
    with pytest.raises(RegistryError, match="Expected version 99 of model lapse in the registry"):
        read_apart(registry, 99)


def test_a_process_that_shows_pages_has_pandas_without_arrow_and_others_may_still_import_it():
    code = (
        "import sys; from resources.lean_pandas import import_pandas_lean; import_pandas_lean(); import pandas; "
        "assert 'pyarrow' not in sys.modules; import pyarrow; "
        "print(pyarrow.array([1]).to_pylist(), pandas.Series([2]).sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["[1]", "2"], done.stderr


def test_the_page_runs_our_script_and_no_other_page_runs_any(ours, somebody):
    policy = ours.get("/customer", params={"id": somebody["customer_id"]}).headers["content-security-policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in ours.get("/trust").headers["content-security-policy"]
    assert ours.get("/static/what_if.js").status_code == 200


def test_without_a_registry_there_is_no_such_part(copy, somebody):
    page, _ = asked(pages_of(copy, None)[1], somebody)
    assert "What would the model say" not in page.text
