"""The catalogue of treatments: hands-on time, probability of working, code, quantity."""

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from medgen_pipeline.reference import snomed, vocabulary


@dataclass(frozen=True, slots=True)
class Treatment:
    """One treatment, as one giving of it."""

    name: str
    code: str  # SNOMED CT
    term: str
    code_source: str  # where the code was read with this meaning
    confidence: str  # in that: "high" or "medium"
    minutes: float
    works: float  # probability, in trained hands
    alongside: bool = False  # given while the step before it goes on
    quantity: float | None = None
    unit: str | None = None  # of vocabulary.UNITS


@functools.cache
def treatments() -> tuple[Treatment, ...]:
    """Return every treatment, in the order of the vocabulary."""
    text = resources.files("medgen_pipeline.reference").joinpath("treatments.toml").read_text()
    tables = tomllib.loads(text)
    if tuple(tables) != vocabulary.TREATMENTS:
        raise ValueError("treatments.toml must list vocabulary.TREATMENTS in that order")
    found = tuple(Treatment(name=name, **fields) for name, fields in tables.items())
    for treatment in found:
        if not snomed.is_valid(treatment.code):
            raise ValueError(f"treatments.toml: {treatment.name} has a wrong check digit")
    return found
