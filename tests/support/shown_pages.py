"""A serving copy as a run publishes it, and the pages of it as a browser without scripts sees them."""

import csv
import io
import re
import shutil
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import duckdb
from starlette.testclient import TestClient

from app.pages import Reader, make_app
from resources.serving_copy import LAYOUT

NEWEST = date(2024, 5, 6)
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)
CUSTOMERS = 1040
NASTY = "<script>alert('x')</script> & \"more\" 'quoted' = ☃"
ODD_ID = "a/b?c=1&d=é #%<b>"

TABLES = f"""
create schema published; create schema marts; create schema features; create schema monitoring;
create schema predictions; create schema training; create schema outcomes;
create table published.serving_copy as select {LAYOUT} as layout, timestamptz '2024-05-06 12:00:00+00' as published_at,
  'shop' as company, 'lapse' as problem, date '{NEWEST}' as newest_cutoff, 2 as champion_version;
create table features.cutoffs as select date '{NEWEST}' - 1 as watermark_date;
create table predictions.lapse_predictions as
  select case when i = 1 then $odd else 'c' || i end as customer_id, date '{NEWEST}' - (7 * week)::int as cutoff_date,
    0.9 - i / 2000 - week / 1000 as score, 2 as model_version,
    case when i = 2 then $nasty when i < 700 then 'a visit in ' || i || ' of 12 weeks' end as reason_1,
    case when i = 3 then '=1+1' end as reason_2, null::varchar as reason_3
  from range(1, {CUSTOMERS + 1}) as one(i), range(0, 6) as weeks(week) where week < 5 or i <> 1;
create table outcomes.customer_outcomes as select customer_id, cutoff_date, (score > 0.8e0)::int as lapsed
  from predictions.lapse_predictions where cutoff_date < date '{NEWEST}' - 27;
create table marts.customers_at_risk as
  select row_number() over (order by score desc, customer_id) as risk_rank, customer_id, cutoff_date, score,
    case when risk_rank <= 104 then 'high' when risk_rank <= 312 then 'medium' else 'low' end as risk_band,
    reason_1, reason_2, reason_3, date '{NEWEST}' - (risk_rank % 30)::int as last_order_on,
    risk_rank % 30 as recency_days, 100 * risk_rank as spend_cents_90d
  from predictions.lapse_predictions where cutoff_date = date '{NEWEST}';
create table marts.customers as select customer_id, date '2023-01-02' as first_order_on, last_order_on, 7 as orders,
  12345 as amount_cents from marts.customers_at_risk
  union all select 'never scored', date '2023-01-02', date '2023-02-03', 1, 500;
create table marts.accuracy_over_time as
  select case when week < 2 then 'live' else 'holdout' end as evidence, 2 as model_version,
    date '{NEWEST}' - 28 - (7 * week)::int as cutoff_date, {CUSTOMERS} as customers, 0.1e0 as base_rate,
    0.12e0 as mean_score, 0.85e0 as auc, 0.7e0 as recency_rule_auc, 4.0e0 as lift_at_10pct
  from range(0, 8) as weeks(week)
  union all select 'holdout', 1, date '{NEWEST}' - 28, 999, 0.1e0, 0.12e0, 0.85e0, 0.7e0, 4.0e0;
create table monitoring.performance as select 'activity' as slice_name, '1-2' as slice_value, 40 as n,
  0.4e0 as base_rate,
  0.38e0 as mean_score, null::double as auc, 'live' as evidence, 2 as model_version;
create table monitoring.why as select date '{NEWEST}' - (7 * week)::int as cutoff,
  case week when 0 then 'continue' when 1 then 'inspect' when 2 then 'improve' else 'rollback' end as decision,
  case week when 2 then 'recalibrate' else '' end as remedy, 'reason ' || week || $nasty as reason,
  'seen ' || week as what_happened, 'team:data' as owner, '' as restated from range(0, 4) as weeks(week);
create table monitoring.decisions as select cutoff, null::varchar as week_released, 'held: ' || cutoff as grade
  from monitoring.why;
create table training.champion as select 2 as model_version, timestamptz '2024-03-04 12:00:00+00' as promoted_at,
  date '2024-02-05' as trained_through, 'passed the gate' as reason;
"""


def quoted(text):
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def changed(made, file, *changes, now=NOW):
    shutil.copyfile(made, file)
    with duckdb.connect(file) as copy:
        for change in changes:
            copy.execute(change)
    return browser(file, now)


def browser(file, now=NOW):
    reader = Reader(Path(file), f"Shop {NASTY}", "EUR", horizon_days=28, look_back_days=90, now=lambda: now)
    return TestClient(make_app(reader), base_url="http://127.0.0.1", raise_server_exceptions=False)


class Page(HTMLParser):
    """A page as a browser without scripts sees it; whatever is not closed, or has no label, is an error.

    The one script that there may be is a file of ours.
    """

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, html):
        super().__init__()
        self.open, self.headings, self.fields, self.labels, self.links, self.texts = [], 0, [], [], [], []
        self.ids, self.used = [], set()
        self.feed(html)
        self.close()
        assert self.open == []
        assert self.headings == 1
        assert set(self.fields) <= set(self.labels)
        assert len(self.ids) == len(set(self.ids)), "two elements of one name"
        assert self.used <= set(self.ids), "named after what is not there"
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert tag != "script" or given == {"src": "/static/what_if.js", "defer": None}
        assert not any(name.startswith("on") or name == "style" for name in given)
        self.headings += tag == "h1"
        if tag in {"input", "select"} and given.get("type") != "hidden":
            self.fields.append(given["id"])
        self.labels += [given["for"]] if tag == "label" else []
        self.links += [given["href"]] if tag == "a" else []
        self.ids += [given["id"]] if "id" in given else []
        self.used |= {given["aria-labelledby"]} if "aria-labelledby" in given else set()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert "svg" in self.open

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page_of(answer, status=200):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def listed(answer, status=200):
    """Return the customers of a page's list in their order."""
    page_of(answer, status)
    return re.findall(r'href="/customer\?id=[^"]*">([^<]*)</a>', answer.text)


def rows_of(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
