"""BigQuery's functions on loopback: datasets, routines, queries, as Google's discovery document describes them.

Every request and every answer is held against that document; what does not fit is kept in `invalid`. Every statement
goes through Google's analyzer, which also says what function it makes; a query is run by Google's reference
implementation of the language, in which a function calls what is published here at that moment. What is not there:
everything else that BigQuery does, and its limits.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from contracts.bigquery.discovery import Method, against, method_of
from contracts.bigquery.loopback import Answer, answering
from environments.analyzer import GoogleSQL

LOCATION = "EU"

PAGE = 2
"""Routines on one page of a list: few, so that more pages are asked for."""

SENT_ANYWAY = {"bigquery.jobs.get": {"projection"}}
"""What Google's own client sends and the document does not have."""

LISTED = ("etag", "routineReference", "routineType", "creationTime", "lastModifiedTime", "language")
"""What a list says of a routine; its body is only in `routines.get`."""


class RefusedError(Exception):
    """An error as the interface gives it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def body(self) -> dict[str, Any]:
        about = {"reason": self.reason, "message": self.message, "domain": "global"}
        return {"error": {"code": self.status, "message": self.message, "errors": [about], "status": "REFUSED"}}

    def proto(self) -> dict[str, str]:
        """Return it as a job has it."""
        return {"reason": self.reason, "message": self.message}


class FunctionsService:
    """One project whose tables are given; use it by `serving`.

    `denied` are routines (`scoring.lapse_champion`) that the caller may not change; `miscomputed` are those that say
    something else than their text.
    """

    def __init__(
        self,
        language: GoogleSQL,
        project: str,
        tables: Mapping[str, Mapping[str, str]],
        rows: Mapping[str, Sequence[Sequence[Any]]],
    ) -> None:
        self.language, self.project = language, project
        self.tables = {**tables, **{f"{project}.{name}": columns for name, columns in tables.items()}}
        self.contents = {**rows, **{f"{project}.{name}": cells for name, cells in rows.items()}}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.routines: dict[tuple[str, str], dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.denied: set[str] = set()
        self.miscomputed: set[str] = set()
        self.statements: list[str] = []
        self.called: list[str] = []
        self.invalid: list[str] = []
        self.clock = 1_700_000_000_000
        self.lock = threading.Lock()

    # Requests

    def answer(self, verb: str, target: str, body: Any) -> tuple[int, Any]:
        """Return status and body for a request, both held against the discovery document."""
        parts = urlsplit(target)
        method = method_of(verb, parts.path)
        if method is None:
            self.invalid.append(f"There is no method {verb} {parts.path}")
            return 404, RefusedError(404, "notFound", "Not found").body()
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        known = method.parameters.keys() | SENT_ANYWAY.get(method.id, set())
        self.invalid += [f"{method.id} has no parameter {name}" for name in query if name not in known]
        if method.request:
            self.invalid += [f"asked {method.id}: {one}" for one in against(method.request, body)]
        self.called.append(method.id.removeprefix("bigquery."))
        try:
            found = self.handle(method, query, body)
        except RefusedError as refusal:
            self.invalid += against("ErrorProto", refusal.proto())
            return refusal.status, refusal.body()
        if method.response is None:
            return 204, None
        self.invalid += [f"answered {method.id}: {one}" for one in against(method.response, found)]
        return 200, found

    def handle(self, method: Method, query: Mapping[str, str], body: Any) -> Any:
        """Do what a method does."""
        given = method.arguments
        if given["projectId"] != self.project:
            raise RefusedError(404, "notFound", f"Not found: Project {given['projectId']}")
        match method.id.removeprefix("bigquery."):
            case "datasets.insert":
                return self.make_dataset(body)
            case "datasets.get":
                return self.dataset(given["datasetId"])
            case "routines.list":
                return self.list_routines(given["datasetId"], query)
            case "routines.insert":
                return self.insert(given["datasetId"], body)
            case "routines.get":
                return self.routine(given["datasetId"], given["routineId"])
            case "routines.delete":
                self.routine(given["datasetId"], given["routineId"])
                self.may_change(given["datasetId"], given["routineId"], "delete")
                del self.routines[given["datasetId"], given["routineId"]]
                return None
            case "jobs.insert":
                job = self.start(body["jobReference"]["jobId"], body["configuration"])
                # As a job is: begun now, ended when somebody asks again.
                return {**job["resource"], "status": {"state": "RUNNING"}}
            case "jobs.get":
                return self.job(given["jobId"])["resource"]
            case "jobs.getQueryResults":
                return self.results("bigquery#getQueryResultsResponse", given["jobId"])
            case "jobs.query":
                number = f"query_{len(self.jobs)}"
                self.start(number, {"query": {"query": body["query"], "useLegacySql": body.get("useLegacySql", True)}})
                return self.results("bigquery#queryResponse", number)
            case other:
                raise RefusedError(501, "notImplemented", f"{other} is not answered here")

    # Datasets and routines

    def make_dataset(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["datasetReference"]["datasetId"]
        if name in self.datasets:
            raise RefusedError(409, "duplicate", f"Already Exists: Dataset {self.project}:{name}")
        self.datasets[name] = {**body, "kind": "bigquery#dataset", "id": f"{self.project}:{name}"}
        return self.datasets[name]

    def dataset(self, name: str) -> dict[str, Any]:
        if name not in self.datasets:
            raise RefusedError(404, "notFound", f"Not found: Dataset {self.project}:{name}")
        return self.datasets[name]

    def list_routines(self, dataset: str, query: Mapping[str, str]) -> dict[str, Any]:
        self.dataset(dataset)
        every = [about for (schema, _), about in sorted(self.routines.items()) if schema == dataset]
        first = int(query.get("pageToken", 0))
        page = every[first : first + PAGE]
        listed: dict[str, Any] = {"routines": [{name: one[name] for name in LISTED} for one in page]}
        return listed | ({"nextPageToken": str(first + PAGE)} if first + PAGE < len(every) else {})

    def routine(self, dataset: str, name: str) -> dict[str, Any]:
        self.dataset(dataset)
        if (dataset, name) not in self.routines:
            raise RefusedError(404, "notFound", f"Not found: Routine {self.project}:{dataset}.{name}")
        return self.routines[dataset, name]

    def may_change(self, dataset: str, name: str, how: str) -> None:
        if f"{dataset}.{name}" in self.denied:
            raise RefusedError(
                403,
                "accessDenied",
                f"Access Denied: Routine {self.project}:{dataset}.{name}: Permission bigquery.routines.{how} denied on "
                f"routine {self.project}:{dataset}.{name} (or it may not exist).",
            )

    def insert(self, dataset: str, body: dict[str, Any]) -> dict[str, Any]:
        self.dataset(dataset)
        name = body["routineReference"]["routineId"]
        if (dataset, name) in self.routines:
            raise RefusedError(409, "duplicate", f"Already Exists: Routine {self.project}:{dataset}.{name}")
        self.may_change(dataset, name, "create")
        return self.keep(dataset, name, body)

    def keep(self, dataset: str, name: str, about: dict[str, Any]) -> dict[str, Any]:
        self.clock += 1000
        before = self.routines.get((dataset, name), {})
        self.routines[dataset, name] = {
            **about,
            "routineReference": {"projectId": self.project, "datasetId": dataset, "routineId": name},
            "etag": f"etag-{self.clock}",
            "creationTime": before.get("creationTime", str(self.clock)),
            "lastModifiedTime": str(self.clock),
        }
        return self.routines[dataset, name]

    # Queries

    def start(self, number: str, configuration: dict[str, Any]) -> dict[str, Any]:
        """Do what a query says, now; a failure is kept with the job."""
        refusal, done = None, {}
        try:
            done = self.execute(configuration["query"])
        except RefusedError as raised:
            refusal = raised
        reference = {"projectId": self.project, "jobId": number, "location": LOCATION}
        failed = {"errorResult": refusal.proto(), "errors": [refusal.proto()]} if refusal else {}
        statistics = {"statementType": done["type"], "totalBytesBilled": "0"} if done else {}
        times = {"creationTime": str(self.clock), "startTime": str(self.clock), "endTime": str(self.clock)}
        job = {
            "resource": {
                "kind": "bigquery#job",
                "id": f"{self.project}:{LOCATION}.{number}",
                "jobReference": reference,
                "configuration": {**configuration, "jobType": "QUERY"},
                "status": {"state": "DONE", **failed},
                "statistics": {**times, "query": statistics},
            },
            "refusal": refusal,
            "done": done,
        }
        self.invalid += [f"a job: {one}" for one in against("Job", job["resource"])]
        self.jobs[number] = job
        return job

    def job(self, number: str) -> dict[str, Any]:
        if number not in self.jobs:
            raise RefusedError(404, "notFound", f"Not found: Job {self.project}:{number}")
        return self.jobs[number]

    def results(self, kind: str, number: str) -> dict[str, Any]:
        job = self.job(number)
        if job["refusal"]:
            raise job["refusal"]
        done, reference = job["done"], job["resource"]["jobReference"]
        fields = [{"name": name, "type": kind_of, "mode": "NULLABLE"} for name, kind_of in done.get("columns", [])]
        found = {"kind": kind, "jobComplete": True, "jobReference": reference, "schema": {"fields": fields}}
        if "rows" in done:
            cells = [{"f": [{"v": _text(value)} for value in row]} for row in done["rows"]]
            found |= {"rows": cells, "totalRows": str(len(cells))}
        return found | {"totalBytesProcessed": "0", "cacheHit": False}

    def execute(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Run one statement; return its type, and columns and rows if it has them."""
        statement = query["query"]
        self.statements.append(statement)
        if query.get("useLegacySql", True):
            raise RefusedError(400, "invalidQuery", "The statement is not legacy SQL")
        published = {}
        for (dataset, name), about in self.routines.items():
            body = about["definitionBody"]
            if f"{dataset}.{name}" in self.miscomputed:
                body = f"({body}) * 0.999"
            function = {"argument": about["arguments"][0]["name"], "body": body}
            published |= {f"{dataset}.{name}": function, f"{self.project}.{dataset}.{name}": function}
        asked = {"tables": self.tables, "functions": published}
        said = self.language.ask(**asked, define=statement)
        if "error" in said:
            raise RefusedError(400, "invalidQuery", said["error"])
        if said["defined"] is None:
            found = self.language.ask(**asked, query=statement, rows=self.contents)
            if "error" in found:
                raise RefusedError(400, "invalidQuery", found["error"])
            return {"type": "SELECT", "columns": found["columns"], "rows": found["rows"]}
        self.define(said["defined"])
        return {"type": "CREATE_FUNCTION"}

    def define(self, made: Mapping[str, Any]) -> None:
        project, dataset, name = made["name"]
        if project != self.project:
            raise RefusedError(403, "accessDenied", f"Access Denied: Project {project}")
        self.dataset(dataset)
        there = (dataset, name) in self.routines
        if there and not made["replaces"]:
            raise RefusedError(409, "duplicate", f"Already Exists: Routine {project}:{dataset}.{name}")
        self.may_change(dataset, name, "update" if there else "create")
        self.keep(
            dataset,
            name,
            {
                "routineType": "SCALAR_FUNCTION",
                "language": "SQL",
                "arguments": [{"name": one, "argumentKind": "ANY_TYPE"} for one in made["arguments"]],
                "definitionBody": made["body"],
                "description": made["description"],
            },
        )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)


@contextlib.contextmanager
def serving(service: FunctionsService) -> Iterator[None]:
    """Serve in BigQuery's place until the block ends."""

    def answer(verb: str, target: str, body: bytes) -> Answer:
        with service.lock:
            return service.answer(verb, target, json.loads(body) if body else None)

    with answering(answer):
        yield
