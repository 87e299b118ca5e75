"""CMV in a patient's story: as it was seen and treated, as it truly was, and what of it is in the study's tables."""

from __future__ import annotations

import math

from cmvsim.report.power_text import markdown_table
from cmvsim.report.trace_words import MATRIX, Tree, amount, day, lasting, listed, many, ordinal, sentence, span, true_amount

SWITCHED = {
    "neutropenia": "because of neutropenia on the drug",
    "kidney_injury": "because of kidney injury on foscarnet",
    "load": "because the load had not fallen (refractory infection)",
}
STOPPED = {
    "results": "It was stopped when the results were below the limit of quantification.",
    "longest": "It was stopped at the longest duration allowed.",
}
RESULT = {"not_detected": "not detected", "below_lloq": "detected, below LLOQ", "quantified": "quantified"}
REASONS = {
    "completed": "completed",
    "death": "death",
    "hct": "transplantation",
    "new_therapy": "new therapy",
    "withdrawn": "withdrawal",
    "lost": "loss to follow-up",
    "ongoing": "data cut",
}
EVENTS = {
    "relapse": "relapse",
    "new_therapy": "new therapy",
    "hct": "transplantation",
    "cmv_disease": "CMV disease",
    "crs": "CRS",
    "icans": "ICANS",
    "neutropenia": "neutropenia",
    "bacterial_infection": "bacterial infection",
    "fungal_infection": "fungal infection",
    "kidney_injury": "kidney injury",
}
LASTING = ("crs", "icans", "neutropenia", "bacterial_infection", "fungal_infection")
"""Events that have a last day."""


# --- seen -------------------------------------------------------------------------------------------------------------


def cmv_seen(story: Tree) -> list[str]:
    """Samples, episodes as they showed, treatments, disease, sequencing: what a clinician would have in the file."""
    told = [_sampling(story)]
    told += [_as_seen(story, e) for e in story["episodes"] if e["first_detected"] is not None]
    told += [_treatment(t, story) for t in story["treatments"]]
    told += _harm(story)
    told += [_letermovir(story["letermovir"])] if story["letermovir"] else []
    if story["disease"] is not None:
        told.append(f"CMV disease ({story['disease']['organ']}) on {day(story['disease']['day'])}.")
    told += [_sequenced(s) for s in story["sequencing"]]
    return told


def _sampling(story: Tree) -> str:
    samples, a = story["samples"], story["assay"]
    counts = {result: sum(s["result"] == result for s in samples) for result in RESULT}
    asked = sum(s["planned"] is None for s in samples)
    kind = f" ({many(asked, 'test')} that clinicians asked for)" if asked else ""
    found = listed([f"{number} {RESULT[result]}" for result, number in counts.items() if number]) or "none"
    return (
        f"{many(len(samples), 'sample')} of {MATRIX[a['matrix']]}{kind}, limits {a['lod']:g} (detection) and {a['lloq']:g} IU/mL "
        f"(quantification): {found}."
    )


def _as_seen(story: Tree, e: Tree) -> str:
    told = f"CMV was first detected on {day(e['first_detected'])}"
    if e["first_quantified"] is None:
        return f"{told} and never quantified."
    if e["first_quantified"] > e["first_detected"]:
        told += f", first quantified on {day(e['first_quantified'])}"
    told += f"; the highest result was {amount(e['highest_load'])} on {day(e['highest_sample'])}."
    threshold = story["treatment_threshold"]
    started = [t for t in story["treatments"] if t["number"] in e["treatments"] and t["start"] >= e["first_detected"]]
    if started:
        waited = started[0]["start"] - e["first_detected"]
        return f"{told} Treatment began {lasting(waited)} after the first detection."
    if e["reached_threshold"] is not None and not e["treatments"]:
        return f"{told} It reached the treatment threshold ({amount(threshold)}) on {day(e['reached_threshold'])} and was not treated."
    return told if e["treatments"] else f"{told} It stayed below the treatment threshold ({amount(threshold)})."


def _treatment(treatment: Tree, story: Tree) -> str:
    cause = treatment["because"]
    why = (
        f"CMV disease on {day(cause['day'])}"
        if cause["what"] == "disease"
        else f"the result of {day(cause['day'])} ({amount(cause['load'])})"
    )
    first, *later = treatment["spells"]
    told = [f"{ordinal(treatment['number'])} treatment from {day(treatment['start'])}, on {why}: {first['drug']}"]
    told += [f"switched to {s['drug']} on {day(s['start'])} {SWITCHED[s['because']]}" for s in later]
    text = sentence("; ".join(told))
    if treatment["stopped_by"] is not None:
        ended = f" {STOPPED[treatment['stopped_by']]} ({day(treatment['stop'])}, after {lasting(treatment['stop'] - treatment['start'])})"
        return text + ended.replace(". (", " (") + "."
    ended = "death" if treatment["until"] == "death" else f"the end of the simulation ({day(story['horizon'])})"
    return f"{text} It was still given at {ended}."


def _harm(story: Tree) -> list[str]:
    harm, told = story["treatment_toxicity"], []
    if harm["neutropenia"] is not None:
        told.append(f"Neutropenia on (val)ganciclovir {span(harm['neutropenia'])}.")
    if harm["kidney_injury"] is not None:
        told.append(f"Kidney injury on foscarnet on {day(harm['kidney_injury'])}.")
    return [" ".join(told)] if told else []


def _letermovir(course: Tree) -> str:
    if course["start"] is None:
        return "Letermovir was planned and never begun: treatment came first."
    dose = f"{course['dose']:g} mg a day, {100 * course['adherence']:.0f}% of the doses taken"
    early = f" It ended before the {course['days_planned']:g} days planned: {course['because']}." if course["because"] else ""
    return f"Letermovir {span(course)} ({dose}).{early}"


def _sequenced(sent: Tree) -> str:
    if not sent["succeeded"]:
        return f"The sample of {day(sent['day'])} was sent for sequencing, which failed."
    shows = [f"{change.replace('_', ' ')} in {gene}" for gene, change in sent["shows"]]
    return f"The sample of {day(sent['day'])} was sequenced: {listed(shows) or 'no change'}."


# --- true -------------------------------------------------------------------------------------------------------------


def cmv_true(story: Tree) -> list[str]:
    """The latent course, episode by episode."""
    if not story["episodes"]:
        return ["CMV did not replicate."]
    return [_as_it_was(story, e) for e in story["episodes"]]


def _as_it_was(story: Tree, e: Tree) -> str:
    when = [
        words
        for words, so in (
            ("before inclusion", e["at_inclusion"]),
            ("on letermovir", e["on_letermovir"]),
            ("during treatment", e["on_treatment"]),
        )
        if so
    ]
    lloq, matrix = story["assay"]["lloq"], MATRIX[story["assay"]["matrix"]]
    told = [f"{ordinal(e['number'])} episode: replication began on {day(e['onset'])}{f' ({listed(when)})' if when else ''}"]
    if e["lloq_from"] is None:
        told.append(f"the load never reached the limit of quantification ({lloq:g} IU/mL)")
    else:
        told.append(
            f"the load in {matrix} was at or above the limit of quantification ({lloq:g} IU/mL) from {day(e['lloq_from'])}"
        )
    told.append(f"it was highest on {day(e['highest_day'])} ({true_amount(e['highest_log10'])})")
    told.append(_cleared(story, e))
    text = sentence("; ".join(told))
    course = "would have ended by itself" if e["self_limited"] else "would not have ended by itself"
    text += f" Left alone it {course}."
    if e["refractory"]:
        text += " It was refractory: the first drug of a treatment did not act on it."
    for change in e["resistance"]:
        since = "from its onset" if change["day"] <= e["onset"] else f"from {day(change['day'])}"
        text += f" It bore known resistance in {change['gene']} {since}."
    return f"{text} {_how_seen(e)}"


def _cleared(story: Tree, e: Tree) -> str:
    if e["cleared"] is not None:
        return f"it cleared on {day(e['cleared'])}, after {lasting(e['cleared'] - e['onset'])}"
    return f"it was still replicating at {'death' if story['death'] is not None else 'the end of the simulation'}"


def _how_seen(e: Tree) -> str:
    if not e["samples"]:
        return "No sample was taken while it lasted."
    if e["first_detected"] is None:
        return f"{many(e['samples'], 'sample')} taken while it lasted did not detect it."
    return f"The first sample that detected it was taken {lasting(e['first_detected'] - e['onset'])} after its onset."


def sample_table(results: Tree) -> list[str]:
    """Every sample: what was reported beside what was there."""
    story = results["story"]
    header = ["day", "planned for", "result", "reported", "result known on", f"true load in {MATRIX[story['assay']['matrix']]}"]
    rows = [header]
    for s in story["samples"]:
        planned = "-" if s["planned"] is None else str(s["planned"])
        if s["planned"] is None:
            planned = "asked for because of CMV" if s["because_of_cmv"] else "asked for"
        rows.append(
            [
                f"{s['day']:g}",
                planned,
                RESULT[s["result"]],
                "" if s["load"] is None else amount(s["load"]),
                "never" if s["known_on"] is None else day(s["known_on"]),
                "none" if s["true_log10"] is None else true_amount(s["true_log10"]),
            ]
        )
    return markdown_table(rows).split("\n") if len(rows) > 1 else ["No sample was taken."]


# --- tables -----------------------------------------------------------------------------------------------------------


def tables_hold(results: Tree) -> list[str]:
    """What an analyst would find, and what the primary endpoint makes of it."""
    t = results["tables"]
    missed = f", missed on {listed([f'day {d}' for d in t['missed']])}" if t["missed"] else ""
    counts = listed([f"{n} {RESULT[r]}" for r, n in t["samples"].items() if n]) or "no sample"
    told = [f"Samples: {counts}{missed}. Monitoring ended on day {t['end_day']} ({REASONS[t['end_reason']]})."]
    events = [_event(*event) for event in t["events"]]
    events += [f"death on day {t['death_day']}"] if t["death_day"] is not None else []
    told.append(f"Events: {listed(events)}." if events else "No event.")
    courses = [
        f"{drug} from day {a}{'' if b is None else f' to day {b - 1}'}"
        for drug, a, b in sorted(t["courses"], key=lambda c: c[1])
    ]
    told.append(f"Drugs: {listed(courses)}." if courses else "No drug.")
    return [" ".join(told), _further(t), _endpoint(t["endpoint"])]


def _event(name: str, first: int, last: int | None, grade: int | None) -> str:
    graded = "" if grade is None else f" of grade {grade}"
    return f"{EVENTS[name]}{graded} {_days(first, last) if name in LASTING else f'on day {first}'}"


def _days(first: int, last: int | None) -> str:
    """Days of what lasted; what outlasts the study's knowledge has no last one."""
    if last is None:
        return f"from day {first} (end not known)"
    return f"from day {first} to day {last}" if last > first else f"on day {first}"


def _further(t: Tree) -> str:
    """Stays, research samples, sequencing, questionnaires and resource use, as the tables have them."""
    places = {"ward": "in hospital", "icu": "in intensive care"}
    stays = [f"{places[unit]} {_days(a, None if b is None else b - 1)}" for a, b, unit in t["stays"]]
    told = [f"Stays: {listed(stays)}." if stays else "No stay."]
    asked = t["questionnaires"]
    kinds = (
        ("virome samples", t["virome_days"]),
        ("CAR-T cell samples", t["car_t_days"]),
        ("samples sequenced", t["sequenced"]),
        ("questionnaires", asked["answered"]),
        ("questionnaires not filled in", asked["missed"]),
    )
    days = [f"{what} on day {listed([str(d) for d in several])}" for what, several in kinds if several]
    told.append(sentence("; ".join(days)) if days else "No research sample and no questionnaire.")
    return " ".join([*told, f"Resource use: {many(t['resource_rows'], 'row')}."])


def _endpoint(e: Tree) -> str:
    what = f"{e['label']} within {e['window']:g} days"
    if e["cause"] == "excluded":
        return f"Primary endpoint ({what}): not in the analysis ({e['excluded']})."
    if e["cause"] == "event":
        return f"Primary endpoint ({what}): an event on {day(e['day'])}."
    if e["cause"] == "censored":
        return f"Primary endpoint ({what}): no event, followed to {day(e['day'])}."
    return f"Primary endpoint ({what}): no event, {e['cause']} first, on {day(e['day'])}."


def tables_miss(results: Tree) -> list[str]:
    """What truly happened and no table shows."""
    story, t = results["story"], results["tables"]
    told = []
    hidden = [e for e in story["episodes"] if e["first_detected"] is None]
    if hidden:
        told.append(f"{many(len(hidden), 'CMV episode')} that no sample detected")
    told += [
        f"an onset on {day(e['onset'])}, {lasting(e['first_detected'] - e['onset'])} before the first detection"
        for e in story["episodes"]
        if e["first_detected"] is not None
    ]
    told += [f"resistance in {c['gene']} from {day(c['day'])}" for e in story["episodes"] for c in e["resistance"]]
    recorded = {(name, first) for name, first, *_ in t["events"]}
    told += [
        f"{EVENTS[name]} on {day(at)}, after the end" for name, at in _dated(story) if (name, math.ceil(at)) not in recorded
    ]
    if story["death"] is not None and t["death_day"] is None:
        told.append(f"death on {day(story['death'])}, after the end")
    after = [x for x in story["treatments"] if math.ceil(x["start"]) > t["end_day"]]
    told += [f"a treatment from {day(x['start'])}" for x in after if not _in_tables(x, t)]
    stays = {start for start, _, unit in t["stays"] if unit == "ward"}
    later = [stay for stay in story["stays"]["hospital"] if math.floor(stay["start"]) + 1 not in stays]
    told += [f"a stay in hospital from {day(stay['start'])}, after the end" for stay in later]
    if story["treatment_toxicity"]["neutropenia"] is not None:
        told.append(f"neutropenia on treatment {span(story['treatment_toxicity']['neutropenia'])}")
    general = "The true load and the levels of CAR-T cells and other viruses between samples are in no table either."
    return [f"{sentence('; '.join(told))} {general}" if told else general.replace(" either", "")]


def _dated(story: Tree) -> list[tuple[str, float]]:
    """Dated events of the story, by the name that they have in the tables."""
    happened = [(name, story["follow_up"][name]) for name in ("relapse", "new_therapy", "hct")]
    happened.append(("cmv_disease", None if story["disease"] is None else story["disease"]["day"]))
    happened.append(("kidney_injury", story["treatment_toxicity"]["kidney_injury"]))
    spans = [(name, story["toxicity"][name]) for name in ("crs", "icans", "neutropenia")]
    spans += [(f"{infection['kind']}_infection", infection) for infection in story["infections"]]
    happened += [(name, window["start"]) for name, window in spans if window is not None]
    return [(name, at) for name, at in happened if at is not None]


def _in_tables(treatment: Tree, tables: Tree) -> bool:
    first = treatment["spells"][0]
    return any(drug == first["drug"] and start == math.ceil(first["start"]) for drug, start, _ in tables["courses"])
