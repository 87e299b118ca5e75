"""Quantities of scenario files: one type for each unit and range.

Units are fixed by these types; a scenario file never writes one.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator

from cmvsim.core.quantity_forms import Unit, between_validator, schema, value_validator, varying_schema
from cmvsim.core.value import Between, Value

Probability = Annotated[
    Value,
    BeforeValidator(value_validator("a proportion", 0, 1, False, False)),
    schema("a proportion from 0 to 1", minimum=0, maximum=1),
    Unit("proportion"),
]
Days = Annotated[
    Value,
    BeforeValidator(value_validator("days", 0, math.inf, False, False)),
    schema("days, at least 0", minimum=0),
    Unit("days"),
]
PositiveDays = Annotated[
    Value,
    BeforeValidator(value_validator("days", 0, math.inf, True, False)),
    schema("days above 0", exclusiveMinimum=0),
    Unit("days"),
]
Hours = Annotated[
    Value,
    BeforeValidator(value_validator("hours", 0, math.inf, False, False)),
    schema("hours, at least 0", minimum=0),
    Unit("hours"),
]
StudyDay = Annotated[
    Value,
    BeforeValidator(value_validator("day from infusion", -math.inf, math.inf, False, False)),
    schema("day from infusion"),
    Unit("day from infusion"),
]
Count = Annotated[
    Value,
    BeforeValidator(value_validator("", 0, math.inf, False, True)),
    schema("a whole number, at least 0", minimum=0),
    Unit(""),
]
Ratio = Annotated[
    Value,
    BeforeValidator(value_validator("a ratio", 0, math.inf, True, False)),
    schema("a ratio above 0", exclusiveMinimum=0),
    Unit("ratio"),
]
Positive = Annotated[
    Value,
    BeforeValidator(value_validator("", 0, math.inf, True, False)),
    schema("a number above 0", exclusiveMinimum=0),
    Unit(""),
]
NonNegative = Annotated[
    Value,
    BeforeValidator(value_validator("", 0, math.inf, False, False)),
    schema("a number, at least 0", minimum=0),
    Unit(""),
]
ViralLoad = Annotated[
    Value,
    BeforeValidator(value_validator("IU/mL", 0, math.inf, True, False)),
    schema("IU/mL above 0", exclusiveMinimum=0),
    Unit("IU/mL"),
]
Log10Load = Annotated[
    Value,
    BeforeValidator(value_validator("log10 IU/mL", -math.inf, math.inf, False, False)),
    schema("log10 IU/mL"),
    Unit("log10 IU/mL"),
]
Log10Copies = Annotated[
    Value,
    BeforeValidator(value_validator("log10 copies/mL", -math.inf, math.inf, False, False)),
    schema("log10 copies/mL"),
    Unit("log10 copies/mL"),
]
Number = Annotated[Value, BeforeValidator(value_validator("", -math.inf, math.inf, False, False)), schema("a number"), Unit("")]
Correlation = Annotated[
    Value,
    BeforeValidator(value_validator("a correlation", -1, 1, False, False)),
    schema("a correlation from -1 to 1", minimum=-1, maximum=1),
    Unit("correlation"),
]
Utility = Annotated[
    Value,
    BeforeValidator(value_validator("a utility or a change of it", -1, 1, False, False)),
    schema("a utility (1 = full health, 0 = as bad as dead) or a change of it", minimum=-1, maximum=1),
    Unit("utility"),
]
VasPoints = Annotated[
    Value,
    BeforeValidator(value_validator("VAS points", 0, 100, False, False)),
    schema("points of the visual-analogue scale, 0 to 100", minimum=0, maximum=100),
    Unit("VAS points"),
]
LogitPerLog10 = Annotated[
    Value,
    BeforeValidator(value_validator("logit per log10", -math.inf, math.inf, False, False)),
    schema("log odds per log10"),
    Unit("logit per log10"),
]
VaryingDays = Annotated[
    Between,
    BeforeValidator(between_validator("days", 0, False)),
    varying_schema("days, differing between patients"),
    Unit("days"),
]
VaryingPositiveDays = Annotated[
    Between,
    BeforeValidator(between_validator("days", 0, True)),
    varying_schema("days above 0, differing between patients"),
    Unit("days"),
]
VaryingProportion = Annotated[
    Between,
    BeforeValidator(between_validator("a proportion", 0, False)),
    varying_schema("a proportion, differing between patients"),
    Unit("proportion"),
]
CellCount = Annotated[
    Value,
    BeforeValidator(value_validator("x 10^9/L", 0, math.inf, True, False)),
    schema("x 10^9/L, above 0", exclusiveMinimum=0),
    Unit("x 10^9/L"),
]
DailyDose = Annotated[
    Value,
    BeforeValidator(value_validator("mg per day", 0, math.inf, True, False)),
    schema("mg per day, above 0", exclusiveMinimum=0),
    Unit("mg per day"),
]
VaryingLog10 = Annotated[
    Between,
    BeforeValidator(between_validator("log10 IU/mL", -math.inf, False)),
    varying_schema("log10 IU/mL, differing between patients"),
    Unit("log10 IU/mL"),
]
VaryingLog10Copies = Annotated[
    Between,
    BeforeValidator(between_validator("log10 copies/mL", -math.inf, False)),
    varying_schema("log10 copies/mL, differing between patients"),
    Unit("log10 copies/mL"),
]
VaryingPositive = Annotated[
    Between,
    BeforeValidator(between_validator("", 0, True)),
    varying_schema("a number above 0, differing between patients"),
    Unit(""),
]
Concentration = Annotated[
    Value,
    BeforeValidator(value_validator("in the unit of the assay", 0, math.inf, False, False)),
    schema("a concentration in the unit of the assay, at least 0", minimum=0),
    Unit("units of the assay"),
]
LogSd = Annotated[
    Value,
    BeforeValidator(value_validator("a standard deviation of the natural log", 0, math.inf, False, False)),
    schema("a standard deviation of the natural log, at least 0", minimum=0),
    Unit("sd of the natural log"),
]
LogOddsPerGrade = Annotated[
    Value,
    BeforeValidator(value_validator("a log odds ratio per grade", -math.inf, math.inf, False, False)),
    schema("a log odds ratio per grade"),
    Unit("log odds per grade"),
]
VaryingConcentration = Annotated[
    Between,
    BeforeValidator(between_validator("in the unit of the assay", 0, True)),
    varying_schema("a concentration above 0 in the unit of the assay, differing between patients"),
    Unit("units of the assay"),
]
VaryingFold = Annotated[
    Between,
    BeforeValidator(between_validator("fold", 0, True)),
    varying_schema("fold, above 0, differing between patients"),
    Unit("fold"),
]
VaryingRate = Annotated[
    Between,
    BeforeValidator(between_validator("per day", 0, True)),
    varying_schema("a rate per day above 0, differing between patients"),
    Unit("per day"),
]
VaryingShare = Annotated[
    Between,
    BeforeValidator(between_validator("a proportion", 0, True)),
    varying_schema("a proportion above 0, differing between patients"),
    Unit("proportion"),
]
DayPrice = Annotated[
    Value,
    BeforeValidator(value_validator("EUR per day", 0, math.inf, False, False)),
    schema("EUR per day, at least 0", minimum=0),
    Unit("EUR per day"),
]
PatientsPerYear = Annotated[
    Value,
    BeforeValidator(value_validator("patients per year", 0, math.inf, False, False)),
    schema("patients per year, at least 0", minimum=0),
    Unit("patients per year"),
]
YearlyHazard = Annotated[
    Value,
    BeforeValidator(value_validator("per year", 0, math.inf, False, False)),
    schema("a hazard per year, at least 0", minimum=0),
    Unit("per year"),
]
Money = Annotated[
    Value,
    BeforeValidator(value_validator("EUR", 0, math.inf, False, False)),
    schema("EUR, at least 0", minimum=0),
    Unit("EUR"),
]
Years = Annotated[
    Value,
    BeforeValidator(value_validator("years", 0, math.inf, False, False)),
    schema("years, at least 0", minimum=0),
    Unit("years"),
]
