"""One company: its folder, its file, and which one this process works for."""

from resources.company.choice import CompanyError, company, load
from resources.company.model import Company

__all__ = ["Company", "CompanyError", "company", "load"]
