"""The paragraph of a comparative trial for a protocol, in English and in French, from the analysis plan and the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cmvsim.report.power_text import main_size
from cmvsim.report.protocol_text import EN as RATE_EN
from cmvsim.report.protocol_text import FR as RATE_FR
from cmvsim.report.protocol_text import Words, english, event_of, french
from cmvsim.report.trial_text import value_of

COMPARISONS_EN = {
    "risk_difference": "the difference of the cumulative incidences at day {day} (Aalen-Johansen, Wald interval)",
    "gray_test": "Gray's test",
    "log_rank": "the log-rank test of the cause-specific hazard",
    "log_rank_stratified": "the log-rank test of the cause-specific hazard, stratified as the randomisation",
    "cox": "the cause-specific hazard ratio (Cox)",
    "cox_stratified": "the cause-specific hazard ratio (Cox), stratified as the randomisation",
    "fine_gray": "the subdistribution hazard ratio (Fine-Gray)",
    "newcombe": "the difference of proportions (Newcombe's interval)",
    "miettinen_nurminen": "the difference of proportions (interval of Miettinen and Nurminen)",
    "farrington_manning": "the difference of proportions (test of Farrington and Manning)",
    "mantel_haenszel": "the difference of proportions over the strata (Mantel-Haenszel)",
}
COMPARISONS_FR = {
    "risk_difference": "la différence des incidences cumulées à J{day} (Aalen-Johansen, intervalle de Wald)",
    "gray_test": "le test de Gray",
    "log_rank": "le test du log-rank du risque instantané cause-spécifique",
    "log_rank_stratified": "le test du log-rank du risque instantané cause-spécifique, stratifié comme la randomisation",
    "cox": "le rapport des risques instantanés cause-spécifiques (modèle de Cox)",
    "cox_stratified": "le rapport des risques instantanés cause-spécifiques (modèle de Cox), stratifié comme la randomisation",
    "fine_gray": "le rapport des risques instantanés de sous-distribution (modèle de Fine et Gray)",
    "newcombe": "la différence des proportions (intervalle de Newcombe)",
    "miettinen_nurminen": "la différence des proportions (intervalle de Miettinen et Nurminen)",
    "farrington_manning": "la différence des proportions (test de Farrington et Manning)",
    "mantel_haenszel": "la différence des proportions sur les strates (Mantel-Haenszel)",
}
EN: Words = {
    "design": "Patients are randomised {ratio} between {arms}, in permuted blocks of {blocks}{strata}.",
    "or": " or ",
    "arms": "'{control}' (control) and '{experimental}'",
    "strata": ", stratified by {names}",
    "factors": {"stratum": "disease and age group", "disease": "disease", "site": "site", "sex": "sex"},
    "and": " and ",
    "endpoint": "The primary endpoint is {event} by day {day} after CAR-T cell infusion{among}, compared by {comparison}, with {hct}, "
    "{relapse}.",
    "superiority": "'{experimental}' is declared superior if the {level} confidence interval lies wholly on its side ({sides} alpha "
    "{alpha}).",
    "non_inferiority": "'{experimental}' is declared not inferior if the upper limit of the {level} confidence interval is below the "
    "margin of {margin} ({sides} alpha {alpha}).",
    "sides": {1: "one-sided", 2: "two-sided"},
    "points": "{value} percentage points",
    "goal": "With {n} patients ({n0} and {n1}) the power is {held}{sought}: that share of {replicates} simulated trials reached the conclusion, "
    "assuming cumulative incidences of {control} and {experimental} with every visit made, {events} events and {evaluable} patients at "
    "risk.",
    "closed": "A closed form ({name}) would ask for {closed} patients; it does not know that {why}.",
    "simulation": "The power was determined by simulation with {matrix} PCR on days {days} ({attendance} of the visits made) and with the "
    "deaths, transplantations, relapses and ends of monitoring assumed for this population (cmvsim {version}, scenario {scenario}, digest "
    "{digest}, seed {seed}).",
    "detectable": "With {n} patients ({n0} and {n1}) the smallest effect detected with a power of {wanted} is a cumulative incidence of "
    "{experimental} against {control}.",
    "what_if": "If the targeted incidence of DNAemia were {low} or {high} instead of {target}, the power would be {low_power} or "
    "{high_power}.",
    "none": RATE_EN["none"].replace("precision", "power"),
    "sought": " (at least {power} was wanted)",
    "formula": {},
}
FR: Words = {
    "design": "Les patients sont randomisés {ratio} entre {arms}, par blocs permutés de {blocks}{strata}.",
    "or": " ou ",
    "arms": "« {control} » (contrôle) et « {experimental} »",
    "untranslated": "Les noms des bras sont ceux du scénario.",
    "strata": ", avec stratification sur {names}",
    "factors": {"stratum": "la maladie et la classe d'âge", "disease": "la maladie", "site": "le centre", "sex": "le sexe"},
    "and": " et ",
    "endpoint": "Le critère de jugement principal est la survenue {event} au plus tard à J{day} après la perfusion de cellules CAR-T{among} ; les "
    "bras sont comparés par {comparison}, {hct}, {relapse}.",
    "superiority": "« {experimental} » est déclaré supérieur si l'intervalle de confiance à {level} est tout entier en sa faveur (alpha "
    "{sides} de {alpha}).",
    "non_inferiority": "« {experimental} » est déclaré non inférieur si la borne supérieure de l'intervalle de confiance à {level} est "
    "inférieure à la marge de {margin} (alpha {sides} de {alpha}).",
    "sides": {1: "unilatéral", 2: "bilatéral"},
    "points": "{value} points de pourcentage",
    "goal": "Avec {n} patients ({n0} et {n1}), la puissance est de {held}{sought} : la conclusion était atteinte dans cette part de {replicates} essais "
    "simulés, sous l'hypothèse d'incidences cumulées de {control} et de {experimental} si toutes les visites étaient faites, avec {events} "
    "événements et {evaluable} patients à risque.",
    "closed": "Une formule ({name}) demanderait {closed} patients ; elle ignore ce que la simulation prend en compte : {why}.",
    "simulation": "La puissance a été déterminée par simulation, avec PCR ({matrix}) aux jours {days} ({attendance} des visites réalisées) et "
    "avec les décès, allogreffes, rechutes et arrêts de surveillance supposés pour cette population (cmvsim {version}, scénario {scenario}, "
    "empreinte {digest}, graine {seed}).",
    "detectable": "Avec {n} patients ({n0} et {n1}), le plus petit effet mis en évidence avec une puissance de {wanted} est une incidence "
    "cumulée de {experimental} contre {control}.",
    "what_if": "Si l'incidence visée de l'ADNémie était de {low} ou de {high} au lieu de {target}, la puissance serait de {low_power} ou de "
    "{high_power}.",
    "none": RATE_FR["none"].replace("la précision voulue", "la puissance voulue"),
    "sought": " (au moins {power} étaient demandés)",
    "formula": {
        "two proportions, score test": "deux proportions, test du score",
        "Schoenfeld, log-rank test": "Schoenfeld, test du log-rank",
        "Lachin-Foulkes, exponential hazards": "Lachin et Foulkes, risques exponentiels",
        "Latouche, subdistribution hazards": "Latouche, risques de sous-distribution",
    },
}
WHY_FR = (
    "décès concurrents, visites manquées, fins de surveillance, observance imparfaite et patients non à risque à la perfusion"
)
Say = Callable[[str], str]


def protocol_paragraph(results: Mapping[str, Any], language: str, labels: Mapping[str, str] | None = None) -> str:
    """A paragraph to paste into the protocol of a trial.

    Parameters
    ----------
    language
        "en" or "fr".
    labels
        Of the arms, in that language; where one is missing, the scenario's own stands there, and the paragraph says so.
    """
    words, rates, say = (FR, RATE_FR, french) if language == "fr" else (EN, RATE_EN, english)
    if results["answers"] and results["answers"][0]["n"] is None:
        return str(words["none"])
    told, translated = named(results["trial"]["arm_labels"], labels)
    results = {**results, "trial": {**results["trial"], "arm_labels": told}}
    parts = [
        _design(results, words),
        "" if translated or language == "en" else words["untranslated"],
        _endpoint(results, words, rates, say, language),
        _decision(results, words, say),
        _goal(results, words, say, language),
        _simulation(results, words, rates, say),
        _what_if(results, words, say),
    ]
    return " ".join(part for part in parts if part)


def named(own: Mapping[str, str], labels: Mapping[str, str] | None) -> tuple[dict[str, str], bool]:
    """Labels of arms in another language where there are such, else the scenario's own; and whether each has one."""
    given = labels or {}
    return {arm: given.get(arm) or label for arm, label in own.items()}, all(given.get(arm) for arm in own)


def _design(results: Mapping[str, Any], words: Words) -> str:
    trial = results["trial"]
    control, experimental = (trial["arm_labels"][arm] for arm in trial["arms"])
    names = words["and"].join(words["factors"][name] for name in trial["stratify"])
    return str(
        words["design"].format(
            ratio=":".join(str(part) for part in trial["ratio"]),
            arms=words["arms"].format(control=control, experimental=experimental),
            blocks=words["or"].join(str(size) for size in trial["block_sizes"]),
            strata=words["strata"].format(names=names) if names else "",
        )
    )


def _endpoint(results: Mapping[str, Any], words: Words, rates: Words, say: Say, language: str) -> str:
    plan, trial = results["analysis"], results["trial"]
    compared = (COMPARISONS_FR if language == "fr" else COMPARISONS_EN)[trial["comparison"]]
    return str(
        words["endpoint"].format(
            event=event_of(results["endpoints"][0], results, rates, say),
            day=plan["window"],
            among=rates["disease"][results["diseases"][results["endpoints"][0]]],
            comparison=compared.format(day=plan["window"]),
            hct=rates["hct"][plan["hct"]],
            relapse=rates["relapse"][plan["relapse"]],
        )
    )


def _decision(results: Mapping[str, Any], words: Words, say: Say) -> str:
    trial = results["trial"]
    margin = ""
    if trial["margin"] is not None:
        difference = trial["scale"] == "risk_difference"
        margin = words["points"].format(value=say(f"{100 * trial['margin']:g}")) if difference else say(f"{trial['margin']:g}")
    return str(
        words[trial["hypothesis"]].format(
            experimental=trial["arm_labels"][trial["arms"][1]],
            level=say(f"{100 * trial['level']:g}%"),
            sides=words["sides"][trial["sides"]],
            alpha=say(f"{trial['alpha']:g}"),
            margin=margin,
        )
    )


def _goal(results: Mapping[str, Any], words: Words, say: Say, language: str) -> str:
    trial, n = results["trial"], main_size(results)
    n0 = round(n * trial["ratio"][0] / sum(trial["ratio"]))
    found = results["detectable"]
    if found is not None:
        if found["strength"] is None:
            return ""
        return str(
            words["detectable"].format(
                n=n,
                n0=n0,
                n1=n - n0,
                wanted=say(f"{100 * found['wanted']:g}%"),
                experimental=say(f"{100 * found['experimental']:.1f}%"),
                control=say(f"{100 * found['control']:.1f}%"),
            )
        )
    answer = results["answers"][0] if results["answers"] else None
    held = value_of(results, n, "power")
    if answer is not None:
        held = next(item["value"] for item in answer["confirmation"] if item["n"] == n)
    primary = results["endpoints"][0]
    truth = {v["strategy"]: v["value"] for v in results["estimands"] if v["endpoint"] == primary and v["kind"] == "protocol"}
    control, experimental = (truth[arm] for arm in trial["arms"])
    sought = words["sought"].format(power=say(f"{100 * answer['criterion']['probability']:g}%")) if answer is not None else ""
    text = words["goal"].format(
        n=n,
        n0=n0,
        n1=n - n0,
        sought=sought,
        held=say(f"{100 * held:.1f}%"),
        replicates=say(f"{results['replicates']:,}"),
        control=say(f"{100 * control:.1f}%"),
        experimental=say(f"{100 * experimental:.1f}%"),
        events=f"{value_of(results, n, 'expected_events'):.0f}",
        evaluable=f"{value_of(results, n, 'expected_evaluable'):.0f}",
    )
    closed = answer["closed_form"] if answer is not None else None
    if closed is None or closed["n"] is None or not math.isfinite(closed["n"]):
        return str(text)
    name = words["formula"].get(closed["name"], closed["name"])
    why = WHY_FR if language == "fr" else "; ".join(answer["why_different"]) if answer is not None else ""
    return f"{text} {words['closed'].format(name=name, closed=closed['n'], why=why)}"


def _simulation(results: Mapping[str, Any], words: Words, rates: Words, say: Say) -> str:
    study = results["study"]
    return str(
        words["simulation"].format(
            matrix=rates["matrix"][study["matrix"]],
            days=", ".join(str(day) for day in study["days"]),
            attendance=say(f"{100 * study['attendance']:g}%"),
            version=results["software_version"],
            scenario=results["scenario"],
            digest=results["digest"][:8],
            seed=results["seed"],
        )
    )


def _what_if(results: Mapping[str, Any], words: Words, say: Say) -> str:
    ends = results["what_if"]
    if len(ends) != 2:
        return ""
    low, high = ends
    return str(
        words["what_if"].format(
            low=say(f"{100 * low['target']:g}%"),
            high=say(f"{100 * high['target']:g}%"),
            target=say(f"{100 * results['study']['incidence_target']:g}%"),
            low_power=say(f"{100 * low['power']:.0f}%"),
            high_power=say(f"{100 * high['power']:.0f}%"),
        )
    )
