"""Sections 7 and 8 of the model, a second time: samples, results, and what doctors make of them."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from simulation_twin import ACT, INF, RESULT, SAMPLE, START, STOP, TOXICITY, Told, Virus
from simulation_twin_traits import Traits

from cmvsim.simulation.model import Model

NONE, UNDETECTED, LOW, NUMBER = range(4)
VALGANCICLOVIR, GANCICLOVIR, FOSCARNET, MARIBAVIR = range(1, 5)
DRUG = {1: "valganciclovir", 2: "ganciclovir", 3: "foscarnet", 4: "maribavir"}


def up_to_grid(t: float) -> float:
    """Next point of the grid."""
    return math.ceil(t * 2**20) / 2**20


def three_digits(x: float) -> float:
    """Three significant digits, halves up."""
    exact = Decimal(x)
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding=ROUND_HALF_UP))


class Patient(Virus):
    """One patient walking through an agenda."""

    def __init__(self, model: Model, x: Traits) -> None:
        super().__init__(model, x)
        self.results: list[tuple[float, int, float, int]] = []
        occasions = [(when, "visit", v, x.noise[v], True) for v, when in enumerate(x.visits) if not math.isnan(when)]
        occasions += [(float(day), "test", day, noise, wanted) for day, wanted, noise in x.tests]
        self.occasions = sorted(occasions)
        self.next = 0
        self.last_sample, self.follow_up, self.undetected = -INF, False, 0
        self.qualifying, self.set_by, self.reference = 0, -1, INF
        self.negatives, self.drug, self.since, self.spell_since = 0, 0, 0.0, 0.0
        self.no_ganciclovir = self.no_foscarnet = False
        self.clocks = {"neutropenia": x.neutropenia_clock, "kidney injury": x.kidney_clock}

    def run(self) -> Told:
        """Events in the order of time and rank, up to the horizon and at it."""
        happens = (
            self.result,
            self.stop,
            self.toxicity,
            self.start,
            self.act,
            self.clear,
            self.disease,
            self.onset,
            self.sample,
        )
        while True:
            events = [(t, rank) for rank, t in self.agenda.items()]
            if self.results:
                events.append((self.results[0][0], RESULT))
            if self.next < len(self.occasions):
                events.append((self.occasions[self.next][0], SAMPLE))
            t, rank = min(events, default=(INF, RESULT))
            if t > self.m.horizon:
                self.told.letermovir = self.letermovir
                return self.told
            if t == self.m.horizon:
                self.told.branches.add("result at the horizon" if rank == RESULT else "event at the horizon")
            self.agenda.pop(rank, None)
            happens[rank](t)

    # -- samples and results (7) -------------------------------------------------------------------------------
    def sample(self, t: float) -> None:
        _, kind, index, noise, wanted = self.occasions[self.next]
        self.next += 1
        every = float(self.m.monitoring.clinical.follow_up_every) if self.m.monitoring.clinical is not None else INF
        if not wanted:
            if not self.follow_up or t - self.last_sample < every:
                return
            self.told.branches.add("follow-up test")
        code, value = self.assay(t, noise)
        self.last_sample = t
        self.told.samples[kind, index] = (t, code, value, not wanted)
        k = len(self.told.episodes) - 1 if self.open is not None else -1
        after = self.results[-1][0] if self.results else -INF
        self.results.append((max(t + self.days(self.m.monitoring.turnaround), after), code, value, k))

    def assay(self, t: float, noise: float) -> tuple[int, float]:
        plan = self.m.monitoring
        if self.open is None:
            return UNDETECTED, math.nan
        log10 = self.open.load(t) + self.x.offset + float(plan.assay_sd_log10) * noise + self.x.shift
        y = 10**log10
        rounded = three_digits(y)
        for cut in (float(plan.lod), float(plan.lloq), float(self.m.treatment.start_at)):
            self.told.margins.append(abs(rounded - cut) / cut if rounded != cut else INF)
        last_digit = 10.0 ** (math.floor(math.log10(y)) - 2)
        self.told.margins.append(abs(abs(y - rounded) / last_digit - 0.5))
        if rounded >= float(plan.lloq):
            return NUMBER, rounded
        return (LOW if rounded >= float(plan.lod) else UNDETECTED), math.nan

    def result(self, t: float) -> None:
        _, code, value, k = self.results.pop(0)
        if code == UNDETECTED:
            self.undetected += 1
            if self.follow_up and self.undetected >= 2 and self.x.tests:
                self.follow_up = False
                self.told.branches.add("follow-up off")
        else:
            if self.x.tests and not self.follow_up:
                self.told.branches.add("follow-up on")
            self.follow_up, self.undetected = True, 0
        if t > self.x.monitored_until:
            self.told.branches.add("result after the end of monitoring")
        elif self.on_treatment:
            self.result_on_treatment(t, code, value)
        elif START in self.agenda:
            self.told.branches.add("result while a start is pending")
        else:
            self.result_off_treatment(t, code, value, k)

    def result_off_treatment(self, t: float, code: int, value: float, k: int) -> None:
        if code != NUMBER or value < float(self.m.treatment.start_at) or not self.told.episodes[k].accepted:
            if code == NUMBER and value >= float(self.m.treatment.start_at):
                self.told.branches.add("not accepted")
            if self.qualifying:
                self.told.branches.add("count of qualifying results back at 0")
            self.qualifying = 0
            return
        self.qualifying += 1
        if self.qualifying > float(self.m.treatment.confirmations):
            self.decide(t, k, value)
        else:
            self.told.branches.add("qualifies, awaits confirmation")

    def result_on_treatment(self, t: float, code: int, value: float) -> None:
        care = self.m.treatment
        self.negatives = 0 if code == NUMBER else self.negatives + 1
        if self.negatives >= float(care.stop_after.negatives) and t - self.since >= self.days(care.stop_after.minimum_days):
            self.told.branches.add("stopped on results")
            self.stop(t)
        elif code == NUMBER and value >= self.reference and t - self.spell_since >= self.days(care.refractory_after):
            self.reference = value
            if self.drug == MARIBAVIR:
                self.told.branches.add("refractory on maribavir")
                return
            ganciclovir = self.drug in (VALGANCICLOVIR, GANCICLOVIR)
            drug = FOSCARNET if ganciclovir and not self.no_foscarnet else MARIBAVIR
            self.told.branches.add(
                f"refractory to {'ganciclovir' if ganciclovir else 'foscarnet'}: {DRUG[drug]}",
            )
            self.switch(t, drug)

    # -- treatment (8) -----------------------------------------------------------------------------------------
    def decide(self, t: float, k: int, reference: float) -> None:
        """A start is set."""
        self.agenda[START] = t + self.days(self.m.treatment.delay)
        self.set_by, self.reference, self.qualifying = k, reference, 0

    def disease(self, t: float) -> None:
        self.told.disease = t
        shares = 0.0
        organs = list(self.m.cmv.disease.organs.values())
        for self.told.organ, share in enumerate(organs):
            shares += float(share)
            if shares > self.x.organ:
                break
        if self.on_treatment:
            self.told.branches.add("disease on treatment")
        elif START in self.agenda:
            self.told.branches.add("disease while a start is pending")
        else:
            late = t > self.x.monitored_until
            self.told.branches.add("disease after the end of monitoring" if late else "disease starts treatment")
            self.decide(up_to_grid(t), len(self.told.episodes) - 1, INF)

    def first_line(self, t: float) -> int:
        neutropenic = self.x.neutropenia[0] <= t < self.x.neutropenia[1]
        if neutropenic or self.no_ganciclovir:
            self.told.branches.add("neutropenic at the start" if neutropenic else "intolerant of ganciclovir at the start")
            if self.no_foscarnet:
                self.told.branches.add("first line: maribavir")
            return MARIBAVIR if self.no_foscarnet else FOSCARNET
        shares = self.m.treatment.first_line
        total = 0.0
        for code in (VALGANCICLOVIR, GANCICLOVIR, FOSCARNET):
            total += float(shares[DRUG[code]])  # type: ignore[index]
            if total > self.x.choices[self.set_by]:
                break
        if code == FOSCARNET and self.no_foscarnet:
            self.told.branches.add("valganciclovir in place of foscarnet")
            return VALGANCICLOVIR
        self.told.branches.add(f"first line: {DRUG[code]}")
        return code

    def start(self, t: float) -> None:
        if t > self.x.monitored_until:
            self.told.branches.add("start after the end of monitoring")
        self.first_spell = True
        self.treat(t, True)
        self.told.treatments.append([t, math.nan])
        self.told.branches.add("restart" if len(self.told.treatments) > 1 else "start")
        self.since, self.negatives = t, 0
        self.agenda[STOP] = t + self.days(self.m.treatment.stop_after.maximum_days)
        self.begin_spell(t, self.first_line(t))
        if self.open is None:
            self.told.branches.add("started when cleared")
        elif self.open.refractory:
            self.told.branches.add("refractory at the start")
        else:
            if self.open.falling:
                self.told.branches.add("restart on a falling course")
            self.agenda[ACT] = t + float(self.m.cmv.load.treated.lag)

    def begin_spell(self, t: float, drug: int) -> None:
        self.drug, self.spell_since = drug, t
        self.told.spells.append((drug, [t, math.nan]))
        toxicity = self.m.treatment.toxicity
        self.agenda.pop(TOXICITY, None)
        what = {VALGANCICLOVIR: "neutropenia", GANCICLOVIR: "neutropenia", FOSCARNET: "kidney injury"}.get(drug)
        spec = toxicity.neutropenia if what == "neutropenia" else toxicity.kidney_injury
        self.toxic, self.rate = what, -math.log1p(-float(spec.probability)) / float(spec.days)
        if what is not None and self.rate > 0:
            self.agenda[TOXICITY] = up_to_grid(t + self.clocks[what] / self.rate)

    def end_spell(self, t: float) -> None:
        self.told.spells[-1][1][1] = t
        self.agenda.pop(TOXICITY, None)
        if self.toxic is not None:
            self.clocks[self.toxic] -= self.rate * (t - self.spell_since)

    def switch(self, t: float, drug: int) -> None:
        self.end_spell(t)
        self.begin_spell(t, drug)
        self.first_spell = False
        if self.open is None:
            self.told.branches.add("switched when cleared")
        elif ACT in self.agenda:
            self.told.branches.add("switched before the drug acted")
        elif self.open.falling:
            self.told.branches.add("switched while the load falls" if self.acting else "switched on a course that falls on")
        else:
            self.agenda[ACT] = t + float(self.m.cmv.load.treated.lag)

    def toxicity(self, t: float) -> None:
        neutropenic = self.x.neutropenia[0] <= t < self.x.neutropenia[1]
        if self.toxic == "neutropenia":
            self.no_ganciclovir = True
            self.told.neutropenia = (t, t + self.x.neutropenia_days)
            drug = MARIBAVIR if self.no_foscarnet else FOSCARNET
        else:
            self.no_foscarnet = True
            self.told.kidney_injury = t
            drug = MARIBAVIR if self.no_ganciclovir or neutropenic else VALGANCICLOVIR
        self.told.branches.add(f"{self.toxic}: {DRUG[drug]}")
        self.switch(t, drug)

    def stop(self, t: float) -> None:
        if self.agenda.pop(STOP, None) is None:
            self.told.branches.add("stopped at the maximum")
        self.end_spell(t)
        self.told.treatments[-1][1] = t
        if self.agenda.pop(ACT, None) is not None:
            self.told.branches.add("stopped before it acted")
        self.treat(t, False)
        self.drug, self.acting = 0, False
        if self.open is not None and self.open.falling:
            self.told.branches.add("stopped, regrows" if self.open.regrows else "stopped, falls on")
            if self.open.regrows:
                self.knot(t, self.open.growth)


