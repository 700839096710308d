"""Weighing the evidence that counts come from stated shares."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def chi_square_z(counts: npt.ArrayLike, shares: Sequence[float]) -> float:
    """Return how many standard deviations the counts are away from the shares, as a normal score.

    Pearson's statistic, made normal by the cube root of Wilson and Hilferty (1931): above 3.7 one
    would be wrong once in 10,000 times to doubt the shares.
    """
    observed = np.asarray(counts, np.float64)
    expected = np.asarray(shares) / np.sum(shares) * observed.sum()
    freedom = len(observed) - 1
    statistic = float((np.square(observed - expected) / expected).sum())
    spread = 2 / (9 * freedom)
    return float(((statistic / freedom) ** (1 / 3) - (1 - spread)) / np.sqrt(spread))
