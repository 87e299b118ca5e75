"""Section 5, reactivation: when latent CMV begins to replicate.

The hazard of onset runs from lymphodepletion::

    lambda_i(t) = A w(t; m) x ratios of patient i x factors with a window (toxicity, virome, expansion, letermovir)

``w`` is the density of a Weibull law (fixed shape, median m) of the time since lymphodepletion, so that the cumulative
hazard of a patient without factors is A F(t; m): bounded, as most carriers never reactivate (a promotion-time cure
model; Yakovlev and Tsodikov 1996), closed-form and exactly invertible between the times at which a factor changes. Two
targets, incidence and timing, identify (A, m). After clearance a re-episode waits for a fresh exponential on the same
hazard, times a ratio.
"""

from __future__ import annotations

from cmvsim.core.quantities import Count, Days, Positive, Probability, Ratio
from cmvsim.core.spec import Spec


class OnsetRatios(Spec):
    """Hazard ratios of onset.

    Attributes
    ----------
    corticosteroids, tocilizumab, anakinra
        While the course lasts; declining over its wash-out.
    severe_crs, severe_icans
        While a grade 3 or 4 lasts; declining over a wash-out. Beside the drugs given for it.
    high_anellovirus
        From the first anellovirus load at or above the level of the virome on.
    incident_virus
        From the first incident anellovirus or pegivirus infection on.
    expansion
        Per doubling of the peak of CAR-T cells over the product's median, from the peak on.
    prior_allogeneic_hct, leukaemia, child, lymphopenia
        Patients with against without (leukaemia against lymphoma; under 18 years; lymphocytes below a limit).
    score
        Per SD of the immunosuppression score (the shared frailty).
    antiviral
        While on pre-emptive therapy.
    """

    corticosteroids: Ratio
    tocilizumab: Ratio
    anakinra: Ratio
    severe_crs: Ratio
    severe_icans: Ratio
    high_anellovirus: Ratio
    incident_virus: Ratio
    expansion: Ratio
    prior_allogeneic_hct: Ratio
    leukaemia: Ratio
    child: Ratio
    lymphopenia: Ratio
    score: Ratio
    antiviral: Ratio


class OnsetSpec(Spec):
    """Onset of replication.

    Attributes
    ----------
    shape
        Weibull shape of the onset-time law; its median and the amplitude A are solved from the targets.
    severe_toxicity_washout
        Days over which the ratios of severe CRS and ICANS decline after their end.
    lymphopenia_below
        Lymphocytes before lymphodepletion, 10^9/L.
    prevalent
        Share with an episode open at inclusion.
    prevalent_age
        Such an episode began up to this many days before inclusion (uniform).
    episodes
        Most episodes of a patient, K.
    re_episode
        Ratio on the hazard of a further episode.
    """

    shape: Positive
    ratios: OnsetRatios
    severe_toxicity_washout: Days
    lymphopenia_below: Positive
    prevalent: Probability
    prevalent_age: Days
    episodes: Count
    re_episode: Ratio
