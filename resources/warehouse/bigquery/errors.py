"""What goes wrong with BigQuery, said in sentences: what was expected, what came, what to do.

Google's exceptions name a status and a reason; some carry requests, tokens or pages of text. Only their first
sentence is repeated, without anything that looks like a secret.
"""

import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resources.secrets import masked
from resources.warehouse.contract import WarehouseError

UNCHANGED = "Nothing was changed."

_REQUEST = re.compile(r"^(?:\d{3} )?(?:GET|POST|PUT|PATCH|DELETE) \S+: ")


class ChangedTableError(WarehouseError):
    """Somebody else changed the table in the meantime; what was asked for was not done."""


class JobTimeoutError(Exception):
    """A job did not end in time and was cancelled."""

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(f"its job {job_id} did not end within {seconds:,.0f} s and was cancelled")


class UnseenError(Exception):
    """What was sent to BigQuery may have been done or not: `cause` came in between, and its end was not seen.

    `job_id` is None where not even the answer to the start came.
    """

    def __init__(self, job_id: str | None, cause: Exception) -> None:
        super().__init__(str(cause))
        self.job_id, self.cause = job_id, cause


@contextlib.contextmanager
def in_sentences(what: str, project: str, location: str, *, unchanged: str = UNCHANGED) -> Iterator[None]:
    """Turn whatever Google's client raises into a WarehouseError that a person can act on.

    `what` was being done ("reading features.cutoffs"), `unchanged` says what became of the tables.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except UnseenError as error:
        job = f"job {error.job_id}" if error.job_id else "the newest jobs"
        unknown = (
            f"Whether it was done is not known: look at {job} in project {project}, and run again; doing it twice "
            "comes to the same."
        )
        raise _translated(error.cause, what, project, location, unknown) from None
    except (GoogleAuthError, GoogleAPIError, RequestException, JobTimeoutError) as error:
        raise _translated(error, what, project, location, unchanged) from None
    except OSError as error:
        raise WarehouseError(
            f"Expected a file or a connection that is needed for {what}, but: {message_of(error)} Look at the path and "
            f"who may read it. {unchanged}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The client takes for granted that an answer is BigQuery's.
        raise _garbage(error, what, unchanged) from None


def is_conflict(error: Exception) -> bool:
    """Tell whether a statement failed because another one changed the table at the same time."""
    text = str(error).lower()
    return "concurrent update" in text or "could not serialize" in text or "transaction is aborted" in text


def reason_of(error: Exception) -> str:
    """Return BigQuery's own word for what went wrong, such as `quotaExceeded`; empty if it gave none."""
    errors: Any = getattr(error, "errors", None)
    first = errors[0] if isinstance(errors, list | tuple) and errors else {}
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def message_of(error: Exception, most: int = 300) -> str:
    """Return the first line of Google's message, without the request and without secrets."""
    errors: Any = getattr(error, "errors", None)
    first = errors[0] if isinstance(errors, list | tuple) and errors else {}
    message = first.get("message") if isinstance(first, dict) else None
    # Google's authentication puts what it said first and the error behind it second.
    spoken = error.args[0] if len(error.args) > 1 and isinstance(error.args[0], str) else error
    text = _REQUEST.sub("", str(message or getattr(error, "message", None) or spoken)).strip()
    text = masked(text).splitlines()[0] if text else type(error).__name__
    return (text if len(text) <= most else text[:most] + " …").rstrip(".") + "."


def _translated(error: Exception, what: str, project: str, location: str, unchanged: str) -> WarehouseError:
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from requests import exceptions as web

    if isinstance(error, JobTimeoutError):
        return WarehouseError(
            f"Expected BigQuery to be done with {what} in time, but {error}. Look at the project's jobs and at what it "
            f"waits for, and run again. {unchanged}"
        )
    cause = error
    while isinstance(cause, api.RetryError | auth.TransportError) and _within(cause) is not None:
        cause = _within(cause)  # type: ignore[assignment]
    if isinstance(cause, web.SSLError) or _untrusted(str(cause)):
        return WarehouseError(
            f"Expected BigQuery's certificate while {what}, but the one that came is not trusted. Behind a proxy that "
            "opens encrypted traffic, name its certificate authority's file in REQUESTS_CA_BUNDLE and, for frames that "
            f"come through gRPC, in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH; otherwise look at who answers. {unchanged}"
        )
    if isinstance(cause, web.InvalidJSONError):
        return _garbage(cause, what, unchanged)
    if isinstance(cause, auth.DefaultCredentialsError) and not isinstance(cause, auth.InvalidOperation):
        file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        if file:
            return WarehouseError(
                f"Expected GOOGLE_APPLICATION_CREDENTIALS to be the path of a key file while {what}, but {file} "
                f"is none: {message_of(cause)} Correct the path or get the file again. {unchanged}"
            )
        return WarehouseError(
            f"Expected credentials for Google Cloud while {what}, and found none. On Google's machines attach a "
            "service account; elsewhere set GOOGLE_APPLICATION_CREDENTIALS to the path of a key file, or run "
            f"`gcloud auth application-default login`. {unchanged}"
        )
    if isinstance(cause, auth.GoogleAuthError) and not isinstance(cause, auth.TransportError):
        return WarehouseError(
            f"Expected valid credentials for Google Cloud while {what}, but Google refused them. They expired, were "
            f"revoked, or their clock is wrong: make new ones. {unchanged}"
        )
    if isinstance(cause, api.GoogleAPICallError):
        return _answered(cause, what, project, location, unchanged)
    return WarehouseError(
        f"Expected BigQuery to answer while {what}, but it could not be reached: {message_of(cause)} Look at the "
        f"network, and run again. {unchanged}"
    )


def _garbage(error: Exception, what: str, unchanged: str) -> WarehouseError:
    # Where, but no values: an answer may hold anything.
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in last)
    return WarehouseError(
        f"Expected an answer of BigQuery while {what}, but what came cannot be read as one ({type(error).__name__}"
        f"{where}). Is a proxy or another program answering in its place? {unchanged}"
    )


def _untrusted(text: str) -> bool:
    """Tell whether a text says that a certificate was refused: OpenSSL spells it with spaces, gRPC as a constant."""
    return "certificate verify failed" in text.lower().replace("_", " ")


def _within(error: Exception) -> Exception | None:
    inner: Any = getattr(error, "cause", None) or error.__cause__
    if inner is None and error.args and isinstance(error.args[0], Exception):
        inner = error.args[0]
    return inner if isinstance(inner, Exception) else None


def _answered(error: Any, what: str, project: str, location: str, unchanged: str) -> WarehouseError:
    """Translate an answer with an error status."""
    from google.api_core import exceptions as api

    reason, message = reason_of(error), message_of(error)
    lower = message.lower()
    if is_conflict(error):
        return ChangedTableError(
            f"Expected to be alone with the table while {what}, but another job changed it at the same time: {message} "
            f"Let that job end and run again. {unchanged}"
        )
    if reason == "bytesBilledLimitExceeded" or "limit for bytes billed" in lower:
        return WarehouseError(
            f"Expected {what} to stay within the limit of bytes, but BigQuery would bill more: {message} If that is "
            f"meant, raise BATON_BIGQUERY_MAX_BYTES; if not, look at what is scanned. {unchanged}"
        )
    if reason in {"quotaExceeded", "rateLimitExceeded"} or isinstance(error, api.TooManyRequests):
        return WarehouseError(
            f"Expected BigQuery to have room for {what}, but a quota of project {project} is used up: {message} Wait "
            f"until it is renewed, or ask for more on the project's quota page. {unchanged}"
        )
    if reason == "billingNotEnabled":
        return WarehouseError(
            f"Expected project {project} to have billing, but {what} was refused: {message} Link a billing account to "
            f"the project. {unchanged}"
        )
    if isinstance(error, api.Unauthorized):
        return WarehouseError(
            f"Expected valid credentials while {what}, but BigQuery does not know who asks (401). Make new ones, or "
            f"attach the service account. {unchanged}"
        )
    if isinstance(error, api.Forbidden):
        return WarehouseError(
            f"Expected permission for {what} in project {project}, but BigQuery refused it: {message} Give the account "
            "roles/bigquery.jobUser and roles/bigquery.readSessionUser on the project and roles/bigquery.dataEditor on "
            f"the datasets. {unchanged}"
        )
    if isinstance(error, api.NotFound):
        return WarehouseError(
            f"Expected to find what is needed for {what} in project {project}, location {location}, but: {message} "
            "Either what makes it has not run yet, or it is in another project or location: then correct "
            f"BATON_BIGQUERY_PROJECT or BATON_BIGQUERY_LOCATION. {unchanged}"
        )
    if "location" in lower or "region" in lower:
        return WarehouseError(
            f"Expected every dataset in location {location} while {what}, but: {message} A dataset cannot move: set "
            f"BATON_BIGQUERY_LOCATION to where it is, or name another dataset. {unchanged}"
        )
    if isinstance(error, api.ServerError):
        return WarehouseError(
            f"Expected an answer of BigQuery while {what}, but it has trouble of its own ({error.code}): {message} It "
            f"was asked again for a while; run again later. {unchanged}"
        )
    return WarehouseError(f"Expected BigQuery to accept {what}, but it answered: {message} {unchanged}")
