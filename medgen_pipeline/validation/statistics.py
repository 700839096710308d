"""What a check measures, and how sure it is: statistics of rows, resampled by whole days.

Casualties of one incident share a mechanism, and those of one day share beds and vehicles, so a
casualty is no independent draw. The interval of a statistic therefore comes from a bootstrap over
blocks, a block being one day of one replicate: what is resampled is how often each block counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Rows, the block of each row from 0, and weights [resampling, block] give a value a resampling.
Statistic = Callable[[FloatArray, IntArray, FloatArray], FloatArray]

RESAMPLES: Final = 400  # our own choice: the ends of an interval to about a tenth of its width
HALF: Final = 0.5
SEED: Final = 397  # of the resampling only, so that one dataset has one table
INTERVAL: Final = (2.5, 97.5)  # percentiles that bound 95 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None where there is nothing to measure."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def estimate(rows: FloatArray, blocks: IntArray, statistic: Statistic) -> Estimate:
    """Return a statistic of rows with its interval; `blocks` numbers the block of each row."""
    if not len(rows):
        return Estimate()
    _, codes = np.unique(blocks, return_inverse=True)
    count = int(codes.max()) + 1
    weights = np.ones((1 + RESAMPLES, count))
    drawn = np.random.Generator(np.random.Philox(SEED))
    weights[1:] = drawn.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, *resampled = statistic(rows, codes.astype(np.int64), weights)
    known = np.array(resampled)[np.isfinite(resampled)]
    if not np.isfinite(value) or not len(known):
        return Estimate()
    low, high = np.percentile(known, INTERVAL)
    return Estimate(float(value), float(low), float(high))


def of_sums(function: Callable[..., FloatArray]) -> Statistic:
    """Return the statistic that is a function of the columns' sums."""

    def statistic(rows: FloatArray, blocks: IntArray, weights: FloatArray) -> FloatArray:
        sums = np.zeros((weights.shape[1], rows.shape[1]))
        np.add.at(sums, blocks, rows)
        return function(*(weights @ sums).T)

    return statistic


def quantile(share: float) -> Statistic:
    """Return the statistic that is the value below which that share of the first column lies."""

    def statistic(rows: FloatArray, blocks: IntArray, weights: FloatArray) -> FloatArray:
        order = np.argsort(rows[:, 0], kind="stable")
        values, of_block = rows[order, 0], blocks[order]
        found = np.empty(len(weights))
        for index, weight in enumerate(weights):
            reached = np.cumsum(weight[of_block])
            found[index] = values[np.searchsorted(reached, share * reached[-1])]
        return found

    return statistic


def median_survival(rows: FloatArray, blocks: IntArray, weights: FloatArray) -> FloatArray:
    """Return the time by which half have died, by Kaplan and Meier.

    Rows are a time and whether it ended in death; who was treated or lost before is censored.
    Infinite when half never die.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    times, died, of_block = rows[order, 0], rows[order, 1], blocks[order]
    found = np.empty(len(weights))
    for index, weight in enumerate(weights):
        counted = weight[of_block]
        at_risk = np.cumsum(counted[::-1])[::-1]
        dying = np.where(at_risk > 0, counted * died / np.maximum(at_risk, 1), 0.0)
        alive = np.cumprod(1.0 - np.minimum(dying, 1.0))
        reached = np.flatnonzero(alive <= HALF)
        found[index] = times[reached[0]] if len(reached) else np.inf
    return found


percent: Final = of_sums(lambda part, whole: 100 * part / whole)
ratio: Final = of_sums(lambda part, whole: part / whole)
ratio_of_ratios: Final = of_sums(lambda a, b, c, d: (a / b) / (c / d))
percent_more: Final = of_sums(lambda a, b, c, d: 100 * (a / b - c / d))
deviation: Final = of_sums(lambda n, total, squares: np.sqrt(squares / n - (total / n) ** 2))
relative_deviation: Final = of_sums(
    lambda n, total, squares: np.sqrt(squares / n - (total / n) ** 2) / (total / n)
)
