"""The sections that stand since a version was registered: what it is for, what it was made of, how good it was."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_models.model_card.card import Column, Fact, Section, Table, Value, number, sentences
from ml_models.model_card.facts import CardFacts
from ml_models.model_version import promote_command

TEXTS = "the problem's texts in ml_models/problems"

WORDS = {
    "base_rate": "base rate",
    "recency_rule": "recency rule",
    "rfm_logistic": "logistic, 3 RFM features",
    "logistic": "logistic, all features",
    "boosting": "gradient boosting, all features",
    "shuffled_labels": "negative control: shuffled labels",
}
"""What a model of the comparison is called; another candidate is called by its own name."""

BEHAVIOUR = {
    "invariance": "What must not matter does not",
    "directions": "What people call more risk raises the score",
    "extremes": "The worst customer scores high, the best one low",
}

MEASURES = {
    "auc": "how often a lapsed customer outranks one that stayed: 0.5 is chance, 1 is always",
    "pr_auc": "the same with most weight on the highest scores; chance is the share that lapses",
    "log_loss": "how far off the probabilities are; lower is better",
    "brier": "the mean squared error of the probabilities; lower is better",
    "lift_at_10": "how many times as many lapse in the tenth with the highest scores as among all",
}


BASELINES = {
    "base_rate": "says of everybody what the training rows say on average",
    "recency_rule": "the longer away, the likelier gone",
    "rfm_logistic": "a regression on recency, frequency and money alone",
    "shuffled_labels": "the same recipe where outcomes were mixed up; it must find nothing",
}
"""What each of the simple rules does."""

SLICE_COLUMNS = (
    Column("slice"),
    Column("rows", "count"),
    Column("lapsed", "percent"),
    Column("predicted", "percent"),
    Column("AUC", "score"),
    Column("log-loss", "score"),
)


def purpose(facts: CardFacts) -> Section:
    """Return what the model is for."""
    return _told(facts, "purpose", "What it is for", facts.problem.texts.purpose)


def out_of_scope(facts: CardFacts) -> Section:
    """Return what it must not be used for."""
    return _told(facts, "out_of_scope", "What it is not for", facts.problem.texts.out_of_scope)


def limits(facts: CardFacts) -> Section:
    """Return where it errs."""
    return _told(facts, "limits", "Limits", facts.problem.texts.limits)


def oversight(facts: CardFacts) -> Section:
    """Return what people do beside it, and how they stop it."""
    own = _told(facts, "oversight", "How people oversee it", facts.problem.texts.oversight)
    stop = Fact(promote_command(str(facts.version)), "commands/promote.py", "to make this version the champion again")
    return Section(own.key, own.heading, (*own.facts, stop), lacks=own.lacks)


def label(facts: CardFacts) -> Section:
    """Return what is predicted, and when it is known."""
    asked, problem = facts.problem.question, facts.problem
    section = _told(facts, "label", "What is predicted, and when it is known", problem.texts.label)
    file = facts.company.file
    numbers = (
        Fact(f"{problem.label} (outcomes/customer_outcomes)", TEXTS, "column of the outcome"),
        Fact(f"{asked.horizon_days} days after the cutoff", file, "known"),
        Fact(f"{asked.early_days} days after the cutoff", file, "early outcome known"),
        Fact(
            f"customers with a purchase in the {asked.active_within_days} days before the cutoff", file, "who is scored"
        ),
    )
    return Section(section.key, section.heading, (*section.facts, *numbers), lacks=section.lacks)


def data(facts: CardFacts) -> Section:
    """Return what it learned from, what was kept out, and what a reader should know of it."""
    told = _told(facts, "data", "Data, and what to know about it", facts.problem.texts.data)
    evidence, source = facts.evidence, facts.evidence_file
    tables = []
    if facts.company.tables:
        rows = tuple((name, how) for name, how in facts.company.tables)
        tables.append(Table("Raw tables", facts.company.file, (Column("table"), Column("how it comes")), rows))
    if evidence.get("rows"):
        tables.append(_rows_table(evidence, source))
    found = [*told.facts]
    if evidence:
        excluded = ", ".join(evidence.get("excluded", ())) or "none"
        found += [
            Fact(f"{evidence['trained_from']} to {evidence['trained_through']}", source, "cutoffs learned from")
            if evidence.get("trained_from")
            else Fact(f"up to {facts.trained_through}; the first one was not recorded", source, "cutoffs learned from"),
            Fact(_window(evidence), source, "window"),
            Fact(excluded, source, "weeks in quarantine, kept out of training"),
            Fact(_left_out(evidence), source, "features left out because they teach nothing"),
        ]
        if evidence.get("features"):
            found.append(Fact(len(evidence["features"]), source, "features read", "count"))
    if facts.held:
        days = ", ".join(str(day) for day in facts.held)
        found.append(Fact(days, "monitoring.decisions", "weeks learned from that are held to be bad since"))
    if facts.company.attributes:
        named = ", ".join(facts.company.attributes)
        found.append(Fact(named, facts.company.file, "attributes of persons, in lists only"))
    lacks = told.lacks or _lost(facts, "the rows that it learned from")
    return Section("data", told.heading, tuple(found), tuple(tables), lacks=lacks)


def model(facts: CardFacts) -> Section:
    """Return what kind of model it is, how it was chosen, and where it lies."""
    evidence, source = facts.evidence, facts.evidence_file
    registry = f"the registry's version {facts.version}"
    found = [
        Fact(WORDS.get(facts.algorithm, facts.algorithm), registry, "kind"),
        Fact(facts.address, registry, "address in MLflow"),
        Fact(facts.fingerprint, registry, "fingerprint of data and recipe"),
        Fact(facts.signature or "not recorded by the release that registered it", registry, "signature"),
    ]
    if evidence:
        moved = evidence.get("recalibration")
        how = (
            f"version {moved['version']} with its log-odds moved: {moved['intercept']:+.4f}, times {moved['slope']:.4f}"
            if moved
            else "a seeded search and a fit on all matured weeks"
        )
        parameters = ", ".join(f"{name} = {value}" for name, value in evidence.get("parameters", {}).items())
        libraries = ", ".join(f"{name} {number}" for name, number in evidence.get("libraries", {}).items())
        found += [
            Fact(how, source, "made by"),
            Fact(str(evidence.get("selection", "")), source, "chosen because"),
            Fact(parameters or "none", source, "parameters"),
            Fact(str(evidence.get("seed", "")), source, "seed"),
            Fact(libraries or "not recorded by the release that registered it", source, "libraries"),
        ]
    return Section("model", "How it was made, and where it lies", tuple(found), lacks=_lost(facts, "how it was made"))


def metrics(facts: CardFacts) -> Section:
    """Return how good it was on rows that it had not seen, beside simpler rules."""
    evidence, source = facts.evidence, facts.evidence_file
    heading = "How good it is, beside simpler rules"
    if not evidence.get("comparison"):
        return Section("metrics", heading, lacks=_lost(facts, "its metrics") or "evidence.json holds no comparison")
    found = [Fact(_judged(evidence), source)]
    for name, interval in evidence.get("intervals", {}).items():
        if number(interval["low"]) is not None:
            found.append(Fact(_interval(interval), source, f"{_measure(name)}, with its 95 % interval"))
    found += [Fact(about, "ml_models/metrics.py", _measure(name)) for name, about in MEASURES.items()]
    found += [Fact(about, "ml_models/training/baselines.py", WORDS[name]) for name, about in BASELINES.items()]
    against = evidence.get("against_baselines")
    if against is None:
        found.append(Fact(facts.unrecorded("intervals beside the baselines"), source))
    columns = (
        Column("model"),
        Column("AUC", "score"),
        Column("PR-AUC", "score"),
        Column("log-loss", "score"),
        Column("Brier", "score"),
        Column("lift at 10 %", "factor"),
        Column("log-loss of this version minus its, 95 % interval"),
    )
    rows = []
    for row in evidence["comparison"]:
        name = row["model"]
        mine = name == evidence["algorithm"]
        interval = (against or {}).get(name)
        beside = "this version" if mine else (_interval(interval, "+.4f") if interval else "not a baseline")
        if not mine and interval is None and against is None:
            beside = "not recorded"
        values: list[Value] = [number(row.get(one)) for one in ("auc", "pr_auc", "log_loss", "brier", "lift_at_10")]
        rows.append((WORDS.get(name, name), *values, beside))
    table = Table("On rows that the judged fit had not seen", source, columns, tuple(rows))
    return Section("metrics", heading, tuple(found), (table,))


def slices(facts: CardFacts) -> Section:
    """Return for whom it is better or worse."""
    heading, source = "For whom it is better or worse", facts.evidence_file
    rows = [row for row in facts.evidence.get("slices", ()) if row["slice_name"] not in ("all", "cutoff")]
    weeks = [row for row in facts.evidence.get("slices", ()) if row["slice_name"] == "cutoff"]
    if not rows and not weeks:
        return Section("slices", heading, lacks=_lost(facts, "its slices") or "evidence.json holds no slice")
    days = facts.problem.window_days
    found = []
    known = [row["auc"] for row in weeks if number(row["auc"]) is not None]
    if known:
        text = f"AUC from {min(known):.4f} to {max(known):.4f} over {len(known)} judged weeks"
        found.append(Fact(text, source, "from week to week"))
    tables = []
    for name in dict.fromkeys(row["slice_name"] for row in rows):
        caption = f"By {name}: shopping days in the {days} days before" if name == "activity" else f"By {name}"
        of_slice = [row for row in rows if row["slice_name"] == name]
        noted = any(row.get("note") for row in of_slice)
        columns = (*SLICE_COLUMNS, Column("note")) if noted else SLICE_COLUMNS
        tables.append(Table(caption, source, columns, tuple(_slice_row(row)[: len(columns)] for row in of_slice)))
    if not rows:
        found.append(Fact("The problem divides customers into no other slices.", TEXTS))
    return Section("slices", heading, tuple(found), tuple(tables))


def calibration(facts: CardFacts) -> Section:
    """Return whether its probabilities can be taken at their word."""
    heading, source = "Whether its probabilities can be taken at their word", facts.evidence_file
    points = facts.evidence.get("calibration", ())
    if not points:
        return Section("calibration", heading, lacks=_lost(facts, "its calibration") or "evidence.json holds no curve")
    gate = [Fact(one["sentence"], source) for one in facts.gates if one["name"] == "calibration"]
    rows = tuple(
        (f"{place}", number(one["n"]), number(one["mean_score"]), number(one["observed_rate"]))
        for place, one in enumerate(points, start=1)
    )
    columns = (Column("part"), Column("rows", "count"), Column("predicted", "percent"), Column("observed", "percent"))
    caption = "Judged rows in parts of one size, from the lowest scores to the highest"
    return Section("calibration", heading, tuple(gate), (Table(caption, source, columns, rows),))


def importance(facts: CardFacts) -> Section:
    """Return what it goes by."""
    heading, source = "What it goes by", facts.evidence_file
    families = facts.evidence.get("importance")
    if not families:
        absent = facts.unrecorded("what moves its scores")
        return Section("importance", heading, absent=absent, lacks=_lost(facts, "what moves its scores"))
    explained = Fact(
        "By how many log-odds a family of features moves a score on average, beside a typical customer, on the newest "
        "judged week. The reasons of a customer are measured the same way.",
        "ml_models/explain.py",
    )
    columns = (Column("family"), Column("what it is"), Column("features", "count"), Column("mean effect", "factor"))
    rows = tuple(
        (str(one["family"]), str(one["about"]), number(one["features"]), number(one["mean_effect"])) for one in families
    )
    return Section("importance", heading, (explained,), (Table("Families of features", source, columns, rows),))


def behaviour(facts: CardFacts) -> Section:
    """Return what it does where people know what a sound model does."""
    heading, source = "How it behaves where people know what is right", facts.evidence_file
    tested = [gate for gate in facts.gates if gate["name"] in BEHAVIOUR]
    found = tuple(Fact("passed" if gate["passed"] else "failed", source, BEHAVIOUR[gate["name"]]) for gate in tested)
    tables = tuple(
        Table(
            BEHAVIOUR[gate["name"]],
            source,
            (Column("what was tried, and what came of it"),),
            tuple((one,) for one in sentences_of(gate["sentence"])),
        )
        for gate in tested
    )
    absent = "" if tested or not facts.evidence else facts.unrecorded("behavioural tests")
    return Section("behaviour", heading, found, tables, absent, _lost(facts, "its behavioural tests"))


def owners(facts: CardFacts) -> Section:
    """Return who answers for it."""
    found = tuple(Fact(team, facts.company.file, what) for team, what in facts.company.owners.values())
    return Section("owners", "Who answers for it", found)


def sentences_of(told: str) -> list[str]:
    """Return the sentences of a text that a gate wrote: each begins with a capital letter.

    >>> sentences_of("All 2 hold. The same rows: the scores stay. Money times 1.2: they move by 0.1 on average.")
    ['All 2 hold.', 'The same rows: the scores stay.', 'Money times 1.2: they move by 0.1 on average.']
    """
    return re.split(r"(?<=\.) (?=[A-Z])", told)


def _told(facts: CardFacts, key: str, heading: str, texts: Sequence[str]) -> Section:
    """Return a section of sentences: the problem's, then the company's own."""
    own = sentences(facts.company.own.get(key, ()), facts.company.file)
    found = (*sentences(tuple(texts), TEXTS), *own)
    lacks = "" if found else f"neither the problem nor {facts.company.file} says anything"
    return Section(key, heading, found, lacks=lacks)


def _lost(facts: CardFacts, what: str) -> str:
    """Return that evidence is lost, where it is."""
    return f"{what} cannot be read: {facts.unreadable}" if facts.unreadable else ""


def _rows_table(evidence: Mapping[str, Any], source: str) -> Table:
    spans = {"train": evidence.get("train", ()), "holdout": evidence.get("holdout", ())}
    words = {
        "train": "the judged fit learned from them",
        "gap": "neither: their outcomes reach into the judged weeks",
        "holdout": "judged on",
    }
    rows = tuple(
        (words.get(part, part), number(count), f"{days[0]} to {days[-1]}" if (days := spans.get(part)) else "between")
        for part, count in evidence["rows"].items()
    )
    columns = (Column("rows that"), Column("rows", "count"), Column("cutoffs"))
    return Table("Rows of customers and weeks", source, columns, rows)


def _window(evidence: Mapping[str, Any]) -> str:
    return "the newest weeks only" if evidence.get("window") == "recent" else "all matured weeks"


def _left_out(evidence: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in evidence.get("left_out", {}).items()) or "none"


def _judged(evidence: Mapping[str, Any]) -> str:
    holdout, metrics = evidence.get("holdout") or ("?",), evidence["metrics"]
    return (
        f"Judged on {metrics['n']:,.0f} rows of cutoffs {holdout[0]} to {holdout[-1]}, of which "
        f"{100 * metrics['base_rate']:.1f} % had the outcome. The version that serves was fitted once more afterwards, "
        "on these rows too: what is judged is the recipe."
    )


def _measure(name: str) -> str:
    return {
        "auc": "AUC",
        "pr_auc": "PR-AUC",
        "log_loss": "log-loss",
        "brier": "Brier",
        "lift_at_10": "lift at 10 %",
    }.get(name, name)


def _interval(interval: Mapping[str, float], form: str = ".4f") -> str:
    value, low, high = (format(interval[name], form) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _slice_row(row: Mapping[str, Any]) -> tuple[Value, ...]:
    numbers = (number(row[name]) for name in ("n", "base_rate", "mean_score", "auc", "log_loss"))
    return (str(row["slice_value"]), *numbers, str(row.get("note") or ""))
