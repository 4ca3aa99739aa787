"""The jobs: parts of the one graph that run together."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from resources.airbyte.checks import CATALOG_CHECK
from sensors.patience import try_again_when_held
from steps.tables import (
    ACCURACY_OVER_TIME,
    CAMPAIGN_ASSIGNMENT,
    CAMPAIGN_EFFECT,
    CANDIDATE,
    CATALOGUE,
    CHAMPION,
    CUSTOMER_VALUE,
    CUSTOMERS_AT_RISK,
    EXPECTED_SPEND_ACCURACY,
    LAPSE,
    MODEL_CARD,
    PREDICTIONS,
    READINESS,
    SERVING_COPY,
    SHADOW_PREDICTIONS,
    TRAINING_SET,
    ProblemTables,
    tables_of,
)

EVERYTHING = "everything"
SYNC = "sync"
INGEST_AND_BUILD = "ingest_and_build"
WEEKLY_SCORE = "weekly_score"
WEEKLY_JUDGE = "weekly_judge"
RETRAIN = "retrain"
PROMOTE = "promote"
ROLLBACK = "rollback"
CHECK = "check"
UNIT_TESTS = "unit_tests"

JUDGEMENT_GROUP = "monitoring"


def job_of(job: str, problem: str) -> str:
    """Return what a problem's job is called: `retrain` of the first one, `retrain_spend` of another.

    >>> job_of(RETRAIN, "lapse"), job_of(RETRAIN, "spend")
    ('retrain', 'retrain_spend')
    """
    return job if problem == LAPSE.name else f"{job}_{problem}"


PATIENT = frozenset({try_again_when_held})


def build_jobs(
    unit_tests: dg.AssetSelection,
    assets: Sequence[dg.AssetsDefinition | dg.AssetChecksDefinition],
    further: Sequence[str] = (),
) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs over `assets`. `unit_tests` are the checks that prove SQL, not data.

    `further`: the problems beside the first, each a group. They are scored and judged in the same weekly jobs, and
    retrained in jobs of their own.

    Unit tests need to run when the code changes, not when data arrives: they have a job of their own, for which
    `unit_tests_sensor` asks. CI and `--select '*'` run them, too.

    What arrived is judged with what was built, before anything is scored: of the monitoring group, what reads neither
    model nor predictions runs in `ingest_and_build`. The rest judges once a week, after scoring: a judgement in every
    job would ask for an answer in every job.
    """
    select = dg.AssetSelection
    model_and_beyond: dg.AssetSelection = select.assets(TRAINING_SET).downstream()
    # What customers spend is read beside scores, and made with what reads it.
    valued = select.assets(CUSTOMER_VALUE, EXPECTED_SPEND_ACCURACY)
    judged = (select.groups(JUDGEMENT_GROUP) & model_and_beyond) | select.assets(ACCURACY_OVER_TIME) | valued
    # Chance decides as soon as the list is there; what that changed is known with the outcomes.
    judged |= select.assets(CAMPAIGN_EFFECT)
    judgements = select.checks(*judgement_checks(assets))
    to_champion = (model_and_beyond & select.assets(CHAMPION).upstream()).required_multi_asset_neighbors()
    scored: dg.AssetSelection = select.assets(PREDICTIONS, CUSTOMER_VALUE, CUSTOMERS_AT_RISK, CAMPAIGN_ASSIGNMENT)
    # Whoever changes which versions there are, what serves, or what was judged, renews the cards, and what is told of
    # the features: which champion reads them, and how they drift.
    cards: dg.AssetSelection = select.assets(MODEL_CARD, CATALOGUE)
    # Each run that changes what people read publishes it, last.
    published = select.assets(SERVING_COPY)
    # What a further problem predicts is read where customers are valued, and so is made with it.
    tables = [tables_of(name) for name in further]
    # What dbt shapes for a problem is built with the rest; what it trains, predicts and judges is not.
    others = select.assets(*(key for of in tables for key in of[1:]))
    for of in tables:
        scored |= select.assets(of.predictions)
        judged |= select.assets(of.performance, of.drift, of.decisions)
        cards |= select.assets(of.model_card)
    # The verdict on the data is for a person who asks for it.
    readiness = select.assets(READINESS)
    elsewhere = unit_tests | judgements | readiness
    return [
        dg.define_asset_job(
            EVERYTHING,
            hooks=PATIENT,
            selection=select.all() - unit_tests - readiness,
            description="The whole graph once: sync, build, validate, train, score, judge, with all checks of data.",
        ),
        dg.define_asset_job(
            SYNC,
            hooks=PATIENT,
            selection=select.groups("raw").without_checks() | select.checks(*_of_catalogs(assets)),
            description="Sync what the sources have, and compare what they offer with the catalog. Nothing is built.",
        ),
        dg.define_asset_job(
            CHECK,
            hooks=PATIENT,
            selection=readiness.upstream() - unit_tests,
            description="What the data can carry, before anything is trained: contract, rhythm, days, the question.",
        ),
        dg.define_asset_job(
            UNIT_TESTS,
            hooks=PATIENT,
            selection=unit_tests,
            description="dbt's unit tests: rows that are given, rows that are expected, whatever the warehouse holds.",
        ),
        dg.define_asset_job(
            INGEST_AND_BUILD,
            hooks=PATIENT,
            selection=(select.all() - model_and_beyond - others - valued - elsewhere)
            | select.assets(CATALOGUE)
            | published,
            description=(
                "Sync what the sources have, build marts, features and outcomes, validate the feature frame, and judge "
                "the quality of what arrived."
            ),
        ),
        dg.define_asset_job(
            WEEKLY_SCORE,
            hooks=PATIENT,
            selection=(scored | select.assets(SHADOW_PREDICTIONS) | published) - elsewhere,
            description="Score the newest cutoff with the champion and list the customers at risk.",
        ),
        dg.define_asset_job(
            WEEKLY_JUDGE,
            hooks=PATIENT,
            selection=((judged | cards) - unit_tests) | judgements | published,
            description="Judge the predictions whose outcomes are known by now, measure drift, explain and decide.",
        ),
        dg.define_asset_job(
            RETRAIN,
            hooks=PATIENT,
            selection=(to_champion | scored | cards | published) - elsewhere,
            description="Training set, candidate, promotion gate, champion, then the newest predictions again with it.",
        ),
        dg.define_asset_job(
            PROMOTE,
            hooks=PATIENT,
            selection=(select.assets(CHAMPION) | scored | cards | published) - elsewhere,
            config=promote_after_shadow(),
            description="Promote the challenger that passed the gate and scored a cutoff as a shadow; score again.",
        ),
        dg.define_asset_job(
            ROLLBACK,
            hooks=PATIENT,
            selection=(select.assets(CHAMPION) | scored | cards | published) - elsewhere,
            config=roll_back(),
            description="Return to the champion before the present one, and score the newest cutoff again with it.",
        ),
        *(job for of in tables for job in _of_further(of, published, elsewhere)),
    ]


def _of_further(
    of: ProblemTables, published: dg.AssetSelection, elsewhere: dg.AssetSelection
) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs of a problem beside the first: its retraining, and its way back."""
    select = dg.AssetSelection
    # What is made of its predictions, and what tells of its champion.
    made_of_it = select.assets(of.champion).downstream()
    read: dg.AssetSelection = select.assets(of.predictions, of.model_card)
    read |= select.assets(CUSTOMER_VALUE, CUSTOMERS_AT_RISK, CAMPAIGN_ASSIGNMENT, CATALOGUE) & made_of_it
    trained = select.assets(of.training_set, of.candidate, of.holdout, of.champion)
    return [
        dg.define_asset_job(
            job_of(RETRAIN, of.name),
            hooks=PATIENT,
            selection=(trained | read | published) - elsewhere,
            description=f"The same of {of.name}: training set, candidate, gate, champion, predictions again.",
        ),
        dg.define_asset_job(
            job_of(ROLLBACK, of.name),
            hooks=PATIENT,
            selection=(select.assets(of.champion) | read | published) - elsewhere,
            config=roll_back(of=of),
            description=f"Return to the champion of {of.name} before the present one, and predict again.",
        ),
    ]


def judgement_checks(assets: Sequence[dg.AssetsDefinition | dg.AssetChecksDefinition]) -> list[dg.AssetCheckKey]:
    """Return the checks that read an asset of the monitoring group that reads the model, wherever they are shown."""
    reads = {spec.key: {dep.asset_key for dep in spec.deps} for one in assets for spec in one.specs}
    beyond = {TRAINING_SET}
    while grown := {key for key, deps in reads.items() if key not in beyond and deps & beyond}:
        beyond |= grown
    judging = {
        spec.key for one in assets for spec in one.specs if spec.group_name == JUDGEMENT_GROUP and spec.key in beyond
    }
    return [
        check.key
        for one in assets
        for check in one.check_specs
        if judging & {dep.asset_key for dep in check.additional_deps}
    ]


def _of_catalogs(assets: Sequence[dg.AssetsDefinition | dg.AssetChecksDefinition]) -> list[dg.AssetCheckKey]:
    """Return the checks that ask the sources, and not the tables."""
    return [spec.key for one in assets for spec in one.check_specs if spec.name == CATALOG_CHECK]


def rescore_newest(of: ProblemTables = LAPSE) -> dict[str, Any]:
    """Run configuration that lets a new champion replace the newest, not yet judged, predictions."""
    # Dagster names the step of an asset after its whole key.
    return {"ops": {of.predictions.to_python_identifier(): {"config": {"rescore": True}}}}


def learn_from(
    window: str,
    exclude_from: str,
    exclude_to: str,
    reason: str,
    remedy: str = "retrain",
    of: ProblemTables = LAPSE,
) -> dict[str, Any]:
    """Run configuration of `retrain`: what to learn from, how, and why; the newest predictions are made again."""
    config = {"window": window, "exclude_from": exclude_from, "exclude_to": exclude_to, "reason": reason}
    ops = {**rescore_newest(of)["ops"], of.training_set.to_python_identifier(): {"config": config}}
    if of == LAPSE:
        # The step of an asset with several outputs has a name of its own.
        ops[CANDIDATE.path[-1]] = {"config": {"remedy": remedy}}
    return {"ops": ops}


def roll_back(
    exclude_from: str = "", exclude_to: str = "", reason: str = "", of: ProblemTables = LAPSE
) -> dict[str, Any]:
    """Run configuration of `rollback`: which cutoffs the champion to return to must not have learned from, and why."""
    config = {"rollback": True, "exclude_from": exclude_from, "exclude_to": exclude_to, "reason": reason}
    return {"ops": {**rescore_newest(of)["ops"], of.champion.to_python_identifier(): {"config": config}}}


def promote_after_shadow() -> dict[str, Any]:
    """Run configuration of `promote`."""
    return {"ops": {**rescore_newest()["ops"], CHAMPION.to_python_identifier(): {"config": {"after_shadow": True}}}}
