"""What moves casualties: places, and the load a vehicle waits for."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from medgen_pipeline.reference import vocabulary


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One kind of vehicle."""

    places: int
    smallest_load: int  # it waits for so many,
    longest_wait_hours: float  # but no longer than this


@functools.cache
def vehicles() -> Mapping[str, Vehicle]:
    """Return every kind of vehicle by name, in the order of the vocabulary."""
    text = resources.files("medgen_pipeline.reference").joinpath("vehicles.toml").read_text()
    tables = tomllib.loads(text)
    if tuple(tables) != vocabulary.VEHICLES:
        raise ValueError("vehicles.toml must list vocabulary.VEHICLES in that order")
    return {
        name: Vehicle(row["places"], row["smallest_load"], row["longest_wait_hours"])
        for name, row in tables.items()
    }
