"""One patient's story in words, as a case history: what was seen apart from what truly happened."""

from __future__ import annotations

from cmvsim.report.trace_cmv_text import REASONS, cmv_seen, cmv_true, sample_table, tables_hold, tables_miss
from cmvsim.report.trace_words import PRODUCTS, VIRUSES, Tree, day, lasting, listed, many, sentence, span, three_digits

HEADINGS = (
    "Patient and infusion",
    "CAR-T cells and toxicity",
    "Persistent viruses",
    "CMV as it was seen",
    "CMV as it truly was",
    "Infections",
    "The malignancy",
    "In hospital",
    "Quality of life",
    "Outcome",
    "What the study's tables hold",
    "What they do not show",
)


def story_page(results: Tree) -> str:
    """``story.md``."""
    lines = [
        f"# {results['patient']}: one simulated patient of {results['scenario']}",
        "",
        f"*Simulated, not real. {results['title']}; {setting(results)}.*",
        "",
        one_line(results),
        "",
        "![Timeline of the patient: true load and samples, below them stays, toxicity, drugs and infections](figures/timeline.png)",
    ]
    for heading, paragraphs in sections(results):
        lines += ["", f"## {heading}", ""]
        lines += "\n\n".join(paragraphs).split("\n")
    return "\n".join([*lines, "", "## Every sample", "", *sample_table(results), ""])


def story_text(results: Tree) -> str:
    """The same for a terminal, without samples and figure."""
    told = "\n\n".join("\n".join([heading, *paragraphs]) for heading, paragraphs in sections(results))
    return f"{one_line(results)}\n({setting(results)})\n\n{told}"


def setting(results: Tree) -> str:
    """Seed, replicate and strategy."""
    cmv = "" if results["cmv"] else ", CMV switched off"
    plan = results["strategy_label"] or "no strategy"
    return f"seed {results['seed']}, replicate {results['replicate']}, strategy: {plan}{cmv}"


def sections(results: Tree) -> list[tuple[str, list[str]]]:
    """Headings with their paragraphs."""
    story = results["story"]
    told = (
        [_patient(story)],
        _toxicity(story),
        [_virome(story)],
        cmv_seen(story),
        cmv_true(story),
        [_infections(story)],
        [_malignancy(results)],
        _hospital(story),
        _quality_of_life(story),
        [_outcome(results)],
        tables_hold(results),
        tables_miss(results),
    )
    return list(zip(HEADINGS, told, strict=True))


def one_line(results: Tree) -> str:
    """The whole course in one sentence."""
    story = results["story"]
    dated = [(t["start"], _treated(t)) for t in story["treatments"]]
    seen = [e["first_detected"] for e in story["episodes"] if e["first_detected"] is not None]
    if seen:
        dated.append((seen[0], f"CMV seen from {day(seen[0])}"))
    else:
        dated.append((story["inclusion"], "CMV that no sample showed" if story["episodes"] else "no CMV"))
    if story["disease"] is not None:
        dated.append((story["disease"]["day"], f"CMV disease on {day(story['disease']['day'])}"))
    for name, words in (("relapse", "relapse"), ("hct", "transplantation")):
        at = story["follow_up"][name]
        dated += [] if at is None else [(at, f"{words} on {day(at)}")]
    parts = [words for _, words in sorted(dated)]
    ends = f"died on {day(story['death'])}" if story["death"] is not None else f"alive on {day(story['horizon'])}"
    return f"{results['patient']}, {_who(story['person'])}: {'; '.join([*parts, ends])}."


def _treated(treatment: Tree) -> str:
    drugs = list(dict.fromkeys(spell["drug"] for spell in treatment["spells"]))
    return f"treated from {day(treatment['start'])} ({', then '.join(drugs)})"


def _who(person: Tree) -> str:
    young = person["age"] < 18
    sex = ("girl" if person["female"] else "boy") if young else ("woman" if person["female"] else "man")
    age = int(person["age"])
    return f"a {sex} of {age} with {person['disease']} ({person['label']})"


def _patient(story: Tree) -> str:
    p = story["person"]
    traits = [
        "CMV-seropositive" if p["seropositive"] else "CMV-seronegative",
        f"{p['lymphocytes']:.2g} x 10^9/L lymphocytes before lymphodepletion",
        f"CAR-HEMATOTOX {'high' if p['hematotox_high'] else 'low'}",
        "a previous allogeneic transplantation" if p["prior_allogeneic_hct"] else "no previous allogeneic transplantation",
        "on (val)aciclovir" if p["aciclovir"] else "no (val)aciclovir",
    ]
    part = "retrospective part" if p["retrospective"] else "prospective part"
    where = f"site {p['site']}, {part}" if p["sites"] > 1 else part
    score = f"Unseen: an immunosuppression score of {p['immunosuppression_score']:+.1f} SD (positive: more immunosuppressed)."
    product = PRODUCTS.get(p["product"], p["product"])
    return (
        f"{_who(p)[0].upper()}{_who(p)[1:]}, included on {day(story['inclusion'])} ({where}), infused with {product} on day 0. "
        f"{sentence(listed(traits))} {score}"
    )


def _toxicity(story: Tree) -> list[str]:
    cells, t = story["cells"], story["toxicity"]
    if cells["day"] is None:
        expansion = "Death came before the peak of the CAR-T cells."
    else:
        ratio = cells["over_median"]
        expansion = (
            f"CAR-T cells peaked on {day(cells['day'])} at {three_digits(cells['peak'])} {cells['unit']}, "
            f"{ratio:.2g} times the median of the product."
        )
    graded = [
        f"{name} of grade {t[key]['grade']} {span(t[key])}" for key, name in (("crs", "CRS"), ("icans", "ICANS")) if t[key]
    ]
    missing = [name for key, name in (("crs", "CRS"), ("icans", "ICANS")) if not t[key]]
    toxicity = sentence(listed([*graded, *([f"no {listed(missing, 'or')}"] if missing else [])]))
    given = [_given(course) for course in t["drugs"]]
    drugs = sentence(f"given against it: {listed(given)}") if given else "No drug was given against them."
    low = t["neutropenia"]
    marrow = f"Severe neutropenia {span(low)}." if low else "No severe neutropenia."
    return [f"{expansion} {toxicity} {drugs if graded or given else ''}".rstrip() + f" {marrow}"]


def _given(course: Tree) -> str:
    if course["drug"] == "tocilizumab":  # doses at the start, and a long half-life
        until = day(course["stop"]) if course["until"] == "over" else "the end"
        return f"tocilizumab on {day(course['start'])} (present until {until})"
    return f"{course['drug']} {span(course)}"


def _virome(story: Tree) -> str:
    v = story["virome"]
    carried = [words for name, words in VIRUSES.items() if v[name]["at_baseline"]]
    acquired = [f"{words} on {day(v[name]['acquired'])}" for name, words in VIRUSES.items() if v[name]["acquired"] is not None]
    told = [f"Carried before lymphodepletion: {listed(carried) or 'none of the three viruses followed'}."]
    told += [f"Acquired: {listed(acquired)}."] if acquired else []
    loads = [(d, load) for d, load in v["ttv_log10"] if load is not None]
    if loads:
        series = ", ".join(f"{load:.1f} on day {d}" for d, load in loads)
        rest = "" if len(loads) == len(v["ttv_log10"]) else "; below detection on the other days sampled"
        told.append(f"Torque teno virus load, log10 copies/mL: {series}{rest}.")
    if v["ttv_high_from"] is not None:
        since = "at inclusion already" if v["ttv_high_from"] <= story["inclusion"] else f"from {day(v['ttv_high_from'])} on"
        told.append(f"It was high (at or above {v['ttv_high_level']:g}) {since}.")
    return " ".join(told)


def _infections(story: Tree) -> str:
    if not story["infections"]:
        return "No bacterial or fungal infection."
    told = [f"{'severe ' if i['severe'] else ''}{i['kind']} infection {span(i)}" for i in story["infections"]]
    return sentence(listed(told))


def _malignancy(results: Tree) -> str:
    f = results["story"]["follow_up"]
    told = []
    if f["relapse"] is not None:
        told.append(f"relapse on {day(f['relapse'])}")
    if f["new_therapy"] is not None:
        told.append(f"new therapy from {day(f['new_therapy'])}")
    if f["hct"] is not None:
        told.append(f"allogeneic transplantation on {day(f['hct'])}")
    ended = " This ended the monitoring of CMV." if results["tables"]["end_reason"] in ("new_therapy", "hct") else ""
    return (sentence(listed(told)) + ended) if told else "No relapse, no new therapy and no transplantation."


def _hospital(story: Tree) -> list[str]:
    s = story["stays"]
    planned = s["planned"]
    told = []
    for stay in s["hospital"]:
        if stay["initial"]:
            told.append(_initial(stay, planned))
        else:
            told.append(sentence(f"in hospital again {span(stay)}, {lasting(stay['stop'] - stay['start'])}"))
    told += [sentence(f"intensive care {listed([span(icu) for icu in s['icu']])}")] if s["icu"] else []
    again = sum(not stay["initial"] for stay in s["hospital"])
    days = sum(stay["stop"] - stay["start"] for stay in s["hospital"])
    more = f", {many(again, 'further stay')}" if again else ""
    told.append(f"In all {lasting(days)} in hospital{more}.")
    return [" ".join(told)]


def _initial(stay: Tree, planned: Tree) -> str:
    """The initial stay beside what it would have been without CMV and infections."""
    begun = f"Admitted on {day(stay['start'])}"
    if stay["until"] != "over":
        where = "died in hospital" if stay["until"] == "death" else "still in hospital at the end of the simulation"
        return f"{begun}, {where}; without CMV and infections discharge was due on {day(planned['stop'])}."
    more = stay["stop"] - planned["stop"]
    if more < 0.5:
        return f"{begun}, discharged as planned on {day(stay['stop'])}."
    return (
        f"{begun}, discharged on {day(stay['stop'])}, {lasting(more)} later than without CMV and infections "
        f"({day(planned['stop'])})."
    )


def _quality_of_life(story: Tree) -> list[str]:
    asked = story["questionnaires"]
    if not asked:
        return ["No questionnaire was due."]
    told = []
    for q in asked:
        if q["levels"] is None:
            told.append(f"day {q['day']}: not filled in")
        else:
            profile = "".join(map(str, q["levels"]))
            told.append(f"day {q['day']}: {q['index']:.2f} (profile {profile}, VAS {q['vas']:.0f})")
    kinds = listed(list(dict.fromkeys(q["instrument"] + " by proxy" * q["proxy"] for q in asked)))
    sets = listed(list(dict.fromkeys(q["value_set"] for q in asked)))
    return [f"{kinds}, index by the value set {sets}: {'; '.join(told)}."]


def _outcome(results: Tree) -> str:
    story, tables = results["story"], results["tables"]
    f = story["follow_up"]
    told = [f"CMV was monitored until day {tables['end_day']} ({REASONS[tables['end_reason']]})."]
    if f["withdrawn"] is not None:
        told.append(f"Consent was withdrawn on {day(f['withdrawn'])}.")
    if f["lost"] is not None:
        told.append(f"Lost to follow-up on {day(f['lost'])}.")
    if story["death"] is None:
        told.append(f"Alive on {day(story['horizon'])}, the end of the simulation.")
    else:
        after = f["relapse"] is not None
        told.append(f"Died on {day(story['death'])}, {'after relapse' if after else 'without relapse'}.")
    return " ".join(told)
