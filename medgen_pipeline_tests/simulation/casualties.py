"""Casualties made by hand, and the world they are in: the figures of a small scenario."""

from typing import Any

import numpy as np

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.simulation import onset
from medgen_pipeline.simulation.parameters import theatre
from medgen_pipeline.simulation.state import LIVE
from medgen_pipeline.simulation.streams import replicate_key
from medgen_pipeline.simulation.wounds import WOUND
from medgen_pipeline_tests.simulation.running import small

Record = Any  # one row of a structured array: compiled code reads and writes it in place
_CODES = {
    "body_region": vocabulary.BODY_REGIONS,
    "wound_type": vocabulary.WOUND_TYPES,
    "bleeding_site": vocabulary.BLEEDING_SITES,
}


def a_world(**values: Any) -> Record:  # noqa: ANN401  numbers or arrays of them
    """Return a world with the figures of the project, some of them changed."""
    world = theatre(small()).world
    world["key_0"], world["key_1"] = replicate_key(1, 0)
    for name, value in values.items():
        world[name] = value
    return world[0]


def a_casualty(subject: int = 0, now: int = 0, /, **values: float) -> Record:
    """Return a casualty with no problem but those named."""
    live = np.zeros(1, LIVE)
    onset.reset(live[0], subject, now)
    for name, value in values.items():
        live[0][name] = value
    return live[0]


def some_wounds(*wounds: dict[str, Any]) -> Any:  # noqa: ANN401  an array compiled code takes
    """Return wounds, their columns given as words or numbers."""
    rows = np.zeros(len(wounds), WOUND)
    for row, wound in zip(rows, wounds, strict=True):
        for name, value in wound.items():
            row[name] = _CODES[name].index(str(value)) if name in _CODES else value
    return rows
