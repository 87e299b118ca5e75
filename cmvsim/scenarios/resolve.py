"""From the human form to the resolved form: follow evidence ids, validate, check across families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.core.errors import InputError, Problem, did_you_mean, shown
from cmvsim.core.spec import key_path
from cmvsim.evidence import parameter
from cmvsim.scenarios.load import apply_overrides, catalogue_ids, load_tree
from cmvsim.scenarios.scenario import FORMAT, ResolvedScenario, Scenario

OWN = "own"


def resolve(name: str, overrides: Sequence[str] = ()) -> ResolvedScenario:
    """Load, override, follow references, validate.

    Parameters
    ----------
    name
        Catalogue id or path of a TOML file.
    overrides
        ``KEY=VALUE`` texts, applied in order.

    Raises
    ------
    InputError
        With every mistake found: file, key path, what is wrong, what is allowed.
    """
    tree = apply_overrides(load_tree(name), overrides)
    where = f"{name} with --set" if overrides else name
    spec = resolve_tree(tree, where)
    return ResolvedScenario(spec, name, tuple(overrides), _basis(spec.cmv.calibrated_on, where))


def _basis(name: str, where: str) -> Scenario | None:
    """The scenario that targets are solved on: as the catalogue has it, whatever was changed here."""
    if name == OWN:
        return None
    if name not in catalogue_ids():
        raise InputError(
            Problem(
                f"there is no catalogue scenario '{name}' to calibrate on",
                where,
                "cmv.calibrated_on",
                did_you_mean(name, (OWN, *catalogue_ids())),
            )
        )
    return resolve_tree(load_tree(name), name)


def resolve_tree(tree: Mapping[str, Any], where: str) -> Scenario:
    """Follow the references of a tree that extends nothing (any more), validate, check across families.

    Parameters
    ----------
    tree
        The human form.
    where
        File name for messages.

    Raises
    ------
    InputError
        As :func:`resolve`.
    """
    if type(tree.get("format")) is not int or tree["format"] != FORMAT:  # neither true nor 1.0
        found = shown(tree["format"]) if "format" in tree else "no key 'format'"
        raise InputError(Problem(f"{found}: this version reads format = {FORMAT}", where, "format"))
    problems: list[Problem] = []
    followed = _with_intervals(_follow(tree, (), where, problems))
    if problems:
        raise InputError(problems)
    spec = Scenario.parse(followed, where=where)
    spec.check(where)
    return spec


def _with_intervals(tree: Any) -> Any:
    """Give targets and checks the interval of the evidence entry they come from, unless they state one."""
    cmv = tree.get("cmv")
    if not isinstance(cmv, Mapping):
        return tree
    given = {key: cmv[key] for key in ("targets", "checks") if isinstance(cmv.get(key), list)}
    return {**tree, "cmv": {**cmv, **{key: [_with_interval(item) for item in items] for key, items in given.items()}}}


def _with_interval(figure: Any) -> Any:
    """The published interval, or the central 95% of what is not known of the entry."""
    if not isinstance(figure, Mapping) or "published" in figure or not isinstance(figure.get("value"), Mapping):
        return figure
    name = figure["value"].get("evidence")
    if not isinstance(name, str):
        return figure
    entry = parameter(name)
    interval = entry.interval95 or (entry.uncertain.interval95() if entry.uncertain is not None else None)
    return {**figure, "published": list(interval)} if interval is not None else figure


def _follow(tree: Any, path: tuple[str | int, ...], where: str, problems: list[Problem]) -> Any:
    """Replace every ``"@id"`` by its evidence entry."""
    if isinstance(tree, Mapping):
        return {key: _follow(value, (*path, key), where, problems) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_follow(value, (*path, index), where, problems) for index, value in enumerate(tree)]
    if isinstance(tree, str) and tree.startswith("@"):
        try:
            return parameter(tree[1:]).human()
        except InputError as error:
            problems += [Problem(p.message, where, key_path(path), p.allowed) for p in error.problems]
    return tree
