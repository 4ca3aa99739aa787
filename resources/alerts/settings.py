"""Where each team's alerts go, as the environment says it. What it says wrongly is refused before anything happens.

Addresses of webhooks and passwords are secrets: they stand in the environment alone, and no message repeats them.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from resources.alerts.destinations import Destination, Mail, MailServer, ReportMail, Slack, Webhook, is_loopback
from resources.week_report import WeekReport

SLACK, WEBHOOK, MAIL = "BATON_ALERT_SLACK", "BATON_ALERT_WEBHOOK", "BATON_ALERT_MAIL"
"""For every team; with `_` and a team's name in capitals: for that team instead."""

TOKEN, SMTP, FROM = "BATON_ALERT_TOKEN", "BATON_ALERT_SMTP", "BATON_ALERT_FROM"
REPORT = "BATON_ALERT_REPORT"
"""Mailboxes of people who use the list: they get the report of each judged week, with customers' data, and no alert."""
USER, PASSWORD = "BATON_ALERT_SMTP_USER", "BATON_ALERT_SMTP_PASSWORD"
PAGES = "BATON_UI"

OTHERS = (TOKEN, SMTP, FROM, USER, PASSWORD, REPORT)
PORTS = {"smtp": 587, "smtps": 465}
MAILBOX = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


class AlertSettingError(ValueError):
    """The environment does not say where alerts go; the sentence names the variable, and no secret."""


@dataclass(frozen=True)
class Routes:
    """The destinations of each team, and those of everybody else; `pages` is where the web UI begins, or empty.

    `of_readers` get the digest of a week, with its report.
    """

    of_team: Mapping[str, Sequence[Destination]]
    of_others: Sequence[Destination]
    pages: str = ""
    of_readers: Sequence[Destination] = ()

    def to(self, owner: str) -> Sequence[Destination]:
        """Return where an owner's alerts go."""
        return self.of_team.get(owner, self.of_others)

    def every(self) -> dict[str, Destination]:
        """Return all destinations by their names."""
        return {one.name: one for places in (*self.of_team.values(), self.of_others, self.of_readers) for one in places}

    def page(self, path: str) -> str:
        """Return the address of a page of the web UI; empty where it is not known."""
        return f"{self.pages}/{path}" if self.pages else ""


def routes_of(environment: Mapping[str, str], owners: Collection[str], report: WeekReport | None = None) -> Routes:
    """Return where alerts go, by the variables of an environment; `owners` are the company's teams.

    `report` is what those get who asked for the list.

    Raises:
        AlertSettingError: a variable is unknown, lacks another one, or is not what it must be.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    teams = {_capitals(owner): owner for owner in owners}
    _refuse_unknown({name for name in given if name.startswith("BATON_ALERT_")}, teams)
    token = _token(given.get(TOKEN, ""))
    server = _mail_server(given)

    def slack(variable: str, name: str) -> list[Destination]:
        return [Slack(name, variable, _address(variable, given[variable]))]

    def webhook(variable: str, name: str) -> list[Destination]:
        return [Webhook(name, variable, _address(variable, given[variable]), token)]

    def mail(variable: str, _: str) -> list[Destination]:
        return _mailboxes(variable, given[variable].split(","), server)

    kinds: dict[str, tuple[str, Callable[[str, str], list[Destination]]]] = {
        SLACK: ("Slack", slack),
        WEBHOOK: ("the webhook", webhook),
        MAIL: ("mail", mail),
    }
    of_team: dict[str, list[Destination]] = {owner: [] for owner in owners}
    of_others: list[Destination] = []
    for variable, (called, made) in kinds.items():
        general = made(variable, called) if variable in given else []
        own = {
            owner: made(f"{variable}_{suffix}", f"{called} of {owner.removeprefix('team:')}")
            for suffix, owner in teams.items()
            if f"{variable}_{suffix}" in given
        }
        if own and not general:
            raise AlertSettingError(
                f"alerts: expected {variable} as well, for everybody without one of their own, and it is not set. Set "
                f"it, or unset {', '.join(f'{variable}_{_capitals(owner)}' for owner in own)}."
            )
        of_others += general
        for owner in owners:
            by_address = _mailboxes("the company's owners", [owner], server) if _is_written_to(variable, owner) else []
            of_team[owner] += own.get(owner) or (by_address if server and by_address else general)
    readers = _readers(given.get(REPORT, ""), server, report)
    return Routes(of_team, of_others, _pages(given.get(PAGES, "")), readers)


def _is_written_to(variable: str, owner: str) -> bool:
    """Tell whether an owner is a mailbox itself."""
    return variable == MAIL and "@" in owner


def _refuse_unknown(names: Collection[str], teams: Mapping[str, str]) -> None:
    """Refuse variables that nobody reads: a slip of the pen would leave a team without its alerts."""
    known = {*OTHERS, SLACK, WEBHOOK, MAIL, *(f"{kind}_{team}" for kind in (SLACK, WEBHOOK, MAIL) for team in teams)}
    for name in sorted(set(names) - known):
        raise AlertSettingError(
            f"alerts: expected one of {', '.join(sorted(known))}, got a variable called {name}. Correct its name, or "
            "unset it. What follows the kind is a team of the company's owners."
        )


def _capitals(owner: str) -> str:
    """Return a team as it ends the name of a variable."""
    return re.sub(r"\W", "_", owner.removeprefix("team:")).upper()


def _address(variable: str, value: str) -> str:
    """Return the address of a webhook, which must be encrypted unless it stays on this machine."""
    parts = _split(value)
    if parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise AlertSettingError(
            f"alerts: expected an https address in {variable}, got {_shown(value)}. Copy the whole address of the "
            "incoming webhook, or unset the variable."
        )
    return value


def _token(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise AlertSettingError(
            f"alerts: expected the bearer token of the webhook in {TOKEN}, got one that no header can hold "
            f"({len(value)} characters). Copy it again, or unset the variable."
        )
    return value


def _pages(value: str) -> str:
    parts = _split(value)
    if value and (parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment):
        raise AlertSettingError(
            f"alerts: expected the http or https address at which people open the web UI in {PAGES}, got "
            f"{_shown(value)}. Such as https://baton.example.com; unset it for alerts without a link."
        )
    return value.rstrip("/")


def _mail_server(given: Mapping[str, str]) -> MailServer | None:
    """Return the server that takes mail; None: no mail is sent."""
    asked = sorted(
        name for name in given if name in (MAIL, REPORT) or name.startswith((f"{MAIL}_", USER, PASSWORD, FROM))
    )
    if SMTP not in given:
        if asked:
            raise AlertSettingError(
                f"alerts: expected {SMTP}, the server that takes mail, as {asked[0]} is set, and it is not set. Such "
                "as smtps://mail.example.com."
            )
        return None
    parts = _split(given[SMTP])
    if parts is None or parts.scheme not in PORTS or parts.username or parts.path.strip("/"):
        raise AlertSettingError(
            f"alerts: expected smtps://<host> or smtp://<host>:<port> in {SMTP}, got {_shown(given[SMTP])}. User and "
            f"password stand in {USER} and {PASSWORD}."
        )
    if (USER in given) != (PASSWORD in given):
        there, missing = (USER, PASSWORD) if USER in given else (PASSWORD, USER)
        raise AlertSettingError(f"alerts: expected {missing} as well, as {there} is set. Set both, or none.")
    if not MAILBOX.fullmatch(given.get(FROM, "")):
        raise AlertSettingError(
            f"alerts: expected a mail address in {FROM}, from which alerts are sent, got "
            f"{given.get(FROM) or 'nothing'!r}. Such as baton@example.com."
        )
    return MailServer(
        host=parts.hostname or "",
        port=parts.port or PORTS[parts.scheme],
        encrypted=parts.scheme == "smtps",
        sender=given[FROM],
        user=given.get(USER, ""),
        password=given.get(PASSWORD, ""),
    )


def _readers(addresses: str, server: MailServer | None, report: WeekReport | None) -> list[Destination]:
    """Return a destination a mailbox that gets the report of a judged week."""
    if not addresses:
        return []
    found = [one for one in _mailboxes(REPORT, addresses.split(","), server) if isinstance(one, Mail)]
    if report is None:
        return []
    return [ReportMail(Mail(f"the report to {one.address}", one.address, one.server), report) for one in found]


def _mailboxes(variable: str, addresses: Sequence[str], server: MailServer | None) -> list[Destination]:
    """Return a destination a mailbox."""
    found = []
    for address in (one.strip() for one in addresses):
        if not MAILBOX.fullmatch(address):
            raise AlertSettingError(
                f"alerts: expected mail addresses with commas between them in {variable}, got {address!r}. Correct it."
            )
        found.append(address)
    return [Mail(f"mail to {one}", one, server) for one in dict.fromkeys(found)] if server else []


def _split(value: str) -> SplitResult | None:
    """Return the parts of an address; None if it is none."""
    if any(letter.isspace() or not letter.isprintable() for letter in value):
        return None
    try:
        parts = urlsplit(value)
        # Looked at here, because a port that is no number is found when it is read.
        return parts if parts.hostname and (parts.port is None or parts.port) else None
    except ValueError:
        return None


def _shown(value: str) -> str:
    """Return of an address what is no secret: its scheme and host."""
    parts = _split(value)
    if parts is None or not parts.scheme:
        return f"{len(value)} characters that are none"
    return f"{parts.scheme}://{parts.hostname}/…"
