"""Fault files: what is shipped can be meant, and what cannot is refused in a sentence."""

from datetime import date

import pytest

from drills.faults import BENIGN, FAULTS, known, read_faults
from ml_models.faults import check
from resources.profiles import ROOT

MONDAY = date(2024, 1, 1)
GOOD = """
[one]
words = "amounts in cents"
kind = "quality"
perturbations = [{ table = "raw/sales", operation = "scale", column = "amount", value = 100.0, last_day = 20 }]
expected = { cause = "data quality", owner = "team:data", first_bad_asset = "raw/sales", decision = ["inspect"] }
"""


def written(folder, text):
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_known_fault_can_be_meant_and_says_what_is_right():
    for fault in known().values():
        for perturbation in fault.on(MONDAY):
            check(perturbation)
        assert fault.expected.decision
        assert len(fault.words) > 15


def test_faults_are_faults_and_benign_changes_benign():
    assert all(fault.kind != "benign" for fault in read_faults(FAULTS).values())
    assert all(fault.kind == "benign" for fault in read_faults(BENIGN).values())
    assert len([fault for fault in known().values() if fault.kind != "benign"]) >= 23
    assert len(read_faults(BENIGN)) >= 20


def test_what_arrives_wrong_belongs_to_the_sources_and_what_our_sql_spoils_to_us():
    owners = {"raw": "team:data-engineering", "training": "team:ml-engineering"}
    for fault in read_faults(FAULTS).values():
        for asset in fault.expected.first_bad_asset:
            schema = asset.split("/")[0]
            assert fault.expected.owner == owners.get(schema, "team:analytics-engineering"), fault.name
        if fault.kind == "quality":
            assert fault.expected.decision == ("inspect",)


def test_days_count_from_the_day_on_which_the_drill_begins(tmp_path):
    fault = read_faults(written(tmp_path, GOOD))["one"]
    (perturbation,) = fault.on(MONDAY)
    assert (perturbation.first_day, perturbation.last_day) == (MONDAY, date(2024, 1, 21))
    assert not fault.changes_the_truth
    assert fault.always == ()


def test_a_change_that_was_always_there_has_no_first_day(tmp_path):
    fault = read_faults(written(tmp_path, GOOD.replace("last_day = 20", 'first_day = "always"')))["one"]
    assert fault.on(MONDAY)[0].first_day is None
    assert fault.always == fault.on(MONDAY)


def test_the_documented_example_is_one(tmp_path):
    text = (ROOT / "docs" / "drill.md").read_text(encoding="utf-8")
    example = text.split("```toml")[1].split("```")[0]
    assert list(read_faults(written(tmp_path, example))) == ["vip_amounts_doubled"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[one]", "one", "Expected TOML"),
        (GOOD, "", "at least one fault"),
        (GOOD, "one = 1", "expected a table [one]"),
        ('kind = "quality"', 'kind = "bad"', "a kind out of quality, pipeline"),
        ('words = "amounts in cents"', "", "`words` that tell people"),
        ('words = "amounts in cents"', 'words = "a"\nwhen = 3', "a fault has no when"),
        ('operation = "scale"', 'operation = "explode"', "an operation out of drop"),
        ('operation = "scale", ', "", "a perturbation with operation"),
        ("value = 100.0", 'value = "much"', "a number as `value`"),
        ("value = 100.0", "value = 100.0, rate = 3", "a rate between 0 and 1"),
        ("value = 100.0", "value = 100.0, days = 3", "a perturbation has no days"),
        ("last_day = 20", 'last_day = "soon"', "a number of days after FROM"),
        ("last_day = 20", "last_day = -3", "last_day not before first_day"),
        ('cause = "data quality"', 'cause = "gremlins"', "`cause` out of none, data quality"),
        ('decision = ["inspect"]', 'decision = ["panic"]', "`decision` out of continue"),
        ('decision = ["inspect"]', "decision = []", "at least one cause and one decision"),
        ("expected =", "from = 2024-01-02\nexpected =", "`from` to be a Monday"),
        ("expected =", "weeks = 0\nexpected =", "a whole number from 1 on"),
        (
            'decision = ["inspect"]',
            'decision = ["inspect"], quiet_after = 0',
            "`quiet_after` to be a whole number of days",
        ),
        ("perturbations =", "alterations =", "`alterations` is called `perturbations` now"),
        ("perturbations =", "perturbation =", "Did you mean `perturbations` in the place of `perturbation`?"),
        ("value = 100.0", "values = 100.0", "Did you mean `value` in the place of `values`?"),
        ('owner = "team:data"', 'owners = "team:data"', "Did you mean `owner` in the place of `owners`?"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_a_sentence(tmp_path, old, new, sentence):
    with pytest.raises(ValueError, match="(?s).*") as error:
        read_faults(written(tmp_path, GOOD.replace(old, new)))
    assert sentence in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.toml, but it cannot be read"):
        read_faults(tmp_path / "nowhere.toml")


def test_whether_a_fault_may_fall_silent_is_yes_or_no(tmp_path):
    text = GOOD.replace('decision = ["inspect"]', 'decision = ["inspect"], lasting = true')
    fault = read_faults(written(tmp_path, text))["one"]
    assert fault.expected.lasting
    assert fault.goes_on(MONDAY, date(2024, 1, 22))
    assert not fault.goes_on(MONDAY, date(2024, 1, 29))
    with pytest.raises(ValueError, match="expected `lasting` to be true or false; got 'yes'"):
        read_faults(written(tmp_path, text.replace("lasting = true", "lasting = 'yes'")))
