"""Planning: precision and power by simulation through the study's own estimators, and the search for a sample size."""
