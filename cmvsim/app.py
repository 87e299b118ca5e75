"""Between the command line and the verbs: progress on stderr, errors as one clear message, exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cmvsim.core.errors import CmvsimError, ExitCode, InputError
from cmvsim.verbs.ui import Tick

MOST_PROBLEMS = 40
"""Problems shown; a wholly wrong column has one for each row."""


class Terminal:
    """Progress bars and notes on stderr; silent when asked to be."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self, label: str) -> Iterator[Tick]:
        """A bar with rate and time left; plain lines at the end where stderr is no terminal."""
        if self.quiet:
            yield lambda done, total: None  # noqa: ARG005
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
        hint = f" What finished is kept; to continue: {resume}" if resume else ""
        print(f"Interrupted.{hint}", file=sys.stderr)  # noqa: T201
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
