"""The ``formula`` verb: closed forms and exact methods by name, with inputs checked before anything is computed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cmvsim.core.errors import InputError, Problem, did_you_mean, nearest
from cmvsim.core.streams import check_seed
from cmvsim.designs.closed_forms.catalogue import Formula, Parameter, Row
from cmvsim.designs.closed_forms.catalogue_accrual import ACCRUAL
from cmvsim.designs.closed_forms.catalogue_one_arm import ONE_ARM
from cmvsim.designs.closed_forms.catalogue_sequential import SEQUENTIAL
from cmvsim.designs.closed_forms.catalogue_two_arms import TWO_ARMS

if TYPE_CHECKING:
    from cmvsim.planning.formula_simulation import SimulatedFormula

Given = str | float | Sequence[float]

_FORMULAS: dict[str, Formula] = {formula.name: formula for formula in (*ONE_ARM, *TWO_ARMS, *SEQUENTIAL, *ACCRUAL)}


@dataclass(frozen=True, slots=True)
class FormulaResult:
    """The answer of a formula.

    Attributes
    ----------
    name
        Name of the formula.
    inputs
        Every parameter as used, defaults included; None where an optional one was left out.
    rows
        The numbers.
    sentence
        The main number in words.
    source
        Where the formula comes from.
    simulated
        The trial that the formula is about, simulated; None unless asked for.
    """

    name: str
    inputs: dict[str, Any]
    rows: tuple[Row, ...]
    sentence: str
    source: str
    simulated: SimulatedFormula | None = None

    def text(self) -> str:
        """The sentence, the numbers as a table, the simulation if there is one, and the source."""
        lines = [self.sentence, "", *_table(self.rows)]
        if self.simulated is not None:
            why = [f"- {reason}." for reason in self.simulated.why]
            lines += ["", self.simulated.sentence, "", *_table(self.simulated.rows), "", "Why they differ:", *why]
        return "\n".join([*lines, "", f"Source: {self.source}"])

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            **self._answer(),
            **({"simulated": self.simulated.as_dict()} if self.simulated is not None else {}),
        }

    def _answer(self) -> dict[str, Any]:
        return {
            "format": 1,
            "verb": "formula",
            "name": self.name,
            "inputs": {key: list(item) if isinstance(item, tuple) else item for key, item in self.inputs.items()},
            "rows": [{"measure": row.measure, "at": row.at, "value": row.value} for row in self.rows],
            "sentence": self.sentence,
            "source": self.source,
        }


def _table(listed: Sequence[Row]) -> list[str]:
    cells = [(row.at, row.measure, f"{row.value:.7g}" if isinstance(row.value, float) else str(row.value)) for row in listed]
    wide = [max(len(cell[i]) for cell in cells) for i in range(3)]
    lines = [f"{at:<{wide[0]}}  {what:<{wide[1]}}  {value:>{wide[2]}}" for at, what, value in cells]
    return [line.strip() if wide[0] == 0 else line for line in lines]


def simulated(result: FormulaResult, replicates: int, *, seed: int = 1, jobs: int = 1) -> FormulaResult:
    """The same answer with the trial that the formula is about, simulated.

    Parameters
    ----------
    result
        Of a formula of event times that says how many patients there are, and when they enter.
    replicates
        Simulated trials; the same with a drug that does nothing for the type I error.
    jobs
        Workers; the numbers do not depend on them.

    Raises
    ------
    InputError
        If the formula describes no trial of event times.
    """
    from cmvsim.planning.formula_simulation import simulate_formula
    from cmvsim.verbs.running import scratch

    check_seed(seed)
    found = scratch(
        lambda folder: simulate_formula(result.name, result.inputs, replicates=replicates, seed=seed, jobs=jobs, folder=folder)
    )
    return replace(result, simulated=found)


def formulas() -> tuple[Formula, ...]:
    """Every formula, with its parameters, source and an example."""
    return tuple(_FORMULAS.values())


def listing() -> str:
    """The names of the formulas and what each answers, one per line."""
    wide = max(len(name) for name in _FORMULAS)
    return "\n".join(f"{name:<{wide}}  {item.title}" for name, item in _FORMULAS.items())


def read_pairs(typed: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` words as a mapping.

    Raises
    ------
    InputError
        For each word without ``=`` and each key that is given twice.
    """
    found: dict[str, str] = {}
    problems = []
    for word in typed:
        key, sign, value = (part.strip() for part in word.partition("="))
        if not (key and sign and value):
            problems.append(Problem(f"'{word}' is not KEY=VALUE", allowed="for example p0=0.3"))
        elif key in found:
            problems.append(Problem("given twice", at=key))
        found[key] = value
    if problems:
        raise InputError(problems)
    return found


def find(name: str) -> Formula:
    """The formula of a name.

    Raises
    ------
    InputError
        If there is none, with the name that was probably meant.
    """
    if name not in _FORMULAS:
        raise InputError(Problem(f"unknown formula '{name}'", allowed=did_you_mean(name, _FORMULAS)))
    return _FORMULAS[name]


def describe(name: str) -> str:
    """What a formula answers, its parameters with ranges and defaults, its source and an example.

    Raises
    ------
    InputError
        If there is no such formula.
    """
    chosen = find(name)
    lines = [chosen.title, ""]
    for parameter in chosen.parameters:
        default = "" if parameter.default is None else f" [default: {_typed(parameter.default)}]"
        needed = " (required)" if parameter.required else ""
        lines.append(f"  {parameter.name}{needed}: {parameter.help}; {parameter.allowed}{default}")
    return "\n".join([*lines, "", f"Source: {chosen.source}", f"Example: cmvsim formula {name} {chosen.example}"])


def _typed(default: Any) -> str:
    return ",".join(f"{item:g}" for item in default) if isinstance(default, tuple) else str(default)


def formula(name: str, values: Mapping[str, Given]) -> FormulaResult:
    """Compute a formula.

    Parameters
    ----------
    name
        Name of the formula, see :func:`formulas`.
    values
        Parameters by name, as numbers or as one types them; lists are separated by commas, ``ln2/6`` is the hazard
        with median 6, and ``5%`` is 0.05. Parameters with a default may be left out.

    Raises
    ------
    InputError
        If the formula or a parameter is unknown, a required one is missing, a value is no number or out of its range
        (all of these at once), or if the values together describe no study.
    """
    chosen = find(name)
    inputs = _inputs(chosen, values)
    try:
        answer = chosen.compute(inputs)
    except InputError as error:
        raise InputError(Problem(p.message, where=f"formula {name}", allowed=p.allowed) for p in error.problems) from None
    return FormulaResult(name, inputs, answer.rows, answer.sentence, chosen.source)


def _inputs(chosen: Formula, values: Mapping[str, Given]) -> dict[str, Any]:
    where, known = f"formula {chosen.name}", {parameter.name: parameter for parameter in chosen.parameters}
    problems = [
        Problem("unknown parameter", where=where, at=key, allowed=_suggestion(key, known)) for key in values if key not in known
    ]
    inputs: dict[str, Any] = {}
    for key, parameter in known.items():
        if key not in values:
            inputs[key] = parameter.default
            if parameter.required:
                problems.append(Problem(f"missing: {parameter.help}", where=where, at=key, allowed=parameter.allowed))
            continue
        try:
            inputs[key] = _read(parameter, values[key])
        except ValueError as error:
            problems.append(Problem(str(error), where=where, at=key, allowed=parameter.allowed))
    asked = [key for key in ("n", "events") if key in values and key in known and known[key].optional]
    if asked and "power" in values and "power" in known:
        problems.append(Problem(f"give power or {asked[0]}, not both", where=where, at="power"))
    if problems:
        raise InputError(problems)
    return inputs


def _suggestion(key: str, known: Mapping[str, Parameter]) -> str:
    near = nearest(key, known)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"


def _read(parameter: Parameter, given: Given) -> Any:
    """A value of the parameter's kind and range; ValueError says what is wrong with it."""
    if parameter.kind == "choice":
        if given not in parameter.choices:
            raise ValueError(f"unknown value '{given}'")
        return given
    if parameter.kind in ("numbers", "integers"):
        if isinstance(given, str):
            return tuple(_number(parameter, item) for item in given.split(","))
        return tuple(_number(parameter, item) for item in ([given] if isinstance(given, int | float) else given))
    if not isinstance(given, str | int | float):
        raise ValueError(f"{given} is a list")  # noqa: TRY004  # one kind of error for one kind of mistake
    return _number(parameter, given)


def _number(parameter: Parameter, given: str | float) -> float | int:
    number = _parse(given) if isinstance(given, str) else float(given)
    if not math.isfinite(number):
        raise ValueError(f"{given} is not a finite number")
    low, high = parameter.low, parameter.high
    inside = low < number < high if parameter.strict else low <= number <= high
    if not inside:
        raise ValueError(f"{given} is out of range")
    if parameter.kind in ("integer", "integers"):
        if number != math.floor(number):
            raise ValueError(f"{given} is not a whole number")
        return int(number)
    return number


def _parse(text: str) -> float:
    """A number, a percentage, or ``ln2/median``."""
    plain = text.strip()
    median = re.fullmatch(r"ln\(?2\)?\s*/\s*(\S+)", plain)
    try:
        if median:
            return math.log(2.0) / float(median[1])
        return float(plain[:-1]) / 100.0 if plain.endswith("%") else float(plain)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"'{text}' is not a number") from None
