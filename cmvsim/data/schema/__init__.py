"""The tables of a study as declarative column schemas: what each column is called and may hold.

Reading, checking, writing, every file format and the data dictionary follow these declarations; a column that is not
declared here can be neither read nor written, so no latent quantity reaches a table by accident.
"""

from cmvsim.data.schema.columns import LAST_DAY, NO_YES, RESULTS, Column, Kind, Table
from cmvsim.data.schema.core_tables import (
    COVARIATES,
    DISPOSITION,
    DRUGS,
    END_REASONS,
    EVENTS,
    EVENTS_TABLE,
    EXPOSURES,
    SAMPLES,
    SUBJECTS,
)
from cmvsim.data.schema.further_tables import (
    CAR_T,
    CHANGES,
    DIMENSIONS,
    GENE_RESULTS,
    INSTRUMENTS,
    ITEMS,
    QUESTIONNAIRES,
    RESOURCES,
    SEQUENCING,
    STAYS,
    UNIT_COSTS,
    UNITS,
    VIROME,
    VIRUSES,
)

TABLES = (
    SUBJECTS,
    SAMPLES,
    EXPOSURES,
    EVENTS_TABLE,
    DISPOSITION,
    VIROME,
    CAR_T,
    SEQUENCING,
    QUESTIONNAIRES,
    STAYS,
    RESOURCES,
    UNIT_COSTS,
)
"""All tables, in the order in which problems are listed."""

__all__ = [
    "CAR_T",
    "CHANGES",
    "COVARIATES",
    "DIMENSIONS",
    "DISPOSITION",
    "DRUGS",
    "END_REASONS",
    "EVENTS",
    "EVENTS_TABLE",
    "EXPOSURES",
    "GENE_RESULTS",
    "INSTRUMENTS",
    "ITEMS",
    "LAST_DAY",
    "NO_YES",
    "QUESTIONNAIRES",
    "RESOURCES",
    "RESULTS",
    "SAMPLES",
    "SEQUENCING",
    "STAYS",
    "SUBJECTS",
    "TABLES",
    "UNITS",
    "UNIT_COSTS",
    "VIROME",
    "VIRUSES",
    "Column",
    "Kind",
    "Table",
]
