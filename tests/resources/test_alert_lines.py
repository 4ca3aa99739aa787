"""An alert is one JSON line: in the file, and in the log, which is what remains of a container."""

import json
import logging
import subprocess
import sys

import pytest

from resources.alerts import Alert
from resources.alerts.destinations import DeliveryError
from resources.alerts.file import AlertFile
from resources.profiles import ROOT

ALERT = {
    "id": "run:1",
    "state": "began",
    "owner": "team:ml-engineering",
    "title": "a step failed",
    "body": "two\nlines",
    "next_step": "Open the run.",
}


def test_the_file_and_the_log_have_the_same_line(tmp_path, caplog):
    file = tmp_path / "home" / "alerts.jsonl"
    AlertFile(str(file)).send(Alert(**ALERT))
    AlertFile(str(file)).send(Alert(**ALERT | {"id": "run:2", "title": "another"}))
    assert [record.getMessage() for record in caplog.records] == file.read_text().splitlines()
    assert {(record.name, record.levelno) for record in caplog.records} == {("baton.alerts", logging.WARNING)}
    assert [json.loads(line)["title"] for line in file.read_text().splitlines()] == ["a step failed", "another"]


def test_an_alert_after_one_that_was_cut_short_has_a_line_of_its_own(tmp_path):
    file = tmp_path / "alerts.jsonl"
    file.write_text('{"at": "2017-01-0')
    AlertFile(str(file)).send(Alert(**ALERT))
    [_, whole] = file.read_text().splitlines()
    assert json.loads(whole)["title"] == "a step failed"


def test_an_alert_that_is_told_again_has_one_line(tmp_path):
    file = tmp_path / "alerts.jsonl"
    for again in (ALERT, ALERT | {"id": "run:11"}, ALERT):
        AlertFile(str(file)).send(Alert(**again))
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["run:1", "run:11"]


def test_an_alert_that_cannot_be_filed_is_heard_and_not_held_for_sent(tmp_path, caplog):
    with pytest.raises(DeliveryError, match="cannot be written: Is a directory"):
        AlertFile(str(tmp_path)).send(Alert(**ALERT))
    [record] = caplog.records
    assert json.loads(record.getMessage())["body"] == "two\nlines"


def test_a_process_that_configures_no_logging_prints_the_line_as_it_is(tmp_path):
    code = (
        "from resources.alerts import Alert; from resources.alerts.file import AlertFile; "
        f"AlertFile({str(tmp_path / 'alerts.jsonl')!r}).send(Alert(**{ALERT!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    [line] = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert line in done.stderr.splitlines()
