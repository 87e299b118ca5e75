"""``type1.md``: the type I error of every test, by sample size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.planning.claims import CONFOUNDED, NULL
from tests.verification.common import SIZES, Size
from tests.verification.type1 import (
    ALPHA,
    BEYOND,
    EXPLAINED,
    RANDOMISED,
    TWO_ARMS,
    Rejected,
    amount,
    rejected,
    rejected_adjusted,
)

Key = tuple[str, str, str]


def page(size: Size) -> str:
    """The page, from the same runs as the checks."""
    studies = amount(size) * CHUNK_REPLICATES
    error = rejected(NULL, size)[0].mcse
    lines = [
        "# Type I errors",
        "",
        f"How often each test rejects at {ALPHA:.0%} (two-sided) where CMV has no effect: {studies:,} simulated studies at",
        f"nested sample sizes N = {', '.join(str(n) for n in SIZES)}; Monte Carlo standard error of a share at the level",
        f"{error:.4f}. A test is its interval (an interval that leaves no effect out rejects) or its p-value.",
        "",
        "A study without an estimate (no event, separation, nobody exposed) does not reject and stays in the denominator; the",
        "share that rejects among studies with an estimate stands beside it. In small studies that share is no type I error:",
        "to have an estimate, somebody exposed must have had the outcome, which is half an effect already.",
        "",
        *_claimed(size),
        *_explained(),
        *_reported(size),
        *_confounded(size),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _by_test(rows: Sequence[Rejected]) -> dict[Key, list[Rejected]]:
    found: dict[Key, list[Rejected]] = {}
    for row in rows:
        found.setdefault((row.endpoint, row.estimator, row.term), []).append(row)
    return found


def _table(rows: Sequence[Rejected], *, verdict: bool) -> Iterator[str]:
    sizes = " / ".join(str(n) for n in SIZES)
    head = ["endpoint", "test", "term", f"rejects, N = {sizes}", "with an estimate", "of those reject", "events"]
    head += ["verdict"] if verdict else []
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for (endpoint, estimator, term), mine in _by_test(rows).items():
        cells = [endpoint, estimator, term]
        cells.append(" / ".join(f"{row.share:.4f}" for row in mine))
        cells.append(" / ".join(f"{row.estimated:.2f}" for row in mine))
        cells.append(" / ".join(f"{row.among:.3f}" for row in mine))
        cells.append(" / ".join(f"{row.events:.0f}" for row in mine))
        if verdict:
            cells.append(" / ".join(_word(row) for row in mine))
        yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _word(row: Rejected) -> str:
    """The verdict in a word, and whether something explains what is beyond the Monte Carlo error."""
    if row.verdict != "above":
        return row.verdict
    known = EXPLAINED.get((row.endpoint, row.estimator))
    return "above (explained)" if known and row.share <= known.most + BEYOND * row.mcse else "**above**"


def _claimed(size: Size) -> Iterator[str]:
    rows = [row for row in rejected(NULL, size) if row.claim.claims]
    yield from (
        "## Tests that claim their level on `null`",
        "",
        "No factor acts on CMV, infections or death, and no cause is shared. Where each is claimed:",
        "",
    )
    told = {(row.endpoint, row.estimator): row.claim for row in rows}
    yield from (f"- `{endpoint}` {estimator}: {claim.claims}; {claim.why}." for (endpoint, estimator), claim in told.items())
    yield from (
        "",
        f"Verdict: at its level within {BEYOND:g} Monte Carlo standard errors, below it, or above it.",
        "",
    )
    yield from _table(rows, verdict=True)
    yield from (
        "",
        "Two randomised arms, placebo and letermovir, which has no effect there, compared by CMV reactivation (all patients of",
        f"both arms together are N; {RANDOMISED.why}):",
        "",
    )
    yield from _table(rejected(TWO_ARMS, size), verdict=True)
    yield from (
        "",
        "Below the level: with few events a Wald interval of a log ratio is wide, as its standard error is largest where the",
        "estimate is extreme, and many studies have no estimate at all (column beside): nobody exposed had the outcome, or",
        "everybody. Such a test errs on the safe side; what it lacks is power. It comes to its level as events grow.",
        "",
    )


def _explained() -> Iterator[str]:
    if EXPLAINED:
        yield from ("Above the level, and why:", "")
        for (endpoint, estimator), known in EXPLAINED.items():
            yield f"- `{endpoint}` {estimator}, up to {known.most:g}: {known.why}."
        yield ""


def _reported(size: Size) -> Iterator[str]:
    rows = [row for row in rejected(NULL, size) if not row.claim.claims]
    told = {(row.endpoint, row.estimator): row.claim.why for row in rows}
    reasons: dict[str, list[str]] = {}
    for (endpoint, estimator), why in told.items():
        reasons.setdefault(why, []).append(f"`{endpoint}` {estimator}")
    yield from (
        "## Reported, not claimed",
        "",
        "These compare what differs, or who was classed by the future, even on `null`:",
        "",
    )
    yield from (f"- {', '.join(tests)}: {why}." for why, tests in reasons.items())
    yield ""
    yield from _table(rows, verdict=False)
    yield ""


def _confounded(size: Size) -> Iterator[str]:
    rows = [row for row in rejected(CONFOUNDED, size) if row.claim.claims]
    adjusted = [*rejected_adjusted(NULL, size), *rejected_adjusted(CONFOUNDED, size)]
    yield from (
        "## Shared causes: `null-confounded`",
        "",
        "CMV acts on nothing, but steroids, leukaemia and the immunosuppression score act on CMV and on infections. What the",
        "tests that keep their level above reject here is confounding, and larger studies reject more of it:",
        "",
    )
    yield from _table(rows, verdict=False)
    yield ""
    yield from (
        "Again, adjusted for the causes that a study measures (age, leukaemia, prior transplantation, current steroids,",
        "tocilizumab, severe CRS and ICANS, neutropenia), in the same studies:",
        "",
    )
    for name in (NULL, CONFOUNDED):
        yield from (f"`{name}`:", "")
        yield from _table([row for row in adjusted if row.scenario == name], verdict=False)
        yield ""
    yield from (
        "Most of what adjustment leaves is due to the immunosuppression score, which acts on both and which nobody measures:",
        "no model of the tables removes it.",
        "",
    )
