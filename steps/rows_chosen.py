"""Which rows the next training learns from, and which labels somebody should look at: both as tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from resources.company import company
from resources.warehouse.contract import Warehouse
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.problem import problem
from steps.tables import HOLDOUT, LABEL_SUSPECTS, PREDICTIONS, ROWS_CHOSEN, store

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.training.rows_backtest import RowsBacktest
    from ml_models.training.rows_chosen import Switches


class Chosen(NamedTuple):
    """Rows by reason, and the reasons that are on."""

    by_reason: dict[str, int]
    on: tuple[str, ...]


def switches() -> "Switches":
    """Return the reasons that the company has switched on."""
    from ml_models.training.rows_chosen import Switches

    given = company().learn_from
    return Switches(
        label_suspect=given.label_suspect,
        known_error=given.known_error,
        uncertain=given.uncertain,
        weak_slice=given.weak_slice,
    )


def choose_training_rows(warehouse: Warehouse, chosen: "Switches | None" = None) -> Chosen:
    """Write `training.rows_chosen` for the present training set; by `chosen`, else by the company's switches."""
    asked, using = problem(), chosen or switches()
    if not using.on:
        made = _all_ordinary(warehouse)
    else:
        from ml_models.training.rows_chosen import choose_rows

        rows = warehouse.read("select * from training.training_set order by cutoff_date, customer_id")
        seen = _seen(warehouse) if using.label_suspect else None
        served = _served(warehouse) if using.known_error else None
        made = choose_rows(rows, asked, using, seen=seen, served=served)
    store(warehouse, ROWS_CHOSEN, made)
    counted = made["reason"].value_counts()
    return Chosen({str(name): int(count) for name, count in counted.items()}, using.on)


def rows_to_learn_from(warehouse: Warehouse) -> "pd.DataFrame":
    """Return the training set; with a column `weight` where the rows chosen do not all count the same."""
    ensure(warehouse, ROWS_CHOSEN)
    uneven = warehouse.read("select count(*) as n from training.rows_chosen where weight <> 1")
    if not int(uneven["n"].iloc[0]):
        return warehouse.read("select * from training.training_set order by cutoff_date, customer_id")
    return warehouse.read(
        "select t.*, coalesce(r.weight, 1) as weight from training.training_set t "
        "left join training.rows_chosen r using (customer_id, cutoff_date) order by t.cutoff_date, t.customer_id"
    )


def find_suspects(warehouse: Warehouse) -> "pd.DataFrame":
    """Write `monitoring.label_suspects` and return it: labels that later rows contradict, and sudden ones together.

    Scores are those that were there before an outcome was: what served outside of its training, else the newest
    version's holdout. Nothing is fitted.
    """
    import pandas as pd

    from ml_models.training.label_suspects import contradicted, together

    asked = problem()
    ensure(warehouse, PREDICTIONS, HOLDOUT)
    newest = warehouse.read("select coalesce(max(model_version), 0) as newest from training.holdout_predictions")
    highest = int(newest["newest"].iloc[0])
    labelled = warehouse.read(f"select customer_id, cutoff_date, {asked.label} from outcomes.customer_outcomes")
    known = ", ".join(f"f.{name}" for name in sorted({rule.feature for rule in asked.slices}))
    scored = warehouse.read(
        f"select f.customer_id, f.cutoff_date, {known}, o.{asked.label}, coalesce(p.score, h.score) as score "
        "from outcomes.customer_outcomes o join features.feature_frame f using (customer_id, cutoff_date) "
        "left join predictions.lapse_predictions p on p.customer_id = o.customer_id and p.cutoff_date = o.cutoff_date "
        "and p.trained_through < p.cutoff_date "
        "left join training.holdout_predictions h on h.customer_id = o.customer_id and h.cutoff_date = o.cutoff_date "
        "and h.model_version = ? "
        "where coalesce(p.score, h.score) is not null order by f.cutoff_date, f.customer_id",
        # GoogleSQL knows no subquery in the condition of an outer join.
        [highest],
    )
    parts = [contradicted(labelled, _seen(warehouse), asked), together(scored, asked)]
    found = pd.concat(parts, ignore_index=True).drop_duplicates(asked.keys)
    found = found.merge(scored[[*asked.keys, "score"]], on=asked.keys, how="left")
    found = found.sort_values([asked.cutoff, "kind", asked.entity], ascending=[False, True, True], ignore_index=True)
    store(warehouse, LABEL_SUSPECTS, found.rename(columns={asked.label: "label"}))
    return found


def backtest_of_rows(warehouse: Warehouse, say: Callable[[str], None]) -> "RowsBacktest":
    """Return what each reason would have been worth over the weeks whose outcome is known; nothing is written.

    Cutoffs in quarantine are left out, and of a large company a share of the customers is looked at, as in training.

    Raises:
        StepRefusedError: there are too few such weeks.
    """
    from ml_models.training.rows_backtest import TooShortError, backtest_rows

    asked = problem()
    if not warehouse.exists("training", "training_set"):
        raise StepRefusedError("Expected a training set to look back on, and there is none yet. Run `make run` first.")
    labelled = warehouse.read(
        "select * from training.training_set where split <> 'quarantined' order by cutoff_date, customer_id"
    ).drop(columns="split")
    seen = _seen(warehouse)
    try:
        return backtest_rows(labelled, seen[seen["customer_id"].isin(labelled["customer_id"].unique())], asked, say)
    except TooShortError as error:
        raise StepRefusedError(str(error)) from error


def _all_ordinary(warehouse: Warehouse) -> "pd.DataFrame":
    rows = warehouse.read(
        "select customer_id, cutoff_date from training.training_set "
        "where split not in ('quarantined', 'before window') order by cutoff_date, customer_id"
    )
    return rows.assign(weight=1.0, reason="ordinary")


def _seen(warehouse: Warehouse) -> "pd.DataFrame":
    return warehouse.read(f"select customer_id, cutoff_date, {problem().recency_feature} from features.feature_frame")


def _served(warehouse: Warehouse) -> "pd.DataFrame":
    ensure(warehouse, PREDICTIONS)
    return warehouse.read(
        "select customer_id, cutoff_date, score from predictions.lapse_predictions where trained_through < cutoff_date"
    )
