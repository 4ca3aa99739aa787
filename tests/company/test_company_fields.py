"""The page of fields and the JSON schema say what the model says."""

import json
import tomllib

import jsonschema
import pytest

from resources.company.choice import BUNDLED, FILE, folder_of
from tools.company_fields import PAGE, ROOT, SCHEMA, TABLES_PAGE, page, schema, tables_page


def test_the_page_and_the_schema_are_what_the_model_says():
    assert (ROOT / PAGE).read_text() == page(), "Write it anew: python -m tools.company_fields"
    assert (ROOT / SCHEMA).read_text() == schema(), "Write it anew: python -m tools.company_fields"
    assert (ROOT / TABLES_PAGE).read_text() == tables_page(), "Write it anew: python -m tools.company_fields"


def plain(value):
    """Return a file's content as JSON would have it."""
    return json.loads(json.dumps(value, default=lambda one: one.isoformat()))


def test_the_bundled_company_keeps_the_schema_and_an_unknown_field_does_not():
    file = plain(tomllib.loads((folder_of(BUNDLED) / FILE).read_text()))
    jsonschema.validate(file, json.loads(schema()))
    with pytest.raises(jsonschema.ValidationError, match="horizont_days"):
        jsonschema.validate({**file, "question": {"horizont_days": 3}}, json.loads(schema()))
