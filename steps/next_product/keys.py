"""The tables of next product: keys, and the columns of those that Python writes."""

from collections.abc import Mapping

import dagster as dg

from steps.columns import ANSWERED, DECIDED, Column

NAME = "next_product"
"""The schema, the group and the registered model."""
CANDIDATES = dg.AssetKey([NAME, "candidates"])
POPULAR_TYPES = dg.AssetKey([NAME, "popular_types"])
OUTCOMES = dg.AssetKey([NAME, "outcomes"])
TRAINING_SET = dg.AssetKey([NAME, "training_set"])
CANDIDATE = dg.AssetKey([NAME, "candidate"])
HOLDOUT_LISTS = dg.AssetKey([NAME, "holdout_predictions"])
CHAMPION = dg.AssetKey([NAME, "champion"])
PREDICTIONS = dg.AssetKey([NAME, "predictions"])
PERFORMANCE = dg.AssetKey([NAME, "performance"])
DRIFT = dg.AssetKey([NAME, "drift"])

_SHARE = "mean over lists, 0 to 1"
_MEASURES = {
    "recall": Column("double", f"Share of the types bought that the list names; {_SHARE}."),
    "ndcg": Column("double", f"Hits by place against the best list that could be; {_SHARE}."),
    "repeat_recall": Column("double", f"Recall of types that the customer had bought in the look-back; {_SHARE}."),
    "new_recall": Column("double", f"Recall of types that are new to the customer; {_SHARE}."),
}


def _with_intervals(measures: Mapping[str, Column]) -> dict[str, Column]:
    made = {}
    for name, column in measures.items():
        made[name] = column
        made[f"{name}_low"] = Column("double", f"Lower end of the 95 % interval of {name}, over customers.")
        made[f"{name}_high"] = Column("double", f"Upper end of the 95 % interval of {name}.")
    return made


_JUDGED = {
    "lists": Column("bigint", "Lists judged, one a customer and cutoff."),
    "bought_nothing": Column("bigint", "Of them, whose customer bought nothing; they are in no mean."),
    **_with_intervals(_MEASURES),
}
_BREADTH = {
    "coverage": Column("double", "Types that lists name, as a share of those that are candidates, 0 to 1."),
    "long_tail": Column("double", "Share of places with a type outside of the most popular tenth, 0 to 1."),
    "concentration": Column("double", "Gini coefficient of how often types are named, 0 to 1."),
}
_VERSION = {
    "model_name": Column("varchar", "Registered model."),
    "model_version": Column("bigint", "Its version."),
}

NEXT_PRODUCT_TABLES: Mapping[tuple[str, str], Mapping[str, Column]] = {
    (NAME, "candidate"): {
        **_VERSION,
        "algorithm": Column("varchar", "The candidate that won."),
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw."),
        **_JUDGED,
        **_BREADTH,
        "gained": Column("double", "nDCG against personal frequency, paired; the mean difference."),
        "failed": Column("varchar", "The gates that it failed, by comma; empty: none."),
        "fingerprint": Column("varchar", "Identifies data, recipe, seed and libraries; equal digits, equal model."),
        "mlflow_run_id": Column("varchar", "The run in MLflow that holds all evidence."),
    },
    (NAME, "holdout_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff in the version's holdout."),
        "place": Column("bigint", "Place on the list, from 1."),
        "product_type": Column("varchar", "What is named."),
        "score": Column("double", "Probability given by the fit that had not seen the holdout, 0 to 1."),
        "customer_days": Column("bigint", "The customer's shopping days in the look-back."),
        "model_version": Column("bigint", "Version whose recipe was judged."),
    },
    (NAME, "champion"): {
        **_VERSION,
        "algorithm": Column("varchar", "What kind of model it is."),
        "trained_through": Column("date", "Newest cutoff whose outcomes it saw."),
        "promoted_at": Column("timestamp with time zone", "When it became the champion."),
        "reason": Column("varchar", "Why."),
        "previous_version": Column("bigint", "Version that it took over from; null for the first."),
        "run_id": Column("varchar", "The run that moved the alias."),
    },
    (NAME, "predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "The Monday as of which the list was made; facts end the day before."),
        "place": Column("bigint", "Place on the list, from 1 to 10."),
        "product_type": Column("varchar", "What the customer is expected to buy within the horizon."),
        "score": Column("double", "Probability that the customer buys it within the horizon, 0 to 1."),
        "is_repeat": Column("bigint", "1 if the customer bought it in the look-back, 0 if it is new to the customer."),
        "days_bought": Column("bigint", "Days in the look-back on which the customer bought it."),
        "days_since": Column("bigint", "Days since the customer bought it last; null where it is new."),
        "customer_days": Column("bigint", "The customer's shopping days in the look-back."),
        "basis": Column("varchar", "`habits`, or `popular` for a customer of one shopping day: what most buy."),
        **_VERSION,
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw in training."),
        "scored_at": Column("timestamp with time zone", "When the list was made."),
    },
    (NAME, "performance"): {
        "slice_name": Column("varchar", "`all`, `activity` (shopping days in the look-back) or `cutoff`."),
        "slice_value": Column("varchar", "Which slice."),
        **_JUDGED,
        "frequency_ndcg": Column("double", "The same of personal frequency on the same lists; null where not made."),
        "gained": Column("double", "nDCG against personal frequency, paired."),
        "gained_low": Column("double", "Lower end of its 95 % interval, over customers."),
        "gained_high": Column("double", "Upper end."),
        "evidence": Column("varchar", "`live`: served before the outcome was known; `holdout`: what the gate saw."),
        "model_version": Column("bigint", "Version judged; of live lists the newest."),
    },
    (NAME, "drift"): {
        "cutoff_date": Column("date", "Cutoff measured against the one a horizon before."),
        "vanished": Column("double", "Share of the buyers before whose type nobody bought lately, 0 to 1."),
        "appeared": Column("double", "Share of the buyers lately whose type nobody bought before, 0 to 1."),
        "moved": Column("double", "Half the sum of differences of types' shares of buyers, 0 to 1."),
        "examples": Column("varchar", "The types behind the largest of these, by comma."),
        "verdict": Column("varchar", "renamed, vanished, appeared, campaign, as usual, or too little to say."),
        "decision": Column("varchar", "What follows: continue or inspect."),
        "sentence": Column("varchar", "The same in words."),
    },
    (NAME, "decisions"): {
        **DECIDED,
        "gained_high": Column("double", "Upper end of nDCG gained against personal frequency, newest judged lists."),
        **ANSWERED,
    },
}
