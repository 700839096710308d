"""Every figure under `reference/`, with its source and what that is worth.

A figure's source stands beside it, in a table above it, or in `provenance.toml`. Words are no
figures: a table of codes or names alone is not listed.
"""

import fnmatch
import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

MARKS: Final = ("V", "V2", "D", "M", "X")  # read, second-hand, derived, from memory, our own choice
SOURCES: Final = "provenance"
NAMES: Final = ("iso3", "code", "name", "kind")  # what tells the tables of a list apart


@dataclass(frozen=True, slots=True)
class Origin:
    """Where figures come from: `check` names what an X was fixed by, or "judgement"."""

    source: str = ""
    mark: str = ""  # several, joined by commas, where a source covers several
    check: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One figure, or a few that belong together."""

    file: str
    path: str
    value: Any
    unit: str
    origin: Origin


@functools.cache
def parameters() -> tuple[Parameter, ...]:
    """Return every figure of every file, by file and in the order written."""
    files = _files()
    return tuple(
        parameter
        for name in sorted(files.keys() - {SOURCES})
        for parameter in _figures(name, (), files[name], Origin())
    )


@functools.cache
def _files() -> dict[str, Any]:
    """Return the content of every TOML file, by its name without the ending."""
    folder = resources.files("medgen_pipeline.reference")
    return {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text())
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _figures(file: str, path: tuple[str, ...], node: Any, above: Origin) -> Iterator[Parameter]:  # noqa: ANN401
    """Yield the figures below a node; `above` is the origin that the tables around it state."""
    origin = _stated(node) or above
    if isinstance(node, Mapping) and "value" in node:
        yield Parameter(file, ".".join(path), node["value"], node["unit"], origin)
    elif _is_one(path, node):
        if _has_number(node):
            origin = origin if origin.source else _listed(file, path)
            yield Parameter(file, ".".join(path), node, "", origin)
    elif isinstance(node, Mapping):
        for key, below in node.items():
            if key != "source":
                yield from _figures(file, (*path, key), below, _beside(node, key) or origin)
    else:
        for number, below in enumerate(node, start=1):
            yield from _figures(file, (*path, _name(below, number)), below, origin)


def _is_one(path: tuple[str, ...], node: Any) -> bool:  # noqa: ANN401
    """Whether a node is shown whole: a value, a list of them, a table of them, or a row."""
    if isinstance(node, Mapping):
        is_row = len(path) > 1 and path[-2] == "rows"
        return is_row or (
            bool(path)
            and "source" not in node
            and not any(isinstance(value, Mapping | list) for value in node.values())
        )
    return not isinstance(node, list) or not any(isinstance(value, Mapping) for value in node)


def _has_number(node: Any) -> bool:  # noqa: ANN401
    if isinstance(node, Mapping):
        return any(_has_number(value) for value in node.values())
    if isinstance(node, list):
        return any(_has_number(value) for value in node)
    return isinstance(node, int | float) and not isinstance(node, bool)


def _stated(node: Any) -> Origin | None:  # noqa: ANN401
    """Return the origin a table states: its source, with marks in it or beside it."""
    if not isinstance(node, Mapping) or "source" not in node:
        return None
    source = str(node["source"])
    if "mark" in node:
        return Origin(source, node["mark"], node.get("check", ""))
    marks = re.findall(rf"\[({'|'.join(MARKS)})\]", source) or ["V"]
    checks = sorted(set(re.findall(r"\bO\d+\b", source)), key=lambda name: int(name[1:]))
    marked = ", ".join(mark for mark in MARKS if mark in marks)
    return Origin(source, marked, ", ".join(checks) or ("judgement" if "X" in marks else ""))


def _beside(table: Mapping[str, Any], key: str) -> Origin | None:
    """Return the origin that `<key>_source` beside a key states."""
    said = table.get(f"{key}_source")
    return None if said is None else Origin(f"from {said}, to be checked", "M")


def _listed(file: str, path: tuple[str, ...]) -> Origin:
    """Return the origin that `provenance.toml` gives a figure; without one is an error."""
    for row in _files()[SOURCES].get(file, {"rows": []})["rows"]:
        if _fits(".".join(path), row["path"]):
            return Origin(row["source"], row["mark"], row["check"])
    raise ValueError(f"{file}.toml: {'.'.join(path)} has no source")


def _fits(path: str, pattern: str) -> bool:
    if pattern.endswith("**"):
        stem = pattern.removesuffix("**").removesuffix(".")
        heads = path.split(".")[: len(stem.split("."))] if stem else []
        return fnmatch.fnmatchcase(".".join(heads), stem)
    is_as_long = path.count(".") == pattern.count(".")
    return is_as_long and fnmatch.fnmatchcase(path, pattern)


def _name(table: Any, number: int) -> str:  # noqa: ANN401
    """Return what tells a table of a list from the others, else its number."""
    for key in NAMES:
        if isinstance(table, Mapping) and key in table:
            return str(table[key])
    return str(number)
