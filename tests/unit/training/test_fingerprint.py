"""The fingerprint names the content of a frame, not how it happens to be stored."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_models.training.fingerprint import frame_fingerprint

records = st.lists(
    st.tuples(st.text(max_size=4), st.integers(-(10**6), 10**6), st.floats(allow_infinity=False)),
    min_size=1,
    max_size=20,
)


def frame_of(rows: list[tuple[str, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "trips", "share"])


@given(records, st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(rows: list[tuple[str, int, float]], random) -> None:
    frame = frame_of(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert frame_fingerprint(frame) == frame_fingerprint(frame_of(shuffled)[["share", "customer_id", "trips"]])


@given(records, st.data())
def test_any_changed_cell_changes_it(rows: list[tuple[str, int, float]], data: st.DataObject) -> None:
    frame = frame_of(rows)
    changed = frame.copy()
    row = data.draw(st.integers(0, len(rows) - 1))
    changed.loc[row, "trips"] += 1
    assert frame_fingerprint(frame) != frame_fingerprint(changed)


def test_a_repeated_row_counts() -> None:
    frame = frame_of([("a", 1, 0.5), ("b", 2, 0.5)])
    twice = pd.concat([frame, frame])
    assert len({frame_fingerprint(f) for f in (frame, twice, pd.concat([twice, frame.iloc[:1]]))}) == 3


def test_storage_types_do_not_matter() -> None:
    dates = pd.to_datetime(["2017-03-27", "2017-04-03"])
    plain = pd.DataFrame({"cutoff_date": dates, "trips": [1, 2], "share": [0.0, np.nan]})
    stored = pd.DataFrame(
        {
            "cutoff_date": dates.date,
            "trips": pd.array([1, 2], dtype="Int64"),
            "share": pd.array([-0.0, None], dtype="Float64"),
        },
        index=[7, 9],
    )
    assert frame_fingerprint(plain) == frame_fingerprint(stored)
    assert frame_fingerprint(plain) == frame_fingerprint(
        plain.astype({"trips": "float64", "cutoff_date": "datetime64[s]"})
    )


@pytest.mark.parametrize("other", [0.0, -1.0])
def test_a_null_is_not_a_number(other: float) -> None:
    assert frame_fingerprint(pd.DataFrame({"x": [np.nan]})) != frame_fingerprint(pd.DataFrame({"x": [other]}))


def test_neighbouring_large_identifiers_differ() -> None:
    a, b = (pd.DataFrame({"order_id": [2**60 + k]}) for k in (0, 1))
    assert frame_fingerprint(a) != frame_fingerprint(b)


def test_column_names_belong_to_the_content() -> None:
    assert frame_fingerprint(pd.DataFrame({"a": [1]})) != frame_fingerprint(pd.DataFrame({"b": [1]}))


def test_another_process_computes_the_same() -> None:
    program = (
        "import pandas as pd\nfrom ml_models.training.fingerprint import frame_fingerprint\n"
        "print(frame_fingerprint(pd.DataFrame({'customer_id': ['a', 'b'], 'trips': [1, 2], 'share': [0.5, None]})))"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    here = frame_fingerprint(pd.DataFrame({"customer_id": ["a", "b"], "trips": [1, 2], "share": [0.5, None]}))
    assert there == here
