"""The environment says where each team's alerts go; what it says wrongly is refused in a sentence without a secret."""

import pytest

from resources.alerts.settings import AlertSettingError, routes_of

OWNERS = ("team:data-engineering", "team:ml-engineering")
MAIL = {"BATON_ALERT_SMTP": "smtps://mail.example.com", "BATON_ALERT_FROM": "baton@example.com"}


def names(routes, owner):
    return [one.name for one in routes.to(owner)]


def test_without_settings_nobody_is_told_but_the_file():
    routes = routes_of({"BATON_HOME": "x", "BATON_ALERT_SLACK": " "}, OWNERS)
    assert names(routes, OWNERS[0]) == names(routes, "team:unknown") == []
    assert routes.page("runs/1") == ""


def test_a_team_s_own_place_is_taken_instead_of_everybody_s():
    given = {
        "BATON_ALERT_SLACK": "https://hooks.example.com/all",
        "BATON_ALERT_SLACK_DATA_ENGINEERING": "https://hooks.example.com/loaders",
        "BATON_ALERT_WEBHOOK": "https://example.com/alerts",
    }
    routes = routes_of(given, OWNERS)
    assert names(routes, "team:data-engineering") == ["Slack of data-engineering", "the webhook"]
    assert names(routes, "team:ml-engineering") == ["Slack", "the webhook"]
    assert names(routes, "team:of-another-code-location") == ["Slack", "the webhook"]


def test_each_mailbox_is_a_destination():
    given = MAIL | {"BATON_ALERT_MAIL": "ana@example.com, ben@example.com"}
    assert names(routes_of(given, OWNERS), OWNERS[0]) == ["mail to ana@example.com", "mail to ben@example.com"]


def test_an_owner_that_is_an_address_is_written_to():
    given = MAIL | {"BATON_ALERT_MAIL": "all@example.com"}
    routes = routes_of(given, ("loaders@example.com", "team:ml-engineering"))
    assert names(routes, "loaders@example.com") == ["mail to loaders@example.com"]
    assert names(routes, "team:ml-engineering") == ["mail to all@example.com"]


def test_the_port_of_the_mail_server_follows_from_how_it_is_spoken_to():
    servers = [
        routes_of(MAIL | {"BATON_ALERT_MAIL": "a@b.c", "BATON_ALERT_SMTP": address}, OWNERS).to("x")[0].server
        for address in ("smtps://mail.example.com", "smtp://mail.example.com", "smtp://mail.example.com:25")
    ]
    assert [(one.port, one.encrypted) for one in servers] == [(465, True), (587, False), (25, False)]


def test_pages_begin_where_people_open_the_web_ui():
    assert routes_of({"BATON_UI": "https://baton.example.com/"}, OWNERS).page("runs/1") == (
        "https://baton.example.com/runs/1"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"BATON_ALERT_SLACK": "http://hooks.example.com/services/s3cret"},
            "alerts: expected an https address in BATON_ALERT_SLACK, got http://hooks.example.com/…",
        ),
        ({"BATON_ALERT_WEBHOOK": "s3cret"}, "expected an https address in BATON_ALERT_WEBHOOK, got 6 characters that"),
        ({"BATON_ALERT_SLACK": "https://hooks.example.com:s3cret/"}, "expected an https address in BATON_ALERT_SLACK"),
        ({"BATON_ALERT_SLACK": "https:// s3cret"}, "expected an https address in BATON_ALERT_SLACK"),
        ({"BATON_ALERT_SLAK": "https://example.com/s3cret"}, "got a variable called BATON_ALERT_SLAK."),
        ({"BATON_ALERT_SLACK_LOADERS": "https://example.com/s3cret"}, "a variable called BATON_ALERT_SLACK_LOADERS."),
        (
            {"BATON_ALERT_SLACK_ML_ENGINEERING": "https://example.com/s3cret"},
            "expected BATON_ALERT_SLACK as well, for everybody without one of their own",
        ),
        ({"BATON_ALERT_TOKEN": "s3cret\nX: y"}, "expected the bearer token of the webhook in BATON_ALERT_TOKEN"),
        ({"BATON_ALERT_MAIL": "a@b.c"}, "expected BATON_ALERT_SMTP, the server that takes mail, as BATON_ALERT_MAIL"),
        ({"BATON_ALERT_SMTP_PASSWORD": "s3cret"}, "expected BATON_ALERT_SMTP, the server that takes mail"),
        (
            {"BATON_ALERT_REPORT": "a@b.c"},
            "expected BATON_ALERT_SMTP, the server that takes mail, as BATON_ALERT_REPORT",
        ),
        (
            MAIL | {"BATON_ALERT_REPORT": "shop"},
            "expected mail addresses with commas between them in BATON_ALERT_REPORT",
        ),
        (MAIL | {"BATON_ALERT_SMTP": "mail.example.com"}, "expected smtps://<host> or smtp://<host>:<port>"),
        (MAIL | {"BATON_ALERT_SMTP": "smtps://u:s3cret@example.com"}, "got smtps://example.com/…. User and password"),
        (MAIL | {"BATON_ALERT_SMTP_PASSWORD": "s3cret"}, "expected BATON_ALERT_SMTP_USER as well"),
        (MAIL | {"BATON_ALERT_SMTP_USER": "me"}, "expected BATON_ALERT_SMTP_PASSWORD as well"),
        (MAIL | {"BATON_ALERT_FROM": "baton"}, "expected a mail address in BATON_ALERT_FROM, from which alerts"),
        (MAIL | {"BATON_ALERT_MAIL": "ana"}, "expected mail addresses with commas between them in BATON_ALERT_MAIL"),
        ({"BATON_UI": "baton.example.com"}, "expected the http or https address at which people open the web UI"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_is(given, sentence):
    with pytest.raises(AlertSettingError) as error:
        routes_of(given, OWNERS)
    assert sentence in str(error.value)
    assert str(error.value).startswith("alerts: ")
    assert "s3cret" not in str(error.value)


def test_what_is_said_to_do_is_right():
    """The sentence about a team without a general place advises to set it, or to unset the team's."""
    team = {"BATON_ALERT_SLACK_ML_ENGINEERING": "https://example.com/one"}
    assert names(routes_of(team | {"BATON_ALERT_SLACK": "https://example.com/two"}, OWNERS), OWNERS[0]) == ["Slack"]


def test_destinations_do_not_show_their_secrets():
    given = MAIL | {
        "BATON_ALERT_SLACK": "https://hooks.example.com/s3cret",
        "BATON_ALERT_WEBHOOK": "https://example.com/s3cret",
        "BATON_ALERT_TOKEN": "s3cret",
        "BATON_ALERT_MAIL": "ana@example.com",
        "BATON_ALERT_SMTP_USER": "baton",
        "BATON_ALERT_SMTP_PASSWORD": "s3cret",
    }
    assert "s3cret" not in repr(routes_of(given, OWNERS))
