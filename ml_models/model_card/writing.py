"""One version's facts become its card: all sections in the order in which a reader needs them."""

from ml_models.model_card import made, since
from ml_models.model_card.annex_iv import POINTS
from ml_models.model_card.card import Card
from ml_models.model_card.facts import CardFacts

SECTIONS = (
    made.purpose,
    made.out_of_scope,
    made.metrics,
    made.slices,
    made.calibration,
    made.limits,
    since.monitoring,
    since.changes,
    since.gate,
    made.behaviour,
    made.importance,
    made.data,
    made.label,
    made.model,
    made.oversight,
    made.owners,
)


def write_card(facts: CardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    asked = facts.problem.texts.title or facts.problem.name
    return Card(
        model=facts.model,
        version=facts.version,
        title=f"{asked}, version {facts.version}",
        company=facts.company.title,
        standing=since.standing(facts),
        lead=_lead(facts),
        sections=tuple(section(facts) for section in SECTIONS),
        annex_iv=POINTS,
    )


def _lead(facts: CardFacts) -> tuple[str, ...]:
    """Return what a hurried reader needs: how good, since when, and what is wrong."""
    found = []
    evidence = facts.evidence
    kind = made.WORDS.get(facts.algorithm, facts.algorithm)
    found.append(f"Model: {kind}; trained through {facts.trained_through}.")
    measured = evidence.get("metrics")
    rule = next((row for row in evidence.get("comparison", ()) if row["model"] == "recency_rule"), None)
    if measured:
        beside = f", {rule['auc']:.3f} for the recency rule" if rule else ""
        found.append(
            f"AUC {measured['auc']:.3f} on weeks that it had not seen{beside}. Of the tenth with the highest scores "
            f"{100 * measured['precision_at_10']:.0f} % had the outcome, of all {100 * measured['base_rate']:.0f} %."
        )
    if facts.failed and facts.served:
        found.append(f"It failed {', '.join(facts.failed)}, and serves or served all the same.")
    if facts.held:
        found.append(f"{len(facts.held)} of the weeks that it learned from are held to be bad since.")
    return tuple(found)
