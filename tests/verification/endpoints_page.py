"""``endpoints.md``: what every estimator makes of small studies, and what the checks of large ones found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cmvsim.core.records import FloatArray, Status
from cmvsim.core.streams import CHUNK_REPLICATES
from tests.verification.common import CheckRow, Size, field, mean_and_error, share_and_error
from tests.verification.endpoints import (
    COSTED,
    INFECTED,
    STUDIED,
    Studied,
    confounding,
    cost,
    endpoint,
    estimands_of_all,
    every_endpoint,
    immortal_time,
    infections,
    of_large,
    studied,
    values_of,
)

CHECKED = ("| check | expected | got | MCSE | verdict |", "|---|---|---|---|---|")


def page(size: Size) -> str:
    """The page, from the same runs as the checks."""
    got = studied(STUDIED[0], size)
    lines = [
        "# Every endpoint",
        "",
        f"{len(got.values):,} studies of each scenario, at nested sample sizes, for the tables of estimators;",
        f"{of_large(size)} large studies of {CHUNK_REPLICATES * INFECTED:,} patients (infections)",
        f"and {CHUNK_REPLICATES * COSTED:,} (costs) for bias.",
        "Cost of illness is run without its bootstrap (`resamples = 0`), which repeats it 400 times a study: standard errors",
        "from influences.",
        "",
        *_immortal(size),
        *_confounded(size),
        *_estimands(size),
        *_coverage(size),
        "## Every estimator",
        "",
        "Nothing may raise, whatever the sample. Share: studies with an estimate and limits, by N. Others: statuses of all",
        "studies but ok, at the N named. Mean: of studies with an estimate; of ratios the geometric mean. SE: empirical, and",
        "root mean square of the model's; of ratios on the log scale, of rank correlations on that of Fisher's z. Where they",
        "differ much, or the mean is far off at small N, events are too few for the estimator: see the share and the next N.",
        "",
    ]
    rows = [row for row in every_endpoint(size) if "coverage" not in row.name]
    lines += [*CHECKED, *(_checked(row) for row in rows), ""]
    for name in STUDIED:
        lines += _estimators(name, studied(name, size))
    return "\n".join(lines).rstrip() + "\n"


def _checked(row: CheckRow) -> str:
    expected = " to ".join(f"{end:.3g}" for end in row.expected) if isinstance(row.expected, tuple) else f"{row.expected:.3g}"
    verdict = "holds" if row.ok else "**FAILS**"
    return f"| {row.name} | {expected} | {row.got:.4g} | {row.mcse:.2g} | {verdict} |"


def _immortal(size: Size) -> Iterator[str]:
    yield from (
        "## No effect: `null`",
        "",
        "CMV acts on nothing here and shares no cause with anything: hazard ratios of infections after CMV are 1. Of the",
        "costs, only those that CMV does not make are null. A clinically significant infection is by definition treated, and",
        "drugs, their monitoring, stays to give them and for what they do to marrow and kidney are its true cost in any",
        "scenario. So stays for CMV are switched off (`resources.cmv`: no prolongation, no admission, no days for disease or",
        "kidney injury), the components surveillance and treatments are left out, and what remains (the initial stay, stays",
        "for bacterial and fungal infections, steroids, tocilizumab, anakinra) has no difference to find.",
        "",
        "Comparing who ever had CMV with who never had it finds one all the same: whoever lives and is followed longer has",
        "more time for both (immortal time). Poisson regression weighted for censoring keeps the part of the bias that is due",
        "to death. Time-dependent and landmark Cox regression, mean counts from a landmark, and risk-set matching do not.",
        "",
        "Sample size: studies this large, since the log hazard ratio of few events is biased in small ones, with fungal",
        "infections (one patient in thirty) by more than its naive counterpart.",
        "",
        *CHECKED,
    )
    yield from (_checked(row) for row in immortal_time(size))
    yield ""
    found = {**infections("null", size), **cost("null", size)}
    yield from ("<details><summary>all means</summary>", "", "| estimator | term | mean | MCSE |", "|---|---|---|---|")
    for (estimator, term), column in found.items():
        if np.ptp(column) > 0:
            mean, error = mean_and_error(column)
            yield f"| {estimator} | {term} | {mean:.4g} | {error:.2g} |"
    yield from ("", "</details>", "")


def _confounded(size: Size) -> Iterator[str]:
    means = {term: mean_and_error(infections("null-confounded", size)["time_dependent_cox", term]) for term in TERMS}
    ratios = {term: (np.exp(mean), np.exp(mean) * error) for term, (mean, error) in means.items()}
    yield from (
        "## Shared causes and no effect: `null-confounded`",
        "",
        "CMV acts on nothing, but steroids, leukaemia and the immunosuppression score act on CMV and on infections: the",
        "time-dependent hazard ratio is "
        + " and ".join(f"{ratio:.3f} (MCSE {error:.3f}) for {term}" for term, (ratio, error) in ratios.items())
        + " infections without any",
        "effect. It is confounding, and no sample size removes it. No estimator of `cmv_infections` adjusts for measured",
        "causes: its models hold the status of CMV alone, so an adjusted analysis cannot be shown here.",
        "",
        *CHECKED,
    )
    yield from (_checked(row) for row in confounding(size))
    yield ""


TERMS = ("bacterial", "fungal")


def _estimands(size: Size) -> Iterator[str]:
    yield from (
        "## Estimand values of `cmv-cart`",
        "",
        "Rates: latent (the disease) and protocol (the same derivation, everybody followed). Others: the limit of the primary",
        "estimator in studies of 4,096. MCSE: Monte Carlo standard error.",
        "",
        *CHECKED,
    )
    yield from (_checked(row) for row in estimands_of_all(size))
    yield from ("", "| endpoint | term | kind | value | MCSE | patients |", "|---|---|---|---|---|---|")
    for v in values_of("cmv-cart", size):
        yield f"| {v.endpoint} | {v.term} | {v.kind} | {v.value:.4g} | {v.mcse:.2g} | {v.patients:,} |"
    yield ""


def _coverage(size: Size) -> Iterator[str]:
    got = studied("cmv-cart", size)
    yield from (
        "## Coverage of rates",
        "",
        f"Primary 95% intervals against the protocol estimand, `cmv-cart`, N = {got.sizes[-1]}, over studies with limits.",
        "",
        "| endpoint | protocol estimand | MCSE | mean estimate | coverage | MCSE | studies |",
        "|---|---|---|---|---|---|---|",
    )
    for v in values_of("cmv-cart", size):
        if v.kind == "protocol" and endpoint(v.endpoint).estimators[0].scale == "probability":
            place = next(i for i, row in enumerate(got.rows) if row.endpoint == v.endpoint)
            values = got.values[:, -1, place]
            values = values[np.isfinite(field(values, "ci_low"))]
            covered, error = share_and_error((field(values, "ci_low") <= v.value) & (v.value <= field(values, "ci_high")))
            mean = field(values, "estimate").mean()
            cells = (v.endpoint, f"{v.value:.4g}", f"{v.mcse:.2g}", f"{mean:.4g}", f"{covered:.3f}", f"{error:.2g}")
            yield f"| {' | '.join(cells)} | {len(values):,} |"
    yield ""


def _estimators(name: str, got: Studied) -> Iterator[str]:
    yield from (f"### `{name}`, N = {', '.join(str(n) for n in got.sizes)}", "")
    yield "| endpoint | estimator | term | share | others | mean | empirical SE | model SE |"
    yield "|---|---|---|---|---|---|---|---|"
    for place, (row, choice) in enumerate(zip(got.rows, got.choices, strict=True)):
        columns = [_at(got.values[:, k, place], choice.scale, choice.id) for k in range(len(got.sizes))]
        share, mean, empirical, model = (" / ".join(c[i] for c in columns) for i in (0, 2, 3, 4))
        others = "; ".join(f"N={n}: {c[1]}" for n, c in zip(got.sizes, columns, strict=True) if c[1])
        cells = (row.endpoint, row.estimator, row.term, share, others, mean, empirical, model)
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _at(values: FloatArray, scale: str, estimator: str) -> tuple[str, str, str, str, str]:
    """Share usable, the other statuses, mean, empirical SE, model SE."""
    status = field(values, "status").astype(int)
    others = []
    for code in Status:
        share = float((status == code).mean())
        if code != Status.OK and share > 0:
            others.append(f"{code.name.lower()} {share:.2g}")
    usable = np.isin(status, [code for code in Status if code.usable])
    estimate, se = field(values, "estimate")[usable], field(values, "se")[usable]
    label = f"{usable.mean():.3g}"
    if estimate.size < 2:
        return label, ", ".join(others), "", "", ""
    ratio, ranks = scale.endswith("ratio"), scale == "correlation" and estimator != "phi"
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.log(estimate) if ratio else np.arctanh(estimate) if ranks else estimate
    scaled = scaled[np.isfinite(scaled)]
    if scaled.size < 2:
        return label, ", ".join(others), f"{estimate.mean():.3g}", "", ""
    mean = np.exp(scaled.mean()) if ratio else np.tanh(scaled.mean()) if ranks else scaled.mean()
    squares = se[np.isfinite(se)] ** 2
    model = f"{np.sqrt(squares.mean()):.3g}" if squares.size else ""
    return label, ", ".join(others), f"{mean:.3g}", f"{scaled.std(ddof=1):.3g}", model
