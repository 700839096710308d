"""The figures of the casualty model, each with unit, source and mark."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: V read in the source, V2 second-hand, D derived, X our own choice."""

    name: str
    value: float | list[float]
    unit: str
    source: str
    mark: str
    check: str = ""  # what an X was fixed by


@functools.cache
def figures() -> Mapping[str, Figure]:
    """Return every figure by name, in the order of the file."""
    text = resources.files("medgen_pipeline.reference").joinpath("physiology.toml").read_text()
    found = {name: Figure(name=name, **entry) for name, entry in tomllib.loads(text).items()}
    for figure in found.values():
        if figure.mark not in {"V", "V2", "D", "X"} or (figure.mark == "X" and not figure.check):
            raise ValueError(f"physiology.toml: {figure.name} needs a mark, and an X its check")
    return found
