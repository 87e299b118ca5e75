"""Reading scenarios back: explain, cite, diff, new, and the verbs around them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.core.value import Value
from cmvsim.evidence import sources
from cmvsim.report.calibration_text import calibration_table
from cmvsim.scenarios import catalogue_ids, resolve
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.diff import ABSENT, as_text, diff
from cmvsim.scenarios.explain import explain
from cmvsim.scenarios.inputs import all_inputs, inputs
from cmvsim.scenarios.template import inline, new
from cmvsim.scenarios.words import in_words, interval, percent, quantity, visits
from cmvsim.verbs import scenarios as verbs

SECTIONS = [
    *("ASSUMED", "WHO", "TOXICITY", "COURSE", "VIROME", "SEEN", "TREATED", "PROPHYLAXIS", "INFECTIONS", "OUTCOME"),
    *("EQ-5D", "RESOURCES", "ASKED", "PLAN", "RECRUITMENT", "CAPACITY", "SOURCES"),
]
IDS = catalogue_ids()
EXAMPLES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))


def flat(text: str) -> str:
    return " ".join(text.split())


# ---- explain


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("show_all", [False, True])
def test_sections_stand_in_order(name, show_all):
    scenario = resolve(name)
    text = explain(scenario, show_all=show_all)
    heads = [line for line in text.splitlines()[1:] if line and not line.startswith(" ")]
    gives = any(strategy.prophylaxis == "letermovir" for strategy in scenario.spec.strategies.values())
    recruits = scenario.spec.accrual.recruits(scenario.spec.population)
    idle = {*([] if gives else ["PROPHYLAXIS"]), *([] if recruits else ["RECRUITMENT", "CAPACITY"])}
    expected = [section for section in SECTIONS if section not in idle]
    assert len(heads) == len(expected)
    assert all(re.match(rf"{section}[ ,]", head) for head, section in zip(heads, expected, strict=True))
    assert max(len(line) for line in text.splitlines()[1:]) <= 118


def test_assumptions_that_a_protocol_can_change_come_first_and_the_rest_is_counted():
    scenario = resolve("cmv-cart")
    assumed = [item.path for item in inputs(scenario.spec) if item.assumed is not None]
    short, long = explain(scenario), explain(scenario, show_all=True)
    whole = len(inputs(scenario.spec))
    assert f"({len(assumed)} of {whole} inputs, {percent(len(assumed) / whole)}; change them first)" in short
    rows = re.findall(r"^  ([a-z]\S+)", short, re.MULTILINE)
    assert rows[0] == "monitoring.matrix"
    assert all(row.startswith(("monitoring.", "preemptive_therapy.", "study.")) for row in rows)
    assert f"... {len(assumed) - len(rows)} more: `cmvsim scenarios explain cmv-cart --all`" in short
    assert sorted(re.findall(r"^  ([a-z]\S+\.\S+)", long, re.MULTILINE)) == sorted(assumed)
    assert "more: `cmvsim scenarios explain" not in long


def test_course_is_the_scenarios():
    text = flat(explain(resolve("cmv-cart")))
    assert "The hazard is solved so that 30% (95% interval 21 to 41) have quantifiable CMV DNA by day 90 under weekly" in text
    assert "half of them by day 19" in text
    assert "multiply the rate of onset by 1.8 (1.0 to 3.2) from the first dose to the last, fading over 42 days" in text
    assert "1 log10 IU/mL (10 times) higher" in text
    assert "DLBCL: 13% (9 to 18) die, 2.5% without relapse, and 40% relapse" in text


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("study.patients=123", "123 CMV-seropositive patients"),
        ("population.seropositive_enrolled=0.65", "250 patients: 80% DLBCL"),
        ("population.seropositive_enrolled=0.65", "Of those enrolled, 65% are CMV-seropositive"),
        ("cmv.targets[0].value=0.44", "The hazard is solved so that 44% have"),
        ("cmv.targets[0].day=75", "CMV DNA by day 75"),
        ("cmv.targets[1].value=23", "half of them by day 23"),
        ("cmv.onset.ratios.corticosteroids=3.3", "by 3.3 from the first dose"),
        ("cmv.onset.ratios.corticosteroids=1", "leave the rate of onset as it is"),
        ("toxicity.corticosteroids.washout=33", "fading over 33 days"),
        ("cmv.load.set_point_shift.corticosteroids=-0.5", "0.5 log10 IU/mL (3.2 times) lower"),
        ("follow_up.death_by_90.dlbcl=0.21", "DLBCL: 21% die"),
        ("follow_up.relapse_by_90.dlbcl=0.31", "31% relapse"),
        (
            "follow_up.death_ratios.clinically_significant=1.7",
            "multiplies the rate of death without relapse by 1.7 from then on",
        ),
        (
            "follow_up.death_ratios.disease=4.2",
            "CMV disease multiplies the rate of death without relapse by 4.2 from its onset",
        ),
        (
            "follow_up.death_ratios.disease=1",
            "CMV itself does not change the risk of death; only the infections that come with",
        ),
        ("follow_up.death_ratios.severe_infection=7", "a severe infection, while it lasts, × 7"),
        ("follow_up.death_ratios.score=1.4", "each standard deviation of immunosuppression × 1.4"),
        ("population.aciclovir_share=0.5", "(val)aciclovir in 50%"),
        ("population.strata.dlbcl.hematotox_high=0", "high CAR-HEMATOTOX in 12%"),
        ("toxicity.crs.severe.lymphoma.axicabtagene=0", "CRS in 76% (grade 3 or more: 5.3%)"),
        ("toxicity.icans.per_crs_grade=0", "(correlation 0.35). Fewer than 500 neutrophils"),
        ("toxicity.neutropenia.duration_high=20", "with a high CAR-HEMATOTOX 20 days"),
        ("toxicity.anakinra.use.lymphoma.axicabtagene=0.5", "anakinra in 29%"),
        ("cmv.onset.ratios.tocilizumab=1.4", "tocilizumab × 1.4 (14 days)"),
        ("cmv.onset.ratios.severe_icans=2.5", "severe ICANS × 2.5 (42 days)"),
        ("cmv.onset.ratios.high_anellovirus=1.9", "from then on: a TTV load of 3.45 log10 × 1.9"),
        ("cmv.onset.ratios.expansion=1.6", "each doubling of the CAR-T peak × 1.6"),
        ("cmv.onset.ratios.leukaemia=1.8", "leukaemia against lymphoma × 1.8"),
        ("cmv.onset.severe_toxicity_washout=10", "severe CRS × 1.5 (0.8 to 3.0; 10 days)"),
        ("cmv.load.self_limited.share=0.4", "Untreated, 40% of average episodes clear by themselves"),
        ("cmv.disease.hazard=0.01", "CMV disease: 30 per 100 patients and month with 1,000 IU/mL"),
        ("cmv.disease.slope=1", "(10 times as many at a tenfold load)"),
        ("virome.pegivirus.baseline.blood=0.2", "human pegivirus, blood: 20% and 3%"),
        ("preemptive_therapy.confirmations=1", "from 250 IU/mL of plasma and 1 more in a row"),
        ("preemptive_therapy.refractory_after=21", "if the load is not lower after 21 days"),
        ("preemptive_therapy.toxicity.neutropenia.probability=0.5", "On (val)ganciclovir 50% become neutropenic"),
        ("cmv.load.treated.refractory=0.3", "30% of episodes are refractory to the first drug"),
        ("cmv.load.treated.regrowth=0.7", "before clearance, 70% grow again"),
        ("infections.bacterial.early=0.4", "bacterial infection in 40% by day 28"),
        ("infections.fungal.ratios.cmv=2", "What multiplies that of fungal ones: while CMV replicates × 2,"),
        ("quality_of_life.changes.cmv_disease=-0.4", "CMV disease -0.4"),
        ("quality_of_life.visits=[-6,60]", "EQ-5D questionnaires on days -6, 60"),
        ("resources.initial_stay.severe_toxicity_days=9", "9 more with toxicity of grade 3 or more"),
        ("resources.cmv.admission.foscarnet=0.5", "50% (foscarnet)"),
        ("monitoring.attendance=0.81", "81% of the 10 after infusion made"),
        ("monitoring.lloq=77", "quantified from 77 IU/mL"),
        ("monitoring.jitter=0", "56, 70, 84, 90), 93%"),
        ("monitoring.schedule=[{ every = 3, to = 21 }, { at = 90 }]", "days 0-21 every 3 days, 90"),
        ("preemptive_therapy.start_at=1234", "Pre-emptive therapy from 1,234 IU/mL of plasma"),
        ("preemptive_therapy.accepted=0.66", "in 66% of the episodes"),
        ("analysis.definition={ at_least = 1000 }", "first sample of at least 1000 IU/mL on days 1-90"),
        ("analysis.definition=clinically_significant", "first treatment for CMV, or CMV disease, on days 1-90"),
        ("analysis.relapse=competing", "death, transplantation and relapse competing"),
        ("analysis.relapse=censor", "death and transplantation competing, censored at relapse"),
        ("analysis.hct=censor", "death competing, censored at transplantation"),
        ("analysis.prevalent=count", "DNAemia at infusion counted at day 0"),
        ("analysis.level=0.9", "90% CI (cloglog)"),
        ("designs.precision.target.half_width=0.08", "half-width at most 8 points"),
    ],
)
def test_what_is_changed_is_what_is_read(override, says):
    assert says not in flat(explain(resolve("cmv-cart")))
    assert says in flat(explain(resolve("cmv-cart", [override])))


@pytest.mark.parametrize(
    ("observed", "says"),
    [
        (0.28, "the expected estimate of the cumulative incidence is 28%, not 30% (Monte Carlo error 0.3 points)."),
        (0.302, "the expected estimate of the cumulative incidence is 30%, as above (Monte Carlo error 0.3 points)."),
    ],
)
def test_seen_compares_with_the_course(observed, says):
    assert says in flat(explain(resolve("cmv-cart"), observed=observed, mcse=0.003))


def test_another_definition_is_not_compared():
    text = flat(explain(resolve("cmv-cart", ["analysis.definition={ at_least = 1000 }"]), observed=0.05))
    assert "the expected estimate of the cumulative incidence is 5% (cmv_reactivation: at least 1000 IU/mL, by day 90)." in text
    assert "not 30%" not in text


def test_what_could_not_be_computed_is_not_quoted():
    assert "expected estimate" not in explain(resolve("cmv-cart"), observed=float("nan"), mcse=float("nan"))
    assert "expected estimate" not in explain(resolve("cmv-cart"))


@pytest.mark.parametrize(
    "override",
    ['analysis.endpoints=["cmv_leukaemia"]', "analysis.prevalent=count", "analysis.relapse=competing", "analysis.window=80"],
)
def test_another_question_is_not_compared(override):
    assert "not 30%" not in flat(explain(resolve("cmv-cart", [override]), observed=0.2))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ready_to_edit_files_are_good_and_short(path):
    scenario = resolve(str(path))
    assert scenario.id == path.stem
    assert scenario.digest != resolve("cmv-cart").digest
    assert len(path.read_text().splitlines()) < 40
    assert "WHO" in explain(scenario)


def test_a_stratum_without_share_is_not_spoken_of():
    scenario = resolve(str(next(path for path in EXAMPLES if path.stem == "lymphoma-only")))
    assert "B-ALL" not in explain(scenario).split("WHO")[1]
    named = [item.path for item in inputs(scenario.spec)]
    assert [path for path in named if "ball_" in path] == [
        "population.strata.ball_child.share",
        "population.strata.ball_adult.share",
    ]
    assert not [path for path in named if ".leukaemia." in path]
    assert [path for path in named if path == "follow_up.death_by_90.dlbcl"]


def test_null_says_that_nothing_acts_and_confounded_where_cmv_does_not():
    null, confounded = (flat(explain(resolve(name))) for name in ("null", "null-confounded"))
    for says in (
        "Corticosteroids (in 38% of patients) leave the rate of onset as it is. An episode starts",
        "None of it acts on CMV.",
        "Nothing multiplies that rate.",
        "CMV itself does not change the risk of death. EQ-5D",
    ):
        assert says in null
    assert "CMV itself does not change the risk of death. What multiplies" in confounded
    assert "while CMV replicates" not in confounded


def test_death_is_said_to_depend_on_cmv_where_a_ratio_acts():
    text = flat(explain(resolve("cmv-cart")))
    assert "CMV itself does not change the risk of death" not in text
    assert "CMV disease multiplies the rate of death without relapse by 3 " in text


def test_strategies_are_read_back():
    text = flat(explain(resolve("letermovir-strategies")))
    for says in (
        "universal: letermovir 480 mg a day to all, from day 0 for 90 days",
        "with at least 1 of lymphocytes below 0.35 x 10^9/L and a prior allogeneic transplant, from day 0",
        "steroid_triggered: letermovir 480 mg a day to all, from the first dose of corticosteroids and 1 day for 28 days",
        "with a measured TTV load of at least 4 log10 copies/mL on day 14 (known after 3 days), from the result and 1 day",
        "the hazard ratio of any DNAemia is 0.6 (0.37 to 0.98) and of clinically significant infection 0.25",
    ):
        assert says in text
    given = ["letermovir.effect=given", "letermovir.given={ onset_ratio = 0.7, set_point_shift = -0.5 }"]
    assert "multiplies the rate of onset by 0.7 and shifts the plateau of episodes that begin on it by -0.5 log10" in flat(
        explain(resolve("letermovir-strategies", given))
    )
    none = flat(explain(resolve("letermovir-strategies", ["letermovir.effect=none"])))
    assert "The drug is taken and changes nothing." in none
    assert "Afterwards" not in none


def test_events_are_listed_as_events():
    stops = ['letermovir.stopped_by=["preemptive_therapy", "hct", "new_therapy"]']
    scenario = resolve("letermovir-trial", stops)
    words = {item.path: in_words(item) for item in inputs(scenario.spec)}
    assert words["letermovir.stopped_by"] == "preemptive therapy, hct, new therapy"
    assert "others at preemptive therapy, transplantation and new therapy" in flat(explain(scenario))


def test_clinicians_tests_are_read_back(tmp_path):
    (tmp_path / "clinic.toml").write_text(
        'extends = "cmv-cart"\n[population]\nretrospective_share = 0.5\n[monitoring.clinical]\n'
        "phases = [{ start = -10, odds = 0.25 }, { start = 29, odds = 0.05 }]\ninpatient = 3\ncorticosteroids = 2\ncrs = 1\n"
        "neutropenia = 1\nscore = 1\nfollow_up_every = 4\nbetween_visits = false\n"
    )
    scenario = resolve(str(tmp_path / "clinic.toml"))
    text = flat(explain(scenario))
    assert (
        "Clinicians test when they have a reason, in the retrospective patients: outpatients on 20% of days from day -10"
        in text
    )
    assert "to the visit of day 90 from infusion, 50% of them retrospectively." in text
    assert "after a detected result every 4 days until two in a row are negative" in text
    assert "Odds ratios of a clinician's test: inpatients × 3 and corticosteroids × 2." in flat(
        explain(scenario, show_all=True)
    )


# ---- inputs that concern nothing


def test_a_drug_that_no_strategy_gives_is_no_input():
    base = {item.path for item in inputs(resolve("cmv-cart").spec)}
    trial = {item.path for item in inputs(resolve("letermovir-trial").spec)}
    assert not [path for path in base if "letermovir" in path]
    assert {"letermovir.adherence", "letermovir.targets.any_dnaemia", "resistance.letermovir"} <= trial
    assert "Marty 2017" not in cite(resolve("cmv-cart")).as_text()
    none = {item.path for item in inputs(resolve("letermovir-trial", ["letermovir.effect=none"]).spec)}
    assert trial - none == {
        "resistance.letermovir",
        "letermovir.disease_ratio",
        *(f"letermovir.targets.{name}" for name in ("any_dnaemia", "clinically_significant")),
        *(f"letermovir.rebound.{name}" for name in ("ratio", "days", "step")),
    }


def test_what_is_not_sampled_is_no_input():
    plasma = {item.path for item in inputs(resolve("cmv-cart").spec)}
    blood = {item.path for item in inputs(resolve("cmv-cart-whole-blood").spec)}
    assert "cmv.matrices.whole_blood.offset" not in plasma
    assert "cmv.matrices.whole_blood.offset" in blood
    assert "virome.redondovirus.baseline.oropharynx" in plasma
    assert "virome.redondovirus.baseline.blood" not in plasma
    sampled = resolve("cmv-cart", ["virome.redondovirus.sampled=blood"])
    assert "virome.redondovirus.baseline.blood" in {item.path for item in inputs(sampled.spec)}


@pytest.mark.parametrize("name", IDS)
def test_what_is_left_out_is_still_shown_and_compared(name):
    scenario = resolve(name)
    left_out = {item.path for item in all_inputs(scenario.spec)} - {item.path for item in inputs(scenario.spec)}
    assert left_out
    changed = resolve("cmv-cart", ["letermovir.adherence=0.5"])
    assert [row.path for row in diff(resolve("cmv-cart"), changed)] == ["letermovir.adherence"]


def test_words():
    assert [percent(x) for x in (0.93, 0.025, 0.0051, 0.07, 1.0, 0.0)] == ["93%", "2.5%", "0.51%", "7%", "100%", "0%"]
    assert quantity(1, "days") == "1 day"
    assert quantity(1500, "IU/mL") == "1,500 IU/mL"
    assert visits((7, 14, 21, 28, 42, 90)) == "days 7-28 weekly, 42, 90"
    assert visits((3, 6, 9, 12)) == "days 3-12 every 3 days"
    assert visits((90,)) == "day 90"
    assert interval(Value(value=0.3)) == ""


# ---- cite


@pytest.mark.parametrize("name", IDS)
def test_every_input_is_cited_assumed_or_owned_exactly_once(name):
    scenario = resolve(name)
    found = cite(scenario)
    cited = {path for paper in found.papers for reason in paper.reasons for path in reason.inputs}
    assumed = [item.input for item in found.assumptions]
    assert len(assumed) == len(set(assumed))
    assert not cited & set(assumed)
    assert cited | set(assumed) | set(found.own) == {item.path for item in inputs(scenario.spec)}
    assert all(paper.source in sources() and paper.reasons for paper in found.papers)
    assert all(item.why for item in found.assumptions)


def test_cite_gives_the_reason_and_the_place():
    found = cite(resolve("cmv-cart"))
    kampouri = next(paper for paper in found.papers if paper.source == "kampouri2024")
    assert kampouri.name == "Kampouri 2024"
    entries = {reason.entry: reason for reason in kampouri.reasons}
    assert entries["p_any90_plasma_weekly"].inputs == ("cmv.targets[0].value",)
    assert entries["p_any90_plasma_weekly"].value == "30%"
    assert entries["p_any90_plasma_weekly"].measures
    assert entries["p_any90_plasma_weekly"].grade == "derived"
    lin = next(paper for paper in found.papers if paper.source == "lin2024")
    timing = next(reason for reason in lin.reasons if reason.entry == "cmv_detection_median")
    assert (timing.grade, timing.locator, timing.value) == ("found", "abstract", "day 19")
    text = found.as_text()
    assert text.index("Kampouri") < text.index("Assumed, with no paper behind it")
    assert found.as_dict()["scenario"] == "cmv-cart"


def test_a_number_of_ones_own_is_neither_cited_nor_assumed():
    found = cite(resolve("cmv-cart", ["monitoring.lloq=50"]))
    assert "monitoring.lloq" in found.own
    assert "monitoring.lloq" in found.as_text().splitlines()[-1]


# ---- diff


def test_a_scenario_does_not_differ_from_itself():
    assert diff(resolve("null"), resolve("null")) == ()
    assert "the same" in as_text((), "a", "b")


def test_diff_lists_what_a_file_changed_and_nothing_else():
    rows = {row.path: row for row in diff(resolve("cmv-cart"), resolve("cmv-cart-whole-blood"))}
    assert set(rows) == {
        "monitoring.matrix",
        "monitoring.lod",
        "monitoring.lloq",
        "cmv.onset.prevalent",
        "preemptive_therapy.start_at",
        "preemptive_therapy.accepted",
    }
    assert (rows["monitoring.matrix"].left, rows["monitoring.matrix"].right) == ("plasma", "whole blood")


def test_diff_shows_uncertainty_reasons_and_missing_keys(tmp_path):
    (tmp_path / "a.toml").write_text(
        'extends = "cmv-cart"\n[monitoring]\nattendance = { value = 0.93, assumed = "mine" }\n[designs.other]\n'
        'kind = "single_arm_precision"\n[cmv.onset.ratios]\ntocilizumab = { value = 1.15, uncertain = { beta = [1, 2] } }\n'
    )
    rows = {row.path: row for row in diff(resolve("cmv-cart"), resolve(str(tmp_path / "a.toml")))}
    assert rows["monitoring.attendance"].words_only
    assert rows["monitoring.attendance"].right == "93%; assumed: mine"
    assert not rows["cmv.onset.ratios.tocilizumab"].words_only
    assert "uncertain: beta [1.0, 2.0]" in rows["cmv.onset.ratios.tocilizumab"].right
    assert rows["designs.other.kind"].left == ABSENT
    lines = as_text(tuple(rows.values()), "a", "b").splitlines()
    assert len(lines) == len(rows) + 1


# ---- new


@pytest.mark.parametrize("name", IDS)
def test_a_new_file_is_its_base_until_it_is_edited(name, tmp_path):
    file = verbs.new(name, tmp_path / "mine.toml")
    scenario = resolve(str(file))
    assert scenario.digest == resolve(name).digest
    assert scenario.id == "mine"


@pytest.mark.parametrize("name", IDS)
def test_all_lines_of_a_new_file_can_be_uncommented(name, tmp_path):
    head, body = new(name).split("\n[study]", 1)
    lines = [re.sub(r"^# (\w+ = )", r"\1", line) for line in ("[study]" + body).splitlines()]
    assert not any(line.startswith("#") for line in lines)
    (tmp_path / "mine.toml").write_text(head + "\n" + "\n".join(lines))
    assert resolve(str(tmp_path / "mine.toml")).digest == resolve(name).digest
    assert set(tomllib.loads("\n".join(lines))) == {"study", "monitoring", "preemptive_therapy", "analysis", "designs"}


def test_new_extends_a_file_seen_from_its_own_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    base = verbs.new("cmv-cart", tmp_path / "base.toml")
    file = verbs.new(str(base), tmp_path / "deep" / "my study 2.toml")
    assert 'extends = "../base.toml"' in file.read_text()
    assert resolve(str(file)).id == "my-study-2"


def test_new_refuses_to_overwrite(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        verbs.new("cmv-cart", file)
    assert file.read_text() == "mine"
    verbs.new("cmv-cart", file, force=True)
    assert "extends" in file.read_text()


@pytest.mark.parametrize(
    ("place", "says"), [("none/mine.toml", "does not exist"), ("mine.txt", "ends in .toml"), ("dir.toml", "is a folder")]
)
def test_new_refuses_places(tmp_path, place, says):
    (tmp_path / "dir.toml").mkdir()
    with pytest.raises(InputError, match=says):
        verbs.new("cmv-cart", tmp_path / place)


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(TOML_VALUES)
def test_inline_toml_reads_back(value):
    assert tomllib.loads(f"x = {inline(value)}")["x"] == value


# ---- verbs


def test_list_and_show():
    assert [name for name, _ in verbs.list_scenarios()] == list(IDS)
    assert all(title for _, title in verbs.list_scenarios())
    assert verbs.show("null").startswith("#")
    assert '"digest"' in verbs.show("null", resolved=True)
    assert '"patients": 99' in verbs.show("null", resolved=True, overrides=["study.patients=99"])
    with pytest.raises(InputError, match="add --resolved"):
        verbs.show("null", overrides=["study.patients=99"])


def test_check_tells_every_problem_of_every_file(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "cmv-cart"\n[study]\npatients = 0\n[monitoring]\nattendance = 2\n')
    good, bad, none = verbs.check(["cmv-cart", str(tmp_path / "a.toml"), str(tmp_path / "b.toml")])
    assert good.ok
    assert good.digest == resolve("cmv-cart").digest
    assert [problem.at for problem in bad.problems] == ["study.patients", "monitoring.attendance"]
    assert not none.ok


def test_schema_and_diff_and_cite_verbs():
    assert verbs.schema()["title"] == "cmvsim scenario"
    assert "monitoring.matrix" in verbs.diff_text("cmv-cart", "cmv-cart-whole-blood")
    rows = verbs.diff("cmv-cart", "cmv-cart", right_set=["study.patients=10"])
    assert [(row.path, row.left, row.right) for row in rows] == [("study.patients", "250", "10")]
    assert verbs.cite("null").scenario == "null"


def test_calibrate_and_explain_agree():
    calibration = verbs.calibrate("cmv-cart")
    table = calibration_table(calibration)
    assert len(table.split("\n\n")[0].splitlines()) == 1 + len(calibration.targets) + len(calibration.checks)
    row = next(line for line in table.splitlines() if line.startswith("solved") and "cumulative_incidence" in line)
    assert re.split(r"\s{2,}", row)[3:5] == ["0.3", "0.213 to 0.415"]
    text = flat(verbs.explain("cmv-cart"))
    assert re.search(r"the cumulative incidence is (2\d%, not 30%|30%, as above) \(Monte Carlo error 0\.\d points\)", text)
    assert verbs.explain("cmv-cart") == verbs.explain("cmv-cart")
