"""A home of a former build goes on: its ledger, anomalies, profile and shadow predictions under today's names."""

from collections.abc import Collection
from datetime import date

import dagster as dg
import pandas as pd
import pytest
from pydantic import PrivateAttr
from support.copies import copy_home

from resources.warehouse.duckdb import DuckDBWarehouse
from steps.as_of import profile_until
from steps.candidates import quarantined_cutoffs
from steps.migrations import ensure
from steps.quality import VERDICT, bad_weeks
from steps.tables import ANOMALIES, DECISIONS, PROFILE, SHADOW_PREDICTIONS, TABLES

WEEK_BEFORE, NEWEST = date(2017, 12, 25), date(2018, 1, 1)

FORMER_TABLES = """
    create schema if not exists monitoring;
    create schema if not exists predictions;
    create table monitoring.facts (cutoff_date date, asset varchar, kind varchar, column_name varchar, segment varchar,
        first_day date, last_day date, rate double, observed double, expected double, threshold double, n bigint,
        owner varchar, sentence varchar);
    create table monitoring.decisions (cutoff date, event_id varchar, "action" varchar, cause varchar, explained double,
        first_bad_asset varchar, "owner" varchar, failing_check varchar, next_command varchar, reason varchar,
        "window" varchar, quarantine_from date, quarantine_to date, helps double, facts varchar, override_of varchar,
        model_version varchar, promoted varchar, run_id varchar, grade varchar);
    create table monitoring.profile (asset varchar, column_name varchar, measure varchar, value_key varchar,
        period_start date, n bigint, "value" double);
    create table predictions.dark_predictions (customer_id varchar, cutoff_date date, score double, model_name varchar,
        model_version bigint, trained_through date, scored_at timestamp with time zone, champion_score double);
"""
"""As the build before anomalies had that name wrote them."""

FACT = (
    '[{"kind": "nulls", "asset": "raw/transactions", "column": "quantity", "observed": 0.4, "expected": 0.0, '
    '"threshold": 0.01, "n": 100, "sentence": "Many nulls.", "first_day": "2017-11-27", "last_day": "2017-12-03", '
    '"segment_column": "", "segment_values": [], "rate": 0.4, "replay": null}]'
)

ROWS = f"""
    insert into monitoring.facts (cutoff_date, asset, kind, column_name, first_day, last_day, rate, n, sentence) values
        ('2017-12-04', 'raw/transactions', 'nulls', 'quantity', '2017-11-27', '2017-12-03', 0.4, 100, 'Many nulls.'),
        ('2017-12-04', '', 'verdict', '', null, null, null, null, 'Many nulls.'),
        ('2017-12-25', '', 'verdict', '', null, null, null, null, 'As expected.');
    insert into monitoring.decisions (cutoff, event_id, "action", cause, reason, facts, model_version) values
        ('2017-12-04', 'nulls-1', 'inspect', 'data quality', 'Many nulls.', '{FACT}', '1'),
        ('2017-12-25', '', 'continue', 'none', 'Nothing is out of its range.', '[]', '1');
    insert into monitoring.profile values
        ('raw/transactions', '', 'rows', '', '2017-12-18', 100, 100),
        ('raw/transactions', 'basket_id', 'twin_share', '', '2017-12-18', 100, 0.25);
    insert into predictions.dark_predictions values
        ('7', '2017-12-18', 0.5, 'lapse', 2, '2017-11-20', '2017-12-18 09:00:00+00', 0.4),
        ('8', '2017-12-25', 0.6, 'lapse', 2, '2017-11-20', '2017-12-25 09:00:00+00', null);
"""

FORMER_NAMES = {("monitoring", "facts"), ("predictions", "dark_predictions")}
BROUGHT_OVER = (ANOMALIES, DECISIONS, PROFILE, SHADOW_PREDICTIONS)


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Mortal(DuckDBWarehouse):
    """A warehouse whose process ends after so many writes."""

    writes: int
    _written: list[str] = PrivateAttr(default_factory=list)

    def _write(self) -> None:
        if len(self._written) == self.writes:
            raise KilledError
        self._written.append("one")

    def create_table(self, *args, **kwargs):
        self._write()
        return super().create_table(*args, **kwargs)

    def replace_table(self, *args, **kwargs):
        self._write()
        return super().replace_table(*args, **kwargs)

    def replace_partitions(self, *args, **kwargs):
        self._write()
        return super().replace_partitions(*args, **kwargs)

    def drop_table(self, *args, **kwargs):
        self._write()
        return super().drop_table(*args, **kwargs)


class Asked(DuckDBWarehouse):
    """A warehouse that writes down which tables it is asked for, look by look."""

    _looks: list[set[tuple[str, str]]] = PrivateAttr(default_factory=list)

    def present(self, names: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        self._looks.append(set(names))
        return super().present(names)


def execute(path, sql: str) -> None:
    with DuckDBWarehouse(path=str(path)).connect(read_only=False) as connection:
        connection.execute(sql)


@pytest.fixture
def former(tmp_path) -> DuckDBWarehouse:
    """A warehouse with nothing but what the former build kept of its judgements."""
    path = tmp_path / "warehouse.duckdb"
    execute(path, FORMER_TABLES + ROWS)
    return DuckDBWarehouse(path=str(path))


def stored(warehouse) -> dict[str, pd.DataFrame]:
    """All rows of the tables that are brought over, sorted."""
    frames = {key.to_user_string(): warehouse.read(f"select * from {'.'.join(key.path)}") for key in BROUGHT_OVER}
    return {
        name: frame.sort_values(list(frame.columns[:3]), ignore_index=True).astype(object)
        for name, frame in frames.items()
    }


def check_brought_over(warehouse) -> None:
    shapes = warehouse.shapes({"monitoring", "predictions"})
    assert FORMER_NAMES & set(shapes) == set()
    for key in BROUGHT_OVER:
        assert list(shapes[tuple(key.path)].columns) == list(TABLES[tuple(key.path)]), key
    anomalies = warehouse.read("select * from monitoring.anomalies order by cutoff_date, kind")
    assert list(anomalies["kind"]) == ["nulls", VERDICT, VERDICT]
    assert list(anomalies["sentence"]) == ["Many nulls.", "Many nulls.", "As expected."]
    assert anomalies["n"].iloc[0] == 100
    decisions = warehouse.read("select cutoff, action, anomalies from monitoring.decisions order by cutoff")
    assert list(decisions["action"]) == ["inspect", "continue"]
    assert list(decisions["anomalies"]) == [FACT, "[]"]
    profile = warehouse.read("select measure, value from monitoring.profile order by measure")
    assert profile.to_dict("list") == {"measure": ["repeated_content_share", "rows"], "value": [0.25, 100.0]}
    shadow = warehouse.read("select * from predictions.shadow_predictions order by cutoff_date")
    assert list(shadow["customer_id"]) == ["7", "8"]
    assert shadow["scored_at"].iloc[0] == pd.Timestamp("2017-12-18 09:00:00+00")
    assert [value for value in shadow["champion_score"] if value == value] == [0.4]


def test_everything_is_there_under_todays_names_and_the_former_tables_are_gone(former):
    ensure(former, *BROUGHT_OVER)
    check_brought_over(former)


def test_it_does_not_matter_which_table_is_asked_for_first(former):
    ensure(former, PROFILE)
    ensure(former, SHADOW_PREDICTIONS)
    ensure(former, ANOMALIES, DECISIONS)
    check_brought_over(former)


@pytest.mark.parametrize("writes", range(10))
def test_killed_before_any_write_the_next_run_goes_on_and_nothing_is_lost(former, writes):
    mortal = Mortal(path=former.path, writes=writes)
    with pytest.raises(KilledError):
        ensure(mortal, *BROUGHT_OVER)
    assert FORMER_NAMES & set(former.shapes()) != set()
    ensure(former, *BROUGHT_OVER)
    check_brought_over(former)


def test_what_was_brought_over_is_left_alone_after_that(former):
    ensure(former, *BROUGHT_OVER)
    before = stored(former)
    ensure(former, *BROUGHT_OVER)
    for name, frame in stored(former).items():
        pd.testing.assert_frame_equal(frame, before[name])


@pytest.mark.parametrize("key", BROUGHT_OVER)
def test_with_nothing_to_bring_over_it_is_one_look_for_one_table_more(former, key):
    ensure(former, *BROUGHT_OVER)
    asked = Asked(path=former.path)
    ensure(asked, key)
    [names] = asked._looks
    assert tuple(key.path) in names
    assert len(names) == 2


def test_a_profile_without_facts_of_a_killed_former_run_is_renamed_before_the_first_judgement(former):
    execute(former.path, "drop table monitoring.facts; drop table monitoring.decisions")
    ensure(former, ANOMALIES)
    assert list(former.read("select measure from monitoring.profile order by 1")["measure"]) == [
        "repeated_content_share",
        "rows",
    ]


def test_a_first_home_gets_empty_tables(tmp_path):
    first = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    ensure(first, *BROUGHT_OVER)
    assert {name: shape.rows for name, shape in first.shapes().items()} == {tuple(key.path): 0 for key in BROUGHT_OVER}


def test_the_former_ledger_and_verdicts_are_what_steps_read(former):
    """A retraining may be the first that reads them: it keeps out what the former ledger excludes."""
    assert quarantined_cutoffs(former, [date(2017, 10, 2), date(2017, 12, 11)]) == [date(2017, 12, 11)]
    assert bad_weeks(former, NEWEST, {WEEK_BEFORE}) == {"raw/transactions": {date(2017, 11, 27): ("nulls:quantity",)}}
    assert set(profile_until(former, NEWEST)["measure"]) == {"rows", "repeated_content_share"}


@pytest.fixture
def former_home(baton, make_baton, tmp_path):
    """A baton in which everything was materialised once, with its judgements as the former build kept them."""
    mine = make_baton(copy_home(baton.home, tmp_path / "baton"))
    execute(
        mine.resources["warehouse"].path,
        """
        create table monitoring.facts as select * from monitoring.anomalies;
        drop table monitoring.anomalies;
        create table predictions.dark_predictions as select * from predictions.shadow_predictions;
        drop table predictions.shadow_predictions;
        alter table monitoring.decisions rename column anomalies to facts;
        update monitoring.profile set measure = 'twin_share' where measure = 'repeated_content_share';
        insert into monitoring.decisions (cutoff, event_id, "action", cause, reason, facts, model_version)
            values ('2017-12-25', '', 'continue', 'none', 'As the former build said.', '[]', '1');
        insert into monitoring.facts (cutoff_date, asset, kind, column_name, sentence)
            values ('2017-12-25', '', 'verdict', '', 'As the former build said.');
        """,
    )
    return mine


def test_a_week_is_judged_on_the_former_ledger(baton, former_home):
    measured = baton.read("select * from monitoring.profile order by all")
    config = {"ops": {"judgement": {"config": {"again": True}}}}
    assert former_home.run("ingest_and_build").success
    assert former_home.run("weekly_score").success
    assert former_home.run("weekly_judge", run_config=config).success
    decisions = former_home.read("select cutoff, reason, anomalies from monitoring.decisions order by cutoff")
    assert [row[0] for row in decisions] == [WEEK_BEFORE, NEWEST]
    assert decisions[0][1:] == ("As the former build said.", "[]")
    assert former_home.read("select sentence from monitoring.anomalies where cutoff_date = '2017-12-25'") == [
        ("As the former build said.",)
    ]
    assert former_home.read("select * from monitoring.profile order by all") == measured
    tables = set(former_home.resources["warehouse"].shapes({"monitoring", "predictions"}))
    assert FORMER_NAMES & tables == set()
    assert ("predictions", "shadow_predictions") in tables


def test_the_keys_that_change_are_assets_of_the_graph(baton):
    made: set[dg.AssetKey] = baton.definitions.resolve_asset_graph().get_all_asset_keys()
    assert set(BROUGHT_OVER) <= made
