"""Run the checks and write what they found: ``python -m tests.verification.write_report docs/verification [--small]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cmvsim.runs.provenance import environment, software_version
from tests.verification import checks, endpoints_page, engines, type1_page
from tests.verification.checks import LONG, SMALL, CheckRow, Size

ROOT = Path(__file__).resolve().parents[2]
HEADER = ("| check | expected | got | MCSE | tolerance | verdict | source |", "|---|---|---|---|---|---|---|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write ``README.md`` into the folder named; 1 if any check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true", help="the small tier, as in `make test`")
    options = parser.parse_args(arguments)
    size = SMALL if options.small else LONG
    commit = commit_now()  # before anything is written
    found = {}
    for name, run in checks.CHECKS.items():
        found[name] = list(run(size))
        failed = sum(not row.ok for row in found[name])
        print(f"{name}: {len(found[name])} comparisons, {failed} failed", flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "README.md").write_text(report(found, size, commit), encoding="utf-8", newline="\n")
    if "two engines" in found and size.long:  # a page of 24,000 patients is not replaced by one of a few hundred
        (options.folder / "engines.md").write_text(engines.page(size), encoding="utf-8", newline="\n")
    if "every endpoint" in found and size.long:
        (options.folder / "endpoints.md").write_text(endpoints_page.page(size), encoding="utf-8", newline="\n")
    if "type I error" in found and size.long:
        (options.folder / "type1.md").write_text(type1_page.page(size), encoding="utf-8", newline="\n")
    return int(any(not row.ok for rows in found.values() for row in rows))


def commit_now() -> str:
    """Short id of the commit, and whether the tree differs from it (this report apart)."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        return short + (", modified" if _git("status", "--porcelain", "--", ".", ":!docs/verification") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def report(found: dict[str, list[CheckRow]], size: Size, commit: str) -> str:
    """The page."""
    rows = [row for section in found.values() for row in section]
    failed = [row for row in rows if not row.ok]
    versions = ", ".join(f"{name} {value}" for name, value in environment().items())
    verdict = "all hold" if not failed else f"**{len(failed)} fail**: " + "; ".join(row.name for row in failed)
    tier = (
        "This is the **small tier** (the one `make test` runs); `make verify` runs the long one and rewrites this page."
        if size.name == "small"
        else "This is the long tier, as `make verify` runs it."
    )
    lines = [
        "# Statistical verification",
        "",
        f"Date {datetime.now(UTC):%Y-%m-%d}; commit {commit}; cmvsim {software_version()}; {versions}.",
        "",
        f"{tier} {size.replicates:,} replicates of each study; estimand values from {size.truth_chunks * 4096:,} patients; "
        f"targets solved on {size.cohort:,} patients; the whole model in {size.chunks * 16_000:,}"
        + (f"; {size.repetitions:,} repetitions of a search" if size.repetitions else "")
        + ".",
        "",
        f"{len(rows)} comparisons: {verdict}.",
        "",
        "Expected: a figure or a range, with its source. MCSE: Monte Carlo standard error of the difference (0: exact). A",
        "comparison holds when the figure lies within the tolerance, a multiple of the MCSE plus what the source says.",
    ]
    for name, section in found.items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", "", checks.SENTENCES[name], ""]
        lines += [*HEADER, *(line(row) for row in section)] if section else ["Not run: long tier only."]
    return "\n".join(lines) + "\n"


def line(row: CheckRow) -> str:
    """One row of a table."""
    expected = " to ".join(figure(end) for end in row.expected) if isinstance(row.expected, tuple) else figure(row.expected)
    cells = (
        row.name,
        expected,
        figure(row.got),
        figure(row.mcse, 2),
        figure(row.tolerance, 2),
        "holds" if row.ok else "**FAILS**",
        row.source,
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def figure(value: float, digits: int = 4) -> str:
    """A number as people read it."""
    return f"{value:.{digits}g}"


if __name__ == "__main__":
    sys.exit(main())
