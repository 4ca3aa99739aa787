"""What a fault names must be there: a slip of the pen is no morning on which the graph failed."""

from datetime import date

import pytest

from drills.description import DescriptionError, refuse_mistakes
from drills.faults import Dated, Expected, Fault, known
from ml_models.monitoring.types import Perturbation

START, END = date(2017, 8, 14), date(2017, 9, 11)
LINES, PRODUCTS, FEATURES = "raw/transactions", "raw/products", "features/customer_features"
RIGHT = Expected(("data quality",), ("inspect",), "team:data-engineering", (LINES,))


@pytest.fixture(scope="module")
def check(year):
    sandbox = year[0]
    lineage = sandbox.lineage()
    teams = {"raw": "team:data-engineering"}
    owners = {asset: teams.get(asset.split("/")[0], "team:analytics-engineering") for asset in lineage}

    def held(*perturbations, expected=RIGHT):
        dated = tuple(Dated(one, 0, None) for one in perturbations)
        refuse_mistakes(Fault("mine", "", "quality", dated, expected), sandbox, lineage, owners, START, END)

    return held


def test_every_mistake_is_told_at_once_and_by_name(check):
    with pytest.raises(DescriptionError) as refused:
        check(
            Perturbation(LINES, "scale", "sales_valu", value=2),
            Perturbation(LINES, "null", "quantity", where="household = 3"),
            Perturbation(LINES, "null", "quantity"),
            Perturbation(PRODUCTS, "drop", where="brandd = 'Private'"),
            Perturbation(FEATURES, "edit_model", value={"find": "no such text", "replace": ""}),
            expected=Expected(("data quality",), ("inspect",), "team:nobody", ("raw/transaction",)),
        )
    told = str(refused.value).splitlines()
    assert told[0] == "mine names what there is not:"
    assert "raw/transaction, which is no asset of the graph. Did you mean raw/transactions?" in told[1]
    assert "team:nobody, who owns no asset" in told[2]
    wanted = [(1, "sales_valu"), (2, "household"), (4, "brandd"), (5, "no such text")]
    for line, (number, name) in zip(told[3:7], wanted, strict=True):
        assert line.startswith(f"- perturbation {number}, ")
        assert name in line
    assert told[7:] == ["Nothing was drilled."]


def test_a_later_perturbation_may_name_what_an_earlier_one_made(check):
    check(
        Perturbation(LINES, "rename_column", "sales_value", value="amount"),
        Perturbation(LINES, "scale", "amount", value=2),
    )
    with pytest.raises(DescriptionError, match="perturbation 2, `scale`"):
        check(
            Perturbation(LINES, "rename_column", "sales_value", value="amount"),
            Perturbation(LINES, "scale", "sales_value", value=2),
        )


@pytest.mark.parametrize("name", sorted(known()))
def test_the_known_faults_name_what_there_is(year, name):
    fault = known()[name]
    lineage = {**year[0].lineage(), "features/feature_frame": (), "training/champion": ()}
    owners = dict.fromkeys(lineage, fault.expected.owner)
    refuse_mistakes(fault, year[0], lineage, owners, START, END)
