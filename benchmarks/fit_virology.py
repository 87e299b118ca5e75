"""Fits the shared virology to the published cohorts: `python -m benchmarks.fit_virology`.

Prints the best law, in the form of the evidence catalogue, and the table of figures under it on fresh patients. The
catalogue's entries `cmv_set_point_plasma`, `set_point_shift_steroids`, `onset_ratio_steroids`, `whole_blood_offset` and
`lod_whole_blood` come from here, rounded. `cart-sie` has no say in it: its testing is chosen so that its own figure results.
"""

from __future__ import annotations

import argparse
import sys

from cmvsim.calibration.fit import fit
from cmvsim.calibration.joint import cohorts, evaluate
from cmvsim.calibration.levers import LEVERS, Law
from cmvsim.report.calibration_text import misfit_table

DECIDING = [name for name in cohorts() if name != "cart-sie"]


def main() -> None:
    """Search, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", nargs="*", default=DECIDING, help="catalogue ids [default: all but cart-sie]")
    parser.add_argument("--patients", type=int, default=32_768, help="of each cohort, in the search")
    parser.add_argument("--evaluations", type=int, default=60, help="laws tried, about, at most")
    parser.add_argument("--weight", type=float, default=0.1, help="of the distance from the catalogue's law")
    given = parser.parse_args()

    def tell(tried: int, value: float, law: Law) -> None:
        now = "  ".join(f"{lever.name} {lever.read(law):.3g}" for lever in LEVERS)
        print(f"{tried:4d}  {value:8.3f}  {now}", file=sys.stderr, flush=True)

    found = fit(given.cohorts, patients=given.patients, evaluations=given.evaluations, weight=given.weight, tell=tell)
    print("The catalogue's law\n")
    print(misfit_table(evaluate({}, 98_304, given.cohorts)))
    print(f"The best law of {found.evaluations} (distance from the catalogue's weighs {found.penalty:.2g})\n")
    for lever in LEVERS:
        print(f"  {lever.name:<30} {lever.read({}):8.4g} -> {lever.read(found.law):.4g}   @{lever.entry}")
    print()
    print(misfit_table(evaluate(found.law, 98_304, given.cohorts)))


if __name__ == "__main__":
    main()
