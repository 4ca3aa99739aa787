"""Which section of a card answers which heading of Annex IV of Regulation (EU) 2024/1689 (technical documentation).

The headings are told in our own words. The mapping helps whoever has to write that documentation; it claims neither
that a system is of high risk nor that it conforms. What no card can know is named, with who does.
"""

from ml_models.model_card.card import Point

PROVIDER = "The provider of the system knows this; no pipeline does."

POINTS = (
    Point("1(a)", "what the system is meant for, who provides it, and its version", ("purpose", "model", "owners")),
    Point("1(b)", "what other hardware and software it works with", ("data", "model")),
    Point("1(c)", "releases of the software it stands on", ("model",)),
    Point("1(d)", "the forms in which it is offered", ("model",)),
    Point("1(e)", "the hardware it is meant to run on", (), "docs/scale.md and docs/deployment.md of baton."),
    Point("1(f)", "pictures of a product that it is part of", (), PROVIDER),
    Point("1(g)", "what its users see", ("purpose",), "The pages themselves are not part of a card."),
    Point("1(h)", "how its users are instructed", ("purpose", "out_of_scope", "limits")),
    Point("2(a)", "how it was developed, and what of it others made", ("model",)),
    Point("2(b)", "its logic, design choices and what it is optimised for", ("model", "label", "importance")),
    Point("2(c)", "its architecture and the computing it took", ("model",), "docs/architecture.md of baton."),
    Point("2(d)", "training data: origin, selection, labels, cleaning", ("data", "label")),
    Point("2(e)", "how people oversee it", ("oversight", "gate")),
    Point("2(f)", "changes that are planned beforehand", ("oversight", "changes")),
    Point(
        "2(g)", "how it was tested, with which measures and results", ("metrics", "slices", "calibration", "behaviour")
    ),
    Point("2(h)", "protection against attacks", (), "docs/operations.md and docs/production.md of baton."),
    Point(
        "3", "what it can and cannot do, for whom, and what may go wrong", ("metrics", "slices", "limits", "oversight")
    ),
    Point("4", "why its measures fit", ("metrics", "calibration")),
    Point("5", "the management of risks", ("out_of_scope", "limits"), PROVIDER),
    Point("6", "what changed over its life", ("changes", "gate")),
    Point("7", "standards that were applied", (), PROVIDER),
    Point("8", "the declaration of conformity", (), PROVIDER),
    Point("9", "how it is watched once it is in use", ("monitoring", "oversight", "owners")),
)
