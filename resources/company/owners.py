"""The company's teams in the prepared dbt project: its files name the default ones, a company may have others."""

import re
from pathlib import Path

from resources.company.model import Company, Owners


def name_owners(project: Path, company: Company) -> None:
    """Write the company's teams in the place of the default ones, in all .yml files of a prepared project."""
    named = {str(field.default): str(getattr(company.owners, role)) for role, field in Owners.model_fields.items()}
    if all(default == team for default, team in named.items()):
        return
    # All at once: one team's new name may be another's old one.
    default = re.compile("|".join(rf"{re.escape(team)}(?![\w.-])" for team in named))
    for file in project.rglob("*.yml"):
        text = file.read_text(encoding="utf-8")
        written = default.sub(lambda found: named[found.group()], text)
        if written != text:
            file.write_text(written, encoding="utf-8")
