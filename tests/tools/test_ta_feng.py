"""The protocol of published next-basket figures, on a shop of a few customers that can be followed by hand."""

import pandas as pd
import pytest

from tools.ta_feng import last_baskets, measured, read

# ann, bob and cat have three baskets, dan two: dan's do not count. Milk and tea were in three baskets before the last
# ones of those who count, bread in two.
BASKETS = {
    "ann": {"11/1/2000": ["milk", "bread"], "11/5/2000": ["milk", "tea"], "12/1/2000": ["milk", "jam", "tea"]},
    "bob": {"11/2/2000": ["tea"], "11/9/2000": ["tea"], "12/2/2000": ["milk", "bread"]},
    "cat": {"11/3/2000": ["milk"], "11/4/2000": ["bread"], "12/3/2000": ["jam"]},
    "dan": {"11/1/2000": ["jam", "bread"], "11/2/2000": ["jam", "bread"]},
}
ROWS = [(day, who, what) for who, days in BASKETS.items() for day, things in days.items() for what in things]


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "shop.csv"
    # A product that is twice in a basket is in it once.
    pd.DataFrame([*ROWS, ROWS[0]], columns=["TRANSACTION_DT", "CUSTOMER_ID", "PRODUCT_ID"]).to_csv(made, index=False)
    return made


def test_last_baskets_are_named_and_rare_products_and_customers_are_out(path):
    pairs, last = last_baskets(read(path))
    assert set(pairs["customer_id"]) == {"ann", "bob", "cat"}
    assert set(pairs["product_type"]) == {"milk", "tea"}
    days = pairs.set_index(["customer_id", "product_type"])["days_bought"].to_dict()
    assert days == {
        ("ann", "milk"): 2,
        ("ann", "tea"): 1,
        ("bob", "milk"): 0,
        ("bob", "tea"): 2,
        ("cat", "milk"): 1,
        ("cat", "tea"): 0,
    }
    bought = set(last[["customer_id", "product_type", "is_repeat"]].itertuples(index=False, name=None))
    assert bought == {("ann", "milk", 1), ("ann", "tea", 1), ("bob", "milk", 0)}
    # Five weeks before the last basket, and four weeks less a day.
    faded = pairs.set_index(["customer_id", "product_type"]).loc[("ann", "milk"), "faded_days"]
    assert faded == round(1000 * 0.5 ** (30 / 28)) + round(1000 * 0.5 ** (26 / 28))
    assert set(pairs["customer_days"]) == {2}


def test_every_rule_is_measured_on_the_same_customers(path):
    found = measured(read(path)).set_index("method")
    assert set(found["lists"]) == {3}
    assert set(found["bought_nothing"]) == {1}
    # There are two products, and each list names both; by place only bob's differ: tea is his habit, milk came.
    assert set(found["recall"]) == {1.0}
    assert found.loc["personal frequency (GP-TopFreq)", "ndcg"] == pytest.approx((1 + 0.6309) / 2, abs=1e-4)
    assert found.loc["most popular", "ndcg"] == 1.0


def test_parquet_says_the_same_and_what_is_not_that_file_is_refused_with_a_sentence(path, tmp_path):
    parquet = tmp_path / "shop.parquet"
    pd.read_csv(path, dtype=str).to_parquet(parquet)
    assert read(parquet).equals(read(path))
    other = tmp_path / "other.csv"
    pd.DataFrame({"CUSTOMER_ID": ["1"]}).to_csv(other, index=False)
    with pytest.raises(ValueError, match="none named TRANSACTION_DT"):
        read(other)
    pd.DataFrame([("2000-11-01", "1", "2")], columns=["TRANSACTION_DT", "CUSTOMER_ID", "PRODUCT_ID"]).to_csv(
        other, index=False
    )
    with pytest.raises(ValueError, match=r"got '2000-11-01' \(1 rows\)"):
        read(other)
