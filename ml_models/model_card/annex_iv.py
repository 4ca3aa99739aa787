"""Which section of a card answers which heading of Annex IV of Regulation (EU) 2024/1689 (technical documentation).

The annex belongs to Article 11(1). It has nine points; the first two have (a) to (h). The first, and (a), (b) and
(g) of the second, were compared with reprints of the text, the others with summaries of it; what counts is the Official
Journal. They are told in our own words. The mapping helps whoever has to write that documentation; it claims neither
that a system is of high risk nor that it conforms. What no card can know is named, with who does.
"""

from ml_models.model_card.card import Point

PROVIDER = "The provider of the system knows this; no pipeline does."

POINTS = (
    Point(
        "1(a)",
        "what the system is meant for, who provides it, and its version beside former ones",
        ("purpose", "model", "changes", "owners"),
    ),
    Point("1(b)", "which hardware, software and other AI outside of it it works with", ("data", "model")),
    Point(
        "1(c)",
        "releases of the software it stands on, and what an update asks for",
        ("model",),
        "Updates: docs/operations.md of baton.",
    ),
    Point("1(d)", "the forms in which it is put to use", ("model",), "docs/deployment.md of baton."),
    Point("1(e)", "the hardware it is meant to run on", (), "docs/scale.md and docs/deployment.md of baton."),
    Point("1(f)", "pictures of a product that it is part of", (), PROVIDER),
    Point("1(g)", "what its users see", ("purpose",), "Pictures of the pages: docs/tour.md of baton."),
    Point(
        "1(h)",
        "how its users are instructed",
        ("purpose", "out_of_scope", "limits"),
        "docs/pages.md and docs/when_red.md of baton.",
    ),
    Point("2(a)", "how it was developed, and what of it others made", ("model",)),
    Point(
        "2(b)",
        "its logic, design choices and assumptions, for whom, what it is optimised for, what comes out, trade-offs",
        ("model", "label", "importance", "purpose", "limits"),
        "docs/decisions of baton.",
    ),
    Point(
        "2(c)",
        "how its parts build on each other, and the computing that developing and testing took",
        ("model",),
        "docs/architecture.md and docs/scale.md of baton.",
    ),
    Point("2(d)", "training data: origin, scope, selection, labels, cleaning", ("data", "label")),
    Point(
        "2(e)",
        "what people need to oversee it (Article 14) and to read what comes out",
        ("oversight", "gate", "importance"),
    ),
    Point("2(f)", "changes that are planned beforehand, and how it stays within bounds", ("oversight", "gate")),
    Point(
        "2(g)",
        "how it was tested: data, measures, results, whom it may put at a disadvantage; reports dated and signed",
        ("metrics", "slices", "calibration", "behaviour"),
        "Nobody signs a card: signatures are the provider's.",
    ),
    Point("2(h)", "protection against attacks", (), "docs/operations.md and docs/production.md of baton."),
    Point(
        "3",
        "what it can and cannot do, how exactly for which groups, what may go wrong, oversight, what input it takes",
        ("metrics", "slices", "limits", "out_of_scope", "oversight", "data"),
        "Risks to health, safety and fundamental rights are the provider's to judge.",
    ),
    Point("4", "why its measures fit", ("metrics", "calibration")),
    Point("5", "the management of risks (Article 9)", ("out_of_scope", "limits"), PROVIDER),
    Point("6", "what the provider changed over its life", ("changes", "gate")),
    Point("7", "harmonised standards that were applied, or what was done in their place", (), PROVIDER),
    Point("8", "a copy of the EU declaration of conformity (Article 47)", (), PROVIDER),
    Point(
        "9",
        "how it is evaluated once it is in use, with the plan for that (Article 72)",
        ("monitoring", "oversight", "owners"),
        "docs/monitoring.md of baton tells how; the plan is the provider's.",
    ),
)
