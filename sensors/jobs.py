"""The jobs: parts of the one graph that run together."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.monitoring import (
    ACCURACY_OVER_TIME,
    DRIFT,
    FEATURE_DRIFT,
    LABELS_OUTGREW_MODEL,
    PERFORMANCE,
    SCORE_DRIFT,
)
from assets.predictions import CUSTOMERS_AT_RISK, PREDICTIONS
from assets.training import CHAMPION, TRAINING_SET

EVERYTHING = "everything"
INGEST_AND_BUILD = "ingest_and_build"
WEEKLY_SCORE = "weekly_score"
WEEKLY_JUDGE = "weekly_judge"
RETRAIN = "retrain"


def build_jobs(unit_tests: dg.AssetSelection) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs. `unit_tests` are the checks that prove SQL, not data.

    They need to run when the code changes, not when data arrives: no job holds them, CI and `--select '*'` run them.
    """
    select = dg.AssetSelection
    # Judged once a week, after scoring: a judgement in every job would ask for a retraining in every job.
    judgements = select.checks(FEATURE_DRIFT, SCORE_DRIFT, LABELS_OUTGREW_MODEL)
    model_and_beyond = select.assets(TRAINING_SET).downstream()
    to_champion = (model_and_beyond & select.assets(CHAMPION).upstream()).required_multi_asset_neighbors()
    scored = select.assets(PREDICTIONS, CUSTOMERS_AT_RISK)
    judged = select.assets(ACCURACY_OVER_TIME, PERFORMANCE, DRIFT)
    elsewhere = unit_tests | judgements
    return [
        dg.define_asset_job(
            EVERYTHING,
            selection=select.all() - unit_tests,
            description="The whole graph once: sync, build, validate, train, score, judge, with all checks of data.",
        ),
        dg.define_asset_job(
            INGEST_AND_BUILD,
            selection=select.all() - model_and_beyond - elsewhere,
            description="Sync what the sources have, build marts, features and outcomes, validate the feature frame.",
        ),
        dg.define_asset_job(
            WEEKLY_SCORE,
            selection=scored - elsewhere,
            description="Score the newest cutoff with the champion and list the customers at risk.",
        ),
        dg.define_asset_job(
            WEEKLY_JUDGE,
            selection=(judged - unit_tests) | judgements,
            description="Judge the predictions whose outcomes are known by now, and measure drift.",
        ),
        dg.define_asset_job(
            RETRAIN,
            selection=(to_champion | scored) - elsewhere,
            description="Training set, candidate, promotion gate, champion, then the newest predictions again with it.",
        ),
    ]
