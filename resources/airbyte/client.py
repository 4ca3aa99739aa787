"""dagster-airbyte's client, made safe for a server that has bad days.

The inherited client cancels a live job when polling fails four times, when the job is `queued`, and starts a second one
when the answer to the first start is lost. This one never ends a job because it could not see it: it waits, honours
`Retry-After`, attaches to what runs, and says in a sentence what was expected, what came and what to do.
"""

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from dagster_airbyte.resources import AirbyteClient
from dagster_airbyte.types import AirbyteOutput
from pydantic import PrivateAttr
from requests.auth import AuthBase, HTTPBasicAuth

from resources.airbyte.answers import (
    AirbyteConflictError,
    AirbyteUnavailableError,
    Read,
    Trouble,
    host_of,
    in_short,
    in_words,
    jobs_of,
    read_answer,
    refusal,
    retry_after,
    root_of,
    token_of,
    without_secrets,
)
from resources.airbyte.jobs import SYNC, WAITING, AirbyteJobError, Job, JobReport, failure_of, report_of
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.snapshot import streams_of

LEAVE, CANCEL = "leave", "cancel"

TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0
"""Seconds between two tries, unless the server itself asks for more."""
NEWEST_JOBS = 20
QUOTE_CHARS = 300


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
            read=jobs_of,
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
        status = ""
        try:
            while not job.ended:
                now = time.monotonic()
                if self.poll_timeout is not None and now - began > self.poll_timeout:
                    self._out_of_time(name, job)
                incomplete_since = (incomplete_since or now) if job.status == "incomplete" else None
                if incomplete_since is not None and now - incomplete_since > self.incomplete_limit:
                    self._failed(name, job, f"stays incomplete for {in_words(self.incomplete_limit)}")
                if job.status != status:
                    self._tell(name, job)
                    status = job.status
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
        raise failure_of(name, job, how, self.report(job.id))

    def _out_of_time(self, name: str, job: Job) -> NoReturn:
        fate = f"It was left running: {_next_run(job)}."
        if self.on_poll_timeout == CANCEL and job.kind == SYNC:
            fate = "It was cancelled." if self._cancel(job) else "Cancelling it did not work: end it in Airbyte."
        rows = f", {job.rows:,} rows so far" if job.rows is not None else ""
        within = in_words(self.poll_timeout or 0)
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
        read: Callable[[Mapping[str, Any]], Read],
        data: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        signed: bool = True,
        expects: Sequence[str] = (),
        about: str = "",
        tries: int | None = None,
        outage: float | None = None,
    ) -> Read:
        """Return what `read` makes of the server's answer, an object with the keys `expects`.

        The request is made again while that may help, also when `read` raises what an object of another shape raises
        (ValueError, KeyError, TypeError, AttributeError). `tries` bounds how often (default: `request_max_retries`
        more), or `outage` bounds how many seconds; both include the token that the request needs.
        """
        began, attempt = time.monotonic(), 0
        most = self.request_max_retries + 1 if tries is None else tries
        while True:
            answer = self._once(method, url, data, params, signed, expects, read, about)
            if not isinstance(answer, Trouble):
                return answer
            wait = max(answer.wait, self._pause(attempt))
            attempt += 1
            away = time.monotonic() - began
            limit = self.outage_limit if outage is None else outage
            if (outage is None and attempt >= most) or away + wait > limit:
                asked = f" It asks to wait {in_words(answer.wait)}." if answer.wait else ""
                times = f" {attempt} times in {in_words(away)}" if attempt > 1 else ""
                raise AirbyteUnavailableError(
                    f"Expected an answer from Airbyte to {self._request(method, url)}, but{times} {answer.why}.{asked} "
                    "See whether the server is up and reachable from here.",
                    answer.wait,
                ) from None
            self._log.warning(f"{self._request(method, url)}: {answer.why}; asking again in {in_words(wait)}")
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
        read: Callable[[Mapping[str, Any]], Read],
        about: str,
    ) -> Read | Trouble:
        fresh = self._access_token_value is None
        while True:
            auth = self._auth() if signed else None
            if isinstance(auth, Trouble):
                return auth
            response = self._send(method, url, data, params, auth)
            if isinstance(response, Trouble):
                return response
            if response.status_code == 401 and isinstance(auth, _Bearer) and not fresh:
                # The token ended before its time, or the server has other keys since it was restarted.
                self._access_token_value = None
                fresh = True
                continue
            break
        status = response.status_code
        if status in TRANSIENT:
            return Trouble(f"it answered {self._short(response)}", retry_after(response))
        if status >= 300:
            request, answered = self._request(method, url), self._short(response)
            raise refusal(response, request, answered, host_of(url), self._credentials(), about=about, signed=signed)
        return read_answer(response, expects, read, self._short, self._safe)

    def _send(
        self,
        method: str,
        url: str,
        data: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        auth: AuthBase | None,
    ) -> requests.Response | Trouble:
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
                f"Expected a certificate from {host_of(url)} that this machine trusts, but: "
                f"{self._safe(root_of(error))}. If the server has a certificate of your own authority, name that "
                "authority's file in REQUESTS_CA_BUNDLE; else correct AIRBYTE_URL."
            )
            raise AirbyteError(message, "config_error") from None
        except requests.exceptions.Timeout:
            return Trouble(f"none came within {in_words(self.request_timeout)}")
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            return Trouble(f"the connection failed ({self._safe(root_of(error))})")
        except requests.exceptions.RequestException as error:
            message = (
                f"Expected AIRBYTE_URL to be the address of an Airbyte server, such as https://airbyte.example.com; "
                f"{host_of(url) or 'it'} cannot be asked: {self._safe(root_of(error))}. Correct it."
            )
            raise AirbyteError(message, "config_error") from None

    def _auth(self) -> AuthBase | Trouble | None:
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
            token = self._once("POST", url, pair, None, False, ("access_token",), token_of, "")
            if isinstance(token, Trouble):
                return replace(token, why=f"no token for it came from {self._request('POST', url)}: {token.why}")
            self._access_token_value = token
            self._access_token_timestamp = datetime.now().timestamp()
        return _Bearer(str(self._access_token_value))

    def _credentials(self) -> str:
        if self.username:
            return "AIRBYTE_USERNAME and AIRBYTE_PASSWORD"
        if self.client_id:
            return "AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET"
        return "requests without credentials (AIRBYTE_AUTH is none)"

    def _request(self, method: str, url: str) -> str:
        parts = urlsplit(url)
        return f"{method} {parts.path} at {host_of(url)}"

    def _short(self, response: requests.Response) -> str:
        """Return an answer in short, without this client's secrets."""
        return self._safe(in_short(response, self._masked))

    def _safe(self, text: str) -> str:
        """Return a text without this client's secrets, shortened."""
        text = self._masked(text)
        return text if len(text) <= QUOTE_CHARS else f"{text[:QUOTE_CHARS]}…"

    def _masked(self, text: str) -> str:
        pairs = ((self.username, self.password), (self.client_id, self.client_secret))
        return without_secrets(text, pairs, self._access_token_value)


def _called(job: Job) -> str:
    return f"job {job.id}" if job.kind == SYNC else f"job {job.id} ({job.kind}, not a sync of ours)"


def _next_run(job: Job) -> str:
    return "the next run attaches to it" if job.kind == SYNC else "the next run waits for its end"
