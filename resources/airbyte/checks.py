"""The check that a source still offers what the graph was made of: an Airbyte server, or a connector that runs here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster_airbyte import AirbyteWorkspace

from resources.airbyte.answers import AirbyteGoneError
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.raw import PlannedConnection, names_of_steps, raw_key
from resources.airbyte.server import SNAPSHOT_CHECK, RemoteAirbyteWorkspace
from resources.airbyte.snapshot import Change, OneTableError
from resources.airbyte.workspace import EmbeddedAirbyteWorkspace
from resources.company import company
from resources.figures import figures

CATALOG_CHECK = "as_in_catalog"


@dataclass(frozen=True)
class _Kept:
    """What a check compares with: its name and description, whether it blocks, what helps where something is gone."""

    check: str
    description: str
    blocking: bool
    helps: str = ""

    @property
    def as_it_was(self) -> str:
        """What the check says where nothing is gone."""
        return f"As in the {self.check.removeprefix('as_in_')}."


SNAPSHOT = _Kept(
    SNAPSHOT_CHECK,
    "Airbyte still syncs this stream, with the columns, types and key of the snapshot.",
    # dbt would fail on a column that is gone, and silently cast one that has another type.
    blocking=True,
)
CATALOG = _Kept(
    CATALOG_CHECK,
    "The source still offers this stream, with the columns, types and key of the committed catalog.",
    # The table keeps its columns, and the sync itself refuses what does not fit them.
    blocking=False,
    helps="If that is right: `.venv/bin/python -m resources.airbyte discover {name}`, and commit the catalog.",
)


def snapshot_checks(workspace: AirbyteWorkspace) -> list[dg.AssetChecksDefinition]:
    """Return a check of each raw asset: against the snapshot of a server, or against a connector's committed catalog.

    Raises:
        AirbyteError: a stream cannot be landed.
    """
    if not isinstance(workspace, RemoteAirbyteWorkspace | EmbeddedAirbyteWorkspace):
        return []
    kept = SNAPSHOT if isinstance(workspace, RemoteAirbyteWorkspace) else CATALOG
    connections: Mapping[str, PlannedConnection] = workspace.connections()
    steps = names_of_steps(connections)
    return [_checks(connection, f"{kept.check}_{steps[name]}", kept) for name, connection in connections.items()]


def hold_for_snapshot(workspace: AirbyteWorkspace) -> None:
    """Stop where a server no longer offers what the graph was made of: all connections are compared once more.

    Dagster exempts a step from the blocking checks of an asset that it checks itself (`build_node_deps`, dagster
    1.13.27), and dbt's step does as soon as a source has a dbt test. So that step asks here before it builds anything.

    Raises:
        dagster.Failure: a stream, column, type or key of the snapshot is gone; its description is the sentences.
    """
    if not isinstance(workspace, RemoteAirbyteWorkspace):
        return
    broken: list[str] = []
    for connection in workspace.connections().values():
        try:
            broken += [one.sentence for one in workspace.changes(connection.name) if one.breaking]
        except (AirbyteGoneError, OneTableError) as error:
            broken.append(str(error))
        except AirbyteError:
            # What could not be compared stops nothing; the check of the raw table says it.
            continue
    if broken:
        raise dg.Failure(f"Nothing was built. {' '.join(broken)}", allow_retries=False)


def _checks(connection: PlannedConnection, step: str, kept: _Kept) -> dg.AssetChecksDefinition:
    keys = {raw_key(plan.table): plan.name for plan in connection.plans()}

    @dg.multi_asset_check(
        name=step,
        specs=[
            dg.AssetCheckSpec(
                kept.check,
                asset=key,
                blocking=kept.blocking,
                description=kept.description,
                metadata={"owner": company().owners.raw},
            )
            for key in keys
        ],
        can_subset=True,
        required_resource_keys={"airbyte"},
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        workspace: RemoteAirbyteWorkspace | EmbeddedAirbyteWorkspace = context.resources.airbyte
        selected = {key.asset_key for key in context.selected_asset_check_keys}
        try:
            found = workspace.changes(connection.name)
        except (AirbyteGoneError, OneTableError) as error:
            # Airbyte was asked and answered: what the graph reads is not there any more.
            for key in selected:
                yield _result(kept, key, False, dg.AssetCheckSeverity.ERROR, str(error), [])
            return
        except AirbyteError as error:
            # A check that raises fails the run; what could not be compared is no reason to stop what landed well.
            for key in selected:
                yield _result(kept, key, False, dg.AssetCheckSeverity.WARN, f"Could not be compared. {error}", [])
            return
        for key, stream in keys.items():
            if key in selected:
                mine = [one for one in found if one.stream in ("", stream)]
                breaking = " ".join(one.sentence for one in mine if one.breaking)
                text = f"{breaking} {kept.helps.format(name=connection.name)}".strip() if breaking else kept.as_it_was
                yield _result(kept, key, not breaking, dg.AssetCheckSeverity.ERROR, text, mine)

    return checks


def _result(
    kept: _Kept,
    key: dg.AssetKey,
    passed: bool,
    severity: dg.AssetCheckSeverity,
    description: str,
    found: list[Change],
) -> dg.AssetCheckResult:
    new = [one.sentence for one in found if not one.breaking]
    # What could not be compared has no number.
    gone = None if severity is dg.AssetCheckSeverity.WARN else max(len(found) - len(new), int(not passed))
    told = figures(gone, 0, "changes that break what is built on it, at most")
    if new:
        told["new"] = dg.MetadataValue.text(" ".join(new))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=kept.check,
        passed=passed,
        severity=severity,
        description=description,
        metadata=told,
    )
