"""Monte Carlo: experiments in chunks over workers, stored replicates, stopping and standard errors."""
