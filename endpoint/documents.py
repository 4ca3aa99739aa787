"""What the endpoint says of itself in its OpenAPI document."""

from typing import Any

ABOUT = (
    "Scores of customers, each with the version of the model that gave it, until when that had learned, and how old "
    "the features are. `status` is `fresh` or `stale`; what cannot be answered has an `error` in a sentence."
)

_ABOUT = {
    "model_version": {"type": ["integer", "null"]},
    "trained_through": {
        "type": ["string", "null"],
        "format": "date",
        "description": "Newest cutoff it learned from.",
    },
    "cutoff": {"type": ["string", "null"], "format": "date", "description": "As of which Monday the features are."},
    "published_at": {"type": "string", "format": "date-time"},
}

_REASONS = {"type": "array", "items": {"type": "string"}, "description": "What raises the score most; may be empty."}

_ERROR = {
    "type": "object",
    "required": ["status", "error"],
    "properties": {"status": {"type": "string"}, "error": {"type": "string", "description": "What, and what to do."}},
}


def _answer(about: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": {**properties, **_ABOUT}}
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _trouble(about: str) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": _ERROR}}}


TROUBLE: dict[int | str, dict[str, Any]] = {503: _trouble("Nothing was published yet, or it cannot be read.")}

CUSTOMER: dict[int | str, dict[str, Any]] = {
    200: _answer(
        "The newest score.",
        {
            "customer_id": {"type": "string"},
            "status": {"enum": ["fresh", "stale"]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "reasons": _REASONS,
            "features_age_days": {"type": ["integer", "null"]},
        },
        ["customer_id", "status", "score", "model_version", "cutoff"],
    ),
    404: _trouble("Nobody is scored by that name."),
    409: _trouble("What is known is too old, where the endpoint is set to refuse that."),
    **TROUBLE,
}

SCORED: dict[int | str, dict[str, Any]] = {
    200: _answer(
        "An answer for each vector, in their order.",
        {
            "rows": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "reasons": _REASONS,
                        "warnings": {"type": "array", "items": {"type": "string"}},
                        "errors": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Then no score.",
                        },
                    },
                },
            }
        },
        ["rows", "model_version"],
    ),
    400: _trouble("No JSON, or no list of vectors."),
    413: _trouble("Too large."),
    **TROUBLE,
}

VECTORS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["rows"],
                    "properties": {
                        "rows": {
                            "type": "array",
                            "items": {"type": "object", "additionalProperties": {"type": ["number", "null", "string"]}},
                        }
                    },
                }
            }
        },
    }
}
