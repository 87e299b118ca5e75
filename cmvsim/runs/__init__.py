"""Run folders on disk: locked, continued after any interruption, finished at once, with provenance."""
