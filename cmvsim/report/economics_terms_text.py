"""Terms of an economic evaluation in one line each: a summary ends with those that it uses."""

from __future__ import annotations

import re

TERMS: dict[str, tuple[str, str]] = {
    "base case": (r"[Bb]ase case", "the answer to be quoted; all else is shown beside it"),
    "break-even price": (
        r"break-even",
        "price of a day of letermovir at which a strategy and its comparator are equally good; below it the strategy is worth it",
    ),
    "clinically significant infection": (r"clinically significant", "CMV disease, or CMV DNAemia for which treatment is begun"),
    "comparator": (r"comparator", "the strategy that all others are compared with"),
    "cost neutral": (r"cost neutral", "costs as much as it saves: the threshold is 0"),
    "DNAemia": (r"DNAemia", "CMV DNA found in blood, in a quantity above the assay's limit"),
    "dominated": (r"dominated", "another strategy costs no more and is no less effective"),
    "draw": (
        r"\bdraws?\b",
        "one set of inputs drawn at random from what is known of them, with the results of all strategies under it",
    ),
    "effect": (r"\| effect \|", "what strategies are to bring, such as QALYs"),
    "ENBS": (r"ENBS|net, EUR", "expected net benefit of sampling: what a study is worth to all it serves, less what it costs"),
    "EVPI": (
        r"EVPI|erfect information",
        "expected value of perfect information: what it would be worth, per patient, to know all inputs before choosing; 0 if no draw makes another choice better",
    ),
    "EVPPI": (r"EVPPI|groups of inputs", "expected value of perfect information on one input, or one group of inputs"),
    "EVSI": (
        r"EVSI",
        "expected value of sample information: what knowing the results of a study of so many patients before choosing would be worth",
    ),
    "expected loss": (r"[Ee]xpected loss", "what choosing a strategy costs on average against choosing the best in each draw"),
    "extendedly dominated": (r"extendedly", "a mixture of two other strategies costs less and is as effective"),
    "Fieller's interval": (
        r"Fieller",
        "interval of a ratio of two uncertain means; unbounded where the gain may be 0, as any ratio is then possible",
    ),
    "frontier": (
        r"frontier",
        "in the decision table the strategies that are not dominated, each with its ratio to the one before it; of acceptability, the probability of the strategy with the highest expected net benefit",
    ),
    "ICER": (
        r"ICER|EUR per QALY|\| ratio \|",
        "incremental cost-effectiveness ratio: more cost by more effect (EUR per QALY), against the comparator or the one before on the frontier",
    ),
    "inputs as they stand": (
        r"[Ii]nputs as they stand|deterministic",
        "deterministic: each input at its own best guess, nothing drawn",
    ),
    "MCSE": (r"MCSE", "Monte Carlo standard error: how far simulation, or the number of draws, may be off"),
    "net benefit": (r"net benefit", "effect gained times the threshold, less the cost added; positive: worth it"),
    "NNT": (r"NNT", "number needed to treat: patients given the drug for each clinically significant infection averted"),
    "noise alone": (r"noise alone", "the largest value that the same regression shows of inputs that tell nothing"),
    "not resolved": (r"[Nn]ot resolved", "the draws' spread is no larger than the noise of the few patients in each of them"),
    "pairing": (
        r"[Pp]airing",
        "all strategies meet the same simulated patients, so that differences between them are not chance between patients",
    ),
    "QALY": (r"QALY", "quality-adjusted life-year: a year in full health; 0.001 of it is about nine hours"),
    "sensitivity": (r"\| sensitivity", "share treated of those who would have a clinically significant infection"),
    "smoothed": (
        r"[Ss]moothed",
        "by regression on the inputs, which takes out the noise of the few patients in each draw; raw: as they come",
    ),
    "specificity": (r"\| specificity", "share not treated of those who would have no clinically significant infection"),
    "stratum": (r"[Ss]tratum", "disease and age group"),
    "tail": (r"\btail\b", "life and quality of life after the simulated horizon, by a formula"),
    "threshold": (
        r"threshold",
        "what a QALY (or a unit of another effect) is worth; France has none that is official, so a range is shown",
    ),
    "tornado": (r"[Tt]ornado", "bars of what each input does to the result, the longest first"),
}
"""By term: what in a text shows that it is used, and what it means."""


def terms_section(text: str) -> list[str]:
    """Lines of a section that explains the terms used in a text; none where none is used."""
    used = [f"- **{term}**: {meaning}." for term, (pattern, meaning) in TERMS.items() if re.search(pattern, text)]
    return ["## Words", "", *used, ""] if used else []
