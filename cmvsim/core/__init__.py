"""What every layer stands on: errors, values with provenance, strict specs, named random streams, result records."""
