"""Economic evaluation: decision tables, net benefit, value of information, break-even, budget impact, on plain arrays.

Nothing here simulates. Costs and effects are arrays of draws by strategies (or strategies by patients where said); strategies
have names, and ties go to the one named first.
"""

from cmvsim.economics.break_even import (
    BreakEven,
    Increments,
    break_even_price,
    break_even_quantity,
    break_even_threshold,
    net_benefit_grid,
)
from cmvsim.economics.budget_impact import BudgetImpact, budget_impact
from cmvsim.economics.enbs import Beneficiaries, Enbs, enbs
from cmvsim.economics.evppi import Evppi, evppi
from cmvsim.economics.evsi import Evsi, evsi, evsi_gaussian
from cmvsim.economics.fieller import Bounded, Fieller, fieller, fieller_of_draws, fieller_of_patients
from cmvsim.economics.frontier import Dominance, FrontierRow, frontier
from cmvsim.economics.nested import (
    Moments,
    PatientsPerDraw,
    between_draw_moments,
    noise_in_evpi,
    normal_evpi,
    patients_per_draw,
)
from cmvsim.economics.net_benefit import (
    DecisionCurves,
    Evpi,
    best_strategy,
    ceac,
    ceaf,
    decision_curves,
    evpi,
    expected_loss,
    net_health_benefit,
    net_monetary_benefit,
    smooth_net_benefit,
)
from cmvsim.economics.pairing import NoisyAcceptability, Pairing, acceptability_with_noise, pairing_audit

__all__ = [
    "Beneficiaries",
    "Bounded",
    "BreakEven",
    "BudgetImpact",
    "DecisionCurves",
    "Dominance",
    "Enbs",
    "Evpi",
    "Evppi",
    "Evsi",
    "Fieller",
    "FrontierRow",
    "Increments",
    "Moments",
    "NoisyAcceptability",
    "Pairing",
    "PatientsPerDraw",
    "acceptability_with_noise",
    "best_strategy",
    "between_draw_moments",
    "break_even_price",
    "break_even_quantity",
    "break_even_threshold",
    "budget_impact",
    "ceac",
    "ceaf",
    "decision_curves",
    "enbs",
    "evpi",
    "evppi",
    "evsi",
    "evsi_gaussian",
    "expected_loss",
    "fieller",
    "fieller_of_draws",
    "fieller_of_patients",
    "frontier",
    "net_benefit_grid",
    "net_health_benefit",
    "net_monetary_benefit",
    "noise_in_evpi",
    "normal_evpi",
    "pairing_audit",
    "patients_per_draw",
    "smooth_net_benefit",
]
