"""Drawing one of a weighted few in constant time, from one uniform draw.

Walker's alias method: each of n options owns a cell of equal probability, and lends part of it to
one other option. Source: M. D. Vose, "A linear algorithm for generating random numbers with a given
distribution", IEEE Transactions on Software Engineering 17 (1991).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.simulation.compiled import jit

Weights = Mapping[int, float]  # code = relative weight, not negative


class Choices(NamedTuple):
    """Many rows of weighted options; row r is the cells from `starts[r]` to `starts[r + 1]`."""

    starts: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]  # the option that owns the cell
    others: npt.NDArray[np.int32]  # the option it lends to
    kept: npt.NDArray[np.float64]  # share of the cell that its owner keeps


def choices(rows: Iterable[Weights]) -> Choices:
    """Return the tables to draw from each row; a row without options must not be drawn from."""
    tables = [_cells(row) for row in rows]
    starts = np.cumsum([0, *(len(codes) for codes, _, _ in tables)], dtype=np.int32)
    codes, others, kept = (
        [value for table in tables for value in table[column]] for column in range(3)
    )
    return Choices(
        starts,
        np.array(codes, np.int32),
        np.array(others, np.int32),
        np.array(kept, np.float64),
    )


def _cells(weights: Weights) -> tuple[list[int], list[int], list[float]]:
    codes = [code for code, weight in weights.items() if weight > 0]
    total = sum(weights[code] for code in codes)
    kept = [weights[code] * len(codes) / total for code in codes]
    others = list(codes)
    small = [cell for cell, share in enumerate(kept) if share < 1]
    large = [cell for cell, share in enumerate(kept) if share >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        others[poor] = codes[rich]
        kept[rich] -= 1 - kept[poor]
        if kept[rich] < 1:
            small.append(large.pop())
    for cell in (*small, *large):  # what rounding left
        kept[cell] = 1.0
    return codes, others, kept


@jit
def pick(table: Choices, row: int, uniform: float) -> int:
    """Return the code of one option of a row, by its weight."""
    start = table.starts[row]
    count = table.starts[row + 1] - start
    scaled = uniform * count
    cell = min(int(scaled), count - 1)
    at = start + cell
    return int(table.codes[at] if scaled - cell < table.kept[at] else table.others[at])
