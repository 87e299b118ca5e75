"""A validation in words: a sentence, tables, and the page by the five parts of ADEMP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table

COLUMNS = (
    ("mean_estimate", "mean", ".4g"),
    ("bias", "bias", "+.3g"),
    ("relative_bias", "relative", "+.1%"),
    ("standardised_bias", "bias / SE", "+.2f"),
    ("empirical_se", "empirical SE", ".3g"),
    ("model_se", "model SE", ".3g"),
    ("relative_se_error", "SE error", "+.1%"),
    ("mse", "MSE", ".3g"),
    ("coverage", "coverage", ".3f"),
    ("coverage_bias_eliminated", "bias-eliminated", ".3f"),
    ("coverage_latent", "of latent", ".3f"),
    ("ci_width", "CI width", ".3g"),
    ("type1", "type I error", ".3f"),
    ("power", "power", ".3f"),
    ("p_not_estimable", "failed", ".1%"),
)
BOUNDED = ("mean_estimate", "bias", "coverage", "type1", "power")
WITH_ERROR = ("bias", "coverage", "type1", "power", "relative_se_error")
MANY_FAILURES = 0.01


def sentence(results: Mapping[str, Any]) -> str:
    """The answer in plain words."""
    counted = [item for item in results["verdicts"] if not item["declared"]]
    words = {word: [item for item in counted if item["verdict"] == word] for word in ("holds", "unclear", "fails")}
    sizes = ", ".join(str(n) for n in results["sizes"])
    scenarios = ", ".join(item["id"] for item in results["scenarios"])
    ok, of = f"{len(words['holds'])} of {len(counted)} analyses hold their tolerances", f"{results['replicates']:,}"
    parts = [f"{ok} in {of} simulated studies of N = {sizes} ({scenarios})."]
    for word, told in (("fails", "Beyond tolerance"), ("unclear", "Unclear with so many replicates")):
        if words[word]:
            names = "; ".join(_named(item, len(results["scenarios"]) > 1) for item in words[word][:6])
            more = f"; and {len(words[word]) - 6} more" if len(words[word]) > 6 else ""
            parts.append(f"{told}: {names}{more}.")
    shown = [item for item in results["verdicts"] if item["declared"] and item["verdict"] == "fails"]
    if shown:
        parts.append(f"{len(shown)} shown for comparison fail, as their notes say they do.")
    return " ".join(parts)


def _named(item: Mapping[str, Any], several: bool) -> str:
    place = f"{item['scenario']} " if several else ""
    term = f" {item['term']}" if item["term"] else ""
    reason = next((text for text in item["reasons"] if text.endswith(item["verdict"])), item["reasons"][0])
    return f"{place}{item['endpoint']} {item['estimator']}{term} ({reason})"


def verdict_table(results: Mapping[str, Any]) -> list[list[str]]:
    """One line per analysis, header first."""
    lines = [["scenario", "endpoint", "estimator", "term", "verdict", "why"]]
    for item in results["verdicts"]:
        word = item["verdict"] + (" (as declared)" if item["declared"] and item["verdict"] == "fails" else "")
        lines.append(
            [item["scenario"], item["endpoint"], item["estimator"], item["term"], word, "; ".join(item["reasons"][:3])]
        )
    return lines


def performance_table(results: Mapping[str, Any], scenario: str, endpoint: str) -> list[list[str]]:
    """Estimator x N x measure of one endpoint in one scenario, header first; Monte Carlo errors in brackets."""
    rows = [row for row in results["rows"] if row["scenario"] == scenario and row["endpoint"] == endpoint]
    used = [column for column in COLUMNS if any(row["measure"] == column[0] for row in rows)]
    cells = {(row["estimator"], row["term"], row["n"], row["measure"]): row for row in rows}
    keys = list(dict.fromkeys((row["estimator"], row["term"], row["n"]) for row in rows))
    first = {key[:2]: place for place, key in reversed(list(enumerate(keys)))}
    keys.sort(key=lambda key: first[key[:2]])
    lines = [["estimator", "term", "N", *(label for _, label, _ in used)]]
    lines += [
        [key[0], key[1], str(key[2]), *(_cell(cells.get((*key, name)), name, form) for name, _, form in used)] for key in keys
    ]
    return lines


def _cell(row: Mapping[str, Any] | None, name: str, form: str) -> str:
    if row is None or row["value"] is None:
        return "-"
    text = f"{row['value']:{form}}"
    if name in WITH_ERROR and row["mcse"] is not None:
        text += f" ({row['mcse']:.1%})" if form.endswith("%") else f" ({row['mcse']:.2g})"
    failed = row["n_failed"] / max(row["n_ok"] + row["n_failed"], 1)
    if name in BOUNDED and failed > MANY_FAILURES and row["low"] is not None and row["high"] is not None:
        text += f" [{row['low']:.3g}, {row['high']:.3g}]"
    return text


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``: aims, data-generating mechanism, estimands, methods, performance."""
    lines = [f"# {results['scenario']}: estimators on simulated truth", "", sentence(results), ""]
    lines += [f"- {warning}." for warning in results["warnings"]]
    lines += ["", *_aims(results), *_mechanism(results), *_estimands(results), *_methods(results), *_performance(results)]
    lines += ["## What this rests on", "", f"Assumed, with no paper behind it ({len(results['assumptions'])} inputs):", ""]
    lines += [f"- `{item['input']}` = {item['value']}: {item['why']}" for item in results["assumptions"]]
    lines += ["", "Sources:", ""] + [f"- {item['citation']} ({', '.join(item['entries'])})" for item in results["sources"]]
    return "\n".join(lines) + "\n"


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
        "A measure holds when its 95% Monte Carlo interval lies inside, fails when it lies outside, and is unclear in between.",
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
        lines += [
            "Of other estimators: what each tends to in studies of 4,096 patients with every visit made and nobody lost. It is",
            "what the estimator estimates, not necessarily an effect: a naive comparison has a limit too.",
            "",
            markdown_table(
                [
                    ["scenario", "endpoint", "estimator", "term", "value", "MCSE", "studies"],
                    *(
                        [v["scenario"], v["endpoint"], v["estimator"], v["term"], *_pair(v), str(v["studies"])]
                        for v in results["limits"]
                    ),
                ]
            ),
            "",
        ]
    return lines


def _pair(item: Mapping[str, Any]) -> list[str]:
    return [("-" if item[key] is None else f"{item[key]:{form}}") for key, form in (("value", ".4g"), ("mcse", ".2g"))]


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
    ]
    for scenario in results["scenarios"]:
        for name in results["endpoints"]:
            lines += [f"### {results['labels'][name]}, `{scenario['id']}`", ""]
            lines += [markdown_table(performance_table(results, scenario["id"], name)), ""]
            lines += (
                [f"![Zip plot](figures/zip-{scenario['id']}-{name}.png)", ""] if _has_truth(results, scenario, name) else []
            )
    for name in results["endpoints"]:
        if any(row["endpoint"] == name and row["measure"] == "coverage" for row in results["rows"]):
            lines += [f"![Coverage by N](figures/coverage-{name}.png)", ""]
            if len(results["sizes"]) * len(results["scenarios"]) > 1:
                lines += [f"![Nested loop](figures/nested-loop-{name}.png)", ""]
    return lines


def _has_truth(results: Mapping[str, Any], scenario: Mapping[str, Any], name: str) -> bool:
    return any(
        row["scenario"] == scenario["id"] and row["endpoint"] == name and row["measure"] == "coverage"
        for row in results["rows"]
    )


def tolerance_line(results: Mapping[str, Any]) -> str:
    """The tolerances on one line."""
    return ", ".join(f"{item['measure']} {item['low']:g} to {item['high']:g}" for item in results["tolerances"])
