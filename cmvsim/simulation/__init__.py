"""The engines: draws, the cohort engine (arrays), and recording a History as a Study."""
