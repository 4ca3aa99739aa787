"""Cards of versions: their facts gathered, written to `training.model_card`, and put beside the version in MLflow."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from resources.company import Company, company
from resources.company.choice import chosen
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion, RegistryError
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.contract import Warehouse
from steps.candidates import quarantined_cutoffs
from steps.champions import ROLLED_BACK, training_span
from steps.migrations import ensure
from steps.problem import problem
from steps.tables import ACCURACY_OVER_TIME, CHAMPION, DECISIONS, MODEL_CARD, WHY, typed

if TYPE_CHECKING:
    from ml_models.model_card.card import Card
    from ml_models.model_card.facts import Before, CardFacts, Promotion
    from ml_models.model_card.facts import Company as CompanyFacts

COMPLETE = dg.AssetCheckKey(MODEL_CARD, "model_card_complete")

MARKDOWN, HTML, JSON = FILES = ("model_card.md", "model_card.html", "model_card.json")
"""A card's artefacts beside its version in MLflow."""

ROLES = {"raw": "loads: raw tables", "tables": "shapes: staging, marts, features", "models": "predicts and judges"}


class Cards(NamedTuple):
    """What was written: the cards that were looked at, the champion's first, and what happened, in a sentence.

    `away`: why the registry could not be asked; the cards that are there stay then.
    """

    cards: "tuple[Card, ...]"
    what: str
    away: str = ""

    @property
    def missing(self) -> list[str]:
        """What is missing, a sentence a section: which version, which section, what."""
        return [
            f"version {card.version}, section `{key}`: {what}"
            for card in self.cards
            for key, what in card.missing.items()
        ]


def keep_cards(warehouse: Warehouse, registry: ModelRegistry) -> Cards:
    """Write the cards that are due: of champion and challenger, of what served before, and of versions without one.

    A card whose facts are as they were is not written again. A registry that is away changes nothing.
    """
    from ml_models.model_card.writing import write_card

    ensure(warehouse, MODEL_CARD, CHAMPION)
    try:
        versions = {one.version: one for one in registry.versions()}
        if not versions:
            return Cards((), "No version has been registered yet, so there is no card. The first training writes one.")
        serving, challenger = registry.by_alias(CHAMPION_ALIAS), registry.by_alias(CHALLENGER)
    except RegistryError as error:
        return Cards((), f"No card was written. {error}", away=str(error))
    promotions = _promotions(warehouse)
    held = _held(warehouse)
    due = {one.version for one in (serving, challenger) if one}
    # Who served until a moment ago has a card that says otherwise.
    due |= {one.version for one in promotions[-2:]}
    due |= versions.keys() - held.keys()
    cards, written, told = [], 0, ""
    for number in sorted(due & versions.keys(), reverse=True):
        facts = gather(warehouse, registry, versions[number], versions, serving, promotions)
        card = write_card(facts)
        texts = _texts(card)
        new = held.get(number) != texts[JSON]
        if new:
            _store(warehouse, card, texts)
        try:
            new |= _attach(registry, versions[number], card, texts)
        except RegistryError as error:
            told += f" {error}"
        cards.append(card)
        written += new
    # What serves is what is asked for first.
    cards.sort(key=lambda card: (serving is None or card.version != serving.version, -card.version))
    named = ", ".join(str(card.version) for card in cards)
    return Cards(tuple(cards), f"Cards of version(s) {named} looked at, {written} of them written anew.{told}")


def gather(
    warehouse: Warehouse,
    registry: ModelRegistry,
    version: ModelVersion,
    versions: Mapping[int, ModelVersion],
    serving: ModelVersion | None,
    promotions: "tuple[Promotion, ...]",
) -> "CardFacts":
    """Return everything that is known of a version; where something cannot be read, why."""
    from ml_models.model_card.facts import CardFacts

    evidence, unreadable = _evidence(registry, version)
    try:
        signature = registry.signature(version)
    except RegistryError as error:
        signature = f"cannot be read: {error}"
    return CardFacts(
        problem=problem(),
        company=_company(company()),
        model=version.name,
        version=version.version,
        algorithm=version.algorithm,
        trained_through=version.trained_through,
        fingerprint=version.fingerprint,
        address=version.uri,
        evidence=evidence,
        unreadable=unreadable,
        signature=signature,
        promotions=promotions,
        serving=serving.version if serving else None,
        rolled_back=registry.tag(version, ROLLED_BACK),
        before=_before(registry, version, versions, evidence),
        held=_held_since(warehouse, version, evidence),
        weeks=_weeks(warehouse, version.version),
        live=_live(warehouse, version.version),
    )


def _evidence(registry: ModelRegistry, version: ModelVersion) -> tuple[dict[str, Any], str]:
    try:
        return registry.evidence(version), ""
    except RegistryError as error:
        return {}, str(error)


def _before(
    registry: ModelRegistry,
    version: ModelVersion,
    versions: Mapping[int, ModelVersion],
    evidence: Mapping[str, Any],
) -> "Before":
    """Return what it was held against, or else the version registered before it."""
    from ml_models.model_card.facts import Before

    rival = evidence.get("judged_against")
    older = [number for number in versions if number < version.version]
    if rival is None and not older:
        return Before(why_none="It is the first version.")
    number = rival if rival is not None else max(older)
    if number not in versions:
        return Before(why_none=f"The version before, {number}, is in the registry no more.")
    found, why = _evidence(registry, versions[number])
    return Before(number, found, why)


def _held_since(warehouse: Warehouse, version: ModelVersion, evidence: Mapping[str, Any]) -> tuple[date, ...]:
    """Return the cutoffs that a version learned from and that the ledger now keeps out of training."""
    from ml_models.cutoffs import cutoffs_between
    from ml_models.model_version import learned_from

    first, excluded = training_span(evidence)
    if first is None:
        return ()
    days = cutoffs_between(first, version.trained_through, in_step_with=version.trained_through)
    learned = learned_from(days, version.trained_through, first, excluded)
    return tuple(quarantined_cutoffs(warehouse, learned))


def _promotions(warehouse: Warehouse) -> "tuple[Promotion, ...]":
    from ml_models.model_card.facts import Promotion

    rows = warehouse.read(
        "select model_version, promoted_at, reason, run_id from training.champion order by promoted_at"
    )
    return tuple(
        Promotion(
            int(row["model_version"]),
            row["promoted_at"].date(),
            str(row["reason"]),
            None if row["run_id"] is None or row["run_id"] != row["run_id"] else str(row["run_id"]),
        )
        for row in rows.to_dict("records")
    )


def _weeks(warehouse: Warehouse, version: int) -> tuple[dict[str, Any], ...]:
    """Return the judged weeks in which a version served, oldest first."""
    ensure(warehouse, WHY, DECISIONS)
    # All columns: a former build's table lacks some of today's until its next week is judged.
    rows = warehouse.read(
        "select w.*, d.override_of from monitoring.why w join monitoring.decisions d on d.cutoff = w.cutoff "
        "where d.model_version = ? order by w.cutoff",
        [str(version)],
    )
    return tuple(_plain(row, "cutoff") for row in rows.to_dict("records"))


def _live(warehouse: Warehouse, version: int) -> tuple[dict[str, Any], ...]:
    """Return the judged weeks of a version's live predictions, oldest first."""
    if not warehouse.exists(*ACCURACY_OVER_TIME.path):
        return ()
    rows = warehouse.read(
        "select * from marts.accuracy_over_time where evidence = 'live' and model_version = ? order by cutoff_date",
        [version],
    )
    return tuple(_plain(row, "cutoff_date") for row in rows.to_dict("records"))


def _plain(row: Mapping[Any, Any], day: str) -> dict[str, Any]:
    """Return a row with its day as a date, and None where it holds nothing."""
    found = {str(name): None if value is None or value != value else value for name, value in row.items()}
    return {**found, day: row[day].date()}


def _company(ours: Company) -> "CompanyFacts":
    from ml_models.model_card.facts import Company as CompanyFacts

    tables = [(name, one.source.partition(":")[0]) for name, one in ours.tables.items()]
    for name, connector in ours.airbyte.items():
        streams = connector.streams or ("all streams",)
        tables += [(f"{connector.prefix}{stream}", f"Airbyte connection {name}") for stream in streams]
    card = ours.model_card
    own = {key: getattr(card, key) for key in ("purpose", "out_of_scope", "data", "limits")}
    return CompanyFacts(
        title=ours.title,
        tables=tuple(tables),
        attributes=ours.attributes,
        owners={role: (str(getattr(ours.owners, role)), what) for role, what in ROLES.items()},
        own=own,
        file=f"company.toml of {chosen()}",
    )


def _held(warehouse: Warehouse) -> dict[int, str]:
    rows = warehouse.read("select model_version, card from training.model_card")
    return {int(row["model_version"]): str(row["card"]) for row in rows.to_dict("records")}


def _texts(card: "Card") -> dict[str, str]:
    """Return the card's artefacts by their names, each rendered once."""
    from ml_models.model_card.rendering import to_html, to_markdown

    return {MARKDOWN: to_markdown(card), HTML: to_html(card), JSON: card.to_json()}


def _store(warehouse: Warehouse, card: "Card", texts: Mapping[str, str]) -> None:
    import pandas as pd

    row = pd.DataFrame(
        {
            "model_name": [card.model],
            "model_version": [card.version],
            "standing": [card.standing],
            "complete": [str(not card.missing).lower()],
            "missing": [", ".join(card.missing)],
            "markdown": [texts[MARKDOWN]],
            "card": [texts[JSON]],
        }
    )
    schema, table = MODEL_CARD.path
    warehouse.replace_partitions(schema, table, typed(row, MODEL_CARD), column="model_version", values=[card.version])


def _attach(registry: ModelRegistry, version: ModelVersion, card: "Card", texts: Mapping[str, str]) -> bool:
    """Put the card beside its version, and say what the version is; one whose files are lost keeps what it has."""
    description = "\n\n".join([f"{card.title}, {card.company}. {card.standing}", *card.lead])
    tags = {"model_card": "complete" if not card.missing else f"incomplete: {', '.join(card.missing)}"}
    return registry.attach(version, texts, description=description, tags=tags)
