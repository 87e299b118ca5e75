"""Prints the benchmark tables: `python -m benchmarks.run`. Ratios are against a peer timed in the same run."""

from __future__ import annotations

import platform

from benchmarks import comparisons, economics, endpoints, engine, estimators, longitudinal, model, published, regressions


def main() -> None:
    """Measure everything and print two tables."""
    rows = [*estimators.rows(), *regressions.rows(), *comparisons.rows(), *longitudinal.rows(), *engine.rows()]
    width = max(len(row.name) for row in rows)
    peer_width = max(len(row.peer or "") for row in rows)
    print(f"One thread, {platform.machine()}; microseconds per trial, best of several repetitions.\n")
    print(f"{'what':<{width}}  {'us/trial':>10}  {'trials/s':>12}  {'peer':<{peer_width}}  {'peer us':>10}  {'ratio':>8}")
    for row in rows:
        peer = f"{row.peer_us:>10.2f}  {row.ratio:>8.1f}" if row.peer_us is not None and row.ratio is not None else " " * 20
        rate = 1e6 / row.per_trial_us
        print(f"{row.name:<{width}}  {row.per_trial_us:>10.3f}  {rate:>12,.0f}  {row.peer or '':<{peer_width}}  {peer}")
    print("\nThe whole model, by process: draws included, ratios against the foundation of this run.\n")
    print(model.table())
    print("\nThe whole study, by part: a chunk of 64 trials.\n")
    print(endpoints.table())
    print("\nThe economic evaluation, one core, beside the SimPy engine on the same model.\n")
    print(economics.table())
    print("\nR and lifelines, as published in the notes of the estimators (not timed in this run).\n")
    print(published.table(rows))


if __name__ == "__main__":
    main()
