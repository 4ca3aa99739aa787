"""A web shop's API on loopback: pages, a cursor, lines of each order, and now and then no answer.

`/orders?since=…&page=…` answers two orders a page, the oldest change first; `/orders/<id>/lines` the lines of one. The
faults are answered once each, when a request for their path comes for the given time.
"""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2


@dataclass
class Shop:
    """What the API knows: `orders` with id and updated_at, `faults` by (path, which time it is asked for)."""

    orders: list[dict[str, Any]]
    faults: dict[tuple[str, int], int] = field(default_factory=dict)
    asked: "Counter[str]" = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Return the status and the body for a request."""
        self.asked[path] += 1
        if fault := self.faults.get((path, self.asked[path])):
            return fault, {"error": "come again"}
        if path == "/orders":
            since, page = query.get("since", [""])[0], int(query.get("page", ["1"])[0])
            found = sorted(
                (one for one in self.orders if one["updated_at"] >= since), key=lambda one: one["updated_at"]
            )
            piece = found[(page - 1) * PAGE : page * PAGE]
            return 200, {"data": piece}
        number = int(path.split("/")[2])
        return 200, {"data": [{"line": line, "amount": number + line / 10} for line in (1, 2)]}


def serve(shop: Shop) -> ThreadingHTTPServer:
    """Serve a shop on a free port of loopback, in a thread; the caller shuts it down."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            shop.tokens.add(self.headers.get("Authorization", ""))
            status, body = shop.answer(parts.path, parse_qs(parts.query))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def manifest() -> dict[str, Any]:
    """Return the declarative source of this API."""
    requester = {
        "type": "HttpRequester",
        "url_base": "{{ config['url'] }}",
        "http_method": "GET",
        "authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"},
        "error_handler": {
            "type": "DefaultErrorHandler",
            "max_retries": 5,
            "backoff_strategies": [
                {"type": "WaitTimeFromHeader", "header": "Retry-After"},
                {"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": 1},
            ],
        },
    }
    selector = {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["data"]}}
    orders = {
        "type": "DeclarativeStream",
        "name": "orders",
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {**requester, "path": "/orders"},
            "record_selector": selector,
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "page",
                },
                "pagination_strategy": {"type": "PageIncrement", "page_size": PAGE, "start_from_page": 1},
            },
        },
        "incremental_sync": {
            "type": "DatetimeBasedCursor",
            "cursor_field": "updated_at",
            "datetime_format": "%Y-%m-%dT%H:%M:%SZ",
            "start_datetime": "2024-01-01T00:00:00Z",
            "start_time_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "since"},
        },
        "schema_loader": _schema(id="integer", updated_at="string", note="string"),
    }
    lines = {
        "type": "DeclarativeStream",
        "name": "order/lines",
        "primary_key": ["order_id", "line"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {**requester, "path": "/orders/{{ stream_partition.order_id }}/lines"},
            "record_selector": selector,
            "partition_router": {
                "type": "SubstreamPartitionRouter",
                "parent_stream_configs": [
                    {
                        "type": "ParentStreamConfig",
                        "stream": orders,
                        "parent_key": "id",
                        "partition_field": "order_id",
                    }
                ],
            },
        },
        "transformations": [
            {
                "type": "AddFields",
                "fields": [{"path": ["order_id"], "value": "{{ stream_partition['order_id'] }}"}],
            }
        ],
        "schema_loader": _schema(order_id="integer", line="integer", amount="number"),
    }
    return {
        "type": "DeclarativeSource",
        "version": "6.5.2",
        "check": {"type": "CheckStream", "stream_names": ["orders"]},
        "streams": [orders, lines],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "properties": {"url": {"type": "string"}}},
        },
    }


def _schema(**columns: str) -> dict[str, Any]:
    properties = {name: {"type": ["null", kind]} for name, kind in columns.items()}
    return {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": properties}}
