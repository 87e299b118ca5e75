"""The paragraph for a protocol, in English and in French, built from the analysis plan and the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cmvsim.endpoints import endpoint
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.endpoints.virome import VirusInfection
from cmvsim.report.power_text import main_size, row_value

MANY_SIZES = 3

Words = Mapping[str, Any]

EN: Words = {
    "none": "No sample size that was tried reaches the precision wanted, so there is no paragraph to paste.",
    "endpoint": "The primary endpoint is the cumulative incidence of {event} by day {day} after CAR-T cell infusion{among}",
    "disease": {"": "", "leukaemia": ", in patients with leukaemia", "lymphoma": ", in patients with lymphoma"},
    "detected": "any CMV DNA detected in {matrix}",
    "quantifiable": "CMV DNA of at least {lloq} IU/mL (the limit of quantification) in {matrix}",
    "at_least": "CMV DNA of at least {level} IU/mL in {matrix}",
    "clinically_significant": "clinically significant CMV infection (treated, or CMV disease)",
    "matrix": {"plasma": "plasma", "whole_blood": "whole blood"},
    "method": "estimated by the Aalen-Johansen method ({variance}, {interval} confidence interval) with {hct}, {relapse}",
    "variance": {"aalen": "Aalen's variance", "ij": "infinitesimal-jackknife variance", "greenwood": "Greenwood's variance"},
    "interval": {"cloglog": "complementary log-log", "log": "log-transformed", "plain": "untransformed"},
    "hct": {
        "competing": "death and allogeneic transplantation as competing events",
        "censor": "death as a competing event and follow-up censored at allogeneic transplantation",
    },
    "relapse": {
        "treatment_policy": "patients being followed through relapse (treatment policy)",
        "competing": "relapse being a competing event too",
        "censor": "follow-up being censored at relapse",
    },
    "prevalent": {
        "exclude": "Patients with DNAemia at infusion are not at risk and are left out of the estimate.",
        "count": "DNAemia at infusion counts as an event on day 0.",
    },
    "simulation": "The precision was determined by simulating {replicates} studies with {matrix} PCR on days {days} ({attendance} "
    "of the visits made){clinic} and with the deaths, transplantations, relapses and ends of monitoring assumed for this population "
    "(cmvsim {version}, scenario {scenario}, digest {digest}, seed {seed}).",
    "clinic": ", with tests at clinicians' discretion in the {late} of patients followed retrospectively",
    "goal": "The sample size was chosen so that the {ci} confidence interval is no wider than ±{width} percentage points with a "
    "probability of {probability}; this held in {held} of further simulated studies.",
    "result": "With {n} patients enrolled, about {at_risk} are at risk and {events} events are expected, assuming a cumulative "
    "incidence of {incidence}; half the width of the {ci} confidence interval is then {half} percentage points on average, and "
    "at most {q80} points with a probability of 80%.",
    "what_if": "If the targeted incidence were {low} or {high} instead of {target}, it would be {low_half} or {high_half} points.",
}
FR: Words = {
    "none": "Aucun des nombres de sujets essayés n'atteint la précision voulue : il n'y a pas de paragraphe à reprendre.",
    "endpoint": "Le critère de jugement principal est l'incidence cumulée {event} à J{day} après la perfusion de cellules "
    "CAR-T{among}",
    "disease": {
        "": "",
        "leukaemia": ", chez les patients atteints de leucémie",
        "lymphoma": ", chez les patients atteints de lymphome",
    },
    "detected": "de la détection d'ADN du CMV ({matrix})",
    "quantifiable": "d'une charge virale CMV d'au moins {lloq} UI/mL (limite de quantification ; {matrix})",
    "at_least": "d'une charge virale CMV d'au moins {level} UI/mL ({matrix})",
    "clinically_significant": "d'une infection à CMV cliniquement significative (traitée, ou maladie à CMV)",
    "matrix": {"plasma": "plasma", "whole_blood": "sang total"},
    "method": "estimée par la méthode d'Aalen-Johansen ({variance}, intervalle de confiance {interval}), {hct}, {relapse}",
    "variance": {
        "aalen": "variance d'Aalen",
        "ij": "variance par jackknife infinitésimal",
        "greenwood": "variance de Greenwood",
    },
    "interval": {"cloglog": "log-log complémentaire", "log": "sur échelle logarithmique", "plain": "sans transformation"},
    "hct": {
        "competing": "le décès et l'allogreffe étant des événements concurrents",
        "censor": "le décès étant un événement concurrent et le suivi étant censuré à l'allogreffe",
    },
    "relapse": {
        "treatment_policy": "les patients étant suivis au-delà d'une rechute (« treatment policy »)",
        "competing": "la rechute étant aussi un événement concurrent",
        "censor": "le suivi étant censuré à la rechute",
    },
    "prevalent": {
        "exclude": "Les patients ayant une ADNémie à CMV au moment de la perfusion ne sont pas à risque et sont exclus de "
        "l'estimation.",
        "count": "Une ADNémie à CMV au moment de la perfusion compte comme un événement à J0.",
    },
    "simulation": "La précision a été déterminée par la simulation de {replicates} études avec PCR ({matrix}) aux jours {days} "
    "({attendance} des visites réalisées){clinic} et avec les décès, allogreffes, rechutes et arrêts de surveillance supposés pour cette "
    "population (cmvsim {version}, scénario {scenario}, empreinte {digest}, graine {seed}).",
    "clinic": ", avec des PCR laissées à l'appréciation des cliniciens chez les {late} de patients suivis rétrospectivement",
    "goal": "Le nombre de sujets nécessaires a été choisi pour que l'intervalle de confiance à {ci} ne dépasse pas ±{width} points "
    "de pourcentage avec une probabilité de {probability} ; c'était le cas dans {held} d'autres études simulées.",
    "result": "Avec {n} patients inclus, environ {at_risk} sont à risque et {events} événements sont attendus, sous l'hypothèse "
    "d'une incidence cumulée de {incidence} ; la demi-largeur de l'intervalle de confiance à {ci} est alors de {half} points de "
    "pourcentage en moyenne et d'au plus {q80} points avec une probabilité de {eighty}.",
    "what_if": "Si l'incidence visée était de {low} ou de {high} au lieu de {target}, elle serait de {low_half} ou de {high_half} "
    "points.",
}


def protocol_paragraph(results: Mapping[str, Any], language: str) -> str:
    """A paragraph to paste into a protocol.

    Parameters
    ----------
    language
        "en" or "fr".
    """
    words, say = (FR, french) if language == "fr" else (EN, english)
    if results["answers"] and results["answers"][0]["n"] is None:
        return str(words["none"])
    plan, study = results["analysis"], results["study"]
    matrix = words["matrix"][study["matrix"]]
    event = event_of(results["endpoints"][0], results, words, say)
    among = words["disease"][results["diseases"][results["endpoints"][0]]]
    method = words["method"].format(
        variance=words["variance"][plan["variance"]],
        interval=words["interval"][plan["interval"]],
        hct=words["hct"][plan["hct"]],
        relapse=words["relapse"][plan["relapse"]],
    )
    simulation = words["simulation"].format(
        replicates=say(f"{results['replicates']:,}"),
        matrix=matrix,
        days=", ".join(str(day) for day in study["days"]),
        attendance=say(f"{100 * study['attendance']:g}%"),
        clinic=_clinic(study, words, say),
        version=results["software_version"],
        scenario=results["scenario"],
        digest=results["digest"][:8],
        seed=results["seed"],
    )
    opening = words["endpoint"].format(event=event, day=plan["window"], among=among)
    parts = [f"{opening}, {method}.", _prevalent(results, words), simulation, *_goal(results, words, say)]
    parts = [part for part in parts if part]
    return " ".join([*parts, *(_result(results, n, words, say) for n in _sizes(results)), *_what_if(results, words, say)])


def event_of(name: str, results: Mapping[str, Any], words: Words, say: Callable[[str], str]) -> str:
    """What counts as an event of an endpoint, in the language of the words: the definition of the plan, or the endpoint's name."""
    first = endpoint(name)
    if not isinstance(first, Reactivation):
        return in_sentence(first.label) if words is EN else _of(first.label_fr)
    plan, study = results["analysis"], results["study"]
    plain = isinstance(plan["definition"], str)
    definition, level = (plan["definition"], "") if plain else ("at_least", f"{plan['definition']['at_least']:g}")
    matrix = words["matrix"][study["matrix"]]
    return str(words[definition].format(matrix=matrix, lloq=say(f"{study['lloq']:g}"), level=say(level)))


def in_sentence(label: str) -> str:
    """A label within an English sentence."""
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def _of(label: str) -> str:
    """A French label behind "de"."""
    return f"d'{label}" if label[0] in "aeiouéèêhœ" else f"de {label}"


def _prevalent(results: Mapping[str, Any], words: Words) -> str:
    """Who is left out for CMV at infusion; of other viruses the endpoint itself says who is at risk."""
    other = isinstance(endpoint(results["endpoints"][0]), VirusInfection)
    return "" if other else str(words["prevalent"][results["analysis"]["prevalent"]])


def _clinic(study: Mapping[str, Any], words: Words, say: Callable[[str], str]) -> str:
    """What is said of patients whom no schedule is planned for; results of earlier runs do not speak of them."""
    late = study.get("retrospective_share", 0.0)
    return str(words["clinic"].format(late=say(f"{100 * late:g}%"))) if late and study.get("clinical_tests") else ""


def _sizes(results: Mapping[str, Any]) -> Sequence[int]:
    """The size that was found, or those asked for if they are few, else the largest."""
    sizes = sorted({row["n"] for row in results["rows"]})
    found = bool(results["answers"]) and results["answers"][0]["n"] is not None
    return [main_size(results)] if found or len(sizes) > MANY_SIZES else sizes


def _goal(results: Mapping[str, Any], words: Words, say: Callable[[str], str]) -> list[str]:
    answer = results["answers"][0] if results["answers"] else None
    if answer is None or answer["n"] is None:
        return []
    point = next(item for item in answer["confirmation"] if item["n"] == answer["n"])
    goal = words["goal"].format(
        ci=say(f"{100 * results['analysis']['level']:g}%"),
        width=say(f"{100 * answer['criterion']['half_width']:g}"),
        probability=say(f"{100 * answer['criterion']['probability']:g}%"),
        held=say(f"{100 * point['value']:.1f}%"),
    )
    return [goal]


def _result(results: Mapping[str, Any], n: int, words: Words, say: Callable[[str], str]) -> str:
    def at(measure: str) -> float:
        return row_value(results["rows"], n, results["endpoints"][0], measure)

    return str(
        words["result"].format(
            n=n,
            at_risk=f"{at('expected_evaluable'):.0f}",
            events=f"{at('expected_events'):.0f}",
            incidence=say(f"{100 * at('mean_estimate'):.1f}%"),
            ci=say(f"{100 * results['analysis']['level']:g}%"),
            half=say(f"{100 * at('half_width'):.1f}"),
            q80=say(f"{100 * at('half_width_q80'):.1f}"),
            eighty=say("80%"),
        )
    )


def _what_if(results: Mapping[str, Any], words: Words, say: Callable[[str], str]) -> list[str]:
    ends = results["what_if"]
    if len(ends) != 2:
        return []
    low, high = ends
    text = words["what_if"].format(
        low=say(f"{100 * low['target']:g}%"),
        high=say(f"{100 * high['target']:g}%"),
        target=say(f"{100 * results['study']['incidence_target']:g}%"),
        low_half=say(f"{100 * low['half_width']:.1f}"),
        high_half=say(f"{100 * high['half_width']:.1f}"),
    )
    return [text]


def english(number: str) -> str:
    """A number as English writes it."""
    return number


def french(number: str) -> str:
    """A number as French writes it: decimal comma, thin space before %, space between thousands."""
    return number.replace(",", " ").replace(".", ",").replace("%", " %")
