"""The report of the week: a folder of files for people who get a mail and nothing else, written anew as a whole.

It holds customers' rows, so it is for its owner alone. Here belongs how it is written and found; what stands in it is
said by `steps.people`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from resources.folders import make_private, name_to_disk, to_disk
from resources.private_folder import private_folder

FOLDER = "report"
"""What the folder is called."""

PAGE, CALL_LIST = "report.html", "call_list.csv"
"""The page, and who is to be called, as a spreadsheet opens it."""

JUDGED = "baton-judged"
"""The name of the page's mark that says which week's judgement it tells."""

_MARK = re.compile(rf'<meta name="{JUDGED}" content="([\d-]*)">')


class ReportError(RuntimeError):
    """The report could not be written; the former one is as it was, or there is none."""


class Attachment(NamedTuple):
    """A file of the report as a mail carries it."""

    name: str
    kind: str
    content: bytes


class WeekReport(dg.ConfigurableResource[None]):
    """The folder at `path`, which holds the files of the report and nothing else: it is replaced whole."""

    path: str

    def write(self, files: Mapping[str, Iterable[bytes]]) -> Path:
        """Replace the report by these files, given piece by piece; the folder is there whole, or not at all.

        Raises:
            ReportError: the disk is full, or the folder cannot be written.
        """
        folder = Path(self.path)
        try:
            with private_folder(folder.parent, ".report-") as scratch:
                new = make_private(scratch / FOLDER)
                for name, pieces in files.items():
                    opened = os.open(new / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                    with os.fdopen(opened, "wb") as written:
                        written.writelines(pieces)
                to_disk(new)
                if folder.exists():
                    folder.rename(scratch / "former")
                new.rename(folder)
            name_to_disk(folder)
        except OSError as error:
            raise ReportError(
                f"Expected to write the report of the week to {folder}, and it could not be: {error}. Make room, or "
                "name another folder by BATON_REPORT, and run again. What readers open was published before."
            ) from error
        return folder

    def attachments(self, week: str) -> list[Attachment]:
        """Return the files of the report that tells of this judged week (an ISO date); none where it tells of another.

        A run that failed, or works on another machine, left the former report here, or none.
        """
        folder = Path(self.path)
        try:
            page, called = (folder / PAGE).read_bytes(), (folder / CALL_LIST).read_bytes()
        except FileNotFoundError:
            return []
        mark = _MARK.search(page.decode(errors="replace"))
        if mark is None or mark[1] != week:
            return []
        return [Attachment(PAGE, "text/html", page), Attachment(CALL_LIST, "text/csv", called)]
