"""Between the command line and the verbs: progress on stderr, errors as one clear message, exit codes."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cmvsim.core.errors import CmvsimError, ExitCode, InputError
from cmvsim.verbs.ui import Tick

MOST_PROBLEMS = 40
"""Problems shown; a wholly wrong column has one for each row."""


EVERY = 30.0
"""Seconds between lines of progress where stderr is no terminal."""


class Terminal:
    """Progress and notes on stderr; silent when asked to be.

    Parameters
    ----------
    quiet
        Say nothing.
    every
        Seconds between lines of progress where stderr is no terminal.
    """

    def __init__(self, *, quiet: bool, every: float = EVERY) -> None:
        self.quiet = quiet
        self.every = every
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self, label: str) -> Iterator[Tick]:
        """A bar with rate and time left; where stderr is no terminal, a plain line now and then and one at the end."""
        if self.quiet:
            yield lambda done, total: None  # noqa: ARG005
            return
        if not self._console.is_terminal:
            with _lines(label, self.every) as tick:
                yield tick
            return
        columns = (
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=False) as bar:
            task = bar.add_task(label, total=None, rate="")

            def tick(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)
                speed = bar.tasks[0].speed
                bar.update(task, rate=f"{speed:,.0f}/s" if speed else "")

            yield tick

    def note(self, text: str) -> None:
        """A line on stderr."""
        if not self.quiet:
            self._console.print(text, style="dim", soft_wrap=True)


@contextmanager
def _lines(label: str, every: float) -> Iterator[Tick]:
    """Progress in lines, from a thread of its own: a stage that is silent for long is seen to be alive."""
    begun, state, over = time.monotonic(), [0, 0], threading.Event()

    def say(end: str) -> None:
        done, total = state
        part = f" {done:,} of {total:,}" if total > 1 else ""
        share = f" ({100 * done // total}%)" if total > 1 else ""
        print(f"{label}:{part}{share}{end} {_time(time.monotonic() - begun)}", file=sys.stderr, flush=True)  # noqa: T201

    def watch() -> None:
        while not over.wait(every):
            say(" after")

    def tick(done: int, total: int) -> None:
        state[:] = done, total

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield tick
    finally:
        over.set()
        watcher.join()
    say(" in")


def _time(seconds: float) -> str:
    """For people."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def run(work: Callable[[], ExitCode | None], *, resume: str = "") -> int:
    """Do `work` and turn what it raises into a message on stderr and an exit code.

    Parameters
    ----------
    work
        Returns an exit code, or None for 0.
    resume
        Command that continues after an interruption; printed then.
    """
    try:
        return int(work() or ExitCode.OK)
    except InputError as error:
        for problem in error.problems[:MOST_PROBLEMS]:
            print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
        if len(error.problems) > MOST_PROBLEMS:
            print(f"... and {len(error.problems) - MOST_PROBLEMS:,} more problems", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    except CmvsimError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    except KeyboardInterrupt:
        hint = f"What finished is kept; to continue: {resume}" if resume else "The same command begins anew."
        print(f"Interrupted. {hint}", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        return int(ExitCode.OK)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"Error: {place}{(error.strerror or str(error)).lower()}", file=sys.stderr)  # noqa: T201
        return int(ExitCode.USAGE)
    except Exception:  # noqa: BLE001 -- the last line of defence: a fault of ours, shown whole
        traceback.print_exc()
        print("Internal error: this is a fault of cmvsim, not of your input.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERNAL)
