"""Study tables: schemas, reading, checking, writing; the batched Study."""

from cmvsim.data.checks import check_study
from cmvsim.data.dictionary import DictionaryRow, dictionary
from cmvsim.data.reading import read_study
from cmvsim.data.study import (
    CellSamples,
    Courses,
    Disposition,
    EndReason,
    Occurrences,
    Questionnaires,
    Resources,
    Result,
    Samples,
    Sequencing,
    Stays,
    Study,
    Subjects,
    Topic,
    VirusSamples,
)
from cmvsim.data.writing import write_study

__all__ = [
    "CellSamples",
    "Courses",
    "DictionaryRow",
    "Disposition",
    "EndReason",
    "Occurrences",
    "Questionnaires",
    "Resources",
    "Result",
    "Samples",
    "Sequencing",
    "Stays",
    "Study",
    "Subjects",
    "Topic",
    "VirusSamples",
    "check_study",
    "dictionary",
    "read_study",
    "write_study",
]
