"""Each version's card: what it is for, how good it is, what became of it; complete, or the check is red."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, in_mlflow, table
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.model_cards import COMPLETE, FILES, keep_cards
from steps.ownership import owner_of
from steps.tables import ACCURACY_OVER_TIME, CANDIDATE, CHAMPION, DECISIONS, MODEL_CARD, WHY, described


@dg.asset(
    key=MODEL_CARD,
    deps=[CANDIDATE, CHAMPION, WHY, DECISIONS, ACCURACY_OVER_TIME],
    group_name="training",
    owners=[owner_of(MODEL_CARD)],
    kinds={"mlflow", "markdown"},
    check_specs=[
        dg.AssetCheckSpec(
            COMPLETE.name,
            asset=MODEL_CARD,
            blocking=False,
            description=(
                "No section of a card lacks anything. Failed, it names version and section. A section may say why it "
                "holds nothing: no week was judged yet, or an earlier release recorded none."
            ),
            metadata={"owner": owner_of(MODEL_CARD)},
        )
    ],
    description=(
        "One row a registered version: its card. Purpose, what it is not for, data, label, metrics beside baselines, "
        "slices, calibration, behaviour, limits, owners, gate and override, what changed, and what the monitoring has "
        "said since. The same card lies beside the version in MLflow, as Markdown, HTML and JSON. Written when a "
        "version is registered, and again when something new is known."
    ),
)
def model_card(context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry) -> Materialized:
    """Write the cards that are due, and say whether they are complete."""
    from ml_models.model_card.rendering import to_markdown

    done = keep_cards(warehouse, registry)
    context.log.info(done.what)
    metadata: dict[str, Any] = {**described(warehouse, MODEL_CARD), "what_happened": done.what}
    # The champion's first; before there is one, the newest candidate's.
    for card in done.cards[:1]:
        metadata["card"] = dg.MetadataValue.md(to_markdown(card))
        metadata |= {"model_version": card.version, "files": ", ".join(FILES), **in_mlflow(registry, card.version)}
    metadata["cards"] = table(
        warehouse.read("select model_version, standing, complete, missing from training.model_card order by 1 desc")
    )
    missing = done.missing
    lacking = list(dict.fromkeys(key for card in done.cards for key in card.missing))
    result = dg.AssetCheckResult(
        asset_key=MODEL_CARD,
        check_name=COMPLETE.name,
        passed=not missing and not done.away,
        severity=dg.AssetCheckSeverity.WARN if done.away else dg.AssetCheckSeverity.ERROR,
        description="; ".join(missing) or done.away or done.what,
        metadata={
            "missing": ", ".join(lacking) or "nothing",
            **figures(len(lacking), 0, "sections of cards that lack something, at most"),
        },
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[result])
