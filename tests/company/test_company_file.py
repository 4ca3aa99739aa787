"""A company's file: what is wrong is told with its field, what was meant and what to do."""

from pathlib import Path

import pytest

from resources.company import Company, CompanyError, load
from resources.company.choice import BUNDLED, folder_of, names
from resources.company.dbt_project import variables
from steps.problem import settings_of

LEAST = """
title = "Shop"
[order_lines]
table = "orders"
customer = "customer_id"
time = "ordered_at"
amount = "total"
"""

CALLED = "[prices]\ncontact = 2\nwon_back = 0.2\n[calls]\n"


def written(folder: Path, text: str) -> Path:
    """Return a company's folder with this file."""
    company = folder / "shop"
    company.mkdir()
    (company / "company.toml").write_text(text)
    return company


def test_four_columns_are_a_company(tmp_path: Path) -> None:
    company = load(written(tmp_path, LEAST))
    assert company.question.horizon_days == 28
    assert company.question.asked.early_days == 14
    assert company.parts == {"hours", "lines"}
    assert company.order_lines.customer.column == "customer_id"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            LEAST + "[question]\nhorizn_days = 56\n",
            "there is no field `question.horizn_days`; did you mean 'horizon_days'?",
        ),
        (
            LEAST + "[question]\nhorizon_days = 'four weeks'\n",
            "`question.horizon_days`: Input should be a valid integer",
        ),
        (LEAST + "[question]\nearly_days = 28\n", "early_days must be below horizon_days (28); it is 28"),
        (LEAST + "[question]\nlook_back_days = 90\n", "look_back_days must be 28, 56 or a multiple of 84"),
        (LEAST + "[question]\nactive_within_days = 112\n", "active_within_days must be at most look_back_days (84)"),
        (LEAST + "[time]\nzone = 'Paris'\n", "must be an IANA time zone, such as Europe/Paris or UTC; it is 'Paris'"),
        (LEAST + "[time]\nclosed_weekdays = ['sundy']\n", "`time.closed_weekdays.0`: Input should be 'monday'"),
        (LEAST.replace('amount = "total"', ""), "the field `order_lines.amount` is missing"),
        (LEAST.replace("customer = ", "custommer = "), "did you mean 'customer'?"),
        (LEAST + "[money]\ncurrency = 'euro'\n", "`money.currency`"),
        (LEAST + "[prices]\nretraining = 100\ncontact = 2\n", "`prices.missed_customer`"),
        (LEAST + "[prices]\ncontact = 2\nmissed_customer = 40\n", "`prices.retraining` is not"),
        (LEAST + "[prices]\ncontact = 2\n", "the price of a contact alone decides nothing"),
        (LEAST + "[prices]\ncontact = 2\nwon_back = 20\n", "`prices.won_back`"),
        (LEAST + "[calls]\nheld_out = 0.1\n", "no prices say who is: give contact and won_back under [prices]"),
        (LEAST + CALLED + "held_out = 0.9\n", "`calls.held_out`"),
        (LEAST + CALLED + "held_out = 0.1\ntable = 'crm'\n", "customer and time are not there"),
        (LEAST + "[prices]\nwon_back = 0.2\n", "`prices.contact`"),
        (LEAST + "[prices]\nretraining = 100\ncontact = 40\nmissed_customer = 2\n", "contact must be below"),
        (LEAST + "[prices]\nretraining = -1\ncontact = 2\nmissed_customer = 40\n", "`prices.retraining`"),
        ("title = ", "companies/shop/company.toml is no TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(tmp_path: Path, changed: str, said: str) -> None:
    with pytest.raises(CompanyError) as raised:
        load(written(tmp_path, changed))
    assert said in str(raised.value)
    assert str(raised.value).startswith("companies/shop/company.toml")


@pytest.mark.parametrize(
    ("given", "decides_on_retraining", "told_to_the_list"),
    [
        ("", False, (0, 0)),
        ("[prices]\ncontact = 2\nwon_back = 0.2\n", False, (2, 0.2)),
        ("[prices]\ncontact = 2\nretraining = 100\nmissed_customer = 40\n", True, (0, 0)),
        ("[prices]\ncontact = 2\nretraining = 100\nmissed_customer = 40\nwon_back = 0.2\n", True, (2, 0.2)),
    ],
)
def test_prices_are_for_retraining_for_the_list_of_calls_or_for_both(
    tmp_path: Path, given: str, decides_on_retraining: bool, told_to_the_list: tuple[float, float]
) -> None:
    company = load(written(tmp_path, LEAST + given))
    assert (settings_of(company).prices is not None) == decides_on_retraining
    asked = variables(company)
    assert (asked["contact_price"], asked["won_back"]) == told_to_the_list


def test_a_folder_that_is_half_there_says_how_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(CompanyError, match=r"companies/shop/company\.toml.*docs/your_company\.md"):
        load(tmp_path / "shop")


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    company = written(tmp_path, LEAST)
    (company / "company.toml").write_bytes(b'title = "Caf\xe9"\n')
    with pytest.raises(CompanyError, match="byte 12 is not"):
        load(company)


def test_every_company_that_is_there_can_be_read() -> None:
    assert BUNDLED in names()
    for name in names():
        assert isinstance(load(folder_of(name)), Company)


def test_every_field_is_described() -> None:
    def walk(schema: dict[str, object]) -> list[str]:
        found = []
        for name, model in {"Company": schema, **schema.get("$defs", {})}.items():  # type: ignore[dict-item]
            for field, told in model.get("properties", {}).items():
                if not told.get("description") and "$ref" not in str(told):
                    found.append(f"{name}.{field}")
        return found

    assert walk(Company.model_json_schema()) == []
