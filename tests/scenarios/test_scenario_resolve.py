"""Properties of the resolved form: what changes its digest, what does not, and how files extend each other."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping

import pytest
from pydantic import BaseModel

from cmvsim.core.canonical import canonical_json
from cmvsim.core.errors import InputError
from cmvsim.core.spec import key_path
from cmvsim.core.value import Between, Stated, Uncertain, Value
from cmvsim.endpoints import AnalysisSpec
from cmvsim.evidence import parameter
from cmvsim.models.strategies import StrategySpec, check_strategies
from cmvsim.models.toxicity import DRUGS
from cmvsim.scenarios import ResolvedScenario, catalogue_ids, catalogue_text, resolve
from cmvsim.scenarios.inputs import inputs
from cmvsim.scenarios.load import load_tree, merge
from cmvsim.scenarios.resolve import resolve_tree
from cmvsim.verbs.scenarios import show

IDS = catalogue_ids()
STUDY_DESIGN = {  # facts of the study or of a target's cohort: neither published estimates nor assumptions
    "population.strata.ball_child.products.tisagenlecleucel",  # the only product licensed under 18 years
    "cmv.targets[0].day",
    "cmv.targets[1].day",  # three months
    "cmv.targets[0].measured_by.attendance",  # a target is net of missed visits
}
STRATEGY_DESIGN = re.compile(
    r"strategies\.\w+\.(start\.(day|delay)|duration|dose|latest_stop|who\.baseline\.points)"
    r"|economics\.letermovir_prices\[\d\]\.dose"
)
"""What a strategy is, is nobody's finding; whom it selects by a level needs a reason."""


class Dumped:
    """Stands for a specification that dumps a given tree: its rules (shares that add up) have tests of their own."""

    def __init__(self, tree):
        self.tree = tree

    def model_dump(self, mode):
        assert mode == "json"
        return self.tree


def get(tree, path):
    for part in path:
        tree = tree[part]
    return tree


def leaves(tree, path=()):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


TREE = resolve("cmv-cart", ["cmv.calibrated_on=own"]).as_dict()
NUMBERS = [
    path
    for path, value in leaves(TREE)
    if isinstance(value, int | float) and not isinstance(value, bool) and path[0] not in {"format", "economics"}
]


def test_the_catalogue_holds_what_is_promised():
    assert {"cmv-cart", "cmv-cart-whole-blood", "null", "null-confounded"} <= set(IDS)


@pytest.mark.parametrize("name", IDS)
def test_resolved_form_reads_back_as_itself(name):
    scenario = resolve(name)
    again = ResolvedScenario.of_dict(json.loads(canonical_json(scenario.as_dict())), source=name)
    assert again.digest == scenario.digest
    assert canonical_json(again.as_dict()) == canonical_json(scenario.as_dict())


def test_comments_order_and_words_do_not_change_the_digest(tmp_path):
    text = catalogue_text("cmv-cart")
    lines = [line.split("  #")[0] for line in text.splitlines() if not line.startswith("#")]
    bare = "\n".join(lines).replace('label    = "DLBCL"', 'label = "Large cell"').replace("registry does not say", "because")
    bare = bare.replace('title  = "CMV', 'title = "My CMV').replace('id     = "cmv-cart"', 'id = "mine"')
    bare = bare.replace("NCT06058858", "NCT00000000")
    assert bare != text
    (tmp_path / "mine.toml").write_text(bare)
    assert resolve(str(tmp_path / "mine.toml")).digest == resolve("cmv-cart").digest


def test_order_of_sections_does_not_change_the_digest():
    tree = load_tree("cmv-cart")
    turned = dict(reversed(tree.items()))
    straight = resolve("cmv-cart")
    assert ResolvedScenario(resolve_tree(turned, "t"), "t", basis=straight.basis).digest == straight.digest


def test_there_are_many_numbers():
    assert len(NUMBERS) > 150


@pytest.mark.parametrize("path", NUMBERS, ids=key_path)
def test_every_number_changes_the_digest(path):
    """Moved a little, so that it stays allowed; shares that must add up are moved against validation."""
    tree = copy.deepcopy(TREE)
    old = get(tree, path)
    get(tree, path[:-1])[path[-1]] = old + 1 if isinstance(old, int) else old * 0.999 if old else 1e-6
    assert ResolvedScenario(Dumped(tree), "t").digest != ResolvedScenario(Dumped(TREE), "t").digest


def test_what_values_strategies_is_no_part_of_the_digest():
    """The hazards are solved once per digest, and no price moves them; a run of `economics` has the section in its request."""
    assert resolve("cmv-cart", ["economics.discount_costs=0.03"]).digest == resolve("cmv-cart").digest


@pytest.mark.parametrize(
    "override",
    [
        "analysis.prevalent=count",
        "analysis.relapse=competing",
        "analysis.hct=censor",
        "analysis.definition=detected",
        "analysis.interval=log",
        'analysis.endpoints=["cmv_lymphoma"]',
        "monitoring.baseline=[-5, 0]",
        "analysis.definition={ at_least = 1000 }",
        "cmv.targets[0].value=0.27",
    ],
)
def test_every_choice_changes_the_digest(override):
    assert resolve("cmv-cart", [override]).digest != resolve("cmv-cart").digest


OF_WHOLE_BLOOD = [
    "monitoring.lod=@lod_whole_blood",
    "monitoring.lloq=@lloq_whole_blood",
    "preemptive_therapy.start_at=@treatment_threshold_whole_blood",
    "preemptive_therapy.accepted=@treatment_accepted_whole_blood",
]


def test_another_matrix_brings_its_own_limits_or_is_refused():
    """Silently keeping the limits and the threshold of plasma would call half of whole blood positive."""
    with pytest.raises(InputError) as caught:
        resolve("cmv-cart", ["monitoring.matrix=whole_blood"])
    assert [f"{p.at}={p.allowed.split(',')[0]}".replace('"', "") for p in caught.value.problems] == OF_WHOLE_BLOOD
    changed = resolve("cmv-cart", ["monitoring.matrix=whole_blood", *OF_WHOLE_BLOOD])
    assert changed.digest != resolve("cmv-cart").digest
    own = ["monitoring.lod=60", "monitoring.lloq=300", "preemptive_therapy.start_at=2000", "preemptive_therapy.accepted=1"]
    assert float(resolve("cmv-cart", ["monitoring.matrix=whole_blood", *own]).spec.monitoring.lod) == 60


CLINICAL = (
    "monitoring.clinical={ phases = [{ start = %d, odds = 0.1 }], inpatient = 1, corticosteroids = 1, crs = 1, "
    "neutropenia = 1, score = 1, follow_up_every = 7, between_visits = true }"
)


def test_clinicians_may_test_from_inclusion_on():
    assert resolve("cmv-cart", [CLINICAL % -5]).spec.monitoring.clinical is not None
    with pytest.raises(InputError) as caught:
        resolve("cmv-cart", [CLINICAL % 0])
    (problem,) = caught.value.problems
    assert problem.at == "monitoring.clinical.phases"
    assert "the first phase begins on day 0, after inclusion (day -5)" in problem.message


def test_two_parts_are_told_apart_by_who_tests():
    spec, base = resolve("cmv-cart-two-parts").spec, resolve("cmv-cart").spec
    assert 0 < float(spec.population.retrospective_share) < 1
    assert spec.monitoring.clinical is not None
    assert spec.monitoring.clinical.between_visits
    assert spec.cmv == base.cmv
    assert spec.monitoring.model_copy(update={"clinical": None}) == base.monitoring


@pytest.mark.parametrize(
    ("name", "strata"),
    [("ball-paediatric", {"ball_child"}), ("lbcl-adult", {"dlbcl"}), ("cmv-cart", {"ball_child", "ball_adult", "dlbcl"})],
)
def test_populations_are_who_they_say(name, strata):
    spec, base = resolve(name).spec, resolve("cmv-cart").spec
    assert {key for key, stratum in spec.population.strata.items() if float(stratum.share) > 0} == strata
    assert spec.cmv == base.cmv  # the disease of the registered cohort


def test_set_of_the_same_value_changes_nothing():
    assert resolve("cmv-cart", ["monitoring.lloq=@lloq_plasma", "study.patients=250"]).digest == resolve("cmv-cart").digest


def test_set_applies_in_order_and_is_kept():
    scenario = resolve("cmv-cart", ["study.patients=100", "study.patients=120"])
    assert scenario.spec.study.patients == 120
    assert scenario.overrides == ("study.patients=100", "study.patients=120")


# ---- extends


def test_merge_goes_key_by_key_and_replaces_values_whole():
    base = {"a": {"x": {"value": 1, "assumed": "why"}, "y": 2}, "list": [1, 2], "b": 1}
    over = {"a": {"x": {"value": 3}}, "list": [3]}
    assert merge(base, over) == {"a": {"x": {"value": 3}, "y": 2}, "list": [3], "b": 1}
    assert base["a"]["x"] == {"value": 1, "assumed": "why"}


def test_extending_changes_only_what_is_named(tmp_path):
    (tmp_path / "mine.toml").write_text('id = "mine"\nextends = "cmv-cart"\n[monitoring]\nattendance = 0.8\n')
    mine, base = resolve(str(tmp_path / "mine.toml")).spec, resolve("cmv-cart").spec
    assert float(mine.monitoring.attendance) == 0.8
    assert mine.monitoring.attendance.assumed is None
    assert mine.model_copy(update={"id": base.id, "monitoring": base.monitoring}) == base
    assert mine.monitoring.model_copy(update={"attendance": base.monitoring.attendance}) == base.monitoring


def test_extends_a_file_beside_it(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "base.toml").write_text('extends = "cmv-cart"\n[study]\npatients = 60\n')
    (tmp_path / "deep" / "mine.toml").write_text('extends = "../base.toml"\n[analysis]\nlevel = 0.9\n')
    spec = resolve(str(tmp_path / "deep" / "mine.toml")).spec
    assert (spec.study.patients, spec.analysis.level) == (60, 0.9)


# ---- what the built-in scenarios say


@pytest.mark.parametrize("name", IDS)
def test_every_input_has_a_paper_a_reason_or_is_study_design(name):
    unsourced = {item.path for item in inputs(resolve(name).spec) if item.evidence is None and item.assumed is None}
    assert {path for path in unsourced if not STRATEGY_DESIGN.fullmatch(path)} <= STUDY_DESIGN


@pytest.mark.parametrize("name", IDS)
def test_evidence_reaches_the_scenario_unchanged(name):
    found = [item for item in inputs(resolve(name).spec) if item.evidence is not None]
    assert len(found) > 40
    for item in found:
        entry = parameter(item.evidence)
        if isinstance(item.value, Stated):  # a paper's matrix or schedule is no number
            continue
        number = item.value.centre if isinstance(item.value, Between) else item.value.value
        assert number == entry.centre
        assert item.value.uncertain == entry.uncertain
        assert (item.assumed is not None) == (entry.grade == "assumed")


def test_a_measurement_that_is_repeated_is_one_input():
    paths = [item.path for item in inputs(resolve("cmv-cart").spec)]
    assert len(paths) == len(set(paths))
    assert "cmv.targets[0].measured_by.lloq" in paths
    assert not [path for path in paths if path.startswith("cmv.targets[1].measured_by")]


def test_units_come_from_the_types():
    units = {item.path: item.unit for item in inputs(resolve("cmv-cart").spec)}
    assert units["follow_up.death_by_90.dlbcl"] == "proportion"
    assert units["toxicity.corticosteroids.use.lymphoma.axicabtagene"] == "proportion"
    assert units["monitoring.lloq"] == "IU/mL"
    assert units["cmv.load.doubling_time"] == "days"
    assert units["monitoring.matrix"] == ""
    assert units["kinetics.lymphoma.axicabtagene.contraction"] == "per day"
    assert units["kinetics.assays.cells.lloq"] == "units of the assay"
    assert units["toxicity.crs.any.lymphoma.axicabtagene"] == "proportion"
    assert units["toxicity.icans.per_crs_grade"] == "log odds per grade"
    assert units["cmv.targets[0].value"] == "proportion"
    kinds = {type(item.value) for item in inputs(resolve("cmv-cart").spec)}
    assert {kind.__name__.split("[")[0] for kind in kinds} == {Value.__name__, Between.__name__, Stated.__name__}


def test_registered_study():
    spec = resolve("cmv-cart").spec
    assert (spec.study.registry, spec.study.patients, spec.analysis.window) == ("NCT06058858", 250, 90)
    assert spec.analysis.primary == "cmv_reactivation"
    assert set(spec.strategies) == {"preemptive"}
    assert {stratum.disease for stratum in spec.population.strata.values()} == {"leukaemia", "lymphoma"}
    assert float(spec.follow_up.death_by_90["dlbcl"]) > float(spec.follow_up.death_by_90["ball_child"])


def test_whole_blood_is_another_test_of_the_same_disease():
    blood, plasma = resolve("cmv-cart-whole-blood").spec, resolve("cmv-cart").spec
    assert blood.monitoring.matrix.value == "whole_blood"
    assert float(blood.monitoring.lloq) > float(plasma.monitoring.lloq)
    assert float(blood.preemptive_therapy.start_at) > float(plasma.preemptive_therapy.start_at)
    assert blood.cmv.load == plasma.cmv.load
    assert blood.cmv.targets == plasma.cmv.targets
    assert (blood.population, blood.toxicity, blood.follow_up) == (plasma.population, plasma.toxicity, plasma.follow_up)
    assert blood.cmv.matrices["whole_blood"].offset.centre > 0


def test_null_has_no_effect_and_no_shared_cause():
    spec = resolve("null").spec
    ratios = spec.cmv.onset.ratios
    assert [float(getattr(ratios, name)) for name in ("corticosteroids", "tocilizumab", "prior_allogeneic_hct", "score")] == [
        1
    ] * 4
    assert [float(shift) for _, shift in spec.cmv.load.set_point_shift] == [0, 0]
    for kind in (spec.infections.bacterial, spec.infections.fungal):
        assert [float(ratio) for _, ratio in kind.ratios] == [1] * 5
    assert [float(ratio) for _, ratio in spec.follow_up.death_ratios] == [1] * 5
    assert not spec.follow_up.death_ratios.act
    assert float(spec.follow_up.relapse_ratios.score) == 1
    assert [float(loading) for _, loading in spec.population.score_loadings] == [0, 0, 0]
    assert float(spec.toxicity.expansion_correlation) == float(spec.toxicity.icans.per_crs_grade) == 0
    assert [float(getattr(spec.toxicity, drug).per_grade) for drug in DRUGS] == [0, 0, 0]
    assert spec.cmv.targets == resolve("cmv-cart").spec.cmv.targets


def test_null_confounded_keeps_the_causes_of_cmv_and_takes_its_effect():
    spec, base = resolve("null-confounded").spec, resolve("cmv-cart").spec
    ratios = spec.follow_up.death_ratios
    assert float(ratios.clinically_significant) == float(ratios.disease) == 1
    assert ratios.severe_infection == base.follow_up.death_ratios.severe_infection
    for kind in ("bacterial", "fungal"):
        mine, theirs = getattr(spec.infections, kind).ratios, getattr(base.infections, kind).ratios
        assert float(mine.cmv) == 1 < float(theirs.cmv)
        assert mine == theirs.model_copy(update={"cmv": mine.cmv})
    assert (spec.cmv, spec.toxicity, spec.population) == (base.cmv, base.toxicity, base.population)
    assert float(spec.cmv.onset.ratios.corticosteroids) > 1
    assert float(spec.cmv.onset.ratios.score) > 1


def test_a_basis_is_part_of_the_digest_and_must_exist():
    assert resolve("cmv-cart", ["cmv.calibrated_on=own"]).digest != resolve("cmv-cart").digest
    assert resolve("cmv-cart", ["cmv.calibrated_on=null"]).digest != resolve("cmv-cart").digest
    with pytest.raises(InputError, match=r"cmv.calibrated_on.*did you mean 'cmv-cart'"):
        resolve("cmv-cart", ["cmv.calibrated_on=cmv-kart"])


def test_the_basis_is_the_catalogue_scenario_whatever_is_changed_here():
    changed = resolve("cmv-cart", ["follow_up.death_by_90.dlbcl=0.3", "cmv.onset.ratios.corticosteroids=5"])
    assert changed.basis == resolve("cmv-cart").basis == resolve("cmv-cart").spec
    assert changed.spec != changed.basis


def says_nothing(spec: BaseModel, name: str) -> bool:
    """Whether a field is left out where there is none of it: inputs without a group, a study without arms."""
    silent = {Uncertain: ("group", "correlation"), AnalysisSpec: ("arms", "strata")}
    return name in silent.get(type(spec), ()) and not getattr(spec, name)


def hidden(spec: object, tree: object, path: str = "") -> list[str]:
    """Fields of specifications that a resolved tree does not show."""
    if isinstance(spec, BaseModel):
        assert isinstance(tree, dict), path
        found = [f"{path}.{name}" for name in type(spec).model_fields if name not in tree and not says_nothing(spec, name)]
        return found + [item for name in tree for item in hidden(getattr(spec, name), tree[name], f"{path}.{name}")]
    if isinstance(spec, Mapping):
        assert isinstance(tree, dict), path
        assert set(spec) == set(tree), path
        return [item for key in spec for item in hidden(spec[key], tree[key], f"{path}.{key}")]
    if isinstance(spec, tuple | list):
        assert isinstance(tree, list), path
        return [item for i, part in enumerate(spec) for item in hidden(part, tree[i], f"{path}[{i}]")]
    return []


@pytest.mark.parametrize("name", IDS)
def test_the_resolved_form_has_no_hidden_default(name):
    scenario = resolve(name)
    tree = json.loads(show(name, resolved=True))
    assert tree.pop("digest") == scenario.digest
    basis = tree.pop("calibration_basis")
    assert hidden(scenario.spec, tree) == []
    assert (basis is None) == (scenario.basis is None)
    assert ResolvedScenario.of_dict({**tree, "calibration_basis": basis}, source=name).digest == scenario.digest


def test_defaults_of_a_strategy_are_shown():
    tree = json.loads(show("letermovir-strategies", resolved=True))["strategies"]
    assert tree["universal"]["start"] == {
        "day": {"value": 0.0, "evidence": None, "assumed": None, "uncertain": None},
        "trigger": None,
        "delay": {"value": 0.0, "evidence": None, "assumed": None, "uncertain": None},
    }
    rule = tree["risk_selected"]["who"]["baseline"]
    assert (rule["points"]["value"], rule["hematotox_high"]) == (1.0, False)
    assert tree["universal"]["who"] == {"baseline": None, "ttv": None}
    assert (tree["universal"]["latest_stop"], tree["preemptive"]["start"]) == (None, None)


# ---- strategies with letermovir


def test_letermovir_strategies_differ_in_who_when_and_how_long_only():
    spec, base = resolve("letermovir-strategies").spec, resolve("cmv-cart").spec
    assert list(spec.strategies) == ["preemptive", "universal", "risk_selected", "steroid_triggered", "ttv_guided"]
    assert (spec.letermovir, spec.cmv, spec.population, spec.analysis) == (
        base.letermovir,
        base.cmv,
        base.population,
        base.analysis,
    )
    universal, triggered = spec.strategies["universal"], spec.strategies["steroid_triggered"]
    assert universal.who is not None
    assert universal.who.baseline is universal.who.ttv is None
    assert triggered.start is not None
    assert triggered.start.trigger == "corticosteroids"
    assert float(triggered.duration) < float(universal.duration)
    # what is deferred must be seen: the rebound ends before the horizon, and visits go on
    assert float(spec.study.horizon) >= float(universal.duration) + float(spec.letermovir.rebound.days)
    assert spec.monitoring.days[-1] > float(universal.duration) + 60


def test_letermovir_trial_counts_treated_infections_while_the_drug_is_given():
    spec = resolve("letermovir-trial").spec
    assert spec.analysis.definition.name == "clinically_significant"
    assert spec.analysis.window == 98 == float(spec.strategies["letermovir"].duration)
    assert spec.strategies["preemptive"].prophylaxis == "none"
    assert float(spec.study.horizon) > 98 + 60


def test_letermovir_acts_nowhere_without_a_strategy_that_gives_it_and_not_in_null():
    assert resolve("null").spec.letermovir.effect == "none"
    assert not resolve("null").spec.letermovir.acts
    spec = resolve("letermovir-breakeven").spec
    assert spec.letermovir.known_effect is None  # solved
    given = ["letermovir.effect=given", "letermovir.given={ onset_ratio = 0.7, set_point_shift = -0.5 }"]
    effect = resolve("letermovir-breakeven", given).spec.letermovir.known_effect
    assert effect is not None
    assert (effect.onset_ratio, effect.set_point_shift) == (0.7, -0.5)
    for name in ("letermovir-breakeven", "letermovir-strategies"):
        targets = resolve(name).spec.letermovir.targets
        assert float(targets.clinically_significant) < float(targets.any_dnaemia) < 1


def test_a_ttv_rule_needs_its_visit():
    rule = {"who": {"ttv": {"log10_at_least": 4.0, "day": 15, "turnaround": 1}}, "start": {}, "duration": 60, "dose": 480}
    strategy = StrategySpec.parse({"label": "x", "prophylaxis": "letermovir", **rule})
    problems = check_strategies({"preemptive": StrategySpec.parse({"label": "y"}), "x": strategy}, -5, 104, (0, 14, 28), "f")
    assert [(p.at, p.message) for p in problems] == [("strategies.x.who.ttv.day", "TTV is not measured on day 15")]
    assert "0, 14, 28" in problems[0].allowed
    assert check_strategies({"preemptive": StrategySpec.parse({"label": "y"}), "x": strategy}, -5, 104, None, "f") == []
