"""A validation in words: a sentence, tables, and the page by the five parts of ADEMP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table
from cmvsim.report.rests_on_text import rests_on_lines
from cmvsim.report.validation_verdicts import sentence, verdict_table

OF_SCALE, SIGNED, SQUARED = "scale", "signed", "squared"
"""Forms with as many decimals as the scale of the estimator has."""
COLUMNS = (
    ("mean_estimate", "mean", OF_SCALE),
    ("bias", "bias", SIGNED),
    ("relative_bias", "relative", "+.1%"),
    ("standardised_bias", "bias / SE", "+.2f"),
    ("empirical_se", "empirical SE", OF_SCALE),
    ("model_se", "model SE", OF_SCALE),
    ("relative_se_error", "SE error", "+.1%"),
    ("mse", "MSE", SQUARED),
    ("coverage", "coverage", ".3f"),
    ("coverage_bias_eliminated", "bias-eliminated", ".3f"),
    ("coverage_latent", "of latent", ".3f"),
    ("ci_width", "CI width", OF_SCALE),
    ("type1", "type I error", ".3f"),
    ("power", "power", ".3f"),
    ("p_not_estimable", "failed", ".1%"),
)
LEGEND = (
    "Mean: of the estimates; relative: bias by truth; bias / SE: bias by the empirical standard error (standardised bias);",
    "empirical SE: standard deviation of the estimates; model SE: root mean square of the standard errors that were stated;",
    "SE error: model SE by empirical SE, less 1; MSE: mean squared error; coverage: of the protocol value or limit, then of the",
    "mean estimate (bias-eliminated) and of the latent value; failed: studies without an estimate.",
)
DECIMALS = {"mean": 2, "mean_difference": 2, "count": 2, "cost": 0}
"""Of a mean or an error by scale; of all others three for ratios and four for rates and correlations."""
BOUNDED = ("mean_estimate", "bias", "coverage", "type1", "power")
WITH_ERROR = ("bias", "coverage", "type1", "power", "relative_se_error")
MANY_FAILURES = 0.01
MOST_WARNINGS = 8


def performance_table(results: Mapping[str, Any], scenario: str, endpoint: str) -> list[list[str]]:
    """Estimator x N x measure of one endpoint in one scenario, header first; Monte Carlo errors in brackets."""
    rows = [row for row in results["rows"] if row["scenario"] == scenario and row["endpoint"] == endpoint]
    used = [column for column in COLUMNS if any(row["measure"] == column[0] for row in rows)]
    cells = {(row["estimator"], row["term"], row["n"], row["measure"]): row for row in rows}
    keys = list(dict.fromkeys((row["estimator"], row["term"], row["n"]) for row in rows))
    first = {key[:2]: place for place, key in reversed(list(enumerate(keys)))}
    keys.sort(key=lambda key: first[key[:2]])
    scales = {item["estimator"]: item["scale"] for item in results["estimators"] if item["endpoint"] == endpoint}
    lines = [["estimator", "term", "N", *(label for _, label, _ in used)]]
    for key in keys:
        told = (_cell(cells.get((*key, name)), name, _form(form, scales[key[0]])) for name, _, form in used)
        lines.append([key[0], key[1], str(key[2]), *told])
    return lines


def _form(form: str, scale: str) -> str:
    """How a measure of an estimator of a scale is written: as many digits in all its rows."""
    digits = decimals(scale)
    return {OF_SCALE: f".{digits}f", SIGNED: f"+.{digits}f", SQUARED: f".{digits + 2}f"}.get(form, form)


def decimals(scale: str) -> int:
    """Of estimates of a scale."""
    return DECIMALS.get(scale, 3 if scale.endswith("ratio") else 4)


def _cell(row: Mapping[str, Any] | None, name: str, form: str) -> str:
    if row is None or row["value"] is None:
        return "-"
    text = f"{row['value']:{form}}"
    plain = form.lstrip("+")
    if name in WITH_ERROR and row["mcse"] is not None:
        text += f" ({row['mcse']:{plain}})"
    failed = row["n_failed"] / max(row["n_ok"] + row["n_failed"], 1)
    if name in BOUNDED and failed > MANY_FAILURES and row["low"] is not None and row["high"] is not None:
        text += f" [{row['low']:{form}}, {row['high']:{form}}]"
    return text


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``: aims, data-generating mechanism, estimands, methods, performance."""
    lines = [f"# {results['scenario']}: estimators on simulated truth", "", sentence(results), ""]
    lines += [f"- {warning}." for warning in results["warnings"][:MOST_WARNINGS]]
    hidden = len(results["warnings"]) - MOST_WARNINGS
    lines += [f"- And {hidden} more in `results.json`; the column 'failed' below has them all."] if hidden > 0 else []
    lines += ["", *_aims(results), *_mechanism(results), *_estimands(results), *_methods(results), *_performance(results)]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"


def _aims(results: Mapping[str, Any]) -> list[str]:
    return [
        "## Aims",
        "",
        "Whether estimates are where the truth is, whether their errors and intervals say so, and whether tests keep their level.",
        "Tolerances, fixed beforehand:",
        "",
        markdown_table(
            [
                ["measure", "from", "to", "why"],
                *([item["measure"], f"{item['low']:g}", f"{item['high']:g}", item["why"]] for item in results["tolerances"]),
            ]
        ),
        "",
        "A measure holds when its 95% Monte Carlo interval lies inside, fails when it lies outside, and is unclear in between (more",
        "studies would tell). MCSE: Monte Carlo standard error, the error of a simulated figure for want of more simulated studies.",
        "",
        markdown_table(verdict_table(results)),
        "",
    ]


def _mechanism(results: Mapping[str, Any]) -> list[str]:
    return [
        "## Data-generating mechanism",
        "",
        *(f"- `{item['id']}`: {item['title']}." for item in results["scenarios"]),
        "",
        f"{results['replicates']:,} studies of each, seed {results['seed']}; the study of a smaller N is the first patients of",
        "the largest, so figures at different N are correlated.",
        "",
    ]


def _estimands(results: Mapping[str, Any]) -> list[str]:
    lines = ["## Estimands", ""]
    if results["estimands"]:
        lines += [
            "Rates: population values of a cohort of its own. Protocol: every visit made, nobody lost. Latent: the error-free load.",
            "",
            markdown_table(
                [
                    ["scenario", "endpoint", "kind", "relapse", "value", "MCSE", "patients"],
                    *(
                        [v["scenario"], v["endpoint"], v["kind"], v["relapse"], *_pair(v), f"{v['patients']:,}"]
                        for v in results["estimands"]
                    ),
                ]
            ),
            "",
        ]
    if results["limits"]:
        scales = {(item["endpoint"], item["estimator"]): item["scale"] for item in results["estimators"]}
        lines += [
            "Of other estimators: what each tends to in studies of 4,096 patients with every visit made and nobody lost. It is",
            "what the estimator estimates, not necessarily an effect: a naive comparison has a limit too.",
            "",
            markdown_table(
                [
                    ["scenario", "endpoint", "estimator", "term", "value", "MCSE", "studies"],
                    *(
                        [
                            *(v[key] for key in ("scenario", "endpoint", "estimator", "term")),
                            *_pair(v, scales[v["endpoint"], v["estimator"]]),
                            str(v["studies"]),
                        ]
                        for v in results["limits"]
                    ),
                ]
            ),
            "",
        ]
    return lines


def _pair(item: Mapping[str, Any], scale: str = "probability") -> list[str]:
    digits = decimals(scale)
    forms = (("value", digits), ("mcse", digits + 1))
    return ["-" if item[key] is None else f"{item[key]:.{places}f}" for key, places in forms]


def _methods(results: Mapping[str, Any]) -> list[str]:
    head = ["endpoint", "estimator", "what", "scale", "SE of", "null", "note"]
    body: list[Sequence[str]] = []
    for item in results["estimators"]:
        null = "its own test" if item["scale"] == "p_value" else "-" if item["null"] is None else f"{item['null']:g}"
        cells = (item["endpoint"], item["estimator"], item["label"], item["scale"], item["link"], null, item["note"])
        body.append([cell.replace("|", "/") for cell in cells])
    return ["## Methods", "", markdown_table([head, *body]), ""]


def _performance(results: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Performance",
        "",
        "On the scale of the standard error (ratios as logs, rank correlations as Fisher's z); the mean is put back, and the",
        "relative bias of a ratio is that of its geometric mean. In round brackets the Monte Carlo standard error. Where more than",
        "1% of studies gave no estimate, square brackets hold what the figure over all studies would be had those that failed",
        "their worst and their best plausible value: of a share, not met and met; of a mean, the ends of its scale, or as far",
        "from the median as any study that succeeded.",
        "",
        *LEGEND,
        "",
    ]
    for scenario in results["scenarios"]:
        for name in results["endpoints"]:
            lines += [f"### {results['labels'][name]}, `{scenario['id']}`", ""]
            lines += [markdown_table(performance_table(results, scenario["id"], name)), ""]
            lines += (
                [f"![{_alt(results, name, 'zip')}, {scenario['id']}](figures/zip-{scenario['id']}-{name}.png)", ""]
                if _has_truth(results, scenario, name)
                else []
            )
    for name in results["endpoints"]:
        if any(row["endpoint"] == name and row["measure"] == "coverage" for row in results["rows"]):
            lines += [f"![{_alt(results, name, 'coverage')}](figures/coverage-{name}.png)", ""]
            if len(results["sizes"]) * len(results["scenarios"]) > 1:
                lines += [f"![{_alt(results, name, 'nested-loop')}](figures/nested-loop-{name}.png)", ""]
    return lines


def _alt(results: Mapping[str, Any], name: str, stem: str) -> str:
    """What a figure shows, for who does not see it."""
    label, level = results["labels"][name], f"{results['level']:.0%}"
    return {
        "zip": f"{label}: zip plot of the {level} confidence intervals of the simulated studies by distance from the truth, by N",
        "coverage": f"{label}: coverage of the {level} confidence intervals of each estimator by N, with Monte Carlo intervals",
        "nested-loop": f"{label}: nested-loop plot of standardised bias and coverage of each estimator over scenarios and N",
    }[stem]


def _has_truth(results: Mapping[str, Any], scenario: Mapping[str, Any], name: str) -> bool:
    return any(
        row["scenario"] == scenario["id"] and row["endpoint"] == name and row["measure"] == "coverage"
        for row in results["rows"]
    )
