"""A plain twin of model.md 14: one patient at a time, sixteenth of a day by sixteenth, lists and loops only."""

from __future__ import annotations

from collections import Counter

from cmvsim.models.resources import ANTIVIRALS, INTRAVENOUS, ResourcesSpec
from cmvsim.simulation.stays import Care

Q = 16  # cells per day: shares of stays in intensive care halve the quarters
FIRST_DAY = -20


def cell(day: float) -> int:
    found = (day - FIRST_DAY) * Q
    assert found == int(found), "the twin lives on sixteenths of a day"
    return int(found)


class Patient:
    """Stays, and totals by (component, item), of patient `i`."""

    def __init__(self, spec: ResourcesSpec, care: Care, draws, i: int) -> None:
        self.spec, self.care, self.draws, self.i = spec, care, draws, i
        self.end = min(float(care.death[i]), care.horizon)
        self.hospital = [False] * cell(self.end)
        self.icu = [False] * cell(self.end)
        self.totals: Counter = Counter()
        self.branches: set[str] = set()
        self.stay()
        self.rest()

    def z(self, name: str, index: int = 0) -> float:
        return float(self.draws(f"resources.{name}", index)[self.i])

    def fill(self, where: list[bool], start: float, stop: float) -> None:
        for k in range(cell(start), min(cell(stop), len(where))):
            where[k] = True
        if stop > self.end > start:
            self.branches.add("cut")

    def stay(self) -> None:
        care, i = self.care, self.i
        admitted, planned = float(care.planned.hospital.start[i]), float(care.planned.hospital.stop[i])
        spells = []
        for c in range(care.antivirals.start.shape[0]):
            if care.antivirals.drug[c, i] > 0:
                name = ANTIVIRALS[care.antivirals.drug[c, i] - 1]
                spells.append((float(care.antivirals.start[c, i]), int(care.antivirals.course[c, i]), name))
        courses: dict[int, float] = {}
        for start, k, _ in spells:
            courses.setdefault(k, start)
        discharge = self.initial(admitted, planned, courses)
        self.admissions(admitted, discharge, spells, courses)
        for injury in care.kidney_injury[:, i]:
            if injury == injury:
                self.fill(self.hospital, float(injury), float(injury) + float(self.spec.cmv.kidney_injury_days))
        self.infections(admitted, planned)
        self.label(admitted, planned)

    def initial(self, admitted: float, discharge: float, courses: dict[int, float]) -> float:
        """Discharge from the initial stay, event by event; stay and intensive care for disease."""
        spec, care, i = self.spec, self.care, self.i
        sick = float(care.disease[i])
        events = sorted((start, 1, k) for k, start in courses.items())
        was_sick = sick_inside = False
        sick_days = 0.0
        if sick < float("inf"):
            events = sorted([*events, (sick, 0, -1)])
            sick_days = spec.cmv.disease_days.centre + self.z("disease_days")
        for time, _, k in events:
            inside = admitted <= time < discharge
            if k < 0:
                was_sick, sick_inside = True, inside
                if inside:
                    discharge += sick_days
                    self.branches.add("disease prolongs")
            elif inside and was_sick:
                self.branches.add("course of the disease")
            elif inside:
                discharge += spec.cmv.prolongation_days.centre + self.z("prolongation", k)
                self.branches.add("course prolongs")
        self.fill(self.hospital, admitted, discharge)
        if care.planned.icu.start[i] < float("inf"):
            self.fill(self.icu, float(care.planned.icu.start[i]), float(care.planned.icu.stop[i]))
        if was_sick:
            self.fill(self.icu, sick, sick + sick_days * float(spec.cmv.disease_icu_share))
            if not sick_inside:
                self.fill(self.hospital, sick, sick + sick_days)
                self.branches.add("stay for disease")
        return discharge

    def admissions(self, admitted: float, discharge: float, spells: list, courses: dict[int, float]) -> None:
        spec = self.spec
        for k, first in courses.items():
            for start, of, drug in spells:
                outside = not admitted <= start < discharge
                if of == k and outside and self.z("admission", k) < float(getattr(spec.cmv.admission, drug)):
                    self.fill(self.hospital, start, start + spec.cmv.admission_days.centre + self.z("admission_days", k))
                    self.branches.add("admitted after a switch" if start > first else "admitted")
                    break

    def infections(self, admitted: float, planned: float) -> None:
        spec, care, i = self.spec, self.care, self.i
        for k in range(care.infections.start.shape[0]):
            begins = float(care.infections.start[k, i])
            if begins != begins:
                continue
            days = spec.infections.days.centre + self.z("infection_days", k)
            inside = admitted <= begins < planned
            if care.infections.severe[k, i]:
                self.fill(self.hospital, begins, begins + days)
                if self.z("infection_icu", k) < float(spec.infections.severe_icu):
                    self.fill(self.icu, begins, begins + days * float(spec.infections.severe_icu_share))
                    self.branches.add("severe infection in intensive care")
                self.branches.add("severe infection inside" if inside else "severe infection outside")
            elif not inside and self.z("infection_admission", k) < float(spec.infections.admission):
                self.fill(self.hospital, begins, begins + days)
                self.branches.add("infection")

    def label(self, admitted: float, planned: float) -> None:
        # the run of hospital days around the admission is the initial stay
        first = last = cell(admitted)
        while first > 0 and self.hospital[first - 1]:
            first -= 1
        while last < len(self.hospital) and self.hospital[last]:
            last += 1
        for k, there in enumerate(self.hospital):
            if not there:
                assert not self.icu[k]
                continue
            if cell(admitted) <= k < cell(planned):
                component = "initial_stay_planned"
            else:
                component = "initial_stay_prolonged" if first <= k < last else "additional_stays"
            self.branches.add(component)
            self.totals[component, "icu_day" if self.icu[k] else "ward_day"] += 1 / Q

    def runs(self, where: list[bool]) -> list[tuple[float, float]]:
        found = []
        for k, there in enumerate(where):
            if there and (k == 0 or not where[k - 1]):
                found.append([k, k + 1])
            elif there:
                found[-1][1] = k + 1
        return [(FIRST_DAY + a / Q, FIRST_DAY + b / Q) for a, b in found]

    def days(self, component: str, item: str, start: float, stop: float, rate: float = 1.0) -> None:
        if start == start:
            stop = min(stop, self.end)
            if stop > start:
                self.totals[component, item] += rate * (stop - start)

    def rest(self) -> None:
        care, i = self.care, self.i
        for c in range(care.antivirals.start.shape[0]):
            if care.antivirals.drug[c, i] > 0:
                stop = min(float(care.antivirals.stop[c, i]), self.end)
                self.spell(ANTIVIRALS[care.antivirals.drug[c, i] - 1], float(care.antivirals.start[c, i]), stop)
        for row in range(care.neutropenia.start.shape[0]):
            start, stop = float(care.neutropenia.start[row, i]), float(care.neutropenia.stop[row, i])
            self.days("treatments", "gcsf_day", start, min(stop, start + float(self.spec.support.gcsf_days)))
        for name, item in (("corticosteroids", "steroid_day"), ("anakinra", "anakinra_day")):
            window = care.toxicity[name]
            if window.start[i] < float("inf"):
                self.days("other", item, float(window.start[i]), float(window.stop[i]))
        if care.toxicity["tocilizumab"].start[i] <= self.end:
            self.totals["other", "tocilizumab_dose"] += float(self.spec.support.tocilizumab_doses)
        if care.letermovir.start[i] < float("inf"):
            window = float(care.letermovir.start[i]), float(care.letermovir.stop[i])
            self.days("prophylaxis", "letermovir_day", *window, float(care.adherence[i]))
        for v in range(care.test.shape[0]):
            if care.test[v, i] <= self.end:
                self.totals["surveillance_extra" if care.test_extra[v, i] else "surveillance_planned", "cmv_pcr"] += 1
        for at in care.sequenced[:, i]:
            if at <= self.end:
                self.totals["surveillance_extra", "sequencing"] += 1

    def spell(self, drug: str, start: float, stop: float) -> None:
        care = self.spec.outpatient
        self.days("treatments", f"{drug}_day", start, stop)
        plans = [("blood_test", float(getattr(care.blood_test_every, drug)))]
        if drug in INTRAVENOUS:
            plans.append(("day_hospital", float(care.day_hospital_every)))
        else:
            plans.append(("consultation", float(care.consultation_every)))
        for item, every in plans:
            at = start
            while at < stop:
                if not self.hospital[cell(at)]:
                    self.totals["treatments", item] += 1
                at += every
