"""Progress where stderr is no terminal: plain lines while a stage runs, one when it ends, none when quiet."""

from __future__ import annotations

import io
import re
import threading
from contextlib import redirect_stderr

import pytest

from cmvsim.app import Terminal


class Heard(io.StringIO):
    """A stderr that is no terminal, and tells when a line has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.line = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "\n" in text:
            self.line.set()
        return written


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Heard()


def test_a_long_stage_is_heard_while_it_runs_and_when_it_ends(heard: Heard) -> None:
    with redirect_stderr(heard), Terminal(quiet=False, every=0.01).progress("studies") as tick:
        tick(3, 12)
        heard.line.clear()
        assert heard.line.wait(60), "no line while the stage runs"
        during = heard.getvalue()
        tick(12, 12)
    assert re.search(r"^studies: 3 of 12 \(25%\) after \d+ s$", during, re.MULTILINE)
    assert re.fullmatch(r"studies: 12 of 12 \(100%\) in \d+ s", heard.getvalue().splitlines()[-1])


def test_a_short_stage_is_one_line(heard: Heard) -> None:
    with redirect_stderr(heard), Terminal(quiet=False).progress("checks") as tick:
        tick(1, 1)
    assert re.fullmatch(r"checks: in \d+ s\n", heard.getvalue())


def test_a_stage_that_fails_does_not_end_well(heard: Heard) -> None:
    with pytest.raises(ValueError, match="no"), redirect_stderr(heard), Terminal(quiet=False).progress("checks"):
        raise ValueError("no")
    assert heard.getvalue() == ""
    assert not [thread for thread in threading.enumerate() if "watch" in thread.name]


def test_quiet_is_quiet(heard: Heard) -> None:
    with redirect_stderr(heard), Terminal(quiet=True, every=0.01).progress("studies") as tick:
        tick(1, 2)
        assert not heard.line.wait(0.1)
    assert heard.getvalue() == ""
