"""What a verb may say while it works. The command line shows it on stderr; tests pass :class:`Silent`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Tick = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

ProgressContext = AbstractContextManager[Tick]


class Ui(Protocol):
    """Progress and notes."""

    def progress(self, label: str) -> ProgressContext:
        """A context that yields a :data:`Tick`."""
        ...

    def note(self, text: str) -> None:
        """Say something in passing."""
        ...


class Silent:
    """Says nothing."""

    @contextmanager
    def progress(self, label: str) -> Iterator[Tick]:  # noqa: ARG002
        """Swallow the ticks."""
        yield lambda done, total: None  # noqa: ARG005

    def note(self, text: str) -> None:
        """Swallow the note."""
