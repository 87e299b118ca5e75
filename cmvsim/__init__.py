"""cmvsim: simulation and sample-size planning for CMV reactivation after CAR-T cell infusion."""
