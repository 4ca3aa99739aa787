"""Do predicted amounts hold, and did they drift: outcomes and predictions read, measured, and written."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.as_of import frame_until, judged_share, newest_cutoff
from steps.migrations import ensure
from steps.tables import ProblemTables, store, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.amounts.judged import AmountVerdict
    from ml_models.monitoring.drift.result import DriftVerdict
    from ml_models.problems.contract import Problem


def live_amounts(
    warehouse: Warehouse, problem: "Problem", of: ProblemTables, until: date | None = None
) -> "pd.DataFrame":
    """Return matured predictions that their model could not have known: the frame's rows, label, `predicted`, segment.

    `until`: only outcomes that were known by this day.
    """
    ensure(warehouse, of.predictions)
    known = f"and o.matured_on <= date '{until}' " if until else ""
    rows = warehouse.read(
        f"select f.*, p.predicted, p.model_version, p.trained_through, o.{problem.label}, v.segment "
        f"from {'.'.join(of.predictions.path)} p "
        "join outcomes.customer_outcomes o using (customer_id, cutoff_date) "
        "join features.feature_frame f using (customer_id, cutoff_date) "
        "left join marts.customer_value v using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('p.customer_id', judged_share(warehouse))} {known}"
        "order by p.cutoff_date, p.customer_id"
    )
    seen = rows["cutoff_date"] < rows["trained_through"] + timedelta(days=problem.horizon_days)
    return rows[~seen].drop(columns="trained_through").reset_index(drop=True)


def measure_amounts(warehouse: Warehouse, problem: "Problem", of: ProblemTables) -> "pd.DataFrame":
    """Judge every matured live prediction and each version's holdout, write the performance and return it."""
    import pandas as pd

    from ml_models.metrics import slices_of
    from ml_models.training.amounts.measures import amount_metrics, by_slice
    from ml_models.training.amounts.search import asked

    parts = []
    for evidence, rows in (
        ("live", live_amounts(warehouse, problem, of)),
        ("holdout", _holdout_rows(warehouse, problem, of)),
    ):
        for version, one in rows.groupby("model_version"):
            judged = one.reset_index(drop=True)
            cut = slices_of(judged, problem) | {"segment": judged["segment"]}
            found = by_slice(judged[problem.label], judged["predicted"], cut)
            errors = pd.DataFrame(
                {
                    rule.name: rule.predict(judged) - judged[problem.label].to_numpy("float64")
                    for rule in asked(problem).rules
                    if rule.beaten
                }
            ).abs()
            total = {str(name): float(errors[name].mean()) for name in errors}
            best = errors[min(total, key=total.__getitem__)].to_numpy()
            means = {
                (name, str(value)): float(best[(texts == value).to_numpy()].mean())
                for name, texts in cut.items()
                for value in texts.dropna().unique()
            }
            found["rule_error"] = [
                means[name, value] for name, value in zip(found["slice_name"], found["slice_value"], strict=True)
            ]
            found.loc[found["note"] != "", "rule_error"] = float("nan")
            parts.append(found.assign(evidence=evidence, model_version=int(str(version))))
    nothing = pd.DataFrame(columns=["slice_name", "slice_value", *amount_metrics([], [])])
    result = typed(pd.concat(parts, ignore_index=True) if parts else nothing, of.performance)
    store(warehouse, of.performance, result)
    return result


def _holdout_rows(warehouse: Warehouse, problem: "Problem", of: ProblemTables) -> "pd.DataFrame":
    ensure(warehouse, of.holdout)
    return warehouse.read(
        f"select f.*, h.predicted, h.model_version, h.{problem.label}, v.segment from {'.'.join(of.holdout.path)} h "
        "join features.feature_frame f using (customer_id, cutoff_date) "
        "left join marts.customer_value v using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('h.customer_id', judged_share(warehouse))} "
        "order by h.model_version, h.cutoff_date, h.customer_id"
    )


def judge_amounts(
    warehouse: Warehouse, registry: ModelRegistry, problem: "Problem", of: ProblemTables, until: date | None = None
) -> "AmountVerdict":
    """Judge the champion by the newest outcomes of what it predicted."""
    from ml_models.monitoring.amounts.judged import AmountVerdict, judged_amounts

    champion = registry.by_alias(CHAMPION_ALIAS)
    if champion is None:
        return AmountVerdict("insufficient evidence", "", "There is no champion yet.")
    rows = live_amounts(warehouse, problem, of, until)
    return judged_amounts(rows[rows["model_version"] == champion.version], problem)


def measure_amount_drift(warehouse: Warehouse, registry: ModelRegistry, problem: "Problem", of: ProblemTables) -> int:
    """Measure how far the champion's predictions moved at each cutoff, add what is new, and count it.

    All weeks are predicted by one version, so that a promotion is no drift; another version measures them again.
    """
    import pandas as pd

    from ml_models.cutoffs import distinct_cutoffs
    from ml_models.monitoring.drift.statistics import drift_statistics
    from ml_models.monitoring.drift.weekly import SCORE
    from ml_models.rows import scored

    ensure(warehouse, of.drift)
    champion, cutoff = registry.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    if champion is None or cutoff is None:
        return 0
    version = str(champion.version)
    kept = warehouse.read(
        f"select * from {'.'.join(of.drift.path)} where model_version = ? order by cutoff_date", [version]
    )
    done = set(distinct_cutoffs(kept["cutoff_date"])) if len(kept) else set()
    frame = frame_until(warehouse, cutoff, judged_share(warehouse))
    missing = [day for day in distinct_cutoffs(frame["cutoff_date"]) if day not in done]
    if missing:
        values = frame[["cutoff_date"]].assign(
            **{SCORE: scored(registry.load(champion), frame, problem, f"version {version}")}
        )
        new = drift_statistics(values, missing, [SCORE]).assign(layer="scores", model_version=version)
        kept = pd.concat([kept, new], ignore_index=True) if len(kept) else new
    store(warehouse, of.drift, kept.sort_values("cutoff_date"))
    return len(missing)


def judge_amount_drift(
    warehouse: Warehouse, registry: ModelRegistry, problem: "Problem", of: ProblemTables
) -> "DriftVerdict | None":
    """Judge the predictions of the newest measured cutoff by their own past; None before the first."""
    from ml_models.monitoring.drift.verdict import judge_drift
    from ml_models.monitoring.drift.weekly import judge_scores
    from ml_models.rows import Scorer

    ensure(warehouse, of.drift)
    history = warehouse.read(f"select * from {'.'.join(of.drift.path)} order by cutoff_date")
    champion = registry.by_alias(CHAMPION_ALIAS)
    if history.empty or champion is None:
        return None
    cutoff = history["cutoff_date"].max().date()
    verdict = judge_drift(history, cutoff)
    if verdict.status != "fail":
        return verdict
    # What moved by new customers alone is recorded and alarms nobody.
    frame = frame_until(warehouse, cutoff, judged_share(warehouse))
    return judge_scores(history, cutoff, frame, Scorer(registry.load(champion), problem), problem)
