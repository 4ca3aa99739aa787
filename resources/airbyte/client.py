"""dagster-airbyte's client, made safe for a server that has bad days.

The inherited client cancels a live job when polling fails four times, when the job is `queued`, and starts a second one
when the answer to the first start is lost. This one never ends a job because it could not see it: it waits, honours
`Retry-After`, attaches to what runs, and says in a sentence what was expected, what came and what to do.
"""

import contextlib
import html
import json
import math
import random
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import requests
from dagster_airbyte.resources import AirbyteClient
from dagster_airbyte.types import AirbyteOutput
from pydantic import PrivateAttr
from requests.auth import AuthBase, HTTPBasicAuth

from resources.airbyte.jobs import SYNC, WAITING, AirbyteJobError, Job, JobReport, report_of
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.snapshot import streams_of

_Read = TypeVar("_Read")

LEAVE, CANCEL = "leave", "cancel"

TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0
"""Seconds between two tries, unless the server itself asks for more."""
NEWEST_JOBS = 20
QUOTE_CHARS = 300
PAGE_CHARS = 60
"""How much is quoted of what is not in Airbyte's own words."""


class AirbyteUnavailableError(AirbyteError):
    """The server could not be asked, now; asking later may work. `wait` is what it asked for, in seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class AirbyteConflictError(AirbyteError):
    """The server refuses because of what runs already (409)."""


class AirbyteGoneError(AirbyteError):
    """Airbyte itself says that it has no such connection, destination or job."""


@dataclass(frozen=True)
class _Trouble:
    """Why a request should be made again, later."""

    why: str
    wait: float = 0.0


class _Bearer(AuthBase):
    """Signs with a token; given as `auth`, so that a .netrc on the machine cannot replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class ServerClient(AirbyteClient):
    """Talks to an Airbyte server or Cloud.

    `outage_limit`: for how many seconds a live job is followed while the server does not answer. `incomplete_limit`:
    for how many seconds Airbyte may leave a job between two attempts. `poll_timeout`: for how many seconds a job may
    take, after which it is left running or cancelled (`on_poll_timeout`).

    Only a sync is ever cancelled, by `on_poll_timeout` or by `cancel_on_termination`: also one that ran already and was
    attached to, because it is the sync that this run stands for. A reset, clear or refresh, which a person began and
    which is only waited for, is left running.
    """

    request_timeout: float  # type: ignore[assignment]
    outage_limit: float
    incomplete_limit: float
    on_poll_timeout: str

    _waits: Any = PrivateAttr(default=time.sleep)

    def __repr__(self) -> str:
        return f"ServerClient({self.rest_api_base_url})"

    __str__ = __repr__

    # What dagster-airbyte calls

    def get_connection_details(self, connection_id: str) -> Mapping[str, Any]:
        """Return a connection with its catalog.

        Raises:
            AirbyteError: the server has no such connection, or could not be asked, or describes it otherwise.
        """
        details = self._ask(
            "POST",
            f"{self.configuration_api_base_url}/connections/get",
            data={"connectionId": connection_id},
            expects=("connectionId", "name", "syncCatalog"),
            read=dict,
            about=f"connection {connection_id}",
        )
        # Before a sync is begun whose streams could not be read afterwards.
        streams_of(details)
        return details

    def get_destination_details(self, destination_id: str) -> Mapping[str, Any]:
        """Return a destination; its secrets are masked by the server and not kept here.

        Raises:
            AirbyteError: the server has no such destination, or could not be asked.
        """
        return self._ask(
            "GET",
            f"{self.rest_api_base_url}/destinations/{destination_id}",
            expects=("destinationId", "destinationType", "configuration"),
            read=dict,
            about=f"destination {destination_id}",
        )

    def sync_and_poll(self, connection_id: str) -> AirbyteOutput:
        """Sync a connection to its end: attach to a sync that runs already, or start one.

        Raises:
            AirbyteJobError: the sync failed or was cancelled, or stays incomplete.
            AirbyteError: the server could not be asked; a job that runs is left running.
        """
        connection = self.get_connection_details(connection_id)
        name = str(connection["name"])
        if connection.get("status", "active") != "active":
            why = connection.get("statusReason")
            raise AirbyteError(
                f"Expected connection {name} to be active in Airbyte, but it is {connection['status']}"
                f"{f' ({self._safe(str(why))})' if why else ''}. Switch it on there, then run again; nothing was read.",
                "config_error",
            )
        job = self.follow(name, self._running_or_started(name, connection_id))
        return AirbyteOutput(job_details=self._details(job), connection_details=connection)

    def _single_request(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        include_additional_request_headers: bool = True,
    ) -> Mapping[str, Any]:
        return self._ask(method, url, data=data, params=params, read=dict, signed=include_additional_request_headers)

    # Jobs

    def newest_jobs(self, connection_id: str, *, tries: int | None = None, **only: Any) -> list[Job]:
        """Return the newest jobs of a connection, newest first; `only` narrows by the API's own filters.

        Raises:
            AirbyteError: the server could not be asked, or lists no jobs in a way that can be read.
        """
        return self._ask(
            "GET",
            f"{self.rest_api_base_url}/jobs",
            # Without an order the API lists the oldest first, and the running one is on some later page.
            params={"connectionId": connection_id, "limit": NEWEST_JOBS, "orderBy": "createdAt|DESC", **only},
            expects=("data",),
            read=_jobs,
            about=f"connection {connection_id}",
            tries=tries,
        )

    def job(self, job_id: int) -> Job:
        """Return a job that is being followed; waits for as long as `outage_limit` while the server does not answer."""
        return self._ask(
            "GET",
            f"{self.rest_api_base_url}/jobs/{job_id}",
            expects=("jobId", "status"),
            read=Job.of,
            about=f"job {job_id}",
            outage=self.outage_limit,
        )

    def report(self, job_id: int) -> JobReport:
        """Return what Airbyte tells of a job beyond its state; an empty report if it does not tell."""
        try:
            answer = self._ask(
                "POST",
                f"{self.configuration_api_base_url}/jobs/get_without_logs",
                data={"id": job_id},
                expects=("job", "attempts"),
                read=dict,
                about=f"job {job_id}",
            )
            return report_of(answer, self._safe)
        except (AirbyteError, KeyError, TypeError, AttributeError, ValueError) as error:
            # It adds numbers and a reason to what is known already; a sync must not fail for want of them.
            self._log.warning(f"Airbyte told no more of job {job_id}: {error}")
            return JobReport()

    def follow(self, name: str, job: Job) -> Job:
        """Wait until a job has succeeded, and return it.

        Raises:
            AirbyteJobError: it failed, was cancelled, or stays incomplete.
            AirbyteError: it takes longer than `poll_timeout`, or the server was away for longer than `outage_limit`.
        """
        began = time.monotonic()
        incomplete_since: float | None = None
        said = ""
        try:
            while not job.ended:
                now = time.monotonic()
                if self.poll_timeout is not None and now - began > self.poll_timeout:
                    self._out_of_time(name, job)
                incomplete_since = (incomplete_since or now) if job.status == "incomplete" else None
                if incomplete_since is not None and now - incomplete_since > self.incomplete_limit:
                    self._failed(name, job, f"stays incomplete for {_seconds(self.incomplete_limit)}")
                if job.status != said:
                    self._tell(name, job)
                    said = job.status
                self._waits(self.poll_interval)
                job = self._seen_again(name, job)
        except Exception:
            raise
        except BaseException:
            # The run was terminated from outside; only then may the job be ended too.
            if self.cancel_on_termination and job.kind == SYNC:
                self._cancel(job)
            raise
        if job.status != "succeeded":
            self._failed(name, job, "was cancelled" if job.status == "cancelled" else "failed")
        return job

    def _seen_again(self, name: str, job: Job) -> Job:
        try:
            # What it is was said when it was found; an answer that leaves it out makes no sync of a reset.
            return replace(self.job(job.id), kind=job.kind)
        except AirbyteError as error:
            raise AirbyteError(
                f"{error} Job {job.id} of {name} was {job.status} when last seen and was left running: "
                f"{_next_run(job)}.",
                error.failure_type,
            ) from None

    def _running_or_started(self, name: str, connection_id: str) -> Job:
        jobs = self.newest_jobs(connection_id)
        for job in (one for one in jobs if not one.ended):
            if job.kind == SYNC:
                return self._attached(name, job, "was running already")
            self._log.info(f"{name}: waiting for job {job.id} ({job.kind}, {job.status}) to end before a sync")
            # How a reset or a refresh ends is not this sync's business.
            with contextlib.suppress(AirbyteJobError):
                self.follow(name, job)
        return self._start(name, connection_id, after=max((job.id for job in jobs), default=0))

    def _start(self, name: str, connection_id: str, after: int) -> Job:
        """Start a sync exactly once: whenever the answer leaves it open, look for a job that is newer than `after`."""
        for attempt in range(self.request_max_retries + 1):
            try:
                job = self._ask(
                    "POST",
                    f"{self.rest_api_base_url}/jobs",
                    data={"connectionId": connection_id, "jobType": SYNC},
                    expects=("jobId", "status"),
                    read=Job.of,
                    about=f"connection {connection_id}",
                    tries=1,
                )
            except (AirbyteUnavailableError, AirbyteConflictError) as error:
                wait = max(getattr(error, "wait", 0.0), self._pause(attempt))
                refused = error
            else:
                self._log.info(f"{name}: started job {job.id}")
                return job
            if wait > self.outage_limit:
                raise refused
            self._log.warning(f"{name}: the start is not confirmed ({refused}); looking for the job it may have begun")
            self._waits(wait)
            for job in self._listed_again(name, connection_id):
                if job.kind == SYNC and (job.id > after or not job.ended):
                    return self._attached(name, job, "is there, so the sync was begun")
        raise refused

    def _listed_again(self, name: str, connection_id: str) -> list[Job]:
        try:
            return self.newest_jobs(connection_id)
        except AirbyteError as error:
            raise AirbyteError(
                f"{error} Whether the sync of {name} was begun is not known: if it was, the next run attaches to it.",
                error.failure_type,
            ) from None

    def _attached(self, name: str, job: Job, why: str) -> Job:
        if why.startswith("was") and not self.poll_previous_running_sync:
            raise AirbyteError(
                f"Expected no sync of {name} under way, but job {job.id} is {job.status}, and "
                "poll_previous_running_sync is off. Wait for it to end, or leave that setting on.",
                "config_error",
            )
        self._log.info(f"{name}: job {job.id} {why} ({job.status}); following it instead of starting another")
        return job

    def _tell(self, name: str, job: Job) -> None:
        if job.status == "incomplete":
            report = self.report(job.id)
            self._log.warning(
                f"{name}: an attempt of job {job.id} failed, Airbyte will make another. "
                f"{report.reason or 'It gives no reason.'}"
            )
        elif job.status not in WAITING:
            # A state of a later API: not known to be an end, so the job is alive.
            self._log.warning(f"{name}: job {job.id} is {job.status!r}, a state unknown here; waiting on")
        else:
            self._log.info(f"{name}: job {job.id} is {job.status}")

    def _failed(self, name: str, job: Job, how: str) -> NoReturn:
        report = self.report(job.id)
        reason = report.reason or "Airbyte gave no reason through its API."
        kept = (
            "Part of the rows had landed before; streams that were not read to their end are not fresh. "
            if report.partial
            else ""
        )
        fix = (
            "Correct the connection in Airbyte, then run again."
            if report.failure_type == "config_error"
            else f"Look at job {job.id} of {name} in Airbyte, then run again."
        )
        made = f" after {report.attempts} attempts" if report.attempts > 1 else ""
        message = f"Expected Airbyte to sync {name}, but its job {job.id} {how}{made}. {reason} {kept}{fix}"
        raise AirbyteJobError(message, report.failure_type, report.streams)

    def _out_of_time(self, name: str, job: Job) -> NoReturn:
        fate = f"It was left running: {_next_run(job)}."
        if self.on_poll_timeout == CANCEL and job.kind == SYNC:
            fate = "It was cancelled." if self._cancel(job) else "Cancelling it did not work: end it in Airbyte."
        rows = f", {job.rows:,} rows so far" if job.rows is not None else ""
        within = _seconds(self.poll_timeout or 0)
        raise AirbyteError(
            f"Expected {_called(job)} of {name} to end within {within}, but it is {job.status}{rows}. {fate} "
            "Look at the job in Airbyte; if it is only slow, raise poll_timeout."
        )

    def _cancel(self, job: Job) -> bool:
        try:
            self._ask("DELETE", f"{self.rest_api_base_url}/jobs/{job.id}", read=dict, about=f"job {job.id}", tries=1)
        except AirbyteError as error:
            self._log.warning(f"job {job.id} could not be cancelled: {error}")
            return False
        return True

    def _details(self, job: Job) -> dict[str, Any]:
        details = {"jobId": job.id, "status": job.status, "jobType": job.kind, "duration": job.duration}
        details |= {"rowsSynced": job.rows, "bytesSynced": job.bytes}
        return {key: value for key, value in details.items() if value is not None}

    # Requests

    def _ask(
        self,
        method: str,
        url: str,
        *,
        read: Callable[[Mapping[str, Any]], _Read],
        data: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        signed: bool = True,
        expects: Sequence[str] = (),
        about: str = "",
        tries: int | None = None,
        outage: float | None = None,
    ) -> _Read:
        """Return what `read` makes of the server's answer, an object with the keys `expects`.

        The request is made again while that may help, also when `read` raises what an object of another shape raises
        (ValueError, KeyError, TypeError, AttributeError). `tries` bounds how often (default: `request_max_retries`
        more), or `outage` bounds how many seconds; both include the token that the request needs.
        """
        began, attempt = time.monotonic(), 0
        most = self.request_max_retries + 1 if tries is None else tries
        while True:
            answer = self._once(method, url, data, params, signed, expects, read, about)
            if not isinstance(answer, _Trouble):
                return answer
            wait = max(answer.wait, self._pause(attempt))
            attempt += 1
            away = time.monotonic() - began
            limit = self.outage_limit if outage is None else outage
            if (outage is None and attempt >= most) or away + wait > limit:
                asked = f" It asks to wait {_seconds(answer.wait)}." if answer.wait else ""
                times = f" {attempt} times in {_seconds(away)}" if attempt > 1 else ""
                raise AirbyteUnavailableError(
                    f"Expected an answer from Airbyte to {self._request(method, url)}, but{times} {answer.why}.{asked} "
                    "See whether the server is up and reachable from here.",
                    answer.wait,
                ) from None
            self._log.warning(f"{self._request(method, url)}: {answer.why}; asking again in {_seconds(wait)}")
            self._waits(wait)

    def _pause(self, attempt: int) -> float:
        # Jitter, so that many runs do not come back at the same moment.
        return min(self.request_retry_delay * 2.0**attempt, LONGEST_WAIT) * (0.75 + 0.5 * random.random())

    def _once(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        signed: bool,
        expects: Sequence[str],
        read: Callable[[Mapping[str, Any]], _Read],
        about: str,
    ) -> _Read | _Trouble:
        fresh = self._access_token_value is None
        while True:
            auth = self._auth() if signed else None
            if isinstance(auth, _Trouble):
                return auth
            response = self._send(method, url, data, params, auth)
            if isinstance(response, _Trouble):
                return response
            if response.status_code == 401 and isinstance(auth, _Bearer) and not fresh:
                # The token ended before its time, or the server has other keys since it was restarted.
                self._access_token_value = None
                fresh = True
                continue
            break
        status = response.status_code
        if status in TRANSIENT:
            return _Trouble(f"it answered {self._said(response)}", _retry_after(response))
        if status >= 300:
            self._refused(response, method, url, about, signed)
        try:
            answer = response.json()
        except ValueError:
            return _Trouble(f"what came is no JSON: {self._said(response)}")
        missing = [key for key in expects if not isinstance(answer, dict) or answer.get(key) is None]
        if missing or not isinstance(answer, dict):
            keys = self._safe(", ".join(sorted(answer)[:8])) if isinstance(answer, dict) else type(answer).__name__
            return _Trouble(f"what came lacks {', '.join(missing) or 'an object'} (it has: {keys or 'nothing'})")
        try:
            return read(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _Trouble(f"what came cannot be read: {self._safe(str(error))}")

    def _send(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        auth: AuthBase | None,
    ) -> requests.Response | _Trouble:
        try:
            # A redirect would turn a POST into a GET and carry the credentials elsewhere: it is refused.
            return requests.request(
                method,
                url,
                json=data,
                params=params,
                auth=auth,
                headers={"accept": "application/json", **self.user_agent_request_headers},
                timeout=self.request_timeout,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            message = (
                f"Expected a certificate from {_host(url)} that this machine trusts, but: {self._safe(_root(error))}. "
                "If the server has a certificate of your own authority, name that authority's file in "
                "REQUESTS_CA_BUNDLE; else correct AIRBYTE_URL."
            )
            raise AirbyteError(message, "config_error") from None
        except requests.exceptions.Timeout:
            return _Trouble(f"none came within {_seconds(self.request_timeout)}")
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            return _Trouble(f"the connection failed ({self._safe(_root(error))})")
        except requests.exceptions.RequestException as error:
            message = (
                f"Expected AIRBYTE_URL to be the address of an Airbyte server, such as https://airbyte.example.com; "
                f"{_host(url) or 'it'} cannot be asked: {self._safe(_root(error))}. Correct it."
            )
            raise AirbyteError(message, "config_error") from None

    def _auth(self) -> AuthBase | _Trouble | None:
        """Return how to sign a request.

        That no token could be had is the trouble of the request that needs it, whose limits then hold: a job is
        followed through an outage also when its token has ended by then.
        """
        if self.username and self.password:
            # As bytes: text would be taken for Latin-1, and a password that is not would crash.
            return HTTPBasicAuth(self.username.encode(), self.password.encode())
        if not (self.client_id and self.client_secret):
            return None
        if self._needs_refreshed_access_token():
            url = f"{self.rest_api_base_url}/applications/token"
            pair = {"client_id": self.client_id, "client_secret": self.client_secret}
            token = self._once("POST", url, pair, None, False, ("access_token",), _token, "")
            if isinstance(token, _Trouble):
                return replace(token, why=f"no token for it came from {self._request('POST', url)}: {token.why}")
            self._access_token_value = token
            self._access_token_timestamp = datetime.now().timestamp()
        return _Bearer(str(self._access_token_value))

    def _refused(self, response: requests.Response, method: str, url: str, about: str, signed: bool) -> NoReturn:
        request, said, status = self._request(method, url), self._said(response), response.status_code
        if status < 400:
            where = _host(response.headers.get("Location") or "")
            raise AirbyteError(
                f"Expected an answer from Airbyte to {request}, but it points to {where or 'another address'}. Set "
                "AIRBYTE_URL to the address where the server itself answers (https or http, host, path).",
                "config_error",
            )
        if status == 401 or (status in (400, 403, 422) and not signed):
            raise AirbyteError(
                f"Expected Airbyte to accept {self._credentials()}, but it answered {said} to {request}. Set them to "
                "an application or a user of this server.",
                "config_error",
            )
        if status == 403:
            raise AirbyteError(
                f"Expected {self._credentials()} to be allowed {request}, but Airbyte answered {said}. Give its owner "
                "a role in the workspace that may run syncs. What belongs to another workspace is refused so, too.",
                "config_error",
            )
        # The public API says 400 where the Configuration API says 404.
        if status == 404 or "resource-not-found" in said:
            if about:
                # A page that says 404 is of a proxy, which does not know what Airbyte has.
                gone = AirbyteError if _object(response) is None else AirbyteGoneError
                raise gone(
                    f"Expected {about} at {_host(url)}, but Airbyte answered {said} to {request}. If it was deleted or "
                    "made anew, refresh the snapshot by `python -m commands.airbyte`; if the whole server is another, "
                    "correct AIRBYTE_URL and AIRBYTE_WORKSPACE_ID.",
                    "config_error",
                )
            raise AirbyteError(
                f"Expected Airbyte's API at {_host(url)}, but it answered {said} to {request}. Set AIRBYTE_URL to the "
                "server's address without any path of the API, and AIRBYTE_WORKSPACE_ID to a workspace of it.",
                "config_error",
            )
        if status == 409:
            raise AirbyteConflictError(
                f"Expected Airbyte to do {request}, but it answered {said}. Look at what runs for {about} in Airbyte."
            )
        raise AirbyteError(
            f"Expected an answer from Airbyte to {request}, but it answered {said}. It may be of a version with "
            "another API.",
            "config_error",
        )

    def _credentials(self) -> str:
        if self.username:
            return "AIRBYTE_USERNAME and AIRBYTE_PASSWORD"
        if self.client_id:
            return "AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET"
        return "requests without credentials (AIRBYTE_AUTH is none)"

    def _request(self, method: str, url: str) -> str:
        parts = urlsplit(url)
        return f"{method} {parts.path} at {_host(url)}"

    def _said(self, response: requests.Response) -> str:
        """Return an answer in short: the status and Airbyte's own words, or how a page of something else begins."""
        body = _object(response)
        if body is not None:
            inner = body.get("data")
            words = [body.get("title"), body.get("detail"), body.get("message"), body.get("error")]
            words.append(inner.get("message") if isinstance(inner, dict) else None)
            text = ": ".join(dict.fromkeys(str(word) for word in words if word))
        else:
            kind = response.headers.get("Content-Type", "no type").split(";")[0]
            # Masked before it is cut: of half a secret nobody would know that it is one.
            start = " ".join(self._masked(response.text).split())[:PAGE_CHARS]
            text = f"{kind} that begins {start!r}"
        return self._safe(f"{response.status_code} ({text})" if text else str(response.status_code))

    def _safe(self, text: str) -> str:
        """Return a text without this client's secrets, shortened."""
        text = self._masked(text)
        return text if len(text) <= QUOTE_CHARS else f"{text[:QUOTE_CHARS]}…"

    def _masked(self, text: str) -> str:
        pairs = ((self.username, self.password), (self.client_id, self.client_secret))
        # As a header of basic authentication holds them; whether the padding is kept gives nothing away.
        headers = [b64encode(f"{name}:{secret}".encode()).decode().rstrip("=") for name, secret in pairs if secret]
        secrets = [*headers, self.client_secret, self.password, self._access_token_value]
        # The longest first, as one may be the beginning of another.
        patterns = [_echo(secret) for secret in sorted(filter(None, secrets), key=len, reverse=True)]
        # A token that is only just arriving is not known yet.
        patterns.append(r"(?<=access_token)[\s\\\"']*[:=][\s\\\"']*[^\s\\\"',&}]+")
        return re.sub("|".join(patterns), "***", text, flags=re.IGNORECASE)


def _jobs(answer: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of a JobsResponse, newest first.

    Raises:
        ValueError: it lists something else.
    """
    listed = answer["data"]
    # An empty object or text would pass for a connection without jobs, and a second sync be started.
    if not isinstance(listed, list):
        raise ValueError(f"its data is no list but {listed!r}")
    return sorted((Job.of(one) for one in listed), key=lambda job: job.id, reverse=True)


def _token(answer: Mapping[str, Any]) -> str:
    """Return the token of an answer.

    Raises:
        ValueError: it could not be sent in a header. It is not repeated: it may be a token all the same.
    """
    token = answer["access_token"]
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise ValueError("its access_token is no text that a header can hold")
    return token


def _called(job: Job) -> str:
    return f"job {job.id}" if job.kind == SYNC else f"job {job.id} ({job.kind}, not a sync of ours)"


def _next_run(job: Job) -> str:
    return "the next run attaches to it" if job.kind == SYNC else "the next run waits for its end"


def _object(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object that an answer is; None if it is something else."""
    with contextlib.suppress(ValueError):
        body = response.json()
        return body if isinstance(body, dict) else None
    return None


def _echo(secret: str) -> str:
    """Return a pattern of a text, as it is or as it is written in an address, in JSON, in HTML or by Python."""
    return "".join(char if char.isascii() and char.isalnum() else _written(char) for char in secret)


def _written(char: str) -> str:
    code = ord(char)
    forms = {
        char,
        json.dumps(char)[1:-1],
        repr(char)[1:-1],
        repr(char.encode())[2:-1],
        f"u{code:04x}",
        "".join(f"%{one:02x}" for one in char.encode()),
    }
    forms |= {html.escape(char), f"&#{code};", f"&#x{code:x};"} | ({"+"} if char == " " else set())
    # JSON within JSON has more than one backslash before a character.
    return rf"\\*(?:{'|'.join(re.escape(form) for form in sorted(forms, key=len, reverse=True))})"


def _retry_after(response: requests.Response) -> float:
    """Return the seconds that `Retry-After` asks for, as a number or a date; 0 if it does not ask."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 0.0


def _host(url: str) -> str:
    """Return scheme, host and port of an address, without credentials."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else ""


def _root(error: BaseException) -> str:
    """Return the innermost reason of a failed request, without the address that surrounds it."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", ()) else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    text = str(reason.args[-1] if getattr(reason, "args", ()) else reason)
    return re.sub(r"^<?.*?object at 0x[0-9a-f]+>?: ?", "", text) or type(reason).__name__


def _seconds(number: float) -> str:
    if number >= 7200:
        return f"{number / 3600:.1f} h"
    if number >= 120:
        return f"{number / 60:.0f} min"
    return f"{number:.3g} s" if number < 10 else f"{math.ceil(number)} s"
