"""baton as one component, for people who have a Dagster project: the fields of a company.toml as its attributes.

Inside it stays plain Python: `build_defs` gives the company to this process and returns what `definitions.py` builds.
"""

from typing import Annotated, Any

import dagster as dg


def _checked(context: dg.ResolutionContext, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with templates filled in, held to the company's model: a word for a number is refused here."""
    from resources.company import use

    filled: dict[str, Any] = context.resolve_value(fields, as_type=dict)
    use(str(filled.pop("name", "")), filled, context.resolve_source_relative_path("."))
    return filled


class BatonComponent(dg.Component, dg.Resolvable, dg.Model):
    """A company's graph: raw tables, dbt models, frames, model, predictions, and the proof that they held.

    `company` holds `name`, and the fields of a company.toml: docs/company_fields.md.
    """

    company: Annotated[dict[str, Any], dg.Resolver(_checked, model_field_type=dict)]

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return baton's definitions for the company."""
        from definitions import build_definitions

        return build_definitions()
