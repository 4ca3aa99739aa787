"""A dbt test says how many rows fail and how many may, as a number and in a sentence."""

import dagster as dg
import pytest

from assets.company.dbt_nodes import told_apart, with_figures

CHECK = dg.AssetCheckResult(passed=True, asset_key="orders", check_name="not_null_orders_customer_id")


def told(event: dict[str, object], config: dict[str, str] | None = None) -> dict[str, object]:
    event = {"data": event}
    check = with_figures(told_apart(CHECK, event), event, {"config": config or {}})
    return {"said": check.description, **{name: one.value for name, one in (check.metadata or {}).items()}}


@pytest.mark.parametrize(
    ("event", "measured", "said"),
    [
        # What dbt writes of an event leaves a zero out.
        ({"status": "pass"}, 0, "No row fails."),
        ({"status": "fail", "num_failures": 1}, 1, "1 row fails."),
        ({"status": "warn", "num_failures": 1234}, 1234, "1,234 rows fail."),
    ],
)
def test_the_rows_that_fail_are_counted(event, measured, said):
    assert told(event) == {"said": said, "measured": measured, "bound": 0, "unit": "failing rows, at most"}


def test_a_limit_of_the_test_s_own_is_named():
    config = {"severity": "WARN", "warn_if": "> 10", "error_if": "!= 0"}
    assert told({"status": "pass", "num_failures": 4}, config)["unit"] == "failing rows; too many where they are > 10"


def test_a_test_that_could_not_be_run_has_no_number():
    shown = told({"status": "error"})
    assert shown["measured"] == "none yet"
    assert "could not be run" in str(shown["said"])
