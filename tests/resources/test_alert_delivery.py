"""An alert reaches Slack, a webhook and mailboxes; what is away or refuses loses nothing and stops nobody else."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from support.receivers import free_port, mail_server, web_server

from resources.alerts import Alert, Alerts, Outbox
from resources.alerts.destinations import LARGEST_ATTACHMENT
from resources.alerts.outbox import MOST
from resources.environment import variables
from resources.week_report import CALL_LIST, PAGE, WeekReport

OWNER = "team:ml-engineering"
NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def alert(number=1, **fields):
    told = {
        "id": f"run:{number}",
        "state": "began",
        "owner": OWNER,
        "title": f"step {number} failed",
        "body": "It ended a run.",
        "cause": "Expected seven streams, got <six> & more.",
        "first_bad_asset": "raw/transactions",
        "next_step": "make rebuild FROM=2017-11-06",
        "link": "https://baton.example.com/runs/1",
        "at": NOON.isoformat(),
    }
    return Alert(**told | fields)


class Sender:
    """The resource with an outbox that is read anew from its fields each time, as after a restart."""

    def __init__(self, folder):
        self.file = folder / "alerts.jsonl"
        self.kept = "{}"

    def deliver(self, *alerts, now=NOON):
        box = Outbox(json.loads(self.kept))
        Alerts(path=str(self.file)).deliver(box, alerts, owner=OWNER, now=now)
        self.kept = json.dumps(box.fields())
        return box

    def filed(self):
        return [json.loads(line)["title"] for line in self.file.read_text().splitlines()]


@pytest.fixture
def sender(tmp_path):
    return Sender(tmp_path)


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture
def mail():
    with mail_server() as server:
        yield server


def mailing(mail, to="ana@example.com", **more):
    return {
        "BATON_ALERT_SMTP": mail.address,
        "BATON_ALERT_FROM": "baton@example.com",
        "BATON_ALERT_MAIL": to,
        **more,
    }


def test_slack_gets_one_message_that_says_all(sender, web):
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert())
    [message] = web.taken
    assert message["text"].splitlines() == [
        "*step 1 failed*",
        "What happened: It ended a run.",
        # Slack would take a name or a link from what is not escaped.
        "Cause: Expected seven streams, got &lt;six&gt; &amp; more.",
        "First bad asset: raw/transactions",
        "Owner: team:ml-engineering",
        "Next: make rebuild FROM=2017-11-06",
        "See: https://baton.example.com/runs/1",
        "Read: docs/when_red.md#a-run-failed",
    ]


def test_a_webhook_gets_the_line_of_the_file_with_its_token_and_an_id_to_know_it_by(sender, web):
    with variables({"BATON_ALERT_WEBHOOK": web.address, "BATON_ALERT_TOKEN": "abc"}):
        sender.deliver(alert())
    [request] = web.seen
    assert request.body == json.loads(sender.file.read_text())
    assert request.headers["Authorization"] == "Bearer abc"
    assert request.headers["Idempotency-Key"] == "run:1"


def test_a_mailbox_gets_plain_text_with_an_id_to_know_it_by(sender, mail):
    mail.password = "s3cret"
    signed = {"BATON_ALERT_SMTP_USER": "baton", "BATON_ALERT_SMTP_PASSWORD": "s3cret"}
    with variables(mailing(mail, **signed)):
        sender.deliver(alert(title="step 1\nfailed"))
    [message] = mail.messages
    assert (message["Subject"], message["To"]) == ("[baton] step 1 failed", "ana@example.com")
    assert message["Message-ID"] == "<run-1@example.com>"
    assert "Cause: Expected seven streams, got <six> & more." in message.get_content()
    assert mail.users == 1


def digest(week="2017-12-04"):
    return alert(id=f"week:{week}", state="digest", title=f"week {week}: continue", body="8 weeks judged.")


@pytest.fixture
def report(tmp_path):
    """The report of a judged week, as a run left it."""
    made = WeekReport(path=str(tmp_path / "report"))
    page = b'<meta name="baton-judged" content="2017-12-04"><h1>Whom to call</h1>'
    made.write({PAGE: [page], CALL_LIST: [b"customer_id\r\n", b"c1\r\n"]})
    return made


def deliver(sender, report, *alerts):
    Alerts(path=str(sender.file), report=report).deliver(Outbox({}), alerts, owner=OWNER, now=NOON)


READERS = {"BATON_ALERT_REPORT": "marketing@example.com, shop@example.com"}


def test_who_asked_for_the_list_gets_the_report_of_a_judged_week_and_no_alert(sender, mail, report):
    with variables(mailing(mail) | READERS):
        deliver(sender, report, alert(1), digest())
    by_address = {to: [one for one in mail.messages if one["To"] == to] for to in {one["To"] for one in mail.messages}}
    assert {to: len(found) for to, found in by_address.items()} == {
        "ana@example.com": 2,
        "marketing@example.com": 1,
        "shop@example.com": 1,
    }
    [message] = by_address["marketing@example.com"]
    assert message["Subject"] == "Whom to call: week 2017-12-04: continue"
    assert message["Message-ID"] == "<week-2017-12-04@example.com>"
    attached = {one.get_filename(): one for one in message.iter_attachments()}
    assert set(attached) == {PAGE, CALL_LIST}
    assert attached[CALL_LIST].get_content_type() == "text/csv"
    assert attached[CALL_LIST].get_payload(decode=True) == b"customer_id\r\nc1\r\n"
    assert attached[PAGE].get_content_type() == "text/html"
    for one in by_address["ana@example.com"]:
        assert list(one.iter_attachments()) == [], "customers' data in a mail only where a setting asks for it"


def test_the_report_of_another_week_is_never_sent_for_this_one(sender, mail, report):
    with variables(mailing(mail) | READERS):
        deliver(sender, report, digest("2017-12-11"))
    message = next(one for one in mail.messages if one["To"] == "marketing@example.com")
    assert list(message.iter_attachments()) == []
    assert f"The report of this week is not attached: {report.path} does not have it." in message.get_content()


def test_a_list_that_is_too_long_for_a_mail_is_named_and_not_sent(sender, mail, report):
    page = b'<meta name="baton-judged" content="2017-12-04">'
    report.write({PAGE: [page], CALL_LIST: [b"x" * (LARGEST_ATTACHMENT + 1)]})
    with variables(mailing(mail) | READERS):
        deliver(sender, report, digest())
    message = next(one for one in mail.messages if one["To"] == "marketing@example.com")
    assert [one.get_filename() for one in message.iter_attachments()] == [PAGE]
    assert f"too long for a mail and lies in {report.path}" in " ".join(message.get_body().get_content().split())


def test_an_owner_s_alert_goes_to_the_owner_and_no_other_team(sender, web):
    with (
        web_server() as others,
        variables({"BATON_ALERT_SLACK": others.address, "BATON_ALERT_SLACK_ML_ENGINEERING": web.address}),
    ):
        sender.deliver(alert(1), alert(2, owner="team:data-engineering"))
    assert ["step 1" in one["text"] for one in web.taken] == [True]
    assert ["step 2" in one["text"] for one in others.taken] == [True]


@pytest.mark.parametrize(
    ("status", "text", "said", "advice"),
    [
        (500, "", "127.0.0.1 answered 500.", "Nothing has to be done if it comes back"),
        (403, "invalid_token", "127.0.0.1 answered 403 (invalid_token).", "Look whether BATON_ALERT_SLACK is still"),
        (404, "<html>", "127.0.0.1 answered 404.", "start the code location again"),
        (302, "", "127.0.0.1 answered 302.", "Look whether BATON_ALERT_SLACK is still right"),
    ],
)
def test_what_slack_refuses_waits_and_is_told_once_with_what_to_do(sender, web, mail, status, text, said, advice):
    web.status, web.text, web.headers = status, text, {"Location": "http://127.0.0.1/elsewhere"}
    with variables({"BATON_ALERT_SLACK": web.address, **mailing(mail)}):
        for minutes in (0, 1, 3):
            sender.deliver(*[alert()] if not minutes else [], now=NOON + minutes * MINUTE)
        assert sender.filed() == ["step 1 failed", "alerts do not reach Slack"]
        # The other destination has both: the alert, and that Slack takes none.
        assert [one["Subject"] for one in mail.messages] == [
            "[baton] step 1 failed",
            "[baton] alerts do not reach Slack",
        ]
        assert f"Cause: {said}" in mail.messages[1].get_content()
        assert advice in mail.messages[1].get_content()
        assert "s3cret" not in sender.file.read_text()
        web.status = 200
        sender.deliver(now=NOON + 7 * MINUTE)
        sender.deliver(now=NOON + 8 * MINUTE)
    assert ["step 1" in one["text"] for one in web.taken] == [True]
    assert sender.filed()[2:] == ["alerts reach Slack again"]
    assert json.loads(sender.kept) == {"waiting": [], "away": {}}


def test_who_is_away_is_asked_ever_more_rarely(sender, web):
    web.status = 500
    asked = []
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert())
        for minute in range(1, 130):
            before = len(web.seen)
            sender.deliver(now=NOON + minute * MINUTE)
            asked += [minute] * (len(web.seen) - before)
    assert asked == [1, 3, 7, 15, 31, 63, 123]


def test_slack_says_when_it_may_be_asked_again(sender, web):
    web.status, web.headers = 429, {"Retry-After": "600"}
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert())
        for minute in range(1, 10):
            sender.deliver(now=NOON + minute * MINUTE)
        assert len(web.seen) == 1
        sender.deliver(now=NOON + 10 * MINUTE)
        assert len(web.seen) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BATON_ALERT_WEBHOOK": "https://nobody.invalid/s3cret"}, "nobody.invalid: its name is not known."),
        ({"BATON_ALERT_WEBHOOK": "http://127.0.0.1:PORT/s3cret"}, "127.0.0.1: it refused the connection."),
        (
            {
                "BATON_ALERT_SMTP": "smtp://nobody.invalid",
                "BATON_ALERT_FROM": "baton@example.com",
                "BATON_ALERT_MAIL": "ana@example.com",
            },
            "nobody.invalid, port 587: its name is not known.",
        ),
    ],
)
def test_a_server_that_is_not_there_is_said_as_such(sender, settings, said):
    with variables({name: text.replace("PORT", str(free_port())) for name, text in settings.items()}):
        sender.deliver(alert())
    [filed, told] = [json.loads(line) for line in sender.file.read_text().splitlines()]
    assert filed["title"] == "step 1 failed"
    assert told["cause"] == said
    assert "s3cret" not in sender.file.read_text() + sender.kept


def test_a_password_that_is_refused_is_said_and_not_shown(sender, mail):
    mail.password = "right"
    wrong = {"BATON_ALERT_SMTP_USER": "baton", "BATON_ALERT_SMTP_PASSWORD": "s3cret"}
    with variables(mailing(mail, **wrong)):
        sender.deliver(alert())
    told = json.loads(sender.file.read_text().splitlines()[1])
    assert told["cause"] == "127.0.0.1 refused the user or the password (535)."
    assert "BATON_ALERT_SMTP_PASSWORD" in told["next"]
    assert "s3cret" not in sender.file.read_text()


def test_an_address_that_is_refused_keeps_no_other_from_its_mail(sender, mail):
    mail.no_address = "gone@example.com"
    with variables(mailing(mail, to="gone@example.com,ana@example.com")):
        sender.deliver(alert())
        sender.deliver(now=NOON + MINUTE)
    assert [one["To"] for one in mail.messages] == ["ana@example.com"] * 2
    assert sender.filed() == ["step 1 failed", "alerts do not reach mail to gone@example.com"]


def test_one_alert_that_is_refused_holds_up_no_other(sender, web):
    web.status, web.refused = 400, "step 1"
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert(1), alert(2))
        box = sender.deliver(now=NOON + MINUTE)
    assert [one["text"].splitlines()[0] for one in web.taken] == ["*step 2 failed*"]
    assert [one.alert.title for one in box.waiting] == ["step 1 failed"]


def test_after_three_days_an_alert_is_given_up_and_that_is_said(sender, web):
    web.status = 500
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert(1))
        assert sender.deliver(now=NOON + timedelta(days=2)).waiting
        assert not sender.deliver(now=NOON + timedelta(days=4)).waiting
        web.status = 200
        later = NOON + timedelta(days=5)
        sender.deliver(alert(2, at=later.isoformat()), now=later)
    told = json.loads(sender.file.read_text().splitlines()[-1])
    assert told["title"] == "alerts reach Slack again"
    assert told["body"] == (
        "They did not since 2018-01-01 12:00 UTC. 1 alert(s) came too late for it; alerts.jsonl has them."
    )


def test_after_a_week_without_the_daemon_an_alert_that_waits_is_tried_once_more(sender, web):
    web.status = 500
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert(1))
        web.status = 200
        sender.deliver(now=NOON + timedelta(days=7))
    assert len(web.taken) == 1


def test_no_more_wait_than_there_is_room_for_and_the_file_has_all(sender, web):
    web.status = 500
    with variables({"BATON_ALERT_SLACK": web.address}):
        box = sender.deliver(*(alert(number) for number in range(MOST + 2)))
    assert [one.alert.id for one in box.waiting] == [f"run:{number}" for number in range(2, MOST + 2)]
    assert len(sender.filed()) == MOST + 3


def test_a_server_that_never_answers_holds_up_no_other(sender, web, mail):
    web.hold = threading.Event()
    done = threading.Event()

    def deliver():
        with variables({"BATON_ALERT_WEBHOOK": web.address, **mailing(mail)}):
            sender.deliver(alert())
        done.set()

    thread = threading.Thread(target=deliver)
    thread.start()
    # The mail has come while the webhook still keeps its answer.
    mail.came.wait()
    assert not done.is_set()
    web.hold.set()
    thread.join()
    assert web.taken


def test_a_destination_that_is_configured_no_more_is_forgotten(sender, web):
    web.status = 500
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert())
    sender.deliver(now=NOON + MINUTE)
    assert json.loads(sender.kept) == {"waiting": [], "away": {}}


def test_what_is_delivered_again_after_a_crash_has_the_same_id_and_one_line_in_the_file(sender, web, mail):
    with variables({"BATON_ALERT_WEBHOOK": web.address, **mailing(mail)}):
        before = sender.kept
        sender.deliver(alert())
        sender.kept = before
        sender.deliver(alert())
    assert sender.filed() == ["step 1 failed"]
    assert {one.headers["Idempotency-Key"] for one in web.seen} == {"run:1"}
    assert {one["Message-ID"] for one in mail.messages} == {"<run-1@example.com>"}


def test_what_looks_like_a_secret_leaves_nowhere(sender, web, mail):
    with variables({"BATON_ALERT_SLACK": web.address, **mailing(mail)}):
        sender.deliver(alert(cause="The source refused: password=hunter2 at https://me:hunter2@example.com."))
    texts = [sender.file.read_text(), sender.kept, web.taken[0]["text"], mail.messages[0].get_content()]
    assert not [text for text in texts if "hunter2" in text]
    assert "The source refused: …" in texts[2]


def test_a_file_that_cannot_be_written_keeps_nobody_from_being_told(sender, web):
    sender.file.mkdir()
    with variables({"BATON_ALERT_SLACK": web.address}):
        sender.deliver(alert())
        sender.file.rmdir()
        sender.deliver(now=NOON + MINUTE)
    assert sender.filed()[0] == "step 1 failed"
    titles = [one["text"].splitlines()[0] for one in web.taken]
    assert titles[:2] == ["*step 1 failed*", "*alerts do not reach the file of alerts*"]
