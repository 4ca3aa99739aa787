"""A job of BigQuery from its start to its end: started again where BigQuery broke it off, never left behind.

Its end is asked for by `jobs.get`, which tells a failed job from a failed request. `getQueryResults`, by which Google's
client waits, tells both alike: it repeats the request for ten minutes where the job should have been started again.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from resources.warehouse.bigquery.errors import JobTimeoutError, UnseenError

JOBS = 3
"""How often a job that BigQuery itself broke off is started."""

PASSING = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "rateLimitExceeded",
}
"""Why BigQuery breaks off a job that did nothing wrong, and would do it when started again."""

REQUEST_SECONDS = 120.0
"""How long one request may hang: without a limit of its own a connection that died silently would hold a run for ever,
because the limit of a repetition is looked at only between two requests."""

UPLOAD_SECONDS = (30.0, 600.0)
"""To connect, and between two answers, while rows are sent."""

CANCELLING_SECONDS = 30.0
"""How long the end of a cancelled job is waited for."""

SOONEST, LATEST = 0.1, 2.0
"""Seconds between two questions after a job's state, the first and the longest."""


def run_to_end(
    start: Callable[[], Any], *, retry: Any, seconds: float, changes: bool, pause: Callable[[int], None]
) -> Any:
    """Start a job, wait for its end and return it; start it again, up to `JOBS` times, where BigQuery broke it off.

    A job that failed has changed nothing, so that another start repeats nothing. `changes` says whether it would
    matter that a job whose end was not seen was done all the same.

    Raises:
        JobTimeoutError: it did not end within `seconds`, and was cancelled.
        UnseenError: it was sent, and whether it was done could not be found out.
        google.api_core.exceptions.GoogleAPICallError: it was refused, or failed.
    """
    for attempt in range(JOBS):
        with _unseen(None, changes=changes):
            job = start()
        _wait(job, retry=retry, seconds=seconds, changes=changes)
        if job.error_result is None:
            return job
        if job.error_result.get("reason") not in PASSING or attempt == JOBS - 1:
            break
        pause(attempt)
    raise job.exception()


def patience(wait_seconds: float) -> Callable[[int], None]:
    """Return what waits longer each time; with jitter, so that two writers do not meet again and again."""
    return lambda attempt: time.sleep(min(wait_seconds, 2**attempt * random.uniform(0.5, 1.5)))


def _wait(job: Any, *, retry: Any, seconds: float, changes: bool) -> None:
    began, pause = time.monotonic(), SOONEST
    try:
        with _unseen(job, changes=changes):
            while not job.done(retry=retry, timeout=REQUEST_SECONDS):
                left = seconds - (time.monotonic() - began)
                if left <= 0:
                    _out_of_time(job, retry, seconds)
                    return
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, LATEST)
    except Exception:
        raise
    except BaseException:
        # The run was ended from outside: nobody waits for the job any more, and it would be billed.
        with contextlib.suppress(Exception):
            job.cancel(retry=None, timeout=REQUEST_SECONDS)
        raise


def _out_of_time(job: Any, retry: Any, seconds: float) -> None:
    """Cancel a job; return if it ended well meanwhile."""
    job.cancel(retry=retry, timeout=REQUEST_SECONDS)
    until = time.monotonic() + min(seconds, CANCELLING_SECONDS)
    while not job.done(retry=retry, timeout=REQUEST_SECONDS):
        if time.monotonic() > until:
            raise UnseenError(job.job_id, JobTimeoutError(job.job_id, seconds))
        time.sleep(SOONEST)
    if job.error_result is not None:
        raise JobTimeoutError(job.job_id, seconds)


@contextlib.contextmanager
def _unseen(job: Any, *, changes: bool) -> Iterator[None]:
    """Say of a request that was made and not answered that nobody knows what became of it."""
    from google.api_core.exceptions import RetryError
    from google.auth.exceptions import TransportError
    from requests.exceptions import ConnectionError as Disconnected
    from requests.exceptions import SSLError, Timeout

    try:
        yield
    except SSLError:
        # Refused before anything was sent.
        raise
    except (RetryError, TransportError, Disconnected, Timeout) as error:
        if not changes:
            raise
        raise UnseenError(None if job is None else job.job_id, error) from None
