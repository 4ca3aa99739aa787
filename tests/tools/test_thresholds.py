"""The page of thresholds says what the code says."""

from ml_models.monitoring.data_quality.thresholds import Rule
from tools.thresholds import PAGE, ROOT, collect, meanings, page, shown, unit_of

SOURCE = '''
"""A module."""

# --- a heading ---
# Rows below which nothing is said,
# whatever it is.
ROWS = 200

FLOOR: float = 0.06
"""Distance, 0 to 1, below which
no column has moved."""

OLD, NEW = 26, 8
_HIDDEN = 1
Alias = dict[str, int]


class Settings:
    """Settings."""

    wait_days: int = 14
    """Days of waiting."""
'''


def test_the_page_is_what_the_code_says():
    assert (ROOT / PAGE).read_text() == page(collect()), "Write it anew: python -m tools.thresholds"


def test_every_number_has_a_meaning_and_a_unit():
    numbers = [one for one in collect() if one.value[0].isdigit()]
    assert {"minimum_gain", "cooldown_beyond_days", "MINIMUM_ROWS", "REFERENCE_STEPS"} <= {one.name for one in numbers}
    assert [one.name for one in numbers if not one.meaning or not one.unit] == []


def test_the_meaning_is_the_docstring_below_or_the_comment_above():
    assert meanings(SOURCE) == {
        "ROWS": "Rows below which nothing is said, whatever it is.",
        "FLOOR": "Distance, 0 to 1, below which no column has moved.",
        "OLD": "",
        "NEW": "",
        "wait_days": "Days of waiting.",
    }


def test_the_unit_is_the_first_one_that_the_meaning_names():
    assert unit_of("Days after a promotion of two weeks.") == "days"
    assert unit_of("Newest matured cutoffs, in rows.") == "cutoffs"
    assert unit_of("Robust standard deviations above the median of weeks.") == "standard deviations"
    assert unit_of("What nobody counts.") == ""


def test_a_unit_that_is_stated_counts_more_than_one_that_is_named():
    assert unit_of("Rise of the log-loss, as a share of its median. [share, 0 to 1]") == "share, 0 to 1"
    assert [one.name for one in collect() if "[" in one.meaning] == []


def test_a_value_is_shown_whole():
    assert shown(20_000) == "20,000"
    assert shown(0.40546510810816444) == "0.4055"
    assert shown((2, 3, 4, 5)) == "2, 3, 4, 5"
    assert shown({"null_share": Rule("nulls", "share", 0.01, "both"), "rows": 3}) == (
        "`null_share`: kind nulls, scale share, floor 0.01, side both<br>`rows`: 3"
    )
