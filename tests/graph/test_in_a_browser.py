"""People do what they came for, in a browser: on a phone and on a desk, by mouse, by keyboard, and without scripts."""

import os
import re
import signal
import subprocess
import sys

import pytest

from resources.profiles import ROOT
from tools import pictures
from tools.browser import FOLDER, browsing

PHONE, DESK = 390, 1280
WALKS = re.findall(r"^@task\ndef (\w+)", (FOLDER / "walks.py").read_text(), re.MULTILINE)
BY_KEYS = "do_it_all_by_keyboard"
ONE_A_PAGE = ("see_whom_to_call_today", "open_a_customer", "see_whether_it_can_be_trusted", "read_the_model_card")
ONE_A_PAGE += ("find_a_feature_and_read_its_sql",)

pytestmark = pytest.mark.slow(minutes=2)


@pytest.fixture(scope="module")
def facts(baton):
    """What the walks hold against the pages: of the table, not of the copy."""
    bands = dict(baton.read("select risk_band, count(*) from marts.customers_at_risk group by 1"))
    newest = "select customer_id from marts.customers_at_risk order by"
    columns = {name for name, *_ in baton.read("describe marts.customers_at_risk")}
    [(first,)] = baton.read(f"{newest} {'expected_loss' if 'expected_loss' in columns else 'score'} desc limit 1")
    return {"customers": sum(bands.values()), "bands": bands, "first": first}


@pytest.fixture(scope="module")
def address(baton):
    """The pages of `make app` on a home in which everything was run."""
    with subprocess.Popen(
        [sys.executable, "-m", "commands.app"],
        cwd=ROOT,
        env={**os.environ, "BATON_HOME": str(baton.home), "BATON_PROFILE": "embedded"},
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            serving.stdout.readline()
            [found] = re.findall(r"^pages: (http://127\.0\.0\.1:\d+/) ", serving.stdout.readline())
            yield found
        finally:
            serving.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def browser():
    with browsing() as opened:
        yield opened


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("walk", WALKS)
def test_a_task_is_done_with_no_error_no_serious_finding_and_nothing_asked_elsewhere(
    browser, address, facts, walk, width
):
    assert browser.ask(walk=walk, address=address, width=width, facts=facts) == {"wrong": []}


@pytest.mark.parametrize("walk", [walk for walk in WALKS if walk != BY_KEYS])
def test_no_task_needs_a_script(browser, address, facts, walk):
    assert browser.ask(walk=walk, address=address, width=PHONE, facts=facts, scripts=False) == {"wrong": []}


@pytest.mark.parametrize("walk", ONE_A_PAGE)
def test_in_the_dark_every_page_can_be_read_too(browser, address, facts, walk):
    assert browser.ask(walk=walk, address=address, width=DESK, facts=facts, scheme="dark") == {"wrong": []}


def test_a_walk_that_is_not_done_is_told_with_its_line(browser, address, facts):
    known = {**facts, "first": "nobody at all"}
    [wrong] = browser.ask(walk="see_whom_to_call_today", address=address, width=DESK, facts=known)["wrong"]
    assert "see_whom_to_call_today, line " in wrong
    assert 'visit.facts["first"]' in wrong


def test_what_a_page_does_wrong_beside_the_task_is_told(browser, address):
    """No language, a picture that says nothing, grey on grey, a request to elsewhere, wider than a phone."""
    bad = (
        "<title>t</title><h1>This week</h1><p style='color:%23999;background:%23aaa;width:900px'>pale</p>"
        "<img src='https://example.org/a.png'><script>console.error('oh')</script>"
    )
    wrong = " ".join(browser.ask(walk="look", address=f"data:text/html,{bad}", width=PHONE, facts={})["wrong"])
    for said in ("html-has-lang", "color-contrast", "image-alt", "asked elsewhere", "console: oh", "pixels wider"):
        assert said in wrong


def test_pictures_of_the_documentation_are_taken_and_small(browser, address, tmp_path):
    """Of one page; `python -m tools.pictures` takes all of them, of a whole home."""
    for name in ("week", "week_phone"):
        file = tmp_path / f"{name}.png"
        pictures.take(browser, pictures.PICTURES[name], address.rstrip("/"), {}, file)
        assert file.read_bytes().startswith(b"\x89PNG")
        assert 5_000 < file.stat().st_size < 150_000
    asked = pictures.Picture("app", "/", steps=[("wait", "text=no such words anywhere")], wait_seconds=1)
    with pytest.raises(RuntimeError, match="Expected a picture of app /, and got none"):
        pictures.take(browser, asked, address.rstrip("/"), {}, tmp_path / "none.png")
