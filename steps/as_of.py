"""As of the morning of a cutoff: which cutoff is due, and the reads that quality and judgement share.

Each read looks back HISTORY_CUTOFFS at most, so a judgement costs the same however long the history grows; and above
`most_customers` of the local copy it looks only at the customers that are measured and replayed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_models.monitoring.types import Perturbation, Reach
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.sandbox import Sandbox, SandboxError
from resources.warehouse import LocalWarehouse, Warehouse, share_of
from steps.migrations import ensure
from steps.problem import problem
from steps.shop_time import today
from steps.tables import CUSTOMER_FEATURES, DECISIONS, DRIFT, EARLY_OUTCOMES, OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality import Audit
    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable

HISTORY_CUTOFFS = 60
"""A year and its season."""

CUTOFF_STEP_DAYS = 7


def newest_cutoff(warehouse: Warehouse) -> date | None:
    """Return the newest cutoff of the feature frame; None before the first."""
    newest = warehouse.read("select max(cutoff_date) as newest from features.feature_frame")["newest"].iloc[0]
    return None if newest != newest else newest.date()


def due_cutoff(newest: date | None, clock: Clock) -> date | None:
    """Return the newest cutoff that the clock asks for, delivered or not; None before the first.

    `newest` is the newest cutoff of the feature frame, None before the first.
    """
    if newest is None:
        return None
    return newest + timedelta(days=max(0, (today(clock) - newest).days) // CUTOFF_STEP_DAYS * CUTOFF_STEP_DAYS)


def stale_feed(newest: date | None, clock: Clock) -> str:
    """Return why the newest cutoff is not the one that the clock asks for, in words; empty when it is.

    Before the first cutoff there is nothing to be late.
    """
    due = due_cutoff(newest, clock)
    if newest is None or due == newest:
        return ""
    return (
        f"today is {today(clock)} and the cutoff of {due} is due, but the data delivered so far allow none after "
        f"{newest}; sync the feed, or ask its owner why it stopped"
    )


def profile_until(warehouse: Warehouse, cutoff: date) -> "pd.DataFrame":
    """Return the measures of the weeks before a cutoff."""
    return warehouse.read(
        "select * from monitoring.profile where period_start >= ? and period_start < ?", [_since(cutoff), cutoff]
    )


def judged_share(warehouse: Warehouse) -> float:
    """Return the share of customers that is judged: 1, or what `Warehouse.local` holds. Ask once: it is refreshed."""
    return share_of(warehouse.local())


def frame_until(warehouse: Warehouse, cutoff: date, share: float) -> "pd.DataFrame":
    """Return the feature rows of the judged customers at the cutoffs up to this one, as served."""
    return warehouse.read(
        "select * from features.feature_frame where cutoff_date between ? and ? "
        f"and {warehouse.sampled('customer_id', share)} order by cutoff_date, customer_id",
        [_since(cutoff), cutoff],
    )


def outcomes_until(warehouse: Warehouse, cutoff: date, share: float) -> "pd.DataFrame":
    """Return the labels that had matured by a cutoff: customer_id, cutoff_date, lapsed."""
    return warehouse.read(
        "select customer_id, cutoff_date, lapsed from outcomes.customer_outcomes "
        f"where cutoff_date >= ? and matured_on <= ? and {warehouse.sampled('customer_id', share)} "
        "order by cutoff_date, customer_id",
        [_since(cutoff), cutoff],
    )


def early_until(warehouse: Warehouse, cutoff: date, share: float) -> "pd.DataFrame":
    """Return the early labels seen by a cutoff: customer_id, cutoff_date and the early label."""
    return warehouse.read(
        f"select customer_id, cutoff_date, {problem().early_label} from outcomes.early_outcomes "
        f"where cutoff_date >= ? and seen_through <= ? and {warehouse.sampled('customer_id', share)} "
        "order by cutoff_date, customer_id",
        [_since(cutoff), cutoff],
    )


def ledger(warehouse: Warehouse) -> "pd.DataFrame":
    """Return the decisions so far: the columns of `monitoring.decisions`, a row a judged cutoff, ascending."""
    ensure(warehouse, DECISIONS)
    return warehouse.read("select * from monitoring.decisions order by cutoff")


def drift_history(warehouse: Warehouse) -> "pd.DataFrame":
    """Return what was measured of drift so far: the columns of `monitoring.drift`."""
    ensure(warehouse, DRIFT)
    return warehouse.read("select * from monitoring.drift order by cutoff_date, layer, column_name, segment")


def rebuilding(
    dbt: DbtRunner, local: LocalWarehouse, as_of: date
) -> "Callable[[Sequence[Perturbation], date], pd.DataFrame]":
    """Return how to build a past cutoff's features under perturbations: dbt's own SQL in a sandbox, rows as delivered.

    `local` is `Warehouse.local()`. What is returned raises NotReplayable where a perturbation cannot be made.
    """
    from ml_models.monitoring.diagnosis import NotReplayable

    sandbox = Sandbox(dbt, local.path)

    def rebuild(perturbations: Sequence[Perturbation], cutoff: date) -> "pd.DataFrame":
        try:
            return sandbox.features(perturbations, cutoff, as_of=as_of)
        except (SandboxError, ValueError) as error:
            raise NotReplayable(str(error)) from error

    return rebuild


def reaching(sandbox: Sandbox, tables: "Sequence[MonitoredTable]") -> Callable[[str], Reach]:
    """Return how to tell what is computed from a table: which features, and whether the labels are.

    `tables` are the monitored ones: those of them without a time are delivered as a whole. What cannot be told reaches
    everything.
    """
    by_delivery = {table.asset for table in tables if not table.time_sql}
    known: dict[str, Reach] = {}

    def reach(asset: str) -> Reach:
        if asset not in known:
            known[asset] = replace(_reach_in(sandbox, asset), dated=asset not in by_delivery)
        return known[asset]

    return reach


def _reach_in(sandbox: Sandbox, asset: str) -> Reach:
    labels = ((OUTCOMES, problem().label), (EARLY_OUTCOMES, problem().early_label))
    try:
        features = tuple(
            name for name in problem().features if asset in sandbox.made_of("/".join(CUSTOMER_FEATURES.path), name)
        )
        labelled = any(asset in sandbox.made_of("/".join(key.path), name) for key, name in labels)
    except SandboxError:
        return Reach()
    return Reach(None if len(features) == len(problem().features) else features, labelled)


def audit_of(dbt: DbtRunner, warehouse: Warehouse, local: LocalWarehouse, cutoff: date) -> "Audit | None":
    """Return how the cutoff that matures at this one comes out when it is built again; None where it was not served."""
    day = cutoff - timedelta(days=problem().horizon_days)
    stored = warehouse.read("select count(*) as n from features.feature_frame where cutoff_date = ?", [day])
    if not stored["n"].iloc[0]:
        return None
    return built_again(Sandbox(dbt, local.path), (), day, cutoff)


def built_again(sandbox: Sandbox, perturbations: Sequence[Perturbation], day: date, cutoff: date) -> "Audit | None":
    """Return how a cutoff (`day`) comes out by the rows that are there at a later one; None if it cannot be built."""
    from ml_models.monitoring.data_quality import Audit

    def build(days_after: int = 0) -> "pd.DataFrame | None":
        try:
            return sandbox.features(perturbations, day, as_of=cutoff, days_after=days_after)
        except (SandboxError, ValueError):
            # The tables cannot be built at all at the moment, which other checks say.
            return None

    before_only = build()
    return None if before_only is None else Audit(before_only, lambda: build((cutoff - day).days))


def _since(cutoff: date) -> date:
    return cutoff - timedelta(days=7 * HISTORY_CUTOFFS)
