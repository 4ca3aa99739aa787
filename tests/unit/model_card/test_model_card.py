"""A model's card: complete or it names what is missing, the same as JSON, Markdown and HTML, and it invents nothing."""

import json
import math
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from support.bundled import PROBLEM

from ml_models.model_card.annex_iv import POINTS
from ml_models.model_card.card import Card, from_json
from ml_models.model_card.facts import Before, CardFacts, Company, Promotion
from ml_models.model_card.rendering import to_html, to_markdown
from ml_models.model_card.writing import write_card
from ml_models.model_version import promoted_by
from ml_models.problems.contract import Texts
from resources.profiles import ROOT

METRICS = {
    "n": 900.0,
    "positives": 90.0,
    "base_rate": 0.1,
    "mean_score": 0.11,
    "auc": 0.85,
    "pr_auc": 0.36,
    "log_loss": 0.248,
    "brier": 0.075,
    "calibration_error": 0.009,
    "precision_at_10": 0.4,
    "recall_at_10": 0.39,
    "lift_at_10": 3.9,
}


def gate(name, sentence="It holds.", passed=True):
    return {"name": name, "passed": passed, "observed": 1.0, "bound": 0.0, "sentence": sentence}


EVIDENCE = {
    "format": 1,
    "cause": "the labels had doubled",
    "algorithm": "logistic",
    "parameters": {"C": 0.005},
    "selection": "simpler than boosting",
    "seed": 0,
    "rows": {"train": 300, "gap": 60, "holdout": 900},
    "train": ["2024-01-01", "2024-02-05"],
    "holdout": ["2024-03-04", "2024-04-01"],
    "window": "expanding",
    "trained_from": "2024-01-01",
    "trained_through": "2024-04-01",
    "excluded": ["2024-01-15"],
    "features": ["recency_days", "trips_7d"],
    "left_out": {"mean_hour_84d": "null in all rows"},
    "libraries": {"scikit-learn": "1.9.1"},
    "recalibration": None,
    "judged_against": None,
    "metrics": METRICS,
    "intervals": {"auc": {"value": 0.85, "low": 0.841, "high": 0.859}},
    "against_baselines": {"recency_rule": {"value": -0.054, "low": -0.059, "high": -0.049}},
    "comparison": [{"model": "recency_rule", **METRICS, "auc": 0.708}, {"model": "logistic", **METRICS}],
    "slices": [
        {"slice_name": "cutoff", "slice_value": "2024-03-04", **METRICS, "note": ""},
        {"slice_name": "activity", "slice_value": "1-2", **METRICS, "auc": math.nan, "note": "too few"},
    ],
    "calibration": [
        {"n": 450, "mean_score": 0.05, "observed_rate": 0.04},
        {"n": 450, "mean_score": 0.4, "observed_rate": 0.5},
    ],
    "importance": [{"family": "recency", "about": "how long ago", "features": 1, "mean_effect": 0.7}],
    "gates": [gate("beats_champion"), gate("directions", "All 2 hold. Away for longer: +0.1. Fewer visits: +0.2.")],
}

WEEK = {
    "cutoff": date(2024, 5, 6),
    "what_happened": "Within range: quality, drift, performance.",
    "cause": "none",
    "decision": "continue",
    "reason": "Nothing is out of its range.",
    "shadow": "",
    "override_of": None,
}

LIVE = {
    "cutoff_date": date(2024, 5, 6),
    "customers": 2000,
    "base_rate": 0.1,
    "mean_score": 0.1,
    "auc": 0.84,
    "recency_rule_auc": 0.7,
    "lift_at_10pct": 3.8,
}

COMPANY = Company(
    title="Webshop",
    tables=(("orders", "csv"),),
    attributes=("age",),
    owners={"models": ("team:ml", "predicts and judges")},
    own={"data": ("Orders by telephone are missing.",)},
    file="company.toml of webshop",
)

FACTS = CardFacts(
    problem=PROBLEM,
    company=COMPANY,
    model="lapse",
    version=3,
    algorithm="logistic",
    trained_through=date(2024, 4, 1),
    fingerprint="ab" * 32,
    address="models:/lapse/3",
    evidence=EVIDENCE,
    unreadable="",
    signature="takes 2 columns",
    promotions=(Promotion(3, date(2024, 4, 29), "passed the gate", "run"),),
    serving=3,
    rolled_back="",
    before=Before(why_none="It is the first version."),
    held=(),
    weeks=(WEEK,),
    live=(LIVE,),
)


def without(*names):
    return {name: value for name, value in EVIDENCE.items() if name not in names}


def section(card: Card, key):
    return next(one for one in card.sections if one.key == key)


def words(card: Card, key):
    held = section(card, key)
    told = [f"{fact.name}: {fact.text}" for fact in held.facts]
    return " ".join(
        [held.absent, held.lacks, *told, *(cell for table in held.tables for row in table.texts for cell in row)]
    )


def test_a_card_with_all_facts_lacks_nothing_and_each_fact_names_its_source():
    card = write_card(FACTS)
    assert card.missing == {}
    assert all(fact.source for one in card.sections for fact in (*one.facts, *one.tables))
    assert card.standing == "It serves since 2024-04-29."
    assert "2024-01-15" in words(card, "data")
    assert "Orders by telephone are missing." in words(card, "data")
    assert "-0.0540 [-0.0590, -0.0490]" in words(card, "metrics")
    assert "team:ml" in words(card, "owners")
    assert "1 week(s) from 2024-05-06 to 2024-05-06: 1 continue" in words(card, "monitoring")


LACKING = {
    "purpose": replace(FACTS, problem=replace(PROBLEM, texts=replace(PROBLEM.texts, purpose=()))),
    "out_of_scope": replace(FACTS, problem=replace(PROBLEM, texts=replace(PROBLEM.texts, out_of_scope=()))),
    "limits": replace(FACTS, problem=replace(PROBLEM, texts=replace(PROBLEM.texts, limits=()))),
    "label": replace(FACTS, problem=replace(PROBLEM, texts=replace(PROBLEM.texts, label=()))),
    "oversight": replace(FACTS, problem=replace(PROBLEM, texts=replace(PROBLEM.texts, oversight=()))),
    "metrics": replace(FACTS, evidence=without("comparison")),
    "slices": replace(FACTS, evidence=without("slices")),
    "calibration": replace(FACTS, evidence=without("calibration")),
    "importance": replace(FACTS, evidence=without("importance")),
    "owners": replace(FACTS, company=replace(COMPANY, owners={})),
}


@pytest.mark.parametrize("key", LACKING)
def test_an_empty_section_is_named(key):
    card = write_card(LACKING[key])
    assert list(card.missing) == [key]
    assert card.missing[key] in to_markdown(card)
    assert "This card is not complete" in to_html(card)


def test_without_the_gates_verdicts_gate_and_behaviour_are_named():
    assert set(write_card(replace(FACTS, evidence=without("gates"))).missing) == {"gate", "behaviour"}


def test_a_problem_that_says_nothing_of_itself_has_no_complete_card():
    card = write_card(replace(FACTS, problem=replace(PROBLEM, texts=Texts())))
    assert {"purpose", "out_of_scope", "label", "limits", "oversight"} == set(card.missing)


def test_a_version_of_an_earlier_release_says_what_it_lacks_and_is_complete():
    earlier = without("format", "importance", "against_baselines", "libraries", "features", "cause")
    card = write_card(replace(FACTS, evidence=earlier, signature=""))
    assert card.missing == {}
    assert "An earlier release registered this version and did not record" in words(card, "importance")
    assert "did not record intervals beside the baselines" in words(card, "metrics")
    assert "libraries: not recorded" in words(card, "model")


def test_evidence_that_is_lost_is_no_excuse():
    card = write_card(replace(FACTS, evidence={}, unreadable="evidence.json is missing or damaged"))
    assert {"metrics", "slices", "calibration", "importance", "behaviour", "gate", "data", "model"} == set(card.missing)
    assert all("evidence.json is missing or damaged" in one for one in card.missing.values())


def test_before_a_week_was_judged_the_card_says_so_and_is_complete():
    card = write_card(replace(FACTS, weeks=(), live=()))
    assert card.missing == {}
    assert "No week has been judged yet" in words(card, "monitoring")
    never = write_card(replace(FACTS, weeks=(), live=(), promotions=(), serving=None))
    assert never.standing == "It has not served yet."
    assert "It has never served" in words(never, "monitoring")


REFUSED = {**EVIDENCE, "gates": [gate("beats_champion", "It is worse.", passed=False), *EVIDENCE["gates"][1:]]}


def promoted(reason, run_id=None):
    return replace(FACTS, evidence=REFUSED, promotions=(Promotion(3, date(2024, 4, 29), reason, run_id),))


def test_who_promoted_past_the_gate_and_why_stands_there():
    card = write_card(promoted(promoted_by("ana", "the season is over")))
    assert card.missing == {}
    assert "ana, on 2024-04-29, past beats_champion. Reason: the season is over" in words(card, "gate")
    assert "It failed beats_champion, and serves or served all the same." in card.lead


@pytest.mark.parametrize("reason", [promoted_by("ana", ""), "promoted by a person"])
def test_a_promotion_past_the_gate_for_which_nobody_gave_a_reason_is_not_complete(reason):
    card = write_card(promoted(reason))
    assert 'Say it: make promote VERSION=3 REASON="…"' in card.missing["gate"]
    told = replace(FACTS, evidence=REFUSED)
    later = Promotion(3, date(2024, 5, 1), promoted_by("ana", "the season is over"), None)
    again = replace(told, promotions=(*promoted(reason).promotions, later))
    assert write_card(again).missing == {}, "the command that it asks for did not help"


def test_a_candidate_that_was_refused_and_not_promoted_is_complete():
    card = write_card(replace(FACTS, evidence=REFUSED, promotions=(), serving=2, weeks=(), live=()))
    assert card.missing == {}
    assert card.standing == "It does not serve: it failed beats_champion."


def test_what_changed_since_the_version_before():
    before = {**EVIDENCE, "trained_through": "2024-02-05", "features": ["recency_days"], "algorithm": "boosting"}
    card = write_card(replace(FACTS, before=Before(2, before)))
    told = words(card, "changes")
    assert "features that came: trips_7d" in told
    assert "why it was trained: the labels had doubled" in told
    assert "kind boosting logistic" in told
    lost = write_card(replace(FACTS, before=Before(2, {}, "its evidence is lost")))
    assert "It cannot be held against version 2: its evidence is lost" in words(lost, "changes")


def test_weeks_that_are_held_to_be_bad_since_are_in_the_lead():
    card = write_card(replace(FACTS, held=(date(2024, 1, 8),)))
    assert "1 of the weeks that it learned from are held to be bad since." in card.lead
    assert "2024-01-08" in words(card, "data")


def test_a_decision_that_a_person_overruled_is_told():
    card = write_card(replace(FACTS, weeks=({**WEEK, "override_of": "improve"},)))
    assert "2024-05-06 improve continue" in words(card, "gate")


def test_json_holds_the_whole_card_and_no_number_that_is_none():
    card = write_card(FACTS)
    held = json.loads(card.to_json(), parse_constant=pytest.fail)
    assert (held["complete"], held["missing"]) == (True, {})
    assert from_json(card.to_json()) == card
    assert card.to_json() == write_card(FACTS).to_json()


@pytest.mark.parametrize("text", ["{}", '{"format": 99}', "no JSON"])
def test_what_is_no_card_is_a_sentence(text):
    with pytest.raises(ValueError, match="later release|Expected a model's card|Expecting value"):
        from_json(text)


def test_every_heading_of_annex_iv_is_answered_by_a_section_that_is_there_or_says_who_knows():
    keys = {one.key for one in write_card(FACTS).sections}
    assert {key for point in POINTS for key in point.sections} <= keys
    assert [point.point for point in POINTS if not point.sections and not point.not_here] == []
    of_two = [f"{number}({letter})" for number in "12" for letter in "abcdefgh"]
    assert [point.point for point in POINTS] == [*of_two, *"3456789"], "as the annex has them"
    named = {page for point in POINTS for page in re.findall(r"docs/[\w.]+", point.not_here.rstrip("."))}
    assert [page for page in named if not (ROOT / page.removesuffix(" of")).exists()] == []


HOSTILE = '<script>alert(1)</script> | [x](javascript:1) `y`\n# heading\n"quoted" & \\'


def hostile_card():
    own = dict.fromkeys(("purpose", "out_of_scope", "data", "limits"), (HOSTILE,))
    company = replace(COMPANY, title=HOSTILE, own=own, tables=((HOSTILE, HOSTILE),), attributes=(HOSTILE,))
    return write_card(replace(FACTS, company=company, weeks=({**WEEK, "reason": HOSTILE},)))


def test_a_companys_names_and_texts_cannot_write_html():
    assert "<script" not in to_html(hostile_card())


def test_a_companys_names_and_texts_cannot_write_markdown():
    told = to_markdown(hostile_card())
    assert "<script" not in told.replace("\\<script", "")
    assert [line for line in told.splitlines() if line.startswith("# ")] == ["# Customer lapse, version 3"]
    for block in re.findall(r"(?:^\|.*\|\n)+", told, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


class Page(HTMLParser):
    """What a browser and a screen reader would meet."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.levels, self.open, self.heads, self.attributes = [], [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.attributes.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "th":
            self.heads.append(given.get("scope"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("card", [write_card(FACTS), write_card(LACKING["metrics"]), hostile_card()])
def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(card):
    text = to_html(card)
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert page.levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in zip(page.levels, page.levels[1:], strict=False))
    assert page.levels.count(1) == 1
    assert None not in page.heads
    assert ("html", {"lang": "en"}) in page.attributes
    named = {name for tag, given in page.attributes for name in given}
    assert not named & {"src", "onclick", "style"}
    assert not re.search(r"https?://|@import|url\(", text)
    labelled = {given["aria-labelledby"] for _, given in page.attributes if "aria-labelledby" in given}
    assert labelled <= set(page.ids)
