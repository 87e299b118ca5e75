"""The tables that every study has, and those of dated events and drugs."""

from __future__ import annotations

from cmvsim.data.schema.columns import NO_YES, PATIENT, RESULTS, Column, Kind, Table, category, day
from cmvsim.data.study import CERTAINTIES, EndReason

END_REASONS = tuple(reason.name.lower() for reason in EndReason)
"""Text of each :class:`~cmvsim.data.study.EndReason`, by code."""

EVENTS = (
    "relapse",
    "new_therapy",
    "hct",
    "cmv_disease",
    "crs",
    "icans",
    "neutropenia",
    "bacterial_infection",
    "fungal_infection",
    "kidney_injury",
)
DRUGS = (
    "corticosteroids",
    "tocilizumab",
    "anakinra",
    "aciclovir",
    "valaciclovir",
    "letermovir",
    "ganciclovir",
    "valganciclovir",
    "foscarnet",
    "cidofovir",
    "maribavir",
)


def _baseline(name: str, kind: Kind, meaning: str, **more: object) -> Column:
    return Column(name, kind, meaning, required=False, blank="not recorded", **more)  # type: ignore[arg-type]


COVARIATES = (
    _baseline("part", Kind.CATEGORY, "Part of the study", allowed=("retrospective", "prospective")),
    _baseline("site", Kind.CATEGORY, "Study site"),
    _baseline("product", Kind.CATEGORY, "CAR-T product infused"),
    _baseline("age", Kind.NUMBER, "Age at infusion", unit="years", low=0.0, high=120.0),
    _baseline("sex", Kind.CATEGORY, "Sex", allowed=("female", "male")),
    _baseline("prior_allogeneic_hct", Kind.CATEGORY, "Allogeneic HCT before infusion", allowed=NO_YES, short="PRIORHCT"),
    _baseline("arm", Kind.CATEGORY, "Arm the patient was assigned to, in a comparative study"),
)
"""Optional baseline columns of ``subjects``; `Subjects.covariates` holds those that are there."""

SUBJECTS = Table(
    "subjects",
    "One row per patient, in order of enrolment",
    (
        PATIENT,
        Column("stratum", Kind.TEXT, "Stratum; each belongs to one disease"),
        Column("disease", Kind.CATEGORY, "Disease treated", allowed=("leukaemia", "lymphoma")),
        *COVARIATES,
    ),
)

SAMPLES = Table(
    "samples",
    "One row per CMV sample, negatives included, and per planned sample missed under monitoring",
    (
        PATIENT,
        day("nominal_day", "Day for which the sample was planned", "a clinical sample, not planned", short="NOMDAY"),
        day("day", "Day on which the sample was taken", "missed"),
        Column(
            "matrix",
            Kind.CATEGORY,
            "What was sampled; one per study",
            allowed=("plasma", "whole_blood"),
            blank="only where missed",
        ),
        Column("result", Kind.CATEGORY, "What the laboratory reported", allowed=RESULTS),
        Column(
            "load_iu_ml",
            Kind.NUMBER,
            "CMV DNA load, at three significant digits",
            unit="IU/mL",
            blank="not quantified",
            positive=True,
            short="LOADIU",
        ),
        Column(
            "lloq_iu_ml",
            Kind.NUMBER,
            "Lower limit of quantification of the assay; one per study",
            unit="IU/mL",
            blank="only where missed",
            positive=True,
            short="LLOQIU",
        ),
        Column(
            "reason",
            Kind.CATEGORY,
            "Why the sample was taken; without it, samples with a nominal day are protocol samples",
            required=False,
            allowed=("protocol", "clinical"),
            blank="as nominal_day says",
        ),
    ),
)

EXPOSURES = Table(
    "exposures",
    "One row per course of a drug; where the table is there, a drug without rows was given to nobody",
    (
        PATIENT,
        Column("drug", Kind.CATEGORY, "Drug", allowed=DRUGS),
        day("start_day", "First day of the course", short="STARTDAY"),
        day("stop_day", "Last day of the course + 1", "ongoing", short="STOPDAY"),
    ),
    required=False,
    short="EXPOSURE",
)

EVENTS_TABLE = Table(
    "events",
    "One row per dated event; where the table is there, an event without rows happened to nobody",
    (
        PATIENT,
        Column("event", Kind.CATEGORY, "What happened; where one event is asked for, the first of its kind", allowed=EVENTS),
        day("day", "Day on which it happened, or began"),
        day("end_day", "Last day of it", "not recorded, or none", required=False, short="ENDDAY"),
        Column(
            "grade",
            Kind.COUNT,
            "Grade: ASTCT for crs and icans, CTCAE for neutropenia, AKIN stage for kidney_injury",
            required=False,
            blank="not graded",
            low=0,
            high=5,
        ),
        day("severe_day", "First day of grade 3 or more", "not recorded: as on day", required=False, short="SEVDAY"),
        category("certainty", CERTAINTIES, "Certainty of the diagnosis", blank="not said", required=False, short="CERTAIN"),
    ),
    required=False,
)

DISPOSITION = Table(
    "disposition",
    "One row per patient: end of CMV monitoring and vital status",
    (
        PATIENT,
        day("end_day", "Last day on which the patient was under CMV monitoring", short="ENDDAY"),
        Column("reason", Kind.CATEGORY, "Why monitoring ended", allowed=END_REASONS),
        day(
            "death_day",
            "Day of death; equals end_day when monitoring ended by death",
            "alive at the end of the study",
            short="DEATHDAY",
        ),
    ),
    short="DISPOSIT",
)
