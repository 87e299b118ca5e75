"""Evidence: the numbers of the literature, each with its paper, its grade and the reason it is used."""

from cmvsim.evidence.entries import Parameter, Source, Varies
from cmvsim.evidence.registry import parameter, parameters, sources

__all__ = ["Parameter", "Source", "Varies", "parameter", "parameters", "sources"]
