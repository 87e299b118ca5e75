"""Positions in the flat arrays that the CMV kernel works on: parameters, a patient's traits, and the running state.

numba passes one-dimensional arrays cheaply and records of many fields slowly, so that the kernel's inputs are a few
arrays whose positions have names here. Tables of many patients are trait-major or visit-major: numpy fills and reads
whole rows, and the kernel, which takes patients in ascending order, streams along all of them.
"""

from __future__ import annotations

# Parameters, the same for all patients
(
    V0,
    LAG,
    START_AT,
    CONFIRMATIONS,
    NEGATIVES,
    MIN_DAYS,
    MAX_DAYS,
    DELAY,
    REFRACTORY_AFTER,
    VALGANCICLOVIR_BELOW,
    GANCICLOVIR_BELOW,
    NEUTROPENIA_HAZARD,
    KIDNEY_HAZARD,
    TURNAROUND,
    HORIZON,
    ORIGIN,
    SCALE,
    SHAPE,
    RE_EPISODE,
    ANTIVIRAL,
    SHIFT,
    SELF_LOGIT,
    SELF_SLOPE,
    SELF_CENTRE,
    LOD,
    LLOQ,
    ASSAY_SD,
    LOG10_LOD,
    LOG10_LLOQ,
    HORIZON_SURVIVAL,
    COURSES,
    SPELLS,
    DISEASE_HAZARD,
    DISEASE_SLOPE,
    DISEASE_REFERENCE,
    FIRST_EPISODE,
    ENDS_LETERMOVIR,
) = range(37)
PARAMETERS = 37

# A patient's traits: these, then four of each factor on the onset hazard, then those of each episode
(
    RATE,
    BOUND,
    GROWTH,
    OFFSET,
    STEROIDS_FROM,
    NEUTROPENIA_FROM,
    NEUTROPENIA_TO,
    FIRST_ONSET,
    MONITORED_UNTIL,
    FOLLOW_UP_EVERY,
    LETERMOVIR_SHIFT,
    LETERMOVIR_DISEASE,
    NEUTROPENIA_CLOCK,
    KIDNEY_CLOCK,
    DISEASE_CLOCK,
) = range(15)
FACTORS = 15  # where the traits of factor 0 begin
F_START, F_STOP, F_LOG, F_AFTER = range(4)
TRAITS_PER_FACTOR = 4
LETERMOVIR_FROM, LETERMOVIR_TO = FACTORS + F_START, FACTORS + F_STOP  # letermovir is factor 0
(
    E_CLOCK,
    E_SET_POINT,
    E_PLATEAU,
    E_SELF,
    E_DECAY,
    E_TREATED_DECAY,
    E_ACCEPTED,
    E_REGROWS,
    E_REFRACTORY,
    E_CHOICE,
) = range(10)
TRAITS_PER_EPISODE = 10

# What is the same for all patients of a factor
WASHOUT, STEP = range(2)

# Running state of one patient
(
    EPISODE,
    ACTIVE,
    ONSET,
    PEAK,
    PLATEAU_END,
    DECAY,
    REFRACTORY,
    KNOT_TIME,
    KNOT_VALUE,
    KNOT_SLOPE,
    DRUG,
    LINE,
    SINCE,
    SPELL_SINCE,
    REFERENCE,
    START_EPISODE,
    T_START,
    T_STOP,
    T_TOXICITY,
    T_ACT,
    T_CLEAR,
    T_DISEASE,
    T_ONSET,
    RESIDUAL,
    MARK,
    WAITING,
    NEGATIVE_RUN,
    QUALIFYING_RUN,
    COURSE,
    SPELL,
    KNOTS,
    NEUTROPENIA_LEFT,
    KIDNEY_LEFT,
    NEUTROPENIA_AT,
    KIDNEY_AT,
    DISEASE_LEFT,
    DISEASE_MARK,
    DISEASE_AT,
    FOLLOW_UP,
    FOLLOW_UP_RUN,
    LAST_SAMPLE,
) = range(41)
STATE = 41

# Results as reported (the codes of the study's tables)
NONE, NOT_DETECTED, BELOW_LLOQ, QUANTIFIED = range(4)

# Antivirals (the codes of cmvsim.models.treatment.ANTIVIRALS)
UNTREATED, VALGANCICLOVIR, GANCICLOVIR, FOSCARNET, MARIBAVIR = range(5)
