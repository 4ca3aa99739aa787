"""The sections that go on after a version was registered: gate and override, what changed, what the monitoring said."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ml_models.model_card.card import Column, Fact, Section, Table, Value, number
from ml_models.model_card.facts import CardFacts
from ml_models.model_card.made import BEHAVIOUR, sentences_of
from ml_models.model_version import by_person, promote_command

WEEKS = 12
"""Weeks that a card tells one by one, the newest; the others are counted."""

CHAMPION, DECISIONS = "training.champion", "monitoring.decisions"

COMPARED = {"auc": "AUC", "log_loss": "log-loss", "brier": "Brier score", "calibration_error": "calibration error"}


def standing(facts: CardFacts) -> str:
    """Return in a sentence whether the version serves, did, or never has."""
    if facts.serving == facts.version:
        since = f" since {facts.served[-1].at}" if facts.served else ""
        return f"It serves{since}."
    if facts.rolled_back:
        return f"It served and was sent away: {facts.rolled_back}"
    if facts.served:
        return f"It served from {facts.served[-1].at} on, and another version took its place."
    if facts.failed:
        return f"It does not serve: it failed {', '.join(facts.failed)}."
    return "It has not served yet."


def gate(facts: CardFacts) -> Section:
    """Return what it had to pass, and whether a person overruled that or a week's decision: who, and why."""
    heading, source = "The gate, and who overruled it", facts.evidence_file
    found, lacks = _overruled(facts)
    found += _promotions(facts)
    tables = []
    if facts.gates:
        rows = tuple((one["name"], "passed" if one["passed"] else "failed", _why(one)) for one in facts.gates)
        tables.append(Table("What it had to pass", source, (Column("check"), Column("verdict"), Column("why")), rows))
    elif not facts.unreadable:
        lacks = lacks or facts.unrecorded("the gate's verdicts") or "evidence.json holds no verdict"
    overruled = [week for week in facts.weeks if week.get("override_of")]
    if overruled:
        weeks = tuple(
            (str(week["cutoff"]), str(week["override_of"]), str(week["decision"]), str(week["reason"]))
            for week in overruled
        )
        columns = (Column("week"), Column("the judgement asked for"), Column("a person decided"), Column("why"))
        tables.append(Table("Weeks in which a person decided otherwise", DECISIONS, columns, weeks))
    if facts.unreadable:
        lacks = lacks or f"the gate's verdicts cannot be read: {facts.unreadable}"
    return Section("gate", heading, tuple(found), tuple(tables), lacks=lacks)


def changes(facts: CardFacts) -> Section:
    """Return what is other than in the version before."""
    heading, before = "What changed since the version before", facts.before
    if before.version is None:
        return Section("changes", heading, absent=before.why_none)
    if facts.unreadable or not before.evidence:
        why = facts.unreadable or before.why_none
        return Section("changes", heading, absent=f"It cannot be held against version {before.version}: {why}")
    mine, theirs, source = facts.evidence, before.evidence, facts.evidence_file
    found = [Fact(f"version {before.version}", "the model registry", "the version before")]
    found.append(Fact(mine.get("cause") or "no reason was recorded", source, "why it was trained"))
    compared = next((one["sentence"] for one in facts.gates if one["name"] == "beats_champion"), "")
    if mine.get("judged_against") is not None and compared:
        found.append(Fact(compared, source, f"on the same rows, against version {mine['judged_against']}"))
    found += _features(mine, theirs, source)
    rows: list[tuple[Value, ...]] = [
        (what, then, now) for what, then, now in _compared(mine, theirs) if then != now or what.startswith("cutoffs")
    ]
    numbers: list[tuple[Value, ...]] = [
        (label, number(theirs.get("metrics", {}).get(name)), number(mine.get("metrics", {}).get(name)))
        for name, label in COMPARED.items()
    ]
    then, now = Column(f"version {before.version}"), Column(f"version {facts.version}")
    scored = Column(then.heading, "score"), Column(now.heading, "score")
    tables = [
        Table("How it was made", source, (Column("what"), then, now), tuple(rows)),
        Table(
            "Each on the weeks that it was judged on, which differ",
            source,
            (Column("measure"), *scored),
            tuple(numbers),
        ),
    ]
    return Section("changes", heading, tuple(found), tuple(one for one in tables if one.rows))


def monitoring(facts: CardFacts) -> Section:
    """Return what the weekly judgement has said of it since it serves."""
    heading = "What the monitoring has said since"
    if not facts.weeks and not facts.live:
        if not facts.served:
            absent = "It has never served, so no week of its predictions was judged."
        else:
            absent = "No week has been judged yet since it serves. The job weekly_judge does that every Monday."
        return Section("monitoring", heading, absent=absent)
    found, tables = [], []
    if facts.weeks:
        counts = Counter(str(week["decision"]) for week in facts.weeks)
        named = ", ".join(f"{count} {decision}" for decision, count in counts.most_common())
        first, last = facts.weeks[0]["cutoff"], facts.weeks[-1]["cutoff"]
        found.append(Fact(f"{len(facts.weeks)} week(s) from {first} to {last}: {named}", DECISIONS, "judged"))
        newest = facts.weeks[-1]
        found.append(Fact(str(newest["what_happened"]), "monitoring.why", f"the newest week, {last}"))
        if newest.get("shadow"):
            found.append(Fact(str(newest["shadow"]), "monitoring.why", "evidence against it since its promotion"))
        columns = (Column("week"), Column("decision"), Column("cause"), Column("why"))
        rows = tuple(
            (str(week["cutoff"]), str(week["decision"]), str(week["cause"] or "none"), str(week["reason"]))
            for week in reversed(facts.weeks[-WEEKS:])
        )
        older = len(facts.weeks) - len(rows)
        caption = "Week by week, the newest first" + (f"; {older} older one(s) are counted above" if older else "")
        tables.append(Table(caption, "monitoring.why", columns, rows))
    if facts.live:
        tables.append(_live(facts))
    else:
        days = facts.problem.horizon_days
        text = f"No prediction of its has an outcome yet that it had not learned from: that takes {days} days."
        found.append(Fact(text, "marts.accuracy_over_time"))
    return Section("monitoring", heading, tuple(found), tuple(tables))


def _why(gate: Mapping[str, Any]) -> str:
    """Return a verdict's sentence; of a behavioural test its first one, as the others have a section of their own."""
    told = str(gate["sentence"])
    return sentences_of(told)[0] if gate["name"] in BEHAVIOUR and gate["passed"] else told


def _overruled(facts: CardFacts) -> tuple[list[Fact], str]:
    """Return whether a person promoted it past the gate, and what nobody said of that."""
    people = [(one, said) for one in facts.served if one.run_id is None and (said := by_person(one.reason))]
    if not facts.failed or not people:
        if facts.failed:
            text = f"It failed {', '.join(facts.failed)}, and nobody promoted it past that."
        elif facts.gates:
            text = f"It passed all {len(facts.gates)} checks, so nobody had to overrule the gate."
        else:
            return [], ""
        return [Fact(text, CHAMPION)], ""
    found, lacks = [], ""
    for one, (who, why) in people:
        text = f"{who}, on {one.at}, past {', '.join(facts.failed)}. " + (
            f"Reason: {why}" if why else "No reason given."
        )
        found.append(Fact(text, CHAMPION, "promoted past the gate by"))
        lacks = (
            ""
            if why
            else f"version {facts.version} was promoted past the gate and nobody said why. Say it: "
            f'{promote_command(str(facts.version))} REASON="…"'
        )
    return found, lacks


def _promotions(facts: CardFacts) -> list[Fact]:
    return [Fact(one.reason, CHAMPION, f"champion from {one.at} on, because") for one in facts.served]


def _features(mine: Mapping[str, Any], theirs: Mapping[str, Any], source: str) -> list[Fact]:
    if not (mine.get("features") and theirs.get("features")):
        return [Fact("The features of one of the two were not recorded.", source, "features")]
    now, then = set(mine["features"]), set(theirs["features"])
    if now == then:
        return [Fact("the same", source, "features")]
    found = []
    if now - then:
        found.append(Fact(", ".join(sorted(now - then)), source, "features that came"))
    if then - now:
        found.append(Fact(", ".join(sorted(then - now)), source, "features that went"))
    return found


def _compared(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    def span(evidence: Mapping[str, Any]) -> str:
        return f"{evidence.get('trained_from', 'not recorded')} to {evidence.get('trained_through', 'not recorded')}"

    def rows(evidence: Mapping[str, Any]) -> str:
        return f"{sum(evidence.get('rows', {}).values()):,}"

    def parameters(evidence: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} = {value}" for name, value in evidence.get("parameters", {}).items())

    def text(name: str) -> tuple[str, str]:
        return str(theirs.get(name, "not recorded")), str(mine.get(name, "not recorded"))

    def weeks(evidence: Mapping[str, Any]) -> str:
        return ", ".join(evidence.get("excluded", ())) or "none"

    return [
        ("kind", *text("algorithm")),
        ("cutoffs learned from", span(theirs), span(mine)),
        ("window", *text("window")),
        ("rows", rows(theirs), rows(mine)),
        ("weeks in quarantine", weeks(theirs), weeks(mine)),
        ("parameters", parameters(theirs), parameters(mine)),
        ("chosen because", *text("selection")),
    ]


def _live(facts: CardFacts) -> Table:
    columns = (
        Column("cutoff"),
        Column("customers", "count"),
        Column("lapsed", "percent"),
        Column("predicted", "percent"),
        Column("AUC", "score"),
        Column("AUC of the recency rule", "score"),
        Column("lift at 10 %", "factor"),
    )
    names = ("customers", "base_rate", "mean_score", "auc", "recency_rule_auc", "lift_at_10pct")
    rows = tuple(
        (str(row["cutoff_date"]), *(number(row.get(name)) for name in names)) for row in reversed(facts.live[-WEEKS:])
    )
    caption = f"Live predictions whose outcome is known, the newest {len(rows)} of {len(facts.live)} week(s)"
    return Table(caption, "marts.accuracy_over_time", columns, rows)
