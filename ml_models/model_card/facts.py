"""What has to be known of a version before its card can be written. Whoever gathers it says where it is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ml_models.problems.contract import Problem


@dataclass(frozen=True)
class Promotion:
    """A row of `training.champion`: which version began to serve when, and why; `run_id` None: a person's command."""

    version: int
    at: date
    reason: str
    run_id: str | None


@dataclass(frozen=True)
class Company:
    """What the company says: its name, the raw tables that it gave, its teams by role, and its own sentences.

    `tables`: name of a raw table, and how it comes. `own`: sentences by key of a section (`purpose`, `out_of_scope`,
    `data`, `limits`). `file`: where all of it is read from.
    """

    title: str
    tables: tuple[tuple[str, str], ...]
    attributes: tuple[str, ...]
    owners: Mapping[str, tuple[str, str]]
    own: Mapping[str, tuple[str, ...]]
    file: str


@dataclass(frozen=True)
class Before:
    """The version before, and its evidence; `why_none` says why there is none to compare with."""

    version: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    why_none: str = ""


@dataclass(frozen=True)
class CardFacts:
    """Everything about one version.

    `evidence`: what was measured when it was trained (`training.evidence`); `unreadable`: why that cannot be read.
    `promotions`: of all versions, oldest first; `serving`: the champion's number. `held`: cutoffs that it learned from
    and that the ledger now holds to be bad. `weeks`: rows of `monitoring.why` of the weeks in which it served, joined
    to the ledger's `override_of`, oldest first. `live`: rows of `marts.accuracy_over_time` of its live predictions,
    oldest first. `signature`: in words; empty: it has none.
    """

    problem: Problem
    company: Company
    model: str
    version: int
    algorithm: str
    trained_through: date
    fingerprint: str
    address: str
    evidence: Mapping[str, Any]
    unreadable: str
    signature: str
    promotions: tuple[Promotion, ...]
    serving: int | None
    rolled_back: str
    before: Before
    held: tuple[date, ...]
    weeks: tuple[Mapping[str, Any], ...]
    live: tuple[Mapping[str, Any], ...]

    @property
    def served(self) -> tuple[Promotion, ...]:
        """When it was made the champion, oldest first."""
        return tuple(one for one in self.promotions if one.version == self.version)

    @property
    def gates(self) -> list[Mapping[str, Any]]:
        """The gate's verdicts."""
        return list(self.evidence.get("gates", ()))

    @property
    def failed(self) -> list[str]:
        """The names of the gates that it failed."""
        return [gate["name"] for gate in self.gates if not gate["passed"]]

    @property
    def evidence_file(self) -> str:
        """How the source of what was measured is named."""
        return f"evidence.json of version {self.version} in MLflow"

    def unrecorded(self, what: str) -> str:
        """Return why a fact of the training is not there, where nobody could have recorded it; empty otherwise."""
        if self.unreadable:
            return ""
        return (
            ""
            if "format" in self.evidence
            else f"An earlier release registered this version and did not record {what}. The next training does."
        )
