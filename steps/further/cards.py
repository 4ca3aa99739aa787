"""Cards of the versions of a problem beside the first: in its `model_card`, and beside the version."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from resources.company import company
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion, RegistryError
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse import Warehouse
from steps.champions import ROLLED_BACK
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.problem import asked_named
from steps.tables import ProblemTables, store_part

if TYPE_CHECKING:
    from ml_models.model_card.card import Card
    from ml_models.model_card.further import FurtherCardFacts


class FurtherCards(NamedTuple):
    """What happened, in words; the newest card as Markdown, empty before the first; sections that lack something."""

    what: str
    markdown: str
    version: int | None
    missing: list[str]
    away: str = ""


def keep_further_cards(
    warehouse: Warehouse, registry: ModelRegistry, of: ProblemTables, card_of: "Callable[[FurtherCardFacts], Card]"
) -> FurtherCards:
    """Write the cards of champion, challenger, and versions without one; as they are, they are not written again."""
    import pandas as pd

    from ml_models.model_card.rendering import to_html, to_markdown

    ensure(warehouse, of.model_card, of.champion, of.performance, of.decisions)
    try:
        versions = registry.versions()
        serving, challenger = registry.by_alias(CHAMPION_ALIAS), registry.by_alias(CHALLENGER)
    except RegistryError as error:
        return FurtherCards(f"No card was written. {error}", "", None, [], away=str(error))
    table = ".".join(of.model_card.path)
    held = warehouse.read(f"select model_version, card from {table}")
    kept = dict(zip(held["model_version"].astype(int), held["card"], strict=True))
    last = warehouse.read(f"select model_version from {'.'.join(of.champion.path)} order by promoted_at desc limit 2")
    due = {one.version for one in (serving, challenger) if one} | {int(number) for number in last["model_version"]}
    looked, written, markdown, missing = [], 0, "", []
    for version in sorted(versions, key=lambda one: (one == serving, one.version)):
        if version.version not in due and version.version in kept:
            continue
        card = card_of(_facts(warehouse, registry, version, serving, of))
        looked.append(version.version)
        missing += [f"version {version.version}, section `{key}`: {what}" for key, what in card.missing.items()]
        markdown = to_markdown(card)
        if kept.get(version.version) == card.to_json():
            continue
        row = {
            "model_name": version.name,
            "model_version": version.version,
            "standing": card.standing,
            "complete": str(not card.missing).lower(),
            "missing": ", ".join(card.missing),
            "markdown": markdown,
            "card": card.to_json(),
        }
        store_part(warehouse, of.model_card, pd.DataFrame([row]), "model_version", version.version)
        texts = {"model_card.md": markdown, "model_card.html": to_html(card), "model_card.json": card.to_json()}
        description = "\n\n".join([f"{card.title}, {card.company}. {card.standing}", *card.lead])
        registry.attach(
            version, texts, description=description, tags={"model_card": "incomplete" if card.missing else "complete"}
        )
        written += 1
    if not looked:
        return FurtherCards("No version has been registered yet, so there is no card.", "", None, [])
    return FurtherCards(
        f"Cards of version(s) {', '.join(map(str, looked))} looked at, {written} of them written anew.",
        markdown,
        looked[-1],
        missing,
    )


def _facts(
    warehouse: Warehouse,
    registry: ModelRegistry,
    version: ModelVersion,
    serving: ModelVersion | None,
    of: ProblemTables,
) -> "FurtherCardFacts":
    from ml_models.model_card.further import FurtherCardFacts

    try:
        evidence, unreadable = registry.evidence(version), ""
    except RegistryError as error:
        evidence, unreadable = {}, str(error)

    def rows(sql: str, *values: Any) -> list[dict[str, Any]]:
        return [
            {str(name): value for name, value in row.items()} for row in warehouse.read(sql, values).to_dict("records")
        ]

    return FurtherCardFacts(
        problem=asked_named(of.name),
        company=company().title,
        model=version.name,
        version=version.version,
        algorithm=version.algorithm,
        serving=serving is not None and serving.version == version.version,
        rolled_back=registry.tag(version, ROLLED_BACK),
        promotions=rows(
            f"select promoted_at, reason from {'.'.join(of.champion.path)} where model_version = ? order by 1",
            version.version,
        ),
        evidence=evidence,
        unreadable=unreadable,
        live=rows(
            f"select * from {'.'.join(of.performance.path)} "
            "where evidence = 'live' and slice_name = 'cutoff' and model_version = ? order by slice_value",
            version.version,
        ),
        weeks=rows(
            f"select cutoff, action, cause, reason from {'.'.join(of.decisions.path)} where model_version = ? "
            "order by 1",
            str(version.version),
        ),
        owner=owner_of(of.champion),
    )
