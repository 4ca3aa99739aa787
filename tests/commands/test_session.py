"""Nobody waits in silence: a step that works for long is named on the terminal."""

import time

import pytest

from commands.session import Spoken


def test_a_long_silence_is_broken_by_the_name_of_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    spoken = Spoken(silence=0.01)
    shown = ""
    with spoken.never_silent():
        spoken.step = "candidate"
        deadline = time.monotonic() + 30
        while "candidate" not in shown and time.monotonic() < deadline:
            time.sleep(0.01)
            shown += capsys.readouterr().out
    assert "… candidate, 0 s so far" in shown
    # Whoever ended says nothing more than what was said by then.
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().out == ""
