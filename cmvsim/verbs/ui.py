"""What a verb may say while it works. The command line shows it on stderr; tests pass :class:`Silent`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from cmvsim.core import kernel_cache

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


def note_compiling(ui: Ui) -> None:
    """Say before a simulation that its kernels are compiled first, where they are not kept yet."""
    if not kernel_cache.filled("simulation"):
        ui.note(
            "The first simulation on this machine compiles the model and the estimators that it needs, once: "
            "half a minute to two minutes."
        )


class Silent:
    """Says nothing."""

    @contextmanager
    def progress(self, label: str) -> Iterator[Tick]:  # noqa: ARG002
        """Swallow the ticks."""
        yield lambda done, total: None  # noqa: ARG005

    def note(self, text: str) -> None:
        """Swallow the note."""
