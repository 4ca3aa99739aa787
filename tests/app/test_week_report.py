"""The report of the week: whole or not at all, for its owner's eyes, and of what the pages say."""

import csv
import io
import re
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import duckdb
import pytest
from support.shown_pages import NASTY, NEWEST, NOW, ODD_ID
from test_campaign_pages import DRAWN

from resources.profiles import ROOT
from resources.serving_copy import FILE
from resources.warehouse import DuckDBWarehouse
from resources.week_report import CALL_LIST, PAGE, ReportError, WeekReport
from steps.people.copy import Tables, opened
from steps.people.report import SHOWN, write_report

LOOK_BACK = 90


class Parsed(HTMLParser):
    """A page as a mail's reader sees it: what is not closed is an error, and so is what comes from elsewhere."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.headings = [], [], 0
        self.feed(text)
        self.close()
        assert self.open == []
        assert self.headings == 1
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert tag not in {"script", "link", "img", "iframe", "form"}
        assert not {"href", "src", "style", "action"} & set(given), "nothing leads elsewhere"
        self.headings += tag == "h1"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)


@pytest.fixture
def written(made, tmp_path):
    """Write the report of the pages' copy, changed by some SQL; return the page and the rows of the file."""

    def write(*changes, now=NOW):
        file = tmp_path / FILE
        file.unlink(missing_ok=True)
        file.write_bytes(made.read_bytes())
        with duckdb.connect(file) as copy:
            for change in changes:
                copy.execute(change)
        folder = write_report(WeekReport(path=str(tmp_path / "report")), opened(file, LOOK_BACK), now)
        assert sorted(one.name for one in folder.iterdir()) == [CALL_LIST, PAGE]
        text = (folder / CALL_LIST).read_text(encoding="utf-8-sig")
        return Parsed((folder / PAGE).read_text()).text, list(csv.DictReader(io.StringIO(text)))

    return write


def test_it_says_whom_to_call_whether_the_list_may_be_used_how_sure_it_is_and_what_changed(written):
    text, rows = written(DRAWN)
    assert "Whom to call: week of 6 May 2024" in text
    assert "Use the list." in text
    assert f"297 customers are worth a call. The first {SHOWN} are here; call_list.csv has all." in text
    assert "The data is complete through 5 May 2024." in text
    assert "of 100 customers most at risk 40 stayed away" in text
    assert "were not among them on 29 April 2024" in text
    assert "Worth a call: A contact costs EUR 2." in text
    loss = sum(500 - rank / 10 for rank in range(1, 301) if rank not in (2, 30, 200))
    assert f"USD {loss:,.0f} are expected to be lost within 28 days if nobody acts: with those" in text
    assert "Calls keep customers." in text
    assert [row["customer_id"] for row in rows[:3]] == [ODD_ID, "c3", "c4"]
    assert len(rows) == 297


def test_nobody_who_is_held_out_stands_in_it_although_most_would_be_lost_with_them(written):
    text, rows = written(DRAWN, "update marts.customers_at_risk set expected_loss = 9999 where customer_id = 'c2'")
    assert "3 of the 300 customers worth a call are held out by chance" in text
    assert not {"c2", "c30", "c200"} & {row["customer_id"] for row in rows}
    assert " c2 " not in text
    assert " c3 " in text


def test_where_no_prices_say_who_is_worth_a_call_the_tenth_most_at_risk_is_the_list(written):
    text, rows = written()
    assert "The 104 customers most at risk stand on the list: no prices say who is worth a call." in text
    assert len(rows) == 104
    assert {row["risk_band"] for row in rows} == {"high"}
    assert "held out" not in text


def test_what_the_data_hold_is_text_and_no_markup_and_a_spreadsheet_takes_none_for_a_formula(written):
    text, rows = written()
    assert NASTY.replace("  ", " ") in text
    assert next(row for row in rows if row["customer_id"] == "c3")["reason_2"] == "'=1+1"


def test_a_list_that_is_late_or_not_to_be_used_says_so_first(written):
    text, _ = written(
        "update monitoring.why set decision = 'inspect' where cutoff = (select max(cutoff) from monitoring.why)",
        now=datetime(2024, 5, 20, tzinfo=UTC),
    )
    assert text.index("Ask before you use the list.") < text.index("most at risk stand on the list")
    assert "A newer week should be here by now." in text


@pytest.mark.parametrize("lacks", ["delete from", "drop table"])
def test_before_anything_was_scored_it_says_so_and_the_file_is_empty(written, lacks):
    tables = ("marts.customers_at_risk", "marts.accuracy_over_time", "monitoring.why")
    text, rows = written(
        *(f"{lacks} {one}" for one in tables),
        "delete from predictions.lapse_predictions",
        "update published.serving_copy set newest_cutoff = null",
    )
    assert "No week has been judged yet" in text
    assert "No customer has been scored yet." in text
    assert rows == []


def test_the_tables_themselves_say_the_same_where_they_serve(made, tmp_path):
    """On an engine that many may read at a time no copy is published; the report is of the warehouse then."""
    file = tmp_path / "warehouse.duckdb"
    file.write_bytes(made.read_bytes())
    with duckdb.connect(file) as copy:
        copy.execute(DRAWN)
    of_copy, of_tables = (WeekReport(path=str(tmp_path / name / "report")) for name in ("copy", "tables"))
    write_report(of_copy, opened(file, LOOK_BACK), NOW)
    write_report(of_tables, nullcontext(Tables(DuckDBWarehouse(path=str(file)), LOOK_BACK)), NOW)
    for name in (PAGE, CALL_LIST):
        assert (tmp_path / "tables/report" / name).read_text() == (tmp_path / "copy/report" / name).read_text()


def test_it_is_for_its_owner_alone(tmp_path):
    folder = WeekReport(path=str(tmp_path / "home" / "report")).write({PAGE: [b"page"], CALL_LIST: [b"list"]})
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


KILLED = """
import os, signal, sys
from resources.week_report import CALL_LIST, PAGE, WeekReport

def dies():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)

WeekReport(path=sys.argv[1]).write({PAGE: [b"new"], CALL_LIST: dies()})
"""


def test_a_kill_leaves_the_former_report_whole_and_the_next_one_leaves_nothing_beside_it(tmp_path):
    report = WeekReport(path=str(tmp_path / "report"))
    report.write({PAGE: [b"old"], CALL_LIST: [b"old"]})
    done = subprocess.run([sys.executable, "-c", KILLED, report.path], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert {file.read_bytes() for file in (tmp_path / "report").iterdir()} == {b"old"}
    report.write({PAGE: [b"next"], CALL_LIST: [b"next"]})
    assert [one.name for one in tmp_path.iterdir()] == ["report"]
    assert {file.read_bytes() for file in (tmp_path / "report").iterdir()} == {b"next"}


def test_a_folder_that_cannot_be_written_is_a_sentence_and_the_former_report_stays(tmp_path):
    report = WeekReport(path=str(tmp_path / "report"))
    report.write({PAGE: [b"old"]})

    def full():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(
        ReportError, match=r"to write the report of the week to .*/report, .*No space left.*BATON_REPORT"
    ):
        report.write({PAGE: full()})
    assert (tmp_path / "report" / PAGE).read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["report"]


def test_only_the_report_of_the_judged_week_is_attached(written, tmp_path):
    report = WeekReport(path=str(tmp_path / "report"))
    assert report.attachments(str(NEWEST)) == []
    written(DRAWN)
    assert [one.name for one in report.attachments(str(NEWEST))] == [PAGE, CALL_LIST]
    assert report.attachments(str(date(2024, 5, 13))) == [], "the run that judged the next week wrote none"
