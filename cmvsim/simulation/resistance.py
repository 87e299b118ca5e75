"""Section 10 on arrays: when resistance arises in an episode, and what sequencing a sample shows of it.

It follows the CMV course and does not act on it. Each episode begins free of selected changes.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Draws, day_index
from cmvsim.models.resistance import CLASSES, GENES, Gene, Resistance, ResistanceSpec, Sequencing
from cmvsim.models.windows import Windows

UL54, UL97, UL56 = (GENES.index(gene) for gene in GENES)


def resistance(
    spec: ResistanceSpec,
    draws: Draws,
    aciclovir: BoolArray,
    onset: FloatArray,
    clear: FloatArray,
    ganciclovir: Windows,
    letermovir: Windows | None,
    horizon: float,
) -> Resistance:
    """Resistance changes of all episodes.

    Parameters
    ----------
    aciclovir
        (P,) on (val)aciclovir prophylaxis.
    onset, clear
        (K, P) episodes; NaN or +inf where there is none, clear NaN or +inf where replication goes on.
    ganciclovir
        (C, P) courses of (val)ganciclovir, in order of time and not overlapping, NaN or +inf where there is none.
    letermovir
        (P,) the time on letermovir; None if nobody takes it.
    horizon
        Nothing arises after it.
    """
    exists = onset <= horizon  # False for NaN
    known = np.full((len(GENES), *onset.shape), np.inf)
    by_aciclovir, ul54 = float(spec.aciclovir.change), float(spec.aciclovir.ul54)
    for k, begins in enumerate(onset):
        if by_aciclovir > 0:
            selected = exists[k] & aciclovir & (draws("resistance.aciclovir", k) < by_aciclovir)
            polymerase = draws("resistance.gene", k) * by_aciclovir < ul54
            known[UL54, k][selected & polymerase] = begins[selected & polymerase]
            known[UL97, k][selected & ~polymerase] = begins[selected & ~polymerase]
        if spec.ganciclovir.hazard > 0:
            arises = under_ganciclovir(
                draws("resistance.ganciclovir", k) / spec.ganciclovir.hazard, begins, clear[k], ganciclovir, horizon
            )
            second = known[UL97, k] < np.inf  # UL97 first; UL54 where UL97 has changed already
            known[UL97, k] = np.where(second, known[UL97, k], arises)
            known[UL54, k] = np.where(second, np.minimum(known[UL54, k], arises), known[UL54, k])
        if letermovir is not None and float(spec.letermovir) > 0:
            taken = exists[k] & (begins >= letermovir.start) & (begins < letermovir.stop)
            known[UL56, k] = np.where(taken & (draws("resistance.letermovir", k) < float(spec.letermovir)), begins, np.inf)
    return Resistance(
        onset,
        clear,
        known,
        _of_the_strain(draws, "resistance.polymorphism", {g: float(p) for g, p in spec.polymorphism.items()}, onset.shape[1]),
        _of_the_strain(draws, "resistance.unknown", {g: float(p) for g, p in spec.unknown.items()}, onset.shape[1]),
    )


def under_ganciclovir(needed: FloatArray, onset: FloatArray, clear: FloatArray, courses: Windows, horizon: float) -> FloatArray:
    """(P,) time at which `needed` days of exposure during the episode [onset, clear) have been spent, +inf: never.

    Parameters
    ----------
    needed
        (P,) days.
    onset, clear
        (P,) one episode per patient.
    courses
        (C, P) in order of time.
    """
    left = needed.copy()
    arises = np.full(left.shape, np.inf)
    until = np.fmin(clear, horizon)
    for start, stop in zip(np.atleast_2d(courses.start), np.atleast_2d(courses.stop), strict=True):
        begins = np.maximum(start, onset)  # NaN where there is no course or no episode
        exposed = np.fmin(stop, until) - begins
        exposed = np.where(exposed > 0, exposed, 0.0)
        rings = (left <= exposed) & np.isinf(arises) & (exposed > 0)
        arises = np.where(rings, begins + left, arises)
        left = left - exposed
    return arises


def sequence(
    spec: ResistanceSpec, draws: Draws, days: tuple[int, ...], time: FloatArray, load: FloatArray, found: Resistance
) -> Sequencing:
    """Which samples are sequenced, and what is seen in them.

    Parameters
    ----------
    days
        V days that key the draws: the nominal day of a planned visit, the day of a clinical test.
    time
        (V, P) when the sample was taken, NaN where there is none.
    load
        (V, P) reported load, IU/mL of the sampled matrix; NaN where there is no sample or it is not quantified.
    found
        The changes.
    """
    rule = spec.sequencing
    sent = sent_samples(spec, time, load, found.onset, found.clear)
    sequenced = np.zeros(load.shape, dtype=np.bool_)
    seen = np.zeros((len(CLASSES), len(GENES), *load.shape), dtype=np.bool_)
    for v, day in enumerate(days):
        rows = np.flatnonzero(sent[v])
        if rows.size == 0:  # its stream would decide nothing
            continue
        log_odds = float(rule.slope) * (np.log10(load[v, rows]) - float(rule.half_load))
        rows = rows[draws("resistance.sequencing", day_index(day))[rows] < special.expit(log_odds)]
        sequenced[v, rows] = True
        at = time[v, rows]
        running = (found.onset[:, rows] <= at) & ~(found.clear[:, rows] <= at)
        for gene in range(len(GENES)):
            resistant = (running & (found.known[gene][:, rows] <= at)).any(axis=0)
            by_class = (resistant, found.polymorphism[gene, rows], found.unknown[gene, rows])
            for change, present in enumerate(by_class):
                seen[change, gene, v, rows] = present
    return Sequencing(sent, sequenced, seen)


def sent_samples(spec: ResistanceSpec, time: FloatArray, load: FloatArray, onset: FloatArray, clear: FloatArray) -> BoolArray:
    """(V, P) samples sent for sequencing: the first that qualify in each episode, by time and then by row.

    Parameters
    ----------
    time, load
        As for :func:`sequence`.
    onset, clear
        (K, P) episodes; NaN or +inf where there is none.
    """
    qualifies, most = load >= float(spec.sequencing.send_at), int(float(spec.sequencing.per_episode))
    sent = np.zeros(qualifies.shape, dtype=np.bool_)
    rows = np.flatnonzero(qualifies.any(axis=0))
    at = time[:, rows]
    for begins, ends in zip(onset[:, rows], clear[:, rows], strict=True):
        mine = qualifies[:, rows] & (begins <= at) & ~(ends <= at)
        order = np.argsort(np.where(mine, at, np.inf), axis=0, kind="stable")
        rank = np.argsort(order, axis=0, kind="stable")
        sent[:, rows] |= mine & (rank < most)
    return sent


def _of_the_strain(draws: Draws, stream: str, shares: dict[Gene, float], patients: int) -> BoolArray:
    """(G, P) changes that a patient's strain has from the beginning; the index of the stream is the gene's position."""
    has = np.zeros((len(GENES), patients), dtype=np.bool_)
    for position, gene in enumerate(GENES):
        if shares.get(gene, 0.0) > 0:
            has[position] = draws(stream, position) < shares[gene]
    return has
