"""Copy all state of the home to a new folder, of one moment also while runs go on, and read it back."""

import argparse
import time

from commands.sentences import sentences
from commands.session import embedded_only, folder_given
from resources.backup import back_up
from resources.profiles import home


def main() -> None:
    """Write the backup and say what it holds."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", required=True, help="a folder that is new or empty")
    given = arguments.parse_args().to
    began = time.monotonic()
    with sentences():
        embedded_only("backup")
        to = folder_given(given, "TO")
        note = back_up(home(), to)
    print(
        f"{home()} is backed up in {to}: {len(note.files)} files, {sum(map(len, note.tables.values()))} tables, "
        f"{note.rows:,} rows, read back in {time.monotonic() - began:.1f} s. Bring it back: make restore FROM={to}"
    )


if __name__ == "__main__":
    main()
