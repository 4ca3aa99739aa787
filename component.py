"""baton as one component, for people who have a Dagster project: the fields of a company.toml as its attributes.

Inside it stays plain Python: the company is given to this process, and what `definitions.py` builds comes back.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

from resources.company import Company
from resources.company.choice import use


def definitions_for(
    name: str, fields: Mapping[str, Any], folder: Path, *, beside: Path | None = None, where: str = ""
) -> dg.Definitions:
    """Return baton's definitions for a company that is given as the fields of a company.toml: see `use`.

    Raises:
        CompanyError: a field is not what it must be, or this process works for another company already.
    """
    use(name, fields, folder, beside=beside, where=where)
    # Not before: the graph is built when the module loads, and for the company that is in use then.
    from definitions import defs

    return defs


class Attributes(dg.Model):
    """The fields of a company.toml. What they hold is judged by `use`, in sentences; editors are told their schema."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of a company's file, which `dg check yaml` and editors ask for."""
        del core_schema
        return handler(Company.__pydantic_core_schema__)


class BatonComponent(dg.Component):
    """A company's graph: raw tables, dbt models, frames, model, predictions, and the proof that they held.

    The attributes are the fields of a company.toml: docs/company_fields.md. As companies/<name>/ does, the component's
    folder names the company; relative paths begin there, and a `staging/` in it is the company's own.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    @classmethod
    def get_model_cls(cls) -> type[Attributes]:
        """Return what holds the attributes."""
        return Attributes

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "BatonComponent":
        """Return the component, with templates such as `{{ env.SHOP_ORDERS }}` filled in."""
        fields = attributes.model_dump() if attributes else {}
        return cls(context.resolution_context.at_path("attributes").resolve_value(fields, as_type=dict))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return baton's definitions for the company; its home is made in the project's root."""
        root = context.project_root
        where = context.path.relative_to(root) / "defs.yaml"
        return definitions_for(context.path.name, self.fields, context.path, beside=root, where=str(where))
