"""What the tests of tables begin with."""

from pathlib import Path

import pytest
from table_shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
