"""Section 5, reactivation: when latent CMV begins to replicate.

The hazard of onset runs from lymphodepletion::

    lambda_i(t) = A w(t; m) x ratios of patient i x windows of steroids and tocilizumab x ratio while on an antiviral

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
    corticosteroids, tocilizumab
        While the course lasts; declining over its wash-out.
    prior_allogeneic_hct
        Patients with against without.
    score
        Per SD of the immunosuppression score (the shared frailty).
    antiviral
        While on (val)ganciclovir or foscarnet.
    """

    corticosteroids: Ratio
    tocilizumab: Ratio
    prior_allogeneic_hct: Ratio
    score: Ratio
    antiviral: Ratio


class OnsetSpec(Spec):
    """Onset of replication.

    Attributes
    ----------
    shape
        Weibull shape of the onset-time law; its median and the amplitude A are solved from the targets.
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
    prevalent: Probability
    prevalent_age: Days
    episodes: Count
    re_episode: Ratio
