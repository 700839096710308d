"""Replicates run in the tests: their rows as arrays of words, and their state on the way."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.validation import parse
from medgen_pipeline.simulation.engine import Replicate, engine
from medgen_pipeline.simulation.kernel import MARGIN
from medgen_pipeline.simulation.rows import Rows
from medgen_pipeline_tests.scenario.examples import smallest

Columns = dict[str, npt.NDArray[Any]]


def changed(scenario: Scenario, **changes: Any) -> Scenario:  # noqa: ANN401  values of any field
    """Return a scenario with some values changed, each named by its path: `care__medic_minutes`."""
    data = scenario.model_dump()
    for path, value in changes.items():
        *outer, last = path.split("__")
        holder = data
        for name in outer:
            holder = holder[name]
        holder[last] = value
    return parse(data, scenario.id)


def small(**changes: Any) -> Scenario:  # noqa: ANN401  values of any field
    """Return the smallest scenario with some values changed."""
    return changed(parse(smallest()), **changes)


def tables(
    scenario: Scenario, replicate: int = 0, *, buffer_rows: int = 65_536
) -> dict[str, Columns]:
    """Return every table of a replicate, as numbers; empty tables are left out."""
    parts: dict[str, list[Rows]] = {}
    for rows in Replicate(engine(scenario, buffer_rows=buffer_rows), replicate).rows():
        parts.setdefault(rows.table, []).append(copied(rows))
    return {name: _joined(some) for name, some in parts.items()}


def copied(rows: Rows) -> Rows:
    """Return rows that no longer share memory with the loop."""
    columns = {
        name: column.copy() if isinstance(column, np.ndarray) else column
        for name, column in rows.columns.items()
    }
    return Rows(rows.table, columns, rows.dictionaries)


def _joined(some: list[Rows]) -> Columns:
    names = [name for name, column in some[0].columns.items() if isinstance(column, np.ndarray)]
    return {name: np.concatenate([rows.columns[name] for rows in some]) for name in names}


def moments(
    scenario: Scenario, replicate: int = 0, *, buffer_rows: int = MARGIN
) -> Iterator[Replicate]:
    """Yield a running replicate whenever it hands over rows, until its clock ends."""
    running = Replicate(engine(scenario, buffer_rows=buffer_rows), replicate)
    for _ in running.rows():
        if running.world["now"][0] < running.world["horizon_s"][0] and "live" in running.arrays:
            yield running


def is_outcome(patients: Columns, *words: str) -> npt.NDArray[np.bool_]:
    """Return which patients have one of the outcomes."""
    codes = [vocabulary.OUTCOMES.index(word) for word in words]
    return np.isin(patients["outcome"], codes)
