"""One file per verb of the command line: load, compute, write the run folder, render. No printing, no parsing."""
