"""What the Makefile's targets call: set up, run, replay, look, measure."""

import sys
from types import TracebackType

from commands.sentences import missing_package


def _said(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say which package an environment lacks, also where a command's own first lines need it."""
    lacking = missing_package(error)
    if lacking:
        sys.stderr.write(f"error: {lacking}\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _said
