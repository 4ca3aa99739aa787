import functools

import duckdb
import pytest
from support.shown_pages import NASTY, ODD_ID, TABLES, browser, changed, quoted

from resources.serving_copy import FILE


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy as a run publishes it."""
    file = tmp_path_factory.mktemp("made") / FILE
    with duckdb.connect(file) as copy:
        copy.execute(TABLES.replace("$odd", quoted(ODD_ID)).replace("$nasty", quoted(NASTY)))
    return file


@pytest.fixture
def shop(made, tmp_path):
    """Return a browser of the pages on that copy, changed by some SQL."""
    return functools.partial(changed, made, tmp_path / FILE)


@pytest.fixture(scope="module")
def ours(made):
    return browser(made)
