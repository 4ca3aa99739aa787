"""What several tests of the graph begin with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.copies import copy_home


@pytest.fixture
def mine(baton: Any, make_baton: Callable[..., Any], tmp_path: Path) -> Any:
    """A baton in which everything was materialised once, for this test alone."""
    return make_baton(copy_home(baton.home, tmp_path / "baton"))
