"""The jobs: parts of the one graph that run together."""

import dagster as dg

from assets.dbt import UNIT_TESTS
from assets.monitoring import ACCURACY_OVER_TIME, DRIFT, PERFORMANCE
from assets.predictions import CUSTOMERS_AT_RISK, PREDICTIONS
from assets.training import CHAMPION, TRAINING_SET

_MODEL_AND_BEYOND = AssetSelection = dg.AssetSelection.assets(TRAINING_SET).downstream()

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="The whole graph once: sync, build, validate, train, score, judge, with every check.",
)

ingest_and_build = dg.define_asset_job(
    "ingest_and_build",
    # Unit tests prove the SQL, not the data: they run when the code changes (`everything`, CI), not every morning.
    selection=(dg.AssetSelection.all() - _MODEL_AND_BEYOND) - UNIT_TESTS,
    description="Sync what the sources have, build the marts, features and outcomes, validate the feature frame.",
)

weekly_score = dg.define_asset_job(
    "weekly_score",
    selection=dg.AssetSelection.assets(PREDICTIONS, CUSTOMERS_AT_RISK) - UNIT_TESTS,
    description="Score the newest cutoff with the champion and list the customers at risk.",
)

weekly_judge = dg.define_asset_job(
    "weekly_judge",
    selection=dg.AssetSelection.assets(ACCURACY_OVER_TIME, PERFORMANCE, DRIFT)
    | dg.AssetSelection.checks_for_assets(DRIFT),
    description="Judge the predictions whose outcomes are known by now, and measure drift of features and scores.",
)

retrain = dg.define_asset_job(
    "retrain",
    selection=(
        dg.AssetSelection.assets(TRAINING_SET).downstream() & dg.AssetSelection.assets(CHAMPION).upstream()
        | dg.AssetSelection.assets(PREDICTIONS, CUSTOMERS_AT_RISK)
    )
    - UNIT_TESTS,
    description="Training set, candidate, promotion gate, champion, then the newest predictions again with it.",
)

JOBS = [everything, ingest_and_build, weekly_score, weekly_judge, retrain]
