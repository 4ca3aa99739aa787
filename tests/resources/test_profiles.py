"""Profiles and the clock: a table without fallback, and instants that carry a zone."""

from datetime import UTC, datetime

import pytest

from definitions import build_definitions
from resources.clock import Clock, parse_instant
from resources.environment import variables
from resources.profiles import (
    MARK,
    PROFILES,
    HomeError,
    SettingError,
    UnknownProfileError,
    claim_home,
    home,
    owner_of,
    resources_for,
)

PRODUCTION = {
    "BATON_BIGQUERY_PROJECT": "some-project",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    "BATON_ARTIFACT_ROOT": "gs://some-bucket/models",
}
"""What the profile `production` cannot be without."""


def test_an_unknown_profile_names_the_choices():
    with pytest.raises(UnknownProfileError, match="must be one of embedded, production; it is 'prodution'"):
        resources_for("prodution")


def test_every_profile_offers_the_same_resources():
    names = {"clock", "warehouse", "airbyte", "dbt", "registry", "alerts", "report"}
    with variables(PRODUCTION):
        for profile in PROFILES:
            assert set(resources_for(profile)) == names


@pytest.mark.parametrize("missing", PRODUCTION)
def test_production_says_which_variable_is_missing_and_asks_no_server_for_it(missing):
    with variables({**PRODUCTION, missing: ""}), pytest.raises(SettingError, match=f"expects {missing}, .*is not set"):
        resources_for("production")


def test_the_report_is_written_into_the_home_or_where_runs_and_alerts_share_a_folder(tmp_path):
    with variables({"BATON_HOME": str(tmp_path / "home"), "BATON_REPORT": ""}):
        assert resources_for("embedded")["report"].path == str(tmp_path / "home" / "report")
    with variables({**PRODUCTION, "BATON_REPORT": str(tmp_path / "shared")}):
        parts = resources_for("production")
    assert parts["report"].path == str(tmp_path / "shared" / "report")
    assert parts["alerts"].report.path == parts["report"].path


def test_a_limit_that_is_no_number_is_said():
    settings = {**PRODUCTION, "BATON_BIGQUERY_MAX_BYTES": "200 GB"}
    with variables(settings), pytest.raises(SettingError, match="whole number of bytes.* it is '200 GB'"):
        resources_for("production")


def test_the_graph_has_the_same_keys_on_both_profiles():
    with variables(PRODUCTION):
        graphs = [build_definitions(profile).resolve_asset_graph() for profile in PROFILES]
    embedded, production = ({key.to_user_string() for key in graph.get_all_asset_keys()} for graph in graphs)
    assert embedded == production


def test_the_clock_of_a_recording_stands_still():
    clock = Clock(reads="2018-01-01T08:00:00-05:00", override_variable="BATON_NO_SUCH_VARIABLE")
    assert clock.now() == datetime(2018, 1, 1, 13, tzinfo=UTC)


def test_without_a_reading_the_clock_is_the_wall_clock():
    before = datetime.now(UTC)
    assert before <= Clock(override_variable="BATON_NO_SUCH_VARIABLE").now() <= datetime.now(UTC)


@pytest.mark.parametrize("text", ["2017-09-04T08:00:00", "yesterday", "04.09.2017"])
def test_an_instant_without_a_zone_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="BATON_NOW must be an ISO instant with a zone, such as"):
        parse_instant(text, "BATON_NOW")


def test_production_keeps_what_is_judged_in_a_file_of_its_home_and_knows_the_customer_by_both_names(tmp_path):
    with variables(PRODUCTION):
        warehouse = PROFILES["production"](tmp_path)["warehouse"]
    assert warehouse.local_copy.path == str(tmp_path / "local_copy.duckdb")
    assert warehouse.local_copy.entity_columns == ["customer_id", "household_id"]


def test_a_home_is_marked_once_and_another_companys_is_refused_untouched(tmp_path):
    with variables({"BATON_HOME": str(tmp_path / "home"), "BATON_COMPANY": "complete_journey"}):
        assert home() == tmp_path / "home"
        assert owner_of(home()) is None
        assert owner_of(claim_home()) == "complete_journey"
        (tmp_path / "home" / MARK).write_text("webshop\n")
        with pytest.raises(HomeError, match="home of the company complete_journey, and .* holds the state of webshop"):
            claim_home()
    assert (tmp_path / "home" / MARK).read_text() == "webshop\n"


@pytest.mark.parametrize("text", ["", "\n", "\0\0\0\0"])
def test_a_mark_that_a_power_loss_emptied_is_written_again(tmp_path, text):
    (tmp_path / MARK).write_text(text)
    with variables({"BATON_HOME": str(tmp_path)}):
        assert owner_of(claim_home()) == "complete_journey"


def test_a_home_from_before_there_were_companies_is_the_bundled_ones(tmp_path):
    (tmp_path / "warehouse.duckdb").touch()
    assert owner_of(tmp_path) == "complete_journey"


@pytest.mark.parametrize("name", ["complete_journey", "webshop"])
@pytest.mark.parametrize("left", [None, 0, 0.5], ids=["deleted", "cut to nothing", "cut to half"])
def test_a_mark_that_was_lost_or_cut_short_is_made_again_for_the_company_whose_models_are_there(tmp_path, name, left):
    (tmp_path / "warehouse.duckdb").touch()
    (tmp_path / "dbt" / "project" / "models" / "staging" / name).mkdir(parents=True)
    whole = f"{name}\nhorizon_days = 28, early_days = 14\n"
    if left is not None:
        (tmp_path / MARK).write_text(whole[: int(len(whole) * left)])
    assert owner_of(tmp_path) == name
    if name == "complete_journey":
        with variables({"BATON_HOME": str(tmp_path), "BATON_COMPANY": name}):
            claim_home()
        assert (tmp_path / MARK).read_text().startswith(f"{name}\nhorizon_days = 28, ")


def test_a_home_that_answers_another_question_is_refused_untouched_and_one_that_only_looked_is_not(tmp_path):
    with variables({"BATON_HOME": str(tmp_path), "BATON_COMPANY": "complete_journey"}):
        claim_home(answering=False)
        assert (tmp_path / MARK).read_text() == "complete_journey\n\n"
        claim_home()
        answered = (tmp_path / MARK).read_text().replace("horizon_days = 28", "horizon_days = 56")
        (tmp_path / MARK).write_text(answered)
        with pytest.raises(HomeError, match=r"answer horizon_days = 56.*asks horizon_days = 28.*BATON_HOME=<folder>"):
            claim_home()
        claim_home(answering=False)
    assert (tmp_path / MARK).read_text() == answered


@pytest.mark.parametrize("odd", ["%20", "?", "#", "\\", "\n"])
def test_a_home_whose_path_an_engine_would_misread_is_refused_before_anything_is_made(tmp_path, odd):
    with variables({"BATON_HOME": str(tmp_path / f"a{odd}b"), "BATON_COMPANY": "complete_journey"}):
        with pytest.raises(HomeError, match="Expected a home whose path DuckDB and SQLite can read, and .* holds"):
            claim_home()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("begun", [claim_home, lambda: resources_for()["dbt"].project()], ids=["claimed", "loaded"])
def test_a_home_is_for_its_owner_alone_whatever_makes_it(tmp_path, begun):
    with variables({"BATON_HOME": str(tmp_path / "home"), "BATON_COMPANY": "complete_journey"}):
        begun()
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_home_that_somebody_opened_to_others_stays_as_they_want_it(tmp_path):
    (tmp_path / "home").mkdir(mode=0o750)
    with variables({"BATON_HOME": str(tmp_path / "home"), "BATON_COMPANY": "complete_journey"}):
        assert claim_home().stat().st_mode & 0o777 == 0o750
