"""Do predictions hold, and what drifted: matured outcomes, drift, and the champion's own past, read and judged.

The judgements are pure functions of `ml_models.monitoring`; here they get the rows as of the newest cutoff.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse.contract import Warehouse
from steps.as_of import (
    drift_history,
    early_until,
    frame_until,
    judged_share,
    ledger,
    newest_cutoff,
    outcomes_until,
)
from steps.problem import problem
from steps.tables import DRIFT, typed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ml_models.monitoring.drift.result import DriftVerdict
    from ml_models.monitoring.performance.verdict import PerformanceVerdict

Layer = Literal["features", "scores"]


def measure_performance(warehouse: Warehouse) -> "pd.DataFrame":
    """Judge every matured live prediction and each version's holdout, write `monitoring.performance` and return it."""
    import pandas as pd

    from ml_models.metrics import evaluate_slices, slices_of

    parts, share = [], judged_share(warehouse)
    for evidence, rows in (
        ("live", _live_rows(warehouse, problem().horizon_days, share)),
        ("holdout", _holdout_rows(warehouse, share)),
    ):
        for version, judged in rows.groupby("model_version"):
            cut = slices_of(judged, problem()) | {"segment": judged["segment"]}
            slices = evaluate_slices(judged["lapsed"], judged["score"], cut)
            parts.append(slices.assign(evidence=evidence, model_version=int(str(version))))
    result = pd.concat(parts, ignore_index=True) if parts else _no_performance()
    warehouse.replace_table("monitoring", "performance", result)
    return result


def measure_new_drift(warehouse: Warehouse, registry: ModelRegistry) -> int:
    """Measure the drift of the cutoffs that were not measured yet, add it to `monitoring.drift`, and count them."""
    from ml_models.monitoring.drift.weekly import measure_drift

    champion, kept = registry.by_alias(CHAMPION_ALIAS), drift_history(warehouse)
    cutoff = newest_cutoff(warehouse)
    if cutoff is None:
        return 0
    pipeline = registry.load(champion) if champion else None
    version = str(champion.version) if champion else ""
    frame = frame_until(warehouse, cutoff, judged_share(warehouse))
    whole = measure_drift(problem(), frame, cutoff, pipeline, version, kept)
    new = whole["cutoff_date"].nunique() - kept["cutoff_date"].nunique()
    whole = typed(whole.sort_values(["cutoff_date", "layer", "column_name"]), DRIFT)
    warehouse.replace_table("monitoring", "drift", whole)
    return new


def judge_newest_drift(warehouse: Warehouse, registry: ModelRegistry, layer: Layer) -> "DriftVerdict | None":
    """Judge the newest measured cutoff of a layer, None before the first; too little history passes, and says so."""
    from ml_models.monitoring.drift.score_effect import weigh_drift
    from ml_models.monitoring.drift.verdict import judge_drift
    from ml_models.monitoring.drift.weekly import against_clean, judge_scores
    from ml_models.rows import scored

    measured = drift_history(warehouse)
    history = measured[measured["layer"] == layer]
    if history.empty:
        return None
    verdict = judge_drift(history, history["cutoff_date"].max())
    champion = registry.by_alias(CHAMPION_ALIAS)
    if verdict.status != "fail":
        return verdict
    frame = frame_until(warehouse, verdict.cutoff, judged_share(warehouse))
    pipeline, version = (registry.load(champion), str(champion.version)) if champion else (None, "")
    spoilt = _spoilt(warehouse, frame)
    frame, measured = against_clean(problem(), frame, measured, verdict.cutoff, spoilt, pipeline, version)
    history = measured[measured["layer"] == layer]
    verdict = judge_drift(history, verdict.cutoff)
    if verdict.status != "fail" or champion is None:
        return verdict
    # What moved and changes no score, or moved by new customers alone, is recorded and alarms nobody.
    frame = frame[[*problem().keys, *problem().features]]

    def predict(rows: "pd.DataFrame") -> "npt.NDArray[np.float64]":
        return scored(pipeline, rows, problem(), f"version {champion.version}")

    if layer == "features":
        return weigh_drift(verdict, predict, frame, problem().entity, question=problem().question)
    return judge_scores(history, verdict.cutoff, frame, predict, problem())


def _spoilt(warehouse: Warehouse, frame: "pd.DataFrame") -> list[date]:
    """Return the cutoffs whose features the ledger holds to be computed from what was bad."""
    from ml_models.cutoffs import distinct_cutoffs
    from ml_models.monitoring.decision.quarantine import affected_windows, bad_periods

    periods = bad_periods(ledger(warehouse))
    return affected_windows(periods, distinct_cutoffs(frame[problem().cutoff]), problem().window_days)


def judge_champion(
    warehouse: Warehouse, registry: ModelRegistry
) -> "tuple[pd.DataFrame, PerformanceVerdict] | tuple[None, str]":
    """Judge the champion by the newest outcomes and early labels: the history that it is judged by, and the verdict.

    None, and why in words, where there is nothing to judge.
    """
    from ml_models.monitoring.performance.weekly import judge_predictions
    from ml_models.rows import scored

    champion, cutoff = registry.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    if champion is None or cutoff is None:
        return None, "there is no champion yet" if champion is None else "there is no cutoff yet"
    share = judged_share(warehouse)
    frame = frame_until(warehouse, cutoff, share)
    pipeline = registry.load(champion)
    return judge_predictions(
        frame,
        lambda rows: scored(pipeline, rows, problem(), f"version {champion.version}"),
        outcomes_until(warehouse, cutoff, share),
        early_until(warehouse, cutoff, share),
        problem(),
        champion.trained_through,
        cutoff,
    )


class LabelGrowth(NamedTuple):
    """The labelled cutoffs, how many of them the champion learned from, and whether they outgrew it; also in words.

    `bound`: at how many labelled cutoffs they do; None where nothing has to be learned again yet.
    """

    matured: int
    learned_from: int
    outgrown: bool
    sentence: str
    bound: float | None


def compare_labels(warehouse: Warehouse, registry: ModelRegistry) -> LabelGrowth:
    """Compare the labelled cutoffs with those that the champion learned from."""
    from ml_models.monitoring.settings import SETTINGS

    champion = registry.by_alias(CHAMPION_ALIAS)
    through = champion.trained_through if champion else date.min
    counts = warehouse.read(
        "select count(distinct cutoff_date) as matured, "
        "count(distinct case when cutoff_date <= ? then cutoff_date end) as learned from outcomes.customer_outcomes",
        [through],
    ).iloc[0]
    matured, learned = int(counts["matured"]), int(counts["learned"])
    needed = SETTINGS.needed_cutoffs(problem().horizon_days)
    enough = matured >= needed
    outgrown = enough and matured >= SETTINGS.growth * learned
    if not enough:
        sentence = f"{matured} labelled cutoffs; at least {needed} are needed to train and to judge."
    elif champion is None:
        sentence = f"{matured} labelled cutoffs and no champion yet."
    else:
        sentence = f"{matured} labelled cutoffs; version {champion.version} learned from {learned}."
    bound = SETTINGS.growth * learned if enough and champion is not None else None
    return LabelGrowth(matured, learned, outgrown, sentence, bound)


def _live_rows(warehouse: Warehouse, horizon_days: int, share: float) -> "pd.DataFrame":
    """Return matured predictions that their model could not have known, with the outcome and the slicing features."""
    rows = warehouse.read(
        "select p.customer_id, p.cutoff_date, p.score, p.model_version, p.trained_through, o.lapsed"
        f"{_sliced_by()} "
        "from predictions.lapse_predictions p "
        "join outcomes.customer_outcomes o using (customer_id, cutoff_date) "
        "join features.feature_frame f using (customer_id, cutoff_date) "
        "left join marts.customer_value v using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('p.customer_id', share)} order by p.cutoff_date, p.customer_id"
    )
    seen = rows["cutoff_date"] < rows["trained_through"] + timedelta(days=horizon_days)
    return rows[~seen].drop(columns="trained_through").reset_index(drop=True)


def _sliced_by() -> str:
    """Return the columns that slices are cut by, in SQL, each after a comma: features, and who is new."""
    return "".join(f", f.{name}" for name in dict.fromkeys(rule.feature for rule in problem().slices)) + ", v.segment"


def _holdout_rows(warehouse: Warehouse, share: float) -> "pd.DataFrame":
    return warehouse.read(
        "select h.customer_id, h.cutoff_date, h.score, h.model_version, h.lapsed"
        f"{_sliced_by()} "
        "from training.holdout_predictions h join features.feature_frame f using (customer_id, cutoff_date) "
        "left join marts.customer_value v using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('h.customer_id', share)} order by h.model_version, h.cutoff_date, h.customer_id"
    )


def _no_performance() -> "pd.DataFrame":
    """Return an empty table with the columns of a full one."""
    from ml_models.metrics import evaluate_slices

    return evaluate_slices([], [], {}).assign(evidence="", model_version=0)
