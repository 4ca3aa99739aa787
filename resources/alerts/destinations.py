"""Where alerts go beside the file: Slack, a webhook, a mailbox. Each sends one message or says in a sentence why not.

Slack's incoming webhooks and SMTP need no library of their own: `requests` is here for Airbyte's server, and `smtplib`
and `email` come with Python.
"""

import contextlib
import html
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import Protocol
from urllib.parse import urlsplit

import requests

from resources.alerts.message import Alert
from resources.causes import causes
from resources.secrets import masked
from resources.week_report import CALL_LIST, PAGE, WeekReport

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
"""How long a server may take for the connection, and for each piece of its answer."""

SLACK_CHARACTERS = 3_500
"""Of one message; Slack cuts longer ones in the middle of a sentence."""

LARGEST_ATTACHMENT = 8_000_000
"""Bytes of a file that a mail carries: many servers refuse mails beyond 10 MB, and a file grows by a third in one."""

ANSWER_BYTES = 200
"""How much of a refusal is read: the word in which Slack says why."""


class DeliveryError(Exception):
    """A destination is away, or refused an alert; the message says why, `advice` what helps.

    `wait`: the seconds after which it may be asked again, where the destination said so; else 0.
    """

    def __init__(self, why: str, advice: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.advice = advice
        self.wait = wait


class Destination(Protocol):
    """A place that takes alerts."""

    @property
    def name(self) -> str:
        """What people call it; no two have the same."""

    def send(self, alert: Alert) -> None:
        """Deliver one alert.

        Raises:
            DeliveryError: it was not taken.
        """


WAIT = "Nothing has to be done if it comes back; else look whether this machine may reach it"


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack (or Mattermost): `variable` holds its address, which is a secret."""

    name: str
    variable: str
    address: str = field(repr=False)

    def send(self, alert: Alert) -> None:
        """Post the alert as one message.

        Raises:
            DeliveryError: it was not taken.
        """
        # So Slack reads no name, link or channel into what an error quotes.
        text = html.escape("\n".join(alert.lines()), quote=False)
        if len(text) > SLACK_CHARACTERS:
            text = f"{text[:SLACK_CHARACTERS]}… (the whole is in alerts.jsonl)"
        title = html.escape(alert.title, quote=False)
        body = {"text": f"*{title}*\n{text}", "unfurl_links": False}
        _post(self.address, body, {}, self.variable)


@dataclass(frozen=True)
class Webhook:
    """Any address that takes a JSON object: the fields of a line of the file. `token` is sent as a bearer's."""

    name: str
    variable: str
    address: str = field(repr=False)
    token: str = field(default="", repr=False)

    def send(self, alert: Alert) -> None:
        """Post the alert; its id is the Idempotency-Key.

        Raises:
            DeliveryError: it was not taken.
        """
        headers = {"Idempotency-Key": alert.id, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        _post(self.address, alert.fields(), headers, self.variable)


@dataclass(frozen=True)
class MailServer:
    """A server that takes mail. `encrypted`: from the first byte on (smtps), else by STARTTLS where it offers that."""

    host: str
    port: int
    encrypted: bool
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Mail:
    """One mailbox, so that one that is refused keeps no other from its mail."""

    name: str
    address: str
    server: MailServer

    def send(self, alert: Alert) -> None:
        """Send the alert as plain text; its id is the Message-ID.

        Raises:
            DeliveryError: it was not taken.
        """
        self.hand_over(self.message(alert, f"[baton] {alert.title}", alert.lines()))

    def message(self, alert: Alert, subject: str, lines: Sequence[str]) -> EmailMessage:
        """Return what is sent of an alert: these lines under this subject."""
        message = EmailMessage()
        # A line break would end the header.
        message["Subject"] = " ".join(subject.split())
        message["From"], message["To"] = self.server.sender, self.address
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{_plain(alert.id)}@{self.server.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(lines) + "\n")
        return message

    def hand_over(self, message: EmailMessage) -> None:
        """Hand a message to the server.

        Raises:
            DeliveryError: it was not taken.
        """
        try:
            self._hand_over(message)
        except smtplib.SMTPAuthenticationError as error:
            raise DeliveryError(
                f"{self.server.host} refused the user or the password ({error.smtp_code})",
                "Correct BATON_ALERT_SMTP_USER and BATON_ALERT_SMTP_PASSWORD, and start the code location again",
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise DeliveryError(
                f"{self.server.host} refused the address ({code})",
                "Correct the address in the company's owners or in BATON_ALERT_MAIL, and start the code location again",
            ) from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error
            text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise DeliveryError(
                f"{self.server.host} answered {error.smtp_code} {masked(text)[:ANSWER_BYTES]}".strip(), WAIT
            ) from None
        except OSError as error:
            # What smtplib raises is one as well.
            raise DeliveryError(f"{self.server.host}, port {self.server.port}: {_why(error)}", WAIT) from None

    def _hand_over(self, message: EmailMessage) -> None:
        server, trusted = self.server, ssl.create_default_context()
        session = (
            smtplib.SMTP_SSL(server.host, server.port, timeout=ANSWER_SECONDS, context=trusted)
            if server.encrypted
            else smtplib.SMTP(server.host, server.port, timeout=ANSWER_SECONDS)
        )
        # No `with`: its farewell may fail after the message was taken, which would then be sent again.
        try:
            session.ehlo()
            if not server.encrypted and session.has_extn("starttls"):
                session.starttls(context=trusted)
                session.ehlo()
            elif not server.encrypted and server.user and not is_loopback(server.host):
                raise DeliveryError(
                    f"{server.host} offers no encryption, and the password is not sent without",
                    "Name a server that does in BATON_ALERT_SMTP: smtps://<host>, or smtp://<host> with STARTTLS",
                )
            if server.user:
                session.login(server.user, server.password)
            session.send_message(message)
            with contextlib.suppress(OSError):
                session.quit()
        finally:
            session.close()


@dataclass(frozen=True)
class ReportMail:
    """A mailbox of somebody who uses the list: the report of a judged week, with the file of whom to call."""

    mail: Mail
    report: WeekReport

    @property
    def name(self) -> str:
        """What people call it."""
        return self.mail.name

    def send(self, alert: Alert) -> None:
        """Send the digest's report as attachments; where it is not on this machine, the mail says so.

        Raises:
            DeliveryError: it was not taken.
        """
        week = alert.id.removeprefix("week:")
        found = self.report.attachments(week)
        files = [file for file in found if len(file.content) <= LARGEST_ATTACHMENT]
        lines = [alert.title]
        if files:
            too_long = len(files) < len(found)
            lines += [
                f"{PAGE} says whom to call and whether the list may be used; open it in a browser. {CALL_LIST} has "
                "all who are to be called, for a spreadsheet"
                + (f"; it is too long for a mail and lies in {self.report.path}." if too_long else "."),
                "Both hold customers' data: pass them on only to whoever may see it.",
            ]
        else:
            lines += [
                f"The report of this week is not attached: {self.report.path} does not have it. The run that writes it "
                "failed, or works on another machine. Ask the team that runs the model.",
            ]
        message = self.mail.message(alert, f"Whom to call: {alert.title}", lines)
        for name, kind, content in files:
            group, _, form = kind.partition("/")
            message.add_attachment(content, maintype=group, subtype=form, filename=name)
        self.mail.hand_over(message)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _post(address: str, body: Mapping[str, object], headers: Mapping[str, str], variable: str) -> None:
    """Post a JSON object; the address is a secret and stands in no message."""
    host = urlsplit(address).hostname or ""
    try:
        with requests.Session() as session:
            # A proxy of the environment leads away from this machine.
            session.trust_env = not is_loopback(host)
            answer = session.post(
                address,
                json=body,
                headers=dict(headers),
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                # Where it leads to is not what was configured, and would be sent the same secret.
                allow_redirects=False,
                stream=True,
                auth=_as_it_is,
            )
            status, wait = answer.status_code, answer.headers.get("Retry-After", "")
            said = "" if answer.ok else next(answer.iter_content(ANSWER_BYTES), b"").decode(errors="replace")
    # What requests raises is one as well.
    except OSError as error:
        raise DeliveryError(f"{host}: {_why(error)}", WAIT) from None
    if 200 <= status < 300:
        return
    word = " ".join(masked(said).split())
    why = f"{host} answered {status}" + (f" ({word})" if word and not word.startswith("<") else "")
    if status == 429 or status >= 500:
        raise DeliveryError(why, WAIT, float(wait) if wait.isdecimal() else 0.0)
    raise DeliveryError(why, f"Look whether {variable} is still right, and start the code location again")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign nothing: without this a user's .netrc takes the place of the header."""
    return request


def _why(error: BaseException) -> str:
    """Return why a connection failed; the text of a library's error may hold the address."""
    for one in causes(error):
        if isinstance(one, socket.gaierror):
            return "its name is not known"
        if isinstance(one, TimeoutError | requests.Timeout):
            return "it did not answer in time"
        if isinstance(one, ssl.SSLError):
            return "its certificate is not accepted"
        if isinstance(one, ConnectionRefusedError):
            return "it refused the connection"
    return f"the connection failed ({type(error).__name__})"


def _plain(text: str) -> str:
    """Return an id as a mail's header may hold it."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in text)
