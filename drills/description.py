"""Does a description mean what is there? Whatever a fault names is held against the graph and the SQL, before it runs.

A sandbox that cannot build a table is a morning on which the graph failed, which a judgement is right to notice. So a
slip of the pen must not look like one. All mistakes are told at once.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from drills.faults import Fault
from ml_models.monitoring.types import Perturbation
from resources.sandbox import Sandbox, SandboxError


class DescriptionError(ValueError):
    """A fault names what there is not; the message holds every mistake, one a line."""


def refuse_mistakes(
    fault: Fault,
    sandbox: Sandbox,
    lineage: Mapping[str, Sequence[str]],
    owners: Mapping[str, str],
    start: date,
    end: date,
) -> None:
    """Hold a fault that begins on `start` against the graph (`lineage`, `owners`) and the SQL of its tables.

    Raises:
        DescriptionError: something that it names is not there.
    """
    assets = set(lineage) | set(owners)
    found = [
        f"`first_bad_asset` names {asset}, which is no asset of the graph.{_meant(asset, assets)}"
        for asset in fault.expected.first_bad_asset
        if asset not in assets
    ]
    owner, teams = fault.expected.owner, set(owners.values())
    if owner and owner not in teams:
        found.append(f"`owner` names {owner}, who owns no asset. There are {', '.join(sorted(teams))}.")
    found += _mistakes_in_sql(fault.on(start), sandbox, end)
    if found:
        listed = "".join(f"\n- {one}" for one in found)
        raise DescriptionError(f"{fault.name} names what there is not:{listed}\nNothing was drilled.")


def _mistakes_in_sql(perturbations: Sequence[Perturbation], sandbox: Sandbox, end: date) -> list[str]:
    """Make each perturbation once, after those of its table that could be made; return what went wrong."""
    found: list[str] = []
    made: list[Perturbation] = []
    for number, one in enumerate(perturbations, start=1):
        # Of its own table only: what a broken input does to a model further down is no mistake of the description.
        before = [other for other in made if other.table == one.table]
        raw = one.table.startswith("raw/")
        try:
            with sandbox.scenario(
                [*before, one],
                until=end,
                first_day=end - timedelta(days=7) if raw else None,
                cutoffs=None if raw else [end],
                build=[] if raw else [one.table],
            ):
                made.append(one)
        except (SandboxError, ValueError) as error:
            found.append(f"perturbation {number}, `{one.operation}` of {one.table}: {error}")
    return found


def _meant(name: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
