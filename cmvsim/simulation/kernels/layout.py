"""Positions in the flat arrays that the CMV kernel works on: parameters, a patient's traits, and the running state.

numba passes one-dimensional arrays cheaply and records of many fields slowly, so that the kernel's inputs are three
arrays whose positions have names here. Tables of many patients are trait-major or visit-major: numpy fills and reads
whole rows, and the kernel, which takes patients in ascending order, streams along all of them.
"""

from __future__ import annotations

# Parameters, the same for all patients
(
    V0,
    LAG,
    START_AT,
    NEGATIVES,
    MIN_DAYS,
    MAX_DAYS,
    DELAY,
    TURNAROUND,
    HORIZON,
    ORIGIN,
    SCALE,
    SHAPE,
    RE_EPISODE,
    ANTIVIRAL,
    S_LOG,
    S_WASH,
    C_LOG,
    C_WASH,
    STEP,
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
    HIGHEST_RATIO,
) = range(31)
PARAMETERS = 31

# A patient's traits
RATE, GROWTH, OFFSET, S_START, S_STOP, C_START, C_STOP, FIRST_ONSET, MONITORED_UNTIL = range(9)
EPISODE_TRAITS = 9  # where the traits of episode 0 begin
(E_CLOCK, E_SET_POINT, E_PLATEAU, E_SELF, E_DECAY, E_TREATED_DECAY, E_ACCEPTED, E_REGROWS) = range(8)
TRAITS_PER_EPISODE = 8

# Running state of one patient
(
    EPISODE,
    ACTIVE,
    ONSET,
    PEAK,
    PLATEAU_END,
    DECAY,
    KNOT_TIME,
    KNOT_VALUE,
    KNOT_SLOPE,
    DRUG_ON,
    DRUG_SINCE,
    T_START,
    T_STOP,
    T_ACT,
    T_CLEAR,
    T_ONSET,
    RESIDUAL,
    MARK,
    NEGATIVE_RUN,
    COURSE,
    KNOTS,
    WAITING,
) = range(22)
STATE = 22

# Results as reported (the codes of the study's tables)
NONE, NOT_DETECTED, BELOW_LLOQ, QUANTIFIED = range(4)
