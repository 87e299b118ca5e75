"""The paragraph for a protocol of designs with one tested arm, Simon's stages or interim looks, in English and in French."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.protocol_text import EN as RATE_EN
from cmvsim.report.protocol_text import FR as RATE_FR
from cmvsim.report.protocol_text import Words, english, event_of, french
from cmvsim.report.staged_rows_read import share_of, value_of
from cmvsim.report.trial_protocol_text import COMPARISONS_EN, COMPARISONS_FR, Say, named
from cmvsim.report.trial_protocol_text import EN as TRIAL_EN
from cmvsim.report.trial_protocol_text import FR as TRIAL_FR

EN: Words = {
    "none": "None of the sample sizes tried reaches the power wanted, so there is no paragraph to paste.",
    "endpoint": "The primary endpoint is {event} by day {day} after CAR-T cell infusion{among}, with {hct}, {relapse}.",
    "one_arm": "All patients are given '{label}'.",
    "rules": {
        "outcome_known": "Patients lost sight of before day {day} without the event are not evaluable.",
        "censored_event_free": "Patients lost sight of before day {day} count as without the event.",
        "censored_event": "Patients lost sight of before day {day} count as with the event.",
    },
    "below": "below",
    "above": "above",
    "exact": "the exact binomial test among evaluable patients",
    "cumulative_incidence_z": "the test of the cumulative incidence (Aalen-Johansen)",
    "test": "The study is to show an incidence {side} {null}: it does if the {level} confidence interval of {test} lies wholly "
    "{side} it ({sides} alpha {alpha}).",
    "sides": {1: "one-sided", 2: "two-sided"},
    "tested": "With {n} patients enrolled ({evaluable} evaluable on average) the power is {power}{sought}: that share of "
    "{replicates} simulated studies reached the conclusion, with an incidence of {incidence} among evaluable patients.",
    "sought": " (at least {power} was wanted)",
    "stable": " The power of an exact test is a sawtooth in the number of patients: {first} is the first number to reach it, from "
    "{stable} on none tried falls short.",
    "exactly": "The exact calculation for {evaluable} patients at that incidence says {power}.",
    "detectable": "With {n} patients {what} the incidence nearest to {null} that is told from it with a power of {wanted} is {incidence} "
    "with every visit made ({among} among evaluable patients): on new random numbers {power} of {replicates} simulated studies showed it.",
    "enrolled": "enrolled",
    "evaluable": "evaluated at most",
    "closed": "The exact calculation says {closed}.",
    "simon": "The study follows Simon's {criterion} two-stage design (p0 = {p0}, p1 = {p1}, alpha {alpha}, power {power}): it stops "
    "after the first {n1} evaluable patients with {r1} or fewer {success}, otherwise goes on to {n}, and the conclusion is drawn with "
    "more than {r}.",
    "criteria": {"optimal": "optimal", "minimax": "minimax"},
    "success": {"event": "patients with the event", "no event": "patients without the event"},
    "stages": "In {replicates} simulated studies, with an incidence of {incidence} among evaluable patients, {power} drew the "
    "conclusion and {stop} stopped after the first stage; {expected} patients were enrolled on average, and the last outcome was known "
    "on day {days} of the study. Enrolment is paused until the outcomes of the first stage are known.",
    "looks": "Interim analyses are made {when}; the level is spent in the manner of {spending} (Lan and DeMets){futility}.",
    "by_information": "when {shares} of the planned number of events have been seen ({events} events, both arms together), the final one "
    "when the follow-up of all patients is complete",
    "by_calendar": "on days {days} of the study, the final one when the follow-up of all patients is complete",
    "spending": {
        "obrien_fleming": "O'Brien and Fleming",
        "pocock": "Pocock",
        "hwang_shih_decani": "Hwang, Shih and DeCani (gamma = {gamma})",
    },
    "futility": ", and the trial may be given up for futility ({binding} boundary, type II error of {beta} spent in the manner of {spending})",
    "binding": {True: "binding", False: "non-binding"},
    "sequential": "With at most {n} patients ({n0} and {n1}) the power is {power}{sought}: that share of {replicates} simulated trials showed "
    "the benefit, and {early} of all did so before the final analysis. On average the trial ends on day {days} with {enrolled} patients enrolled and {events} "
    "events, {overrun} patients not yet followed to the end.",
    "type1": "The simulated type I error is {type1}{overruled}.",
    "overruled": ", and {type1} where stops for futility are overruled",
    "and": TRIAL_EN["and"],
    "simulation": TRIAL_EN["simulation"],
}
FR: Words = {
    "none": "Aucun des nombres de sujets essayés n'atteint la puissance voulue : il n'y a pas de paragraphe à reprendre.",
    "endpoint": "Le critère de jugement principal est la survenue {event} à J{day} après la perfusion de cellules CAR-T{among}, {hct}, "
    "{relapse}.",
    "one_arm": "Tous les patients reçoivent « {label} ».",
    "untranslated": "Le nom de la stratégie est celui du scénario.",
    "rules": {
        "outcome_known": "Les patients perdus de vue avant J{day} sans événement ne sont pas évaluables.",
        "censored_event_free": "Les patients perdus de vue avant J{day} sont comptés comme sans événement.",
        "censored_event": "Les patients perdus de vue avant J{day} sont comptés comme ayant eu l'événement.",
    },
    "below": "inférieure à",
    "above": "supérieure à",
    "exact": "au test binomial exact chez les patients évaluables",
    "cumulative_incidence_z": "au test de l'incidence cumulée (Aalen-Johansen)",
    "test": "L'étude doit montrer une incidence {side} {null} : c'est le cas si l'intervalle de confiance à {level} qui correspond {test} "
    "exclut {null} de ce côté (alpha {sides} de {alpha}).",
    "sides": {1: "unilatéral", 2: "bilatéral"},
    "tested": "Avec {n} patients inclus ({evaluable} évaluables en moyenne), la puissance est de {power}{sought} : la conclusion était "
    "atteinte dans cette part de {replicates} études simulées, avec une incidence de {incidence} chez les patients évaluables.",
    "sought": " (au moins {power} étaient demandés)",
    "stable": " La puissance d'un test exact n'est pas monotone en fonction du nombre de sujets : {first} est le premier nombre qui l'atteint ; "
    "à partir de {stable}, aucun des nombres essayés n'est insuffisant.",
    "exactly": "Le calcul exact pour {evaluable} patients à cette incidence donne {power}.",
    "detectable": "Avec {n} patients {what}, l'incidence la plus proche de {null} qui en est distinguée avec une puissance de {wanted} est de "
    "{incidence} si toutes les visites sont faites ({among} chez les patients évaluables) : avec de nouveaux nombres aléatoires, {power} de "
    "{replicates} études simulées l'ont montré.",
    "enrolled": "inclus",
    "evaluable": "évalués au plus",
    "closed": "Le calcul exact donne {closed}.",
    "simon": "L'étude suit le plan en deux étapes de Simon ({criterion} ; p0 = {p0}, p1 = {p1}, alpha {alpha}, puissance {power}) : elle est "
    "arrêtée après les {n1} premiers patients évaluables si {r1} ou moins sont {success}, sinon elle continue jusqu'à {n} patients ; la "
    "conclusion est tirée si plus de {r} le sont.",
    "criteria": {"optimal": "plan optimal", "minimax": "plan minimax"},
    "success": {"event": "avec événement", "no event": "sans événement"},
    "stages": "Sur {replicates} études simulées, avec une incidence de {incidence} chez les patients évaluables, {power} ont abouti à la "
    "conclusion et {stop} ont été arrêtées après la première étape ; {expected} patients étaient inclus en moyenne, et le dernier résultat "
    "était connu au jour {days} de l'étude. Les inclusions sont suspendues jusqu'à ce que les résultats de la première étape soient connus.",
    "looks": "Des analyses intermédiaires sont prévues {when} ; le risque alpha est dépensé {spending} (Lan et DeMets){futility}.",
    "by_information": "lorsque {shares} du nombre d'événements prévu ont été observés ({events} événements, les deux bras ensemble), l'analyse "
    "finale étant faite à la fin du suivi de tous les patients",
    "by_calendar": "aux jours {days} de l'étude, l'analyse finale étant faite à la fin du suivi de tous les patients",
    "spending": {
        "obrien_fleming": "selon O'Brien et Fleming",
        "pocock": "selon Pocock",
        "hwang_shih_decani": "selon Hwang, Shih et DeCani (gamma = {gamma})",
    },
    "futility": ", et l'essai peut être arrêté pour futilité (borne {binding}, risque bêta de {beta} dépensé {spending})",
    "binding": {True: "contraignante", False: "non contraignante"},
    "sequential": "Avec au plus {n} patients ({n0} et {n1}), la puissance est de {power}{sought} : le bénéfice était montré dans cette part de "
    "{replicates} essais simulés, et, dans {early} des essais, avant l'analyse finale. En moyenne, l'essai se termine au jour {days}, avec {enrolled} patients "
    "inclus et {events} événements, {overrun} patients n'étant pas encore suivis jusqu'au bout.",
    "type1": "Le risque de première espèce simulé est de {type1}{overruled}.",
    "overruled": ", et de {type1} si les arrêts pour futilité ne sont pas suivis",
    "and": TRIAL_FR["and"],
    "simulation": TRIAL_FR["simulation"],
}
Results = Mapping[str, Any]


def protocol_paragraph(results: Results, language: str, labels: Mapping[str, str] | None = None) -> str:
    """A paragraph to paste into a protocol.

    Parameters
    ----------
    language
        "en" or "fr".
    labels
        Of the strategies, in that language; where one is missing, the scenario's own stands there, and the paragraph says so.
    """
    words, say = (FR, french) if language == "fr" else (EN, english)
    if _nothing_found(results):
        return str(words["none"])
    told, translated = named(results["plan"]["strategy_labels"], labels)
    results = {**results, "plan": {**results["plan"], "strategy_labels": told}}
    tell = {"single_arm_test": _tested, "simon_two_stage": _two_stages, "group_sequential": _sequential}[results["kind"]]
    parts = tell(results, words, say, language)
    if language == "fr" and not translated:
        parts.insert(1, TRIAL_FR["untranslated"] if len(told) > 1 else words["untranslated"])
    return " ".join(part for part in (*parts, _simulation(results, words, say, language)) if part)


def _nothing_found(results: Results) -> bool:
    facts = results["facts"]
    return ("wanted" in facts and facts["n"] is None) or ("detectable" in facts and facts["detectable"]["incidence"] is None)


def _rates(language: str) -> Words:
    return RATE_FR if language == "fr" else RATE_EN


def _percent(number: float | None, say: Say, digits: int = 1) -> str:
    return "?" if number is None else say(f"{100 * number:.{digits}f}%")


def _endpoint(results: Results, words: Words, say: Say, language: str) -> str:
    plan, rates = results["analysis"], _rates(language)
    return str(
        words["endpoint"].format(
            event=event_of(results["endpoint"], results, rates, say),
            day=plan["window"],
            among=rates["disease"][results["disease"]],
            hct=rates["hct"][plan["hct"]],
            relapse=rates["relapse"][plan["relapse"]],
        )
    )


def _one_arm(results: Results, words: Words, say: Say, language: str) -> list[str]:
    plan = results["plan"]
    (label,) = plan["strategy_labels"].values()
    rule = words["rules"][plan["evaluable"]].format(day=results["analysis"]["window"])
    return [words["one_arm"].format(label=label), _endpoint(results, words, say, language), rule]


def _tested(results: Results, words: Words, say: Say, language: str) -> list[str]:
    plan, facts = results["plan"], results["facts"]
    parts = _one_arm(results, words, say, language)
    parts.append(
        words["test"].format(
            side=words[plan["direction"]],
            null=say(f"{100 * plan['null_incidence']:g}%"),
            level=say(f"{100 * plan['level']:g}%"),
            test=words[plan["test"]],
            sides=words["sides"][plan["sides"]],
            alpha=say(f"{plan['alpha']:g}"),
        )
    )
    if "detectable" in facts:
        return [*parts, *_detectable(results, words, say)]
    n = facts["n"] if "wanted" in facts else max(row["n"] for row in results["rows"])
    at = (
        n if any(row["n"] == n for row in results["rows"]) else min((r["n"] for r in results["rows"]), key=lambda x: abs(x - n))
    )
    deciding = results["rows"][0]["estimator"]
    power = value_of(results, "power", deciding, n=at)
    text = words["tested"]
    sought = ""
    if "wanted" in facts:
        power = next(item["value"] for item in facts["confirmation"] if item["n"] == n)
        sought = words["sought"].format(power=say(f"{100 * facts['wanted']:g}%"))
    evaluable = value_of(results, "expected_evaluable", "evaluable_proportion", n=at)
    incidence = value_of(results, "mean_estimate", "evaluable_proportion", n=at)
    told = text.format(
        n=n,
        evaluable=f"{evaluable:.0f}",
        power=_percent(power, say),
        sought=sought,
        replicates=say(f"{results['replicates']:,}"),
        incidence=_percent(incidence, say),
    )
    if "wanted" in facts:
        told += words["stable"].format(first=facts["first"], stable=facts["stable"])
    exact = value_of(results, "power", "enumeration", n=at)
    beside = [words["exactly"].format(evaluable=f"{evaluable:.0f}", power=_percent(exact, say))] if exact is not None else []
    return [*parts, told, *beside]


def _detectable(results: Results, words: Words, say: Say) -> list[str]:
    found = results["facts"]["detectable"]
    what = words["evaluable" if results["kind"] == "simon_two_stage" else "enrolled"]
    parts = [
        words["detectable"].format(
            n=found["n"],
            what=what,
            null=say(f"{100 * found['null']:g}%"),
            wanted=say(f"{100 * found['wanted']:g}%"),
            incidence=_percent(found["incidence"], say),
            among=_percent(found["confirmation"]["incidence"], say),
            power=_percent(found["confirmation"]["power"], say),
            replicates=say(f"{results['replicates']:,}"),
        )
    ]
    if found["closed_form"] is not None:
        parts.append(words["closed"].format(closed=_percent(found["closed_form"], say)))
    return parts


def _two_stages(results: Results, words: Words, say: Say, language: str) -> list[str]:
    plan, found, own = results["plan"], results["facts"]["design"], "evaluable_proportion"
    parts = _one_arm(results, words, say, language)
    parts.append(
        words["simon"].format(
            criterion=words["criteria"][found["criterion"]],
            p0=say(f"{100 * found['p0']:g}%"),
            p1=say(f"{100 * found['p1']:g}%"),
            alpha=say(f"{plan['alpha']:g}"),
            power=say(f"{100 * plan['power']:g}%"),
            success=words["success"][found["success"]],
            **{key: found[key] for key in ("n1", "r1", "n", "r")},
        )
    )
    if "detectable" in results["facts"]:
        return [*parts, *_detectable(results, words, say)]
    expected, day = value_of(results, "expected_n", own), value_of(results, "expected_duration", own)
    parts.append(
        words["stages"].format(
            replicates=say(f"{results['replicates']:,}"),
            incidence=_percent(value_of(results, "mean_estimate", own, "stage 1"), say),
            power=_percent(value_of(results, "power", own), say),
            stop=_percent(value_of(results, "p_stop_futility", own, "stage 1"), say),
            expected=say(f"{expected:.1f}") if expected is not None else "?",
            days=f"{day:.0f}" if day is not None else "?",
        )
    )
    return parts


def _sequential(results: Results, words: Words, say: Say, language: str) -> list[str]:
    trial, plan = (TRIAL_FR if language == "fr" else TRIAL_EN), results["plan"]
    look = results["facts"]["looks"][-1]
    control, experimental = (plan["strategy_labels"][arm] for arm in plan["arms"])
    names = trial["and"].join(trial["factors"][name] for name in plan["stratify"])
    randomised = trial["design"].format(
        ratio=":".join(str(part) for part in plan["ratio"]),
        arms=trial["arms"].format(control=control, experimental=experimental),
        blocks=trial["or"].join(str(size) for size in plan["block_sizes"]),
        strata=trial["strata"].format(names=names) if names else "",
    )
    compared = (COMPARISONS_FR if language == "fr" else COMPARISONS_EN)[plan["comparison"]].format(
        day=results["analysis"]["window"]
    )
    rates = _rates(language)
    endpoint = trial["endpoint"].format(
        event=event_of(results["endpoint"], results, rates, say),
        day=results["analysis"]["window"],
        among=rates["disease"][results["disease"]],
        comparison=compared,
        hct=rates["hct"][results["analysis"]["hct"]],
        relapse=rates["relapse"][results["analysis"]["relapse"]],
    )
    return [randomised, endpoint, _looks(plan, look, words, say), _ends(results, look, words, say)]


def _looks(plan: Results, look: Results, words: Words, say: Say) -> str:
    looks, futility = plan["looks"], ""
    if looks["information"]:
        shares = [say(f"{100 * share:g}%") for share in looks["information"][:-1]]
        listed = words["and"].join(part for part in (", ".join(shares[:-1]), *shares[-1:]) if part)
        when = words["by_information"].format(shares=listed, events=look["planned_events"])
    else:
        when = words["by_calendar"].format(days=", ".join(f"{day:g}" for day in looks["calendar"]))
    if plan["futility"] is not None:
        rule = plan["futility"]
        futility = words["futility"].format(
            binding=words["binding"][rule["binding"]],
            beta=say(f"{100 * rule['beta']:g}%"),
            spending=words["spending"][rule["spending"]].format(gamma=say(f"{rule['gamma']:g}")),
        )
    spending = words["spending"][plan["efficacy"]["spending"]].format(gamma=say(f"{plan['efficacy']['gamma']:g}"))
    return str(words["looks"].format(when=when, spending=spending, futility=futility))


def _ends(results: Results, look: Results, words: Words, say: Say) -> str:
    n, own, plan, facts = look["n"], look["deciding"], results["plan"], results["facts"]
    n0 = round(n * plan["ratio"][0] / sum(plan["ratio"]))
    sought = words["sought"].format(power=say(f"{100 * facts['wanted']:g}%")) if "wanted" in facts else ""
    figures = {name: value_of(results, name, own, n=n) for name in ("expected_duration", "expected_n", "expected_events")}
    overrun = value_of(results, "expected_overrun", own, n=n)
    said = [
        words["sequential"].format(
            n=n,
            n0=n0,
            n1=n - n0,
            power=_percent(value_of(results, "power", own, n=n), say),
            sought=sought,
            replicates=say(f"{results['replicates']:,}"),
            early=_percent(share_of(results, "p_stop_efficacy", own, n, but="final"), say),
            days=f"{figures['expected_duration']:.0f}",
            enrolled=f"{figures['expected_n']:.0f}",
            events=say(f"{figures['expected_events']:.1f}"),
            overrun=f"{overrun:.0f}",
        )
    ]
    level = value_of(results, "type1", own, n=n)
    if level is not None:
        beside = value_of(results, "type1", own, "futility overruled", n=n)
        overruled = "" if beside is None else words["overruled"].format(type1=_percent(beside, say))
        said.append(words["type1"].format(type1=_percent(level, say), overruled=overruled))
    return " ".join(said)


def _simulation(results: Results, words: Words, say: Say, language: str) -> str:
    study = results["study"]
    return str(
        words["simulation"].format(
            matrix=_rates(language)["matrix"][study["matrix"]],
            days=", ".join(str(day) for day in study["days"]),
            attendance=say(f"{100 * study['attendance']:g}%"),
            version=results["software_version"],
            scenario=results["scenario"],
            digest=results["digest"][:8],
            seed=results["seed"],
        )
    )
