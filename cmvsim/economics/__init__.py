"""Economic evaluation: decision tables, net benefit, value of information, break-even, budget impact, on plain arrays."""
