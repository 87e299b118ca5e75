"""One mistake each: edits of the registered scenario's text, and what the message must say.

A mistake is (name, old text, new text, key path, words the message must hold, words of what is allowed). The file name
is always asked for. An empty `old` appends to the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmvsim.scenarios import catalogue_text

TARGET_VALUE = 'value       = "@p_any90_plasma_weekly"'
SCHEDULE = "[{ every = 7, to = 42 }, { every = 14, to = 84 }, { at = 90 }]"

GOOD = catalogue_text("cmv-cart")


def _between(first: str, last: str) -> str:
    """Text of the catalogue from `first` to the end of `last`."""
    start = GOOD.index(first)
    return GOOD[start : GOOD.index(last, start) + len(last)]


ENDPOINTS = _between("[                  # all that the protocol", "]")
WINDOW = _between("window         = 90", "closing_window = 7")
DEATH_RATIOS = _between("death_ratios    = {", "\n").rstrip()
MEASURED = _between("measured_by = {", "\n").rstrip()
MEASUREMENTS = _between(MEASURED, 'measured_by = "same"')
SWAPPED = MEASUREMENTS.replace(MEASURED, "@@").replace('measured_by = "same"', MEASURED).replace("@@", 'measured_by = "same"')


@dataclass(frozen=True)
class Mistake:
    name: str
    old: str
    new: str
    at: str
    says: tuple[str, ...]
    allows: str = ""

    def text(self) -> str:
        good = GOOD
        if not self.old:
            return good + "\n" + self.new + "\n"
        assert good.count(self.old) == 1, f"{self.name}: {self.old!r} is there {good.count(self.old)} times"
        return good.replace(self.old, self.new)


COURSE = 'prophylaxis = "letermovir"\nwho = "all"\nstart = { day = 0 }\nduration = 90\ndose = 480'


def _strategy(**changes: str) -> str:
    """A further strategy with letermovir, some of its keys changed."""
    keys = {"who": '"all"', "start": "{ day = 0 }", "duration": "90", "dose": "480", **changes}
    return '[strategies.x]\nlabel = "x"\nprophylaxis = "letermovir"\n' + "\n".join(f"{k} = {v}" for k, v in keys.items())


MISTAKES = (
    # ---- misspelt and superfluous keys, at every depth
    Mistake("key_top", "", "[analisys]", "analisys", ("unknown key 'analisys'",), "did you mean 'analysis'?"),
    Mistake(
        "key_section",
        "[study]",
        "[study]\npatient = 3",
        "study.patient",
        ("unknown key 'patient'",),
        "did you mean 'patients'?",
    ),
    Mistake(
        "key_stratum",
        'label    = "DLBCL"',
        'label    = "DLBCL"\nlymphocyte = 0.5',
        "population.strata.dlbcl.lymphocyte",
        ("unknown key 'lymphocyte'",),
        "did you mean 'lymphocytes'?",
    ),
    Mistake(
        "key_ratio",
        'corticosteroids      = "@onset_ratio_steroids"',
        'corticosteroid = 2\ncorticosteroids = "@onset_ratio_steroids"',
        "cmv.onset.ratios.corticosteroid",
        ("unknown key 'corticosteroid'",),
        "did you mean 'corticosteroids'?",
    ),
    Mistake(
        "key_target",
        'measure     = "median_detection"',
        'measure     = "median_detection"\npublised = 3',
        "cmv.targets[1].publised",
        ("unknown key 'publised'",),
        "did you mean 'published'?",
    ),
    Mistake(
        "key_measured_by",
        "every = 7, to = 90, attendance",
        "evry = 7, every = 7, to = 90, attendance",
        "cmv.targets[0].measured_by.evry",
        ("unknown key 'evry'",),
        "did you mean 'every'?",
    ),
    Mistake(
        "key_schedule_item",
        "{ at = 90 }]",
        "{ at = 90, evry = 3 }]",
        "monitoring.schedule.value[2].evry",
        ("unknown key 'evry'",),
        "did you mean 'every'?",
    ),
    Mistake(
        "key_stop_rule",
        "stop_after = { negatives",
        "stop_after = { negative = 1, negatives",
        "preemptive_therapy.stop_after.negative",
        ("unknown key 'negative'",),
        "did you mean 'negatives'?",
    ),
    Mistake(
        "key_design",
        "target = { half_width = 0.06",
        "target = { half_widht = 0.1, half_width = 0.06",
        "designs.precision.target.half_widht",
        ("unknown key 'half_widht'",),
        "did you mean 'half_width'?",
    ),
    Mistake(
        "key_value",
        "attendance = { value = 0.93, assumed =",
        "attendance = { value = 0.93, assume =",
        "monitoring.attendance",
        ("unknown key 'assume'",),
        "did you mean 'assumed'?",
    ),
    Mistake(
        "key_stated",
        '{ value = "plasma", assumed =',
        '{ value = "plasma", assume =',
        "monitoring.matrix.assume",
        ("unknown key 'assume'",),
        "did you mean 'assumed'?",
    ),
    Mistake(
        "key_far_off",
        "[study]",
        "[study]\nzzz = 3",
        "study.zzz",
        ("unknown key 'zzz'",),
        "known: horizon, inclusion, patients, registry",
    ),
    Mistake(
        "key_missing",
        'withdrawn_by_90 = "@withdrawn90"',
        "",
        "follow_up.withdrawn_by_90",
        ("the key 'withdrawn_by_90' is missing",),
    ),
    Mistake("section_misspelt", "[study]", "[studyy]", "studyy", ("unknown key 'studyy'",), "did you mean 'study'?"),
    Mistake(
        "table_missing_value", "{ value = 0.93, assumed", "{ assumed", "monitoring.attendance", ("the key 'value' is missing",)
    ),
    # ---- numbers out of range, or no numbers
    Mistake("probability", "value = 0.93", "value = 1.3", "monitoring.attendance", ("1.3",), "a number from 0 to 1"),
    Mistake("probability_nan", "value = 0.93", "value = nan", "monitoring.attendance", ("nan",), "a number from 0 to 1"),
    Mistake(
        "huge_days",
        "\nturnaround = { value = 1",
        "\nturnaround = { value = 1" + "0" * 400,
        "monitoring.turnaround",
        ("is not allowed",),
        "a number of at least 0, days",
    ),
    Mistake(
        "negative_days",
        "\nturnaround = { value = 1",
        "\nturnaround = { value = -1",
        "monitoring.turnaround",
        ("-1",),
        "a number of at least 0, days",
    ),
    Mistake(
        "infinite_days",
        "\nturnaround = { value = 1",
        "\nturnaround = { value = inf",
        "monitoring.turnaround",
        ("inf",),
        "a number of at least 0, days",
    ),
    Mistake("zero_load", 'lloq       = "@lloq_plasma"', "lloq = 0", "monitoring.lloq", ("0 is not allowed",), "above 0, IU/mL"),
    Mistake(
        "correlation",
        'expansion_correlation = "@expansion_severity_correlation"',
        "expansion_correlation = 1.5",
        "toxicity.expansion_correlation",
        ("1.5",),
        "from -1 to 1",
    ),
    Mistake(
        "fraction_count",
        "negatives = { value = 2",
        "negatives = { value = 2.5",
        "preemptive_therapy.stop_after.negatives",
        ("2.5",),
        "a whole number",
    ),
    Mistake(
        "text_for_number",
        "value = 0.93",
        'value = "0.93"',
        "monitoring.attendance",
        ("'0.93' is not a number",),
        "a number from 0 to 1",
    ),
    Mistake("bare_text", 'lod        = "@lod_plasma"', 'lod = "low"', "monitoring.lod", ("'low' is not a number",), "IU/mL"),
    Mistake(
        "bool_for_number",
        "value = 0.93",
        "value = true",
        "monitoring.attendance",
        ("true is not a number",),
        "a number from 0 to 1",
    ),
    Mistake("date_for_number", "value = 0.93", "value = 2024-01-01", "monitoring.attendance", ("2024-01-01 is not a number",)),
    Mistake("list_for_number", 'lod        = "@lod_plasma"', "lod = [20]", "monitoring.lod", ("[20] is not a number",)),
    Mistake("patients_text", "patients  = 250", 'patients  = "250"', "study.patients", ("'250'", "whole number")),
    Mistake("patients_bool", "patients  = 250", "patients  = true", "study.patients", ("true", "whole number")),
    Mistake("patients_zero", "patients  = 250", "patients  = 0", "study.patients", ("0", "at least 1")),
    Mistake("patients_fraction", "patients  = 250", "patients  = 250.5", "study.patients", ("250.5", "whole number")),
    Mistake("level", "level          = 0.95", "level = 95", "analysis.level", ("95", "below 1")),
    Mistake("half_width", "half_width = 0.06,", "half_width = 6,", "designs.precision.target.half_width", ("6", "below 0.5")),
    Mistake("age", "age      = [1, 17]", "age      = [17, 1]", "population.strata.ball_child", ("[17", "youngest")),
    Mistake(
        "age_three",
        "age      = [1, 17]",
        "age      = [1, 10, 17]",
        "population.strata.ball_child.age",
        ("[1, 10, 17] has 3 entries",),
        "at most 2",
    ),
    Mistake("age_one", "age      = [1, 17]", "age      = [1]", "population.strata.ball_child.age[1]", ("too few entries",)),
    Mistake("incidence_of_one", TARGET_VALUE, "value = 1.0", "cmv.targets[0]", ("an incidence of 1",), "between 0 and 1"),
    # ---- shapes
    Mistake(
        "number_for_table",
        'plasma.offset      = { value = 0, assumed = "the load is defined in plasma" }',
        "plasma = 3",
        "cmv.matrices.plasma",
        ("3 is not a table",),
        "allowed: a table",
    ),
    Mistake(
        "array_for_section",
        DEATH_RATIOS,
        "death_ratios = [1]",
        "follow_up.death_ratios",
        ("[1] is not a table",),
        "allowed: a table",
    ),
    Mistake(
        "text_for_section",
        'set_point_shift = { corticosteroids = "@set_point_shift_steroids", score = "@set_point_shift_score" }',
        'set_point_shift = "none"',
        "cmv.load.set_point_shift",
        ("'none' is not a table",),
    ),
    Mistake(
        "text_for_list",
        ENDPOINTS,
        '"cmv_reactivation"',
        "analysis.endpoints",
        ("'cmv_reactivation' is not a list",),
        "a list",
    ),
    Mistake(
        "no_endpoints",
        ENDPOINTS,
        "[]",
        "analysis.endpoints",
        ("[] has 0 entries",),
        "at least 1",
    ),
    Mistake(
        "number_for_text",
        'label    = "DLBCL"',
        "label    = 3",
        "population.strata.dlbcl.label",
        ("3 is not text",),
        "in quotes",
    ),
    Mistake(
        "number_for_matrix",
        '{ value = "plasma", assumed = "registry does not say" }',
        "3",
        "monitoring.matrix",
        ("3 is not allowed",),
        "plasma, whole_blood",
    ),
    Mistake("id_with_space", 'id     = "cmv-cart"', 'id     = "my study"', "id", ("'my study' is not allowed",)),
    # ---- references and names
    Mistake(
        "reference",
        '"@relapse_shape"',
        '"@relapse_shapee"',
        "follow_up.relapse_shape",
        ("no evidence entry '@relapse_shapee'",),
        "did you mean 'relapse_shape'?",
    ),
    Mistake("reference_empty", '"@relapse_shape"', '"@"', "follow_up.relapse_shape", ("no evidence entry '@'",), "known:"),
    Mistake(
        "reference_in_list",
        "age      = [1, 17]",
        'age      = [1, "@nothing_like_it"]',
        "population.strata.ball_child.age[1]",
        ("no evidence entry '@nothing_like_it'",),
    ),
    Mistake(
        "stratum_unknown",
        "hct_by_90       = { ball_child",
        "hct_by_90       = { balll_child = 0.1, ball_child",
        "follow_up.hct_by_90.balll_child",
        ("there is no stratum 'balll_child'",),
        "did you mean 'ball_child'?",
    ),
    Mistake(
        "stratum_missing",
        'hct_by_90       = { ball_child = "@hct90_ball", ',
        "hct_by_90       = { ",
        "follow_up.hct_by_90",
        ("the stratum 'ball_child' is missing",),
    ),
    Mistake(
        "product_missing",
        '"@steroid_use_tisa_ball", brexucabtagene = "@steroid_use_brexu"',
        '"@steroid_use_tisa_ball"',
        "toxicity.corticosteroids.use.leukaemia",
        ("leukaemia has no probability of corticosteroids with 'brexucabtagene'",),
    ),
    Mistake(
        "product_unused",
        'use.lymphoma  = { axicabtagene = "@steroid_use_axi"',
        'use.lymphoma  = { axicabtagen = 0.3, axicabtagene = "@steroid_use_axi"',
        "toxicity.corticosteroids.use.lymphoma.axicabtagen",
        ("no stratum gives 'axicabtagen'",),
        "did you mean 'axicabtagene'?",
    ),
    Mistake(
        "kinetics_missing",
        _between("brexucabtagene   = { assay", "\n"),
        "",
        "kinetics.leukaemia",
        ("leukaemia has no kinetics with 'brexucabtagene'",),
    ),
    Mistake(
        "assay_unknown",
        'brexucabtagene   = { assay = "cells"',
        'brexucabtagene   = { assay = "cell"',
        "kinetics.leukaemia.brexucabtagene.assay",
        ("there is no assay 'cell'",),
        "did you mean 'cells'?",
    ),
    Mistake(
        "persistent_share_above_one",
        'persistent_share = "@stein_persistent_share"',
        "persistent_share = { median = 0.01, varies = { sdlog = 1 } }",
        "kinetics.leukaemia.tisagenlecleucel",
        ("persistent_share may exceed 1", "high = 1"),
    ),
    Mistake(
        "grades_missing",
        'severe.lymphoma  = { axicabtagene = "@icans3_axi", ',
        "severe.lymphoma  = { ",
        "toxicity.icans.severe.lymphoma",
        ("lymphoma has no probability of severe ICANS with 'axicabtagene'",),
    ),
    Mistake(
        "severe_above_any",
        'severe.lymphoma  = { axicabtagene = "@crs3_axi"',
        "severe.lymphoma  = { axicabtagene = 0.9",
        "toxicity.crs",
        ("severe.lymphoma.axicabtagene (0.9) is above any grade (0.86)",),
    ),
    Mistake(
        "expansion_decides",
        'expansion_correlation = "@expansion_severity_correlation"',
        "expansion_correlation = -0.995",
        "toxicity",
        ("expansion_correlation = -0.995", "at most 0.99"),
    ),
    Mistake(
        "disease_unknown",
        'disease  = "lymphoma"',
        'disease  = "lymphome"',
        "population.strata.dlbcl.disease",
        ("'lymphome' is not allowed",),
        "did you mean 'lymphoma'?",
    ),
    Mistake(
        "matrix_unknown",
        '{ value = "plasma", assumed = "registry does not say" }',
        '"serum"',
        "monitoring.matrix",
        ("'serum' is not allowed",),
        "plasma, whole_blood",
    ),
    Mistake(
        "matrix_undescribed",
        'plasma.offset      = { value = 0, assumed = "the load is defined in plasma" }',
        "",
        "cmv.matrices",
        ("the matrix 'plasma' is sampled but not described",),
    ),
    Mistake(
        "endpoint_unknown",
        '"cmv_leukaemia", ',
        '"cmv_leukemia", ',
        "analysis.endpoints",
        ("there is no endpoint 'cmv_leukemia'",),
        "did you mean 'cmv_leukaemia'?",
    ),
    Mistake(
        "definition_unknown",
        '''definition     = "quantifiable"''',
        'definition = "quantified"',
        "analysis.definition",
        ("there is no definition 'quantified'",),
        "did you mean 'quantifiable'?",
    ),
    Mistake(
        "choice_unknown",
        'relapse        = "treatment_policy"',
        'relapse = "treatment"',
        "analysis.relapse",
        ("'treatment' is not allowed",),
        "treatment_policy, competing, censor",
    ),
    Mistake(
        "design_unknown",
        'kind   = "single_arm_precision"',
        'kind   = "two_arms"',
        "designs.precision.kind",
        ("'two_arms' is not allowed",),
        "did you mean 'two_arm'?",
    ),
    Mistake(
        "measure_unknown",
        'measure     = "median_detection"',
        'measure     = "median_onset"',
        "cmv.targets[1].measure",
        ("'median_onset' is not allowed",),
        "median_detection",
    ),
    Mistake(
        "prophylaxis_unknown",
        'label = "Pre-emptive therapy alone"',
        'label = "x"\nprophylaxis = "letermovire"',
        "strategies.preemptive.prophylaxis",
        ("'letermovire' is not allowed",),
        "did you mean 'letermovir'?",
    ),
    Mistake(
        "prophylaxis_without_course",
        'label = "Pre-emptive therapy alone"',
        'label = "x"\nprophylaxis = "letermovir"',
        "strategies.preemptive",
        ("prophylaxis with letermovir also needs who, start, duration, dose",),
    ),
    Mistake(
        "course_without_prophylaxis",
        'label = "Pre-emptive therapy alone"',
        'label = "x"\nduration = 90',
        "strategies.preemptive",
        ("duration: say what is given",),
        'prophylaxis = "letermovir"',
    ),
    Mistake(
        "reference_with_prophylaxis",
        'label = "Pre-emptive therapy alone"',
        'label = "x"\n' + COURSE,
        "strategies.preemptive.prophylaxis",
        ("'preemptive' is the reference",),
        "another name",
    ),
    Mistake(
        "no_reference",
        _between("[strategies.preemptive]", 'label = "Pre-emptive therapy alone"'),
        '[strategies.universal]\nlabel = "x"\n' + COURSE,
        "strategies",
        ("no strategy is without prophylaxis",),
        "none",
    ),
    Mistake(
        "who_unknown",
        "",
        _strategy(who='"everybody"'),
        "strategies.x.who",
        ("'everybody' does not say who",),
        '"all"',
    ),
    Mistake("who_number", "", _strategy(who="3"), "strategies.x.who", ("3 does not say who",), '"all"'),
    Mistake(
        "key_who",
        "",
        _strategy(who="{ baseline = { lymphocyte_below = 0.5, prior_allogeneic_hct = true } }"),
        "strategies.x.who.baseline.lymphocyte_below",
        ("unknown key 'lymphocyte_below'",),
        "did you mean 'lymphocytes_below'?",
    ),
    Mistake(
        "who_twice",
        "",
        _strategy(who="{ baseline = { prior_allogeneic_hct = true }, ttv = { log10_at_least = 4, day = 14, turnaround = 1 } }"),
        "strategies.x.who",
        ("not by both",),
    ),
    Mistake(
        "who_no_criterion",
        "",
        _strategy(who="{ baseline = { prior_allogeneic_hct = false } }"),
        "strategies.x.who.baseline",
        ("no criterion is named",),
    ),
    Mistake(
        "who_points",
        "",
        _strategy(who="{ baseline = { prior_allogeneic_hct = true, points = 2 } }"),
        "strategies.x.who.baseline",
        ("points = 2: the number of criteria named is 1",),
    ),
    Mistake(
        "trigger_unknown",
        "",
        _strategy(start='{ trigger = "steroids" }'),
        "strategies.x.start.trigger",
        ("'steroids' is not allowed",),
        "corticosteroids",
    ),
    Mistake(
        "delay_of_nothing",
        "",
        _strategy(start="{ day = 3, delay = 2 }"),
        "strategies.x",
        ("start.delay counts from a trigger",),
    ),
    Mistake(
        "start_before_inclusion",
        "",
        _strategy(start="{ day = -6 }"),
        "strategies.x.start.day",
        ("day -6 is before inclusion (day -5)",),
    ),
    Mistake(
        "start_beyond_horizon",
        "",
        _strategy(who="{ ttv = { log10_at_least = 4, day = 90, turnaround = 14 } }"),
        "strategies.x.start",
        ("no course can begin: day 104",),
        "a later horizon",
    ),
    Mistake("duration_short", "", _strategy(duration="0.5"), "strategies.x", ("duration = 0.5", "at least a day")),
    Mistake(
        "latest_stop_early",
        "",
        _strategy(start="{ day = 20 }") + "\nlatest_stop = 20",
        "strategies.x",
        ("latest_stop (day 20) is not after",),
    ),
    Mistake("dose_zero", "", _strategy(dose="0"), "strategies.x.dose", ("0 is not allowed",), "mg per day"),
    Mistake(
        "effect_unknown",
        'effect     = "solved"',
        'effect     = "solve"',
        "letermovir.effect",
        ("'solve' is not allowed",),
        "did you mean 'solved'?",
    ),
    Mistake(
        "effect_not_given",
        'effect     = "solved"',
        'effect     = "given"',
        "letermovir",
        ('effect = "given" needs given = { onset_ratio',),
    ),
    Mistake(
        "adherence_without_ends",
        'adherence          = "@letermovir_adherence"',
        "adherence = { median = 0.9, varies = { sdlog = 0.1 } }",
        "letermovir",
        ("adherence is a proportion",),
        "high = 1",
    ),
    Mistake(
        "adherence_above_one",
        'adherence          = "@letermovir_adherence"',
        "adherence = 1.5",
        "letermovir",
        ("adherence is a proportion",),
    ),
    Mistake(
        "discontinued_all",
        'discontinued_by_90 = "@letermovir_discontinuation"',
        "discontinued_by_90 = 1",
        "letermovir",
        ("discontinued_by_90", "no finite hazard"),
    ),
    Mistake(
        "rebound_step",
        'step = { value = 7, assumed = "the ratio declines in weekly steps" }',
        "step = 0.5",
        "letermovir.rebound",
        ("step = 0.5", "at least a day"),
    ),
    Mistake(
        "stopped_by_unknown",
        'value = ["preemptive_therapy", "hct"]',
        'value = ["preemptive_therapy", "transplant"]',
        "letermovir.stopped_by.value[1]",
        ("'transplant' is not allowed",),
        "hct",
    ),
    # ---- what cannot be together
    Mistake(
        "strata_shares", 'share    = "@share_dlbcl"', "share    = 0.7", "population", ("add up to 0.9",), "must add up to 1"
    ),
    Mistake(
        "product_shares",
        "products = { tisagenlecleucel = 1.0 }",
        "products = { tisagenlecleucel = 0.9 }",
        "population.strata.ball_child",
        ("add up to 0.9",),
        "must add up to 1",
    ),
    Mistake(
        "window_beyond_horizon",
        WINDOW,
        "window = 120\nclosing_window = 40",
        "study.horizon",
        ("the window ends on day 120, after the horizon (104)",),
    ),
    Mistake(
        "last_visit_early",
        SCHEDULE,
        "[{ every = 7, to = 42 }]",
        "monitoring.schedule",
        ("the last visit is on day 42", "day 90"),
        "{ at = 90 }",
    ),
    Mistake(
        "last_visit_within_closing_window",
        SCHEDULE,
        "[{ every = 7, to = 84 }]",
        "monitoring.schedule",
        ("the last visit is on day 84, but events are counted to day 90",),
        "analysis.window = 84",
    ),
    Mistake(
        "retrospective_without_tests",
        "retrospective_share = { value = 0.0",
        "retrospective_share = { value = 0.4",
        "population.retrospective_share",
        ("nothing says when clinicians test",),
        "a section [monitoring.clinical]",
    ),
    Mistake(
        "admission_before_inclusion",
        "inclusion = { value = -5",
        "inclusion = { value = -3",
        "resources.initial_stay.admission",
        ("admission on day -5 is before inclusion (day -3)",),
        "a day from -3 to 0",
    ),
    Mistake(
        "stay_without_product",
        'initial_stay_axi", tisagenlecleucel = "@initial_stay_tisa_lbcl" }',
        'initial_stay_axi" }',
        "resources.initial_stay.length.lymphoma",
        ("lymphoma has no initial stay with 'tisagenlecleucel'",),
    ),
    Mistake(
        "limit_of_another_matrix",
        'lod        = "@lod_plasma"',
        'lod = { value = 30, evidence = "lod_whole_blood" }',
        "monitoring.lod",
        ("30 is @lod_whole_blood, but the matrix sampled is 'plasma'",),
        '"@lod_plasma", or a number of your own for plasma',
    ),
    Mistake(
        "limit_of_another_matrix_in_a_target",
        'lloq = "@lloq_plasma", every = 7',
        'lloq = { value = 35, evidence = "lloq_whole_blood" }, every = 7',
        "cmv.targets[0].measured_by.lloq",
        ("the matrix sampled is 'plasma'",),
        "@lloq_plasma",
    ),
    Mistake(
        "last_visit_late", "{ at = 90 }]", "{ at = 110 }]", "study.horizon", ("day 111", "horizon (104)"), "a later horizon"
    ),
    Mistake(
        "lod_above_lloq", 'lod        = "@lod_plasma"', "lod = 40", "monitoring", ("limit of detection (40)", "(35 IU/mL)")
    ),
    Mistake(
        "jitter", "jitter     = { value = 1", "jitter     = { value = 4", "monitoring", ("a jitter of 4 days",), "below half"
    ),
    Mistake(
        "at_least_below_lloq",
        '''definition     = "quantifiable"''',
        "definition = { at_least = 10 }",
        "analysis.definition",
        ("at_least = 10", "(35 IU/mL)"),
    ),
    Mistake(
        "at_least_text",
        '''definition     = "quantifiable"''',
        'definition = { at_least = "10" }',
        "analysis.definition",
        ("is no definition",),
        "{ at_least = 1000 }",
    ),
    Mistake(
        "schedule_both_forms",
        "{ at = 90 }]",
        "{ every = 7, at = 90 }]",
        "monitoring.schedule.value[2]",
        ("a schedule item is { every = days, to = day } or { at = day }",),
    ),
    Mistake("schedule_empty", SCHEDULE, "[]", "monitoring", ("at least one visit",)),
    Mistake("schedule_bare_item", "{ at = 90 }]", "90]", "monitoring.schedule.value[2]", ("90 is not a table",)),
    Mistake("baseline_after", "baseline   = { value = [0]", "baseline   = { value = [3]", "monitoring", ("baseline days",)),
    Mistake(
        "stop_order",
        "minimum_days = { value = 14",
        "minimum_days = { value = 90",
        "preemptive_therapy.stop_after",
        ("maximum_days (60) is below minimum_days (90)",),
    ),
    Mistake(
        "inclusion_after", "inclusion = { value = -5", "inclusion = { value = 5", "study.inclusion", ("at or before infusion",)
    ),
    Mistake(
        "nrm_above_death", 'dlbcl = "@death90_lbcl" }', "dlbcl = 0.01 }", "follow_up", ("non_relapse_mortality_by_90.dlbcl",)
    ),
    Mistake("death_certain", 'dlbcl = "@death90_lbcl" }', "dlbcl = 1 }", "follow_up", ("death_by_90", "no finite hazard")),
    Mistake("same_first", MEASUREMENTS, SWAPPED, "cmv.targets[0].measured_by", ("'same' is not a table",)),
    Mistake(
        "two_incidences",
        'measure     = "median_detection"',
        'measure     = "cumulative_incidence"',
        "cmv.targets[1]",
        ("an incidence of 19",),
    ),
    # ---- provenance
    Mistake(
        "varies_for_one",
        'lod        = "@lod_plasma"',
        "lod = { median = 20, varies = { sdlog = 0.3 } }",
        "monitoring.lod",
        ("one value is needed here",),
        "IU/mL",
    ),
    Mistake(
        "varies_reference_for_one",
        'lod        = "@lod_plasma"',
        'lod = "@cmv_doubling_time"',
        "monitoring.lod",
        ("one value is needed here",),
    ),
    Mistake(
        "centre_without_varies", '"@cmv_plateau_days"', "{ median = 7 }", "cmv.load.plateau", ("a centre and 'varies'",), "e.g."
    ),
    Mistake(
        "varies_mixed",
        '"@cmv_plateau_days"',
        "{ median = 7, varies = { sd = 2 } }",
        "cmv.load.plateau",
        ("unknown key 'sd'",),
        "known: high, low, sdlog",
    ),
    Mistake(
        "varies_negative",
        '"@cmv_plateau_days"',
        "{ median = 7, varies = { sdlog = -1 } }",
        "cmv.load.plateau",
        ("-1 is not allowed",),
    ),
    Mistake(
        "varies_empty_range",
        '"@cmv_plateau_days"',
        "{ median = 7, varies = { sdlog = 1, low = 9, high = 8 } }",
        "cmv.load.plateau",
        ("the truncation is empty",),
        "low must be below high",
    ),
    Mistake(
        "uncertain_two",
        "value = 0.93, assumed",
        "value = 0.93, uncertain = { beta = [1, 2], normal = [0, 1] }, assumed",
        "monitoring.attendance",
        ("names one distribution",),
        "beta, normal",
    ),
    Mistake(
        "uncertain_unknown",
        "value = 0.93, assumed",
        "value = 0.93, uncertain = { betta = [1, 2] }, assumed",
        "monitoring.attendance",
        ("unknown distribution 'betta'",),
        "did you mean 'beta'?",
    ),
    Mistake(
        "uncertain_negative",
        "value = 0.93, assumed",
        "value = 0.93, uncertain = { beta = [-1, 2] }, assumed",
        "monitoring.attendance",
        ("beta = [-1, 2] is no distribution",),
        "positive",
    ),
    Mistake(
        "uncertain_one_number",
        "value = 0.93, assumed",
        "value = 0.93, uncertain = { beta = [1] }, assumed",
        "monitoring.attendance",
        ("'beta' takes two numbers, not [1]",),
        "beta = [24, 55]",
    ),
    Mistake(
        "uncertain_number",
        "value = 0.93, assumed",
        "value = 0.93, uncertain = 0.1, assumed",
        "monitoring.attendance",
        ("names one distribution",),
    ),
    Mistake(
        "assumed_number",
        'attendance = { value = 0.93, assumed = "about one visit in fourteen missed" }',
        "attendance = { value = 0.93, assumed = 3 }",
        "monitoring.attendance",
        ("'assumed' must say why",),
    ),
    Mistake(
        "assumed_number_of_choice",
        '{ value = "plasma", assumed = "registry does not say" }',
        '{ value = "plasma", assumed = 3 }',
        "monitoring.matrix.assumed",
        ("3 is not text",),
    ),
    # ---- recruitment
    Mistake(
        "accrual_key",
        "participation = { value = 1",
        "participaton = { value = 1",
        "accrual.participaton",
        ("unknown key 'participaton'",),
        "did you mean 'participation'?",
    ),
    Mistake(
        "accrual_no_date", '"2024-04-17"', '"spring"', "accrual.start", ("'spring' is no date",), "a date such as 2024-04-17"
    ),
    Mistake("accrual_moment", '"2024-04-17"', "2024-04-17T09:00:00", "accrual.start", ("is no date",), "a date such as"),
    Mistake("accrual_number", '"2024-04-17"', "20240417", "accrual.start", ("20240417 is no date",), "a date such as"),
    Mistake(
        "accrual_closes_first",
        'start         = "2024-04-17"',
        'start = "2024-04-17"\ncloses = "2024-04-17"',
        "accrual",
        ("closes (2024-04-17) must be later than start (2024-04-17)",),
    ),
    Mistake(
        "accrual_closes_without_start",
        'start         = "2024-04-17"',
        'start = ""\ncloses = "2025-04-17"',
        "accrual",
        ("closes is a date: a start is needed too",),
    ),
    Mistake(
        "accrual_stratum",
        'strata           = ["ball_child"]',
        'strata = ["ball_chlid"]',
        "accrual.sites.paediatric.strata",
        ("there is no stratum 'ball_chlid'",),
        "did you mean 'ball_child'?",
    ),
    Mistake(
        "accrual_stratum_not_served",
        'strata           = ["ball_adult", "dlbcl"]',
        'strata = ["dlbcl"]',
        "accrual.sites",
        ("no site enrols patients of 'ball_adult'",),
        "a group with it among its strata",
    ),
    Mistake(
        "accrual_stratum_twice",
        'strata           = ["ball_child"]',
        'strata = ["ball_child", "ball_child"]',
        "accrual.sites.paediatric",
        ("at least one, each once",),
    ),
    Mistake(
        "accrual_part_of_a_site",
        "count            = { value = 6,",
        "count = { value = 6.5,",
        "accrual.sites.paediatric.count",
        ("6.5 is not allowed",),
        "a whole number",
    ),
    Mistake("accrual_rate", '"@accrual_child"', "0", "accrual.sites.paediatric.per_month", ("0 is not allowed",), "above 0"),
    Mistake(
        "accrual_cv",
        'per_month        = "@accrual_child"\nbetween_sites_cv = "@accrual_between_sites"',
        'per_month = "@accrual_child"\nbetween_sites_cv = 3.5',
        "accrual.sites.paediatric",
        ("between_sites_cv must be at most 3",),
    ),
    # ---- the file itself
    Mistake("no_format", "format = 1\n", "", "format", ("no key 'format'",), ""),
    Mistake("format_2", "format = 1\n", "format = 2\n", "format", ("2: this version reads format = 1",)),
    Mistake("format_text", "format = 1\n", 'format = "1"\n', "format", ("'1': this version reads format = 1",)),
    Mistake("format_bool", "format = 1\n", "format = true\n", "format", ("true: this version reads format = 1",)),
    Mistake("broken_toml", "patients  = 250", "patients  = ", "", ("is not valid TOML", "line 13")),
    Mistake("null", "patients  = 250", "patients  = null", "", ("is not valid TOML", "line 13")),
    Mistake(
        "duplicate_key", "patients  = 250", "patients  = 250\npatients  = 251", "", ("a key stands there twice", "line 14")
    ),
    Mistake("duplicate_section", "", "[study]\npatients = 3", "", ("is not valid TOML", "line")),
    Mistake("no_design", "[designs.precision]", "[designs]\n[not_a_design]", "not_a_design", ("unknown key 'not_a_design'",)),
)
