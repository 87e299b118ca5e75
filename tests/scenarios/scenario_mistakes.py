"""One mistake each: edits of the registered scenario's text, and what the message must say.

A mistake is (name, old text, new text, key path, words the message must hold, words of what is allowed). The file name
is always asked for. An empty `old` appends to the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmvsim.scenarios import catalogue_text

TARGET_VALUE = 'value       = "@p_any90_plasma_weekly"'
SCHEDULE = "[{ every = 7, to = 42 }, { every = 14, to = 84 }, { at = 90 }]"


@dataclass(frozen=True)
class Mistake:
    name: str
    old: str
    new: str
    at: str
    says: tuple[str, ...]
    allows: str = ""

    def text(self) -> str:
        good = catalogue_text("cmv-cart")
        if not self.old:
            return good + "\n" + self.new + "\n"
        assert good.count(self.old) == 1, f"{self.name}: {self.old!r} is there {good.count(self.old)} times"
        return good.replace(self.old, self.new)


MISTAKES = (
    # ---- misspelt and superfluous keys, at every depth
    Mistake("key_top", "", "[analisys]", "analisys", ("unknown key 'analisys'",), "did you mean 'analysis'?"),
    Mistake("key_section", "[study]", "[study]\npatient = 3", "study.patient", ("unknown key 'patient'",), "did you mean 'patients'?"),
    Mistake("key_stratum", 'label    = "DLBCL"', 'label    = "DLBCL"\nlymphocyte = 0.5',
            "population.strata.dlbcl.lymphocyte", ("unknown key 'lymphocyte'",), "did you mean 'lymphocytes'?"),
    Mistake("key_ratio", "ratios        = { corticosteroids", 'ratios        = { corticosteroid = 2, corticosteroids',
            "cmv.onset.ratios.corticosteroid", ("unknown key 'corticosteroid'",), "did you mean 'corticosteroids'?"),
    Mistake("key_target", "published   = [9, 31]", "published   = [9, 31]\npublised = 3", "cmv.targets[1].publised",
            ("unknown key 'publised'",), "did you mean 'published'?"),
    Mistake("key_measured_by", "every = 7, to = 90, attendance", "evry = 7, every = 7, to = 90, attendance",
            "cmv.targets[0].measured_by.evry", ("unknown key 'evry'",), "did you mean 'every'?"),
    Mistake("key_schedule_item", "{ at = 90 }]", "{ at = 90, evry = 3 }]", "monitoring.schedule[2].evry",
            ("unknown key 'evry'",), "did you mean 'every'?"),
    Mistake("key_stop_rule", "stop_after = { negatives", "stop_after = { negative = 1, negatives",
            "preemptive_therapy.stop_after.negative", ("unknown key 'negative'",), "did you mean 'negatives'?"),
    Mistake("key_design", "target = { half_width = 0.06", "target = { half_widht = 0.1, half_width = 0.06",
            "designs.precision.target.half_widht", ("unknown key 'half_widht'",), "did you mean 'half_width'?"),
    Mistake("key_value", 'attendance = { value = 0.93, assumed =', 'attendance = { value = 0.93, assume =',
            "monitoring.attendance", ("unknown key 'assume'",), "did you mean 'assumed'?"),
    Mistake("key_stated", '{ value = "plasma", assumed =', '{ value = "plasma", assume =', "monitoring.matrix",
            ("unknown key 'assume'",), "did you mean 'assumed'?"),
    Mistake("key_far_off", "[study]", "[study]\nzzz = 3", "study.zzz", ("unknown key 'zzz'",),
            "known: horizon, inclusion, patients, registry"),
    Mistake("key_missing", 'withdrawn_by_90 = "@withdrawn90"', "", "follow_up.withdrawn_by_90",
            ("the key 'withdrawn_by_90' is missing",)),
    Mistake("section_missing", "[study]", "[studyy]", "", ("studyy",)),
    Mistake("table_missing_value", '{ value = 0.93, assumed', "{ assumed", "monitoring.attendance",
            ("the key 'value' is missing",)),
    # ---- numbers out of range, or no numbers
    Mistake("probability", "value = 0.93", "value = 1.3", "monitoring.attendance", ("1.3",), "a number from 0 to 1"),
    Mistake("probability_nan", "value = 0.93", "value = nan", "monitoring.attendance", ("nan",), "a number from 0 to 1"),
    Mistake("negative_days", "turnaround = { value = 1", "turnaround = { value = -1", "monitoring.turnaround", ("-1",),
            "a number of at least 0, days"),
    Mistake("infinite_days", "turnaround = { value = 1", "turnaround = { value = inf", "monitoring.turnaround", ("inf",),
            "a number of at least 0, days"),
    Mistake("zero_load", 'lloq       = "@lloq_plasma"', "lloq = 0", "monitoring.lloq", ("0 is not allowed",), "above 0, IU/mL"),
    Mistake("correlation", 'severity_loading = "@toxicity_loading"', "severity_loading = 1.5", "toxicity.severity_loading",
            ("1.5",), "from -1 to 1"),
    Mistake("fraction_count", "negatives = { value = 2", "negatives = { value = 2.5",
            "preemptive_therapy.stop_after.negatives", ("2.5",), "a whole number"),
    Mistake("text_for_number", "value = 0.93", 'value = "0.93"', "monitoring.attendance", ("'0.93' is not a number",),
            "a number from 0 to 1"),
    Mistake("bare_text", 'lod        = "@lod_plasma"', 'lod = "low"', "monitoring.lod", ("'low' is not a number",), "IU/mL"),
    Mistake("bool_for_number", "value = 0.93", "value = true", "monitoring.attendance", ("true is not a number",),
            "a number from 0 to 1"),
    Mistake("date_for_number", "value = 0.93", "value = 2024-01-01", "monitoring.attendance", ("2024-01-01 is not a number",)),
    Mistake("list_for_number", 'lod        = "@lod_plasma"', "lod = [20]", "monitoring.lod", ("[20] is not a number",)),
    Mistake("patients_text", "patients  = 250", 'patients  = "250"', "study.patients", ("'250'", "whole number")),
    Mistake("patients_bool", "patients  = 250", "patients  = true", "study.patients", ("true", "whole number")),
    Mistake("patients_zero", "patients  = 250", "patients  = 0", "study.patients", ("0", "at least 1")),
    Mistake("patients_fraction", "patients  = 250", "patients  = 250.5", "study.patients", ("250.5", "whole number")),
    Mistake("level", "level          = 0.95", "level = 95", "analysis.level", ("95", "below 1")),
    Mistake("half_width", "half_width = 0.06,", "half_width = 6,", "designs.precision.target.half_width", ("6", "below 0.5")),
    Mistake("age", "age      = [1, 17]", "age      = [17, 1]", "population.strata.ball_child", ("[17", "youngest")),
    Mistake("age_three", "age      = [1, 17]", "age      = [1, 10, 17]", "population.strata.ball_child.age", ("two",)),
    Mistake("incidence_of_one", TARGET_VALUE, "value = 1.0", "cmv.targets[0]", ("an incidence of 1",)),
    # ---- shapes
    Mistake("number_for_table", "matrices]", "matrices]\nplasma2 = 3\n[cmv.zz]", "", ("matriczz",)),
    Mistake("array_for_table", "score_loadings      = {", "score_loadings = [3]\nscore_loadings2 = {", "", ("",)),
    Mistake("table_for_array", '["cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma"]', '"cmv_reactivation"',
            "analysis.endpoints", ("'cmv_reactivation'", "list")),
)
