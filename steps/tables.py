"""The tables of the graph: the key of each, and of those that Python writes columns, types and meaning.

A key is `[schema, table]`, the table that a person finds in the warehouse. Columns are as the web UI shows them and as
SQL may rely on; the tables that dbt writes are documented beside their models.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from ml_models.problems.about import FIRST, About, further
from resources.company import company
from resources.warehouse import Warehouse
from steps.catalogue_columns import CATALOGUE as CATALOGUE
from steps.catalogue_columns import CATALOGUE_COLUMNS
from steps.columns import ANSWERED, DECIDED
from steps.columns import Column as Column
from steps.next_product.keys import NEXT_PRODUCT_TABLES

if TYPE_CHECKING:
    import pandas as pd

# What arrives and what dbt builds.
FEED = dg.AssetKey(["raw", company().order_lines.table])
"""The raw table that everything predicted comes from."""
CANONICAL = (
    dg.AssetKey(["staging", "stg_order_lines"]),
    dg.AssetKey(["staging", "stg_products"]),
    dg.AssetKey(["marts", "order_lines"]),
)
"""The canonical tables that are monitored beside the raw ones."""
CUSTOMERS = dg.AssetKey(["marts", "customers"])
CUTOFFS = dg.AssetKey(["features", "cutoffs"])
CUSTOMER_FEATURES = dg.AssetKey(["features", "customer_features"])
OUTCOMES = dg.AssetKey(["outcomes", "customer_outcomes"])
EARLY_OUTCOMES = dg.AssetKey(["outcomes", "early_outcomes"])
CUSTOMERS_AT_RISK = dg.AssetKey(["marts", "customers_at_risk"])
ACCURACY_OVER_TIME = dg.AssetKey(["marts", "accuracy_over_time"])
CUSTOMER_VALUE = dg.AssetKey(["marts", "customer_value"])
EXPECTED_SPEND_ACCURACY = dg.AssetKey(["marts", "expected_spend_accuracy"])

# What Python writes, in the order of the pipeline.
FEATURE_FRAME = dg.AssetKey(["features", "feature_frame"])
CENSUS = dg.AssetKey(["monitoring", "census"])
PROFILE = dg.AssetKey(["monitoring", "profile"])
ANOMALIES = dg.AssetKey(["monitoring", "anomalies"])
TRAINING_SET = dg.AssetKey(["training", "training_set"])
ROWS_CHOSEN = dg.AssetKey(["training", "rows_chosen"])
CANDIDATE = dg.AssetKey(["training", "candidate"])
HOLDOUT = dg.AssetKey(["training", "holdout_predictions"])
CHAMPION = dg.AssetKey(["training", "champion"])
MODEL_CARD = dg.AssetKey(["training", "model_card"])
PREDICTIONS = dg.AssetKey(["predictions", "lapse_predictions"])
SHADOW_PREDICTIONS = dg.AssetKey(["predictions", "shadow_predictions"])
PERFORMANCE = dg.AssetKey(["monitoring", "performance"])
DRIFT = dg.AssetKey(["monitoring", "drift"])
LABEL_SUSPECTS = dg.AssetKey(["monitoring", "label_suspects"])
DIAGNOSIS = dg.AssetKey(["monitoring", "diagnosis"])
DECISIONS = dg.AssetKey(["monitoring", "decisions"])
WHY = dg.AssetKey(["monitoring", "why"])
DELIVERIES = dg.AssetKey(["monitoring", "deliveries"])
RESTATEMENTS = dg.AssetKey(["monitoring", "restatements"])
CAMPAIGN_ASSIGNMENT = dg.AssetKey(["campaigns", "assignment"])
CAMPAIGN_EFFECT = dg.AssetKey(["campaigns", "effect"])
SERVING_COPY = dg.AssetKey(["published", "serving_copy"])
BACKTEST = dg.AssetKey(["monitoring", "backtest"])
READINESS = dg.AssetKey(["monitoring", "readiness"])
CLOSED_DAYS = dg.AssetKey(["monitoring", "closed_days"])
"""Written by a person's command; no asset of the graph."""
REBUILDS = dg.AssetKey(["monitoring", "rebuilds"])
"""Written by a rebuild, and emptied by the judgement that looks what it repaired; no asset of the graph."""

NO_ACTION_DUE = dg.AssetCheckKey(DECISIONS, "no_action_due")
"""The one check that triggers runs. Drift, performance and growth of labels are evidence that its judgement weighs."""


class ProblemTables(NamedTuple):
    """The tables of one problem; the first one has those above, each further one a schema of its own name."""

    name: str
    training_set: dg.AssetKey
    candidate: dg.AssetKey
    holdout: dg.AssetKey
    champion: dg.AssetKey
    predictions: dg.AssetKey
    performance: dg.AssetKey
    drift: dg.AssetKey
    decisions: dg.AssetKey
    model_card: dg.AssetKey

    @property
    def no_action_due(self) -> dg.AssetCheckKey:
        """The check of its decisions that triggers its runs."""
        return dg.AssetCheckKey(self.decisions, NO_ACTION_DUE.name)


LAPSE = ProblemTables(
    FIRST, TRAINING_SET, CANDIDATE, HOLDOUT, CHAMPION, PREDICTIONS, PERFORMANCE, DRIFT, DECISIONS, MODEL_CARD
)


def tables_of(problem: str) -> ProblemTables:
    """Return the tables of a problem."""
    if problem == FIRST:
        return LAPSE
    names = ProblemTables._fields[1:]
    called = {"holdout": "holdout_predictions"}
    return ProblemTables(problem, *(dg.AssetKey([problem, called.get(name, name)]) for name in names))


_METRICS = {
    "n": Column("double", "Rows judged."),
    "positives": Column("double", "Rows whose customer lapsed."),
    "base_rate": Column("double", "Share of customers that lapsed."),
    "mean_score": Column("double", "Mean predicted probability."),
    "auc": Column("double", "Probability that a lapsed customer outranks one that stayed; ties count half."),
    "pr_auc": Column("double", "Average precision."),
    "log_loss": Column("double", "Mean negative log-likelihood, natural logarithm."),
    "brier": Column("double", "Mean squared difference of probability and outcome."),
    "calibration_error": Column("double", "Expected calibration error in ten equally filled bins."),
    "precision_at_10": Column("double", "Share of lapsed customers among the tenth with the highest scores."),
    "recall_at_10": Column("double", "Share of all lapsed customers that this tenth holds."),
    "lift_at_10": Column("double", "That share against the base rate."),
}

TABLES: Mapping[tuple[str, str], Mapping[str, Column]] = {
    **NEXT_PRODUCT_TABLES,
    (CATALOGUE.path[0], CATALOGUE.path[-1]): CATALOGUE_COLUMNS,
    ("training", "rows_chosen"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff of a row that is learned from."),
        "weight": Column("double", "Times an ordinary row that it counts; 0: not at all."),
        "reason": Column("varchar", "`ordinary`, `uncertain`, `known error`, `weak slice` or `label suspect`."),
    },
    ("training", "candidate"): {
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Its version."),
        "algorithm": Column("varchar", "The candidate that won the search."),
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw."),
        **_METRICS,
        "parameters": Column("varchar", "Chosen hyper-parameters, JSON."),
        "fingerprint": Column("varchar", "Identifies data, recipe, seed and libraries; equal digits, equal model."),
        "mlflow_run_id": Column("varchar", "The run in MLflow that holds all evidence."),
    },
    ("training", "holdout_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff in the version's holdout."),
        "score": Column("double", "Probability given by the fit that had not seen the holdout."),
        "lapsed": Column("bigint", "1 when the customer did not shop within the horizon from the cutoff on."),
        "recency_rule_score": Column("double", "Probability by the rule `the longer away, the likelier gone`."),
        "model_version": Column("bigint", "Version whose recipe was judged."),
    },
    ("training", "champion"): {
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Version that serves from then on."),
        "algorithm": Column("varchar", "What kind of model it is."),
        "trained_through": Column("date", "Newest cutoff whose outcomes it saw."),
        "promoted_at": Column("timestamp with time zone", "When it became the champion."),
        "reason": Column("varchar", "Why: what the judgement said, a rollback, or a person."),
        "previous_version": Column("bigint", "Version that it took over from; null for the first."),
        "run_id": Column("varchar", "The run that moved the alias; null when a person did by `make promote`."),
    },
    ("training", "model_card"): {
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Its version; one row each."),
        "standing": Column("varchar", "Whether it serves, did, or never has, in a sentence."),
        "complete": Column("varchar", "`true` when no section lacks anything, else `false`."),
        "missing": Column("varchar", "The sections that lack something, by comma; empty: none."),
        "markdown": Column("varchar", "The card as people read it, Markdown."),
        "card": Column("varchar", "The card as programs read it, JSON: sections, facts with sources, Annex IV."),
    },
    ("predictions", "lapse_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "The Monday as of which the customer was scored; features end the day before."),
        "score": Column("double", "Probability of no shopping within the horizon from the cutoff on."),
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Its version."),
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw in training."),
        "scored_at": Column("timestamp with time zone", "When the row was computed."),
        "reason_1": Column("varchar", "What raises this score most against customers of the same kind; null: nothing."),
        "reason_2": Column("varchar", "The second reason."),
        "reason_3": Column("varchar", "The third reason."),
        "staleness_days": Column("double", "Days from the cutoff to its scoring, by the clock; null: not recorded."),
    },
    ("predictions", "shadow_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff that the challenger scored beside the champion, without serving."),
        "score": Column("double", "The challenger's probability."),
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "The challenger's version."),
        "trained_through": Column("date", "Newest cutoff whose outcomes it saw in training."),
        "scored_at": Column("timestamp with time zone", "When the row was computed."),
        "champion_score": Column("double", "What the champion said of the same customer; null where it did not."),
    },
    ("monitoring", "performance"): {
        "slice_name": Column("varchar", "`all`, `cutoff`, `activity`, `segment` (new or known) …"),
        "slice_value": Column("varchar", "Which slice: a cutoff, a band of shopping days in the window, `new`."),
        **_METRICS,
        "note": Column("varchar", "Why a metric is missing, where it is."),
        "evidence": Column("varchar", "`live`: predicted before the outcome was known; `holdout`: what the gate saw."),
        "model_version": Column("bigint", "Version judged."),
    },
    ("monitoring", "label_suspects"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff whose label is doubtful."),
        "label": Column("bigint", "The label as it is learned from: 1 when the customer is said to have lapsed."),
        "kind": Column("varchar", "`contradicted` by a later row, or `sudden together` with others."),
        "score": Column("double", "Probability that was given beforehand; null: none was."),
        "sentence": Column("varchar", "Why somebody should look."),
    },
    ("monitoring", "drift"): {
        "cutoff_date": Column("date", "Window measured."),
        "column_name": Column("varchar", "Feature, `all columns jointly`, or `score`."),
        "statistic": Column("double", "Kolmogorov-Smirnov distance to the cutoffs two to five steps back, 0 to 1."),
        "p_value": Column("double", "Its asymptotic p; indicative, as the same customers stand on both sides."),
        "js": Column("double", "Jensen-Shannon distance on reference deciles, 0 to 1."),
        "wasserstein": Column("double", "Wasserstein distance in standard deviations of the reference."),
        "null_share": Column("double", "Share of nulls in the window."),
        "reference_null_share": Column("double", "Share of nulls in the reference."),
        "null_p_value": Column("double", "Exact binomial p of the null share."),
        "n": Column("bigint", "Rows in the window."),
        "reference_n": Column("bigint", "Rows in the reference."),
        "segment": Column("varchar", "Segment measured, or empty for all rows."),
        "layer": Column("varchar", "`features` or `scores`."),
        "model_version": Column("varchar", "For scores: whose; empty for features."),
    },
    ("monitoring", "census"): {
        "asset": Column("varchar", "Monitored table, `schema/name`."),
        "column_name": Column("varchar", "Column."),
        "column_type": Column("varchar", "Its type when the census was taken; the schema contract."),
        "distinct_values": Column("bigint", "How many values it had, approximately."),
        "lives": Column("double", "Mean number of weeks that one value is seen in; null for a snapshot."),
        "row_count": Column("bigint", "Rows that were counted."),
    },
    ("monitoring", "profile"): {
        "asset": Column("varchar", "Monitored table, `schema/name`."),
        "column_name": Column("varchar", "Column, or empty for the table as a whole."),
        "measure": Column("varchar", "What was measured: rows, null_share, modal_share, p95, known_share …"),
        "value_key": Column("varchar", "Value or segment that it is about, or empty."),
        "period_start": Column("date", "First day of the week, or the day itself for measures by day."),
        "n": Column("bigint", "Rows, or things counted, behind the value."),
        "value": Column("double", "The number."),
    },
    ("monitoring", "deliveries"): {
        "cutoff_date": Column("date", "The cutoff at which the part came, changed or went."),
        "asset": Column("varchar", "Raw table, `schema/name`."),
        "part_of": Column("varchar", "`day`: rows of one day; `key`: rows of one key; `table`: all rows."),
        "part": Column("varchar", "Which day or key."),
        "digest": Column("varchar", "Sum of the hashes of its rows; empty: it has none any more."),
        "n": Column("bigint", "Rows."),
        "engine": Column("varchar", "What computed the hashes; those of two versions are not compared."),
    },
    ("monitoring", "restatements"): {
        "cutoff_date": Column("date", "The judged week in which it was seen."),
        "served_on": Column("date", "The cutoff whose served rows would come out otherwise today."),
        "asset": Column("varchar", "The raw table that changed since; empty: none is known to have."),
        "part_of": Column("varchar", "What is counted of it: `day`, `key` or `table`."),
        "parts": Column("bigint", "How many days or keys changed."),
        "examples": Column("varchar", "Some of them, by comma."),
        "first_day": Column("date", "First day that changed, of a table with a time."),
        "last_day": Column("date", "Last day that changed."),
        "customers": Column("bigint", "Served rows that would come out otherwise."),
        "features": Column("varchar", "Which features of them, the most frequent first, by comma."),
        "owner": Column("varchar", "Who owns the table."),
        "sentence": Column("varchar", "The same in words."),
    },
    ("monitoring", "anomalies"): {
        "cutoff_date": Column("date", "The cutoff whose week was judged."),
        "asset": Column("varchar", "The table it was seen on; a repair starts there or upstream."),
        "kind": Column("varchar", "volume, hours, nulls, stuck, categories, range, keys, orphans, ids, replay …"),
        "column_name": Column("varchar", "Column, or empty for whole rows."),
        "segment": Column("varchar", "Segment that it is confined to, or empty."),
        "first_day": Column("date", "First day affected."),
        "last_day": Column("date", "Last day affected."),
        "rate": Column("double", "Share of rows affected within segment and days."),
        "observed": Column("double", "What was measured."),
        "expected": Column("double", "What the table's own past leads to expect."),
        "threshold": Column("double", "Where it begins to fail."),
        "n": Column("bigint", "Rows behind it."),
        "owner": Column("varchar", "Who starts the repair."),
        "sentence": Column("varchar", "The same in words."),
    },
    ("monitoring", "diagnosis"): {
        "cutoff_date": Column("date", "The judged week: what was known on the morning of this cutoff."),
        "layer": Column("varchar", "quality, drift, performance; `all` is the diagnosis itself."),
        "status": Column("varchar", "pass, fail, insufficient evidence; for `all` the cause."),
        "explained": Column("double", "Share of the change that replaying the quality anomalies reproduces, 0 to 1."),
        "first_bad_asset": Column("varchar", "Furthest upstream asset that is bad while all that it reads is sound."),
        "owner": Column("varchar", "Who holds the baton."),
        "failing_check": Column("varchar", "The check that shows it."),
        "sentence": Column("varchar", "The verdict in words."),
    },
    ("monitoring", "decisions"): {
        "cutoff": Column("date", "The judged week."),
        "event_id": Column("varchar", "The same while one cause goes on."),
        "action": Column("varchar", "continue, improve, inspect or rollback: exactly one a week."),
        "cause": Column("varchar", "data quality, pipeline, covariate, concept, mixed, insufficient evidence or none."),
        "explained": Column("double", "Share of the change that the quality anomalies explain, 0 to 1."),
        "first_bad_asset": Column("varchar", "Where a repair starts."),
        "owner": Column("varchar", "Who holds the baton."),
        "failing_check": Column("varchar", "The check that shows it."),
        "next_command": Column("varchar", "What to run next."),
        "reason": Column("varchar", "Why this action."),
        "window": Column("varchar", "What a retraining learns from: expanding or recent."),
        "quarantine_from": Column("date", "First cutoff kept out of training; null: none."),
        "quarantine_to": Column("date", "Last one, inclusive."),
        "helps": Column("double", "Log-loss that retraining would have gained on matured rows; null: not computed."),
        "anomalies": Column("varchar", "The week's failing observations of quality, JSON."),
        "override_of": Column("varchar", "What the judgement asked for before a person changed it; null: nobody did."),
        "model_version": Column("varchar", "Version that served this week."),
        "promoted": Column("varchar", "Whether a retraining ended in a promotion; null: nothing was trained."),
        "run_id": Column("varchar", "The run that was launched; null: none."),
        "grade": Column("varchar", "What the outcomes said later about this decision; null: not known yet."),
        "released": Column("varchar", "Days that a person called closed, and who said so, JSON; null: none."),
        "remedy": Column("varchar", "How it is improved: retrain or recalibrate; empty: it is not."),
        "saves": Column("double", "Money that it would save until the next one is possible; null: no prices."),
        "week_released": Column("varchar", "Who released the week as a whole, when and why, JSON; null: nobody."),
    },
    ("monitoring", "closed_days"): {
        "day": Column("date", "A day on which nobody could buy."),
        "said_by": Column("varchar", "Who said so."),
        "said_at": Column("timestamp with time zone", "When."),
        "reason": Column("varchar", "Why the shops were closed; empty: not said."),
    },
    ("monitoring", "rebuilds"): {
        "rebuilt_from": Column("date", "Features of this cutoff and all later ones were computed again."),
        "rebuilt_at": Column("timestamp with time zone", "When. The row goes once it is known what that repaired."),
    },
    ("monitoring", "why"): {
        "cutoff": Column("date", "The week."),
        "what_happened": Column("varchar", "In words."),
        "cause": Column("varchar", "data quality, pipeline, covariate, concept, mixed, insufficient evidence or none."),
        "percent_explained": Column("double", "How much of the change the cause explains, 0 to 100."),
        "first_bad_asset": Column("varchar", "Where a repair starts."),
        "owner": Column("varchar", "Who holds the baton."),
        "failing_check": Column("varchar", "The check that shows it."),
        "decision": Column("varchar", "continue, improve, inspect or rollback."),
        "remedy": Column("varchar", "How it is improved: retrain or recalibrate; empty: it is not."),
        "reason": Column("varchar", "Why."),
        "next_command": Column("varchar", "What to run next."),
        "event_id": Column("varchar", "The same while one cause goes on."),
        "restated": Column("varchar", "Which served rows corrections upstream would change; empty: none."),
        "against_calibration": Column("double", "Evidence in shadow against the champion's calibration; 20: an alarm."),
        "against_scores": Column("double", "Evidence in shadow that scores drifted since its promotion; 20: an alarm."),
        "shadow": Column("varchar", "Both in words, with the bound on false alarms; empty: no champion."),
    },
    ("campaigns", "assignment"): {
        "cutoff_date": Column("date", "The week."),
        "customer_id": Column("varchar", "A customer who was worth a call then."),
        "arm": Column("varchar", "`call`, or `held out`: not to be called before `ends_on`."),
        "drawn_on": Column("date", "The cutoff at which chance decided; of an earlier one until its outcome is due."),
        "ends_on": Column("date", "From this day on chance may decide anew: `drawn_on` and the horizon."),
        "draw": Column("double", "The number that was drawn, 0 to 1: below `share` is held out."),
        "share": Column("double", "The share that was held out then, 0 to 1."),
        "score": Column("double", "Probability of a lapse, 0 to 1, as it was when the row was written."),
        "expected_loss": Column("double", "As it was then, in whole currency units."),
        "assigned_at": Column("timestamp with time zone", "When the row was written."),
    },
    ("campaigns", "effect"): {
        "cutoff_date": Column("date", "The week whose outcome is known; null for all weeks together."),
        "called": Column("bigint", "Customers who were to be called."),
        "held_out": Column("bigint", "Customers whom chance held out."),
        "lapsed_called": Column("double", "Share of those to be called who lapsed, 0 to 1."),
        "lapsed_held_out": Column("double", "Share of those held out who lapsed, 0 to 1."),
        "kept": Column("double", "By how much fewer of those to be called lapsed, -1 to 1; weighted over weeks."),
        "kept_low": Column("double", "Lower end of its 95 % interval; of all weeks together, for all looks at once."),
        "kept_high": Column("double", "Upper end."),
        "spend_called": Column("double", "Mean spend of those to be called in the horizon, in whole currency units."),
        "spend_held_out": Column("double", "The same of those held out."),
        "gained": Column("double", "By how much more those to be called spent, a customer; weighted over weeks."),
        "gained_low": Column("double", "Lower end of its 95 % interval, as above."),
        "gained_high": Column("double", "Upper end."),
        "score_called": Column("double", "Mean score of those to be called: chance makes both alike."),
        "score_held_out": Column("double", "Mean score of those held out."),
        "reached": Column("double", "Share of those to be called who were called within the horizon; null: no record."),
        "reached_held_out": Column("double", "Share of those held out who were called all the same; null: no record."),
        "needed": Column("bigint", "Customers to draw until an effect as large as the prices hope for is seen."),
        "chance": Column("double", "Probability that chance holds out a share as far off as this one."),
        "verdict": Column("varchar", "What all weeks together say; null for one week, which says nothing by itself."),
        "sentence": Column("varchar", "The same in words."),
    },
    ("published", "serving_copy"): {
        "layout": Column("bigint", "Another number when readers of the former layout would misread the tables."),
        "published_at": Column("timestamp with time zone", "When the tables were published."),
        "run_id": Column("varchar", "The run that published them; null when a person's command did."),
        "company": Column("varchar", "Whose they are."),
        "problem": Column("varchar", "What is predicted."),
        "newest_cutoff": Column("date", "The newest cutoff that is scored; null: none is."),
        "champion_version": Column("bigint", "The version that serves; null: none does."),
        "champion_function": Column("varchar", "What calls it in SQL in the serving copy; null: nothing does there."),
    },
}


_AMOUNT_METRICS = {
    "n": Column("double", "Rows judged."),
    "mean_seen": Column("double", "Mean of what was seen."),
    "mean_predicted": Column("double", "Mean of what was predicted."),
    "total_ratio": Column("double", "Total predicted over total seen."),
    "absolute_error": Column("double", "Mean absolute error."),
    "root_squared_error": Column("double", "Root of the mean squared error."),
    "order": Column("double", "Spearman's rank correlation of predicted and seen."),
}


def amount_tables(about: About) -> Mapping[tuple[str, str], Mapping[str, Column]]:
    """Return the columns of a further problem's tables, as TABLES holds them; amounts are in its unit."""
    label, unit = about.label(company().question.horizon_days), about.unit
    keys = {"customer_id": Column("varchar", "Customer."), "cutoff_date": Column("date", "Cutoff.")}
    seen = {label: Column("double", f"What came of it, {unit}.")}
    predicted = {"predicted": Column("double", f"What was predicted, {unit}.")}
    version = {"model_version": Column("bigint", "Version of the registered model.")}
    made: dict[str, Mapping[str, Column]] = {
        "training_set": {
            **keys,
            **seen,
            "split": Column("varchar", "train, gap, holdout, quarantined, before window."),
        },
        "candidate": {
            **{name: one for name, one in TABLES["training", "candidate"].items() if name not in _METRICS},
            **_AMOUNT_METRICS,
        },
        "holdout_predictions": {**keys, **predicted, **seen, **version},
        "champion": TABLES["training", "champion"],
        "predictions": {
            **keys,
            **predicted,
            "model_name": Column("varchar", "Registered model."),
            **version,
            "trained_through": Column("date", "Newest cutoff whose outcomes the version saw in training."),
            "scored_at": Column("timestamp with time zone", "When the row was computed."),
        },
        "performance": {
            "slice_name": Column("varchar", "`all`, `cutoff`, `activity`, `segment` (new or known) …"),
            "slice_value": Column("varchar", "Which slice: a cutoff, a band of shopping days in the window, `new`."),
            **_AMOUNT_METRICS,
            "rule_error": Column("double", "Mean absolute error of the best plain rule on the same rows."),
            "note": Column("varchar", "Why a metric is missing, where it is."),
            "evidence": Column(
                "varchar", "`live`: predicted before the outcome was known; `holdout`: what the gate saw."
            ),
            **version,
        },
        "drift": {**TABLES["monitoring", "drift"]},
        "decisions": {
            **DECIDED,
            "off_by": Column("double", "Total predicted above total seen on the newest matured cutoffs, a share."),
            "absolute_error": Column("double", "Mean absolute error there."),
            "rule_error": Column("double", "That of the best plain rule there."),
            **ANSWERED,
        },
    }
    return {(about.name, table): columns for table, columns in made.items()}


TABLES = {
    **TABLES,
    **{(about.name, "model_card"): TABLES["training", "model_card"] for about in further(company().parts)},
    **{
        table: columns
        for about in further(company().parts)
        if about.kind == "regression"
        for table, columns in amount_tables(about).items()
    },
}


def described(warehouse: Warehouse, key: dg.AssetKey) -> dict[str, dg.MetadataValue | int | str | dg.TableSchema]:
    """Return row count, table name and columns of a table of this module, as metadata of its materialisation."""
    schema, table = key.path
    columns = [dg.TableColumn(name, column.type, column.about) for name, column in TABLES[(schema, table)].items()]
    return {
        "dagster/row_count": warehouse.row_count(schema, table),
        "dagster/table_name": f"{schema}.{table}",
        "dagster/column_schema": dg.TableSchema(columns),
        **warehouse.costs(),
    }


def store(warehouse: Warehouse, key: dg.AssetKey, rows: "pd.DataFrame") -> None:
    """Replace a table by rows, with the columns and types that this module promises for it."""
    schema, table = key.path
    warehouse.replace_table(schema, table, typed(rows, key))


def store_part(warehouse: Warehouse, key: dg.AssetKey, rows: "pd.DataFrame", column: str, value: object) -> None:
    """Replace the rows of a table whose column has this value by `rows`, typed as this module promises."""
    schema, table = key.path
    warehouse.replace_partitions(schema, table, typed(rows, key), column=column, values=[value])


def typed(frame: "pd.DataFrame", key: dg.AssetKey) -> "pd.DataFrame":
    """Return a frame with the columns and types that this module promises for a table; missing columns are null."""
    import pandas as pd

    columns = TABLES[(key.path[0], key.path[-1])]
    made = frame.reindex(columns=list(columns)).copy()
    for name, column in columns.items():
        if column.type == "date":
            made[name] = pd.to_datetime(made[name]).astype("datetime64[us]")
        elif column.type == "double":
            made[name] = made[name].astype("float64")
        elif column.type == "bigint":
            made[name] = made[name].astype("Int64")
        elif column.type == "timestamp with time zone":
            made[name] = pd.to_datetime(made[name], utc=True)
        else:
            missing = made[name].isna()
            made[name] = made[name].astype("object")
            made.loc[missing, name] = None
    return made
