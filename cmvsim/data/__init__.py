"""Study tables: schemas, reading, checking, writing; the batched Study."""

from cmvsim.data.checks import check_study
from cmvsim.data.dictionary import DictionaryRow, dictionary
from cmvsim.data.reading import read_study
from cmvsim.data.study import Courses, Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects, Topic
from cmvsim.data.writing import write_study

__all__ = [
    "Courses",
    "DictionaryRow",
    "Disposition",
    "EndReason",
    "Occurrences",
    "Result",
    "Samples",
    "Study",
    "Subjects",
    "Topic",
    "check_study",
    "dictionary",
    "read_study",
    "write_study",
]
