"""In which hours the battle casualties of a day fall, for each pattern of warfare.

A spread takes the casualties of each day and sector and returns those of each hour; it never loses
or adds one. The scenario's day begins at `scenario.start`, whatever the clock shows, and so do the
hours here; `shifted` turns a table by hour of the clock into one by hour of the scenario's day.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.warfare import (
    HOURS_PER_DAY,
    Contamination,
    Incidents,
    Pattern,
    Surges,
    WeightedHours,
    WorkingHours,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Spread = Callable[[np.random.Generator, IntArray], IntArray]
"""Casualties [day, sector] to casualties [day, sector, hour of the scenario's day]."""

LONGEST_DELAY_HOURS = 240  # of contamination; beyond it lies less than 1 in 20,000 of the longest


def shifted(by_clock: Sequence[float], start_hour: int) -> FloatArray:
    """Return a table by hour of the clock as one by hour of the scenario's day."""
    return np.roll(np.asarray(by_clock, np.float64), -start_hour)


def spread_of(pattern: Pattern, factor: Sequence[float], start_hour: int, days: int) -> Spread:
    """Return the spread of a pattern; `factor` by hour of the clock weighs its hours."""
    match pattern:
        case WeightedHours():
            weights = shifted(_times(pattern.weights, factor), start_hour)
            return partial(_weighted, weights / weights.sum())
        case Surges():
            return _surge_spread(pattern, shifted(factor, start_hour), start_hour)
        case Incidents():
            weights = shifted(_times(pattern.weights, factor), start_hour)
            return partial(_incidents, pattern.fewest, pattern.most, _cumulative(weights))
        case WorkingHours():
            possible = shifted([float(w > 0) for w in pattern.weights], start_hour)
            weights = shifted(_times(pattern.weights, factor), start_hour)
            return partial(_working_hours, pattern.probability * possible, weights)
        case Contamination():
            weights = shifted(_times(pattern.release_weights, factor), start_hour)
            return _contamination_spread(pattern, weights, days)


def stochastic_round(values: npt.NDArray[Any], uniform: FloatArray) -> IntArray:
    """Return whole numbers less than 1 from the values, whose expectation is the values."""
    return np.floor(values + uniform).astype(np.int64)


def _times(a: Iterable[float], b: Iterable[float]) -> list[float]:
    return [x * y for x, y in zip(a, b, strict=True)]


def _cumulative(weights: FloatArray) -> FloatArray:
    """Return cumulative probabilities that end in exactly 1."""
    total = np.cumsum(weights, axis=-1)
    return total / total[..., -1:]


def _normalised(weights: FloatArray) -> FloatArray:
    """Return rows of weights as probabilities; a row without weight stays zero."""
    total = weights.sum(axis=-1, keepdims=True)
    return weights / np.where(total > 0, total, 1.0)


def _weighted(probability: FloatArray, rng: np.random.Generator, counts: IntArray) -> IntArray:
    return rng.multinomial(counts, probability)


# ---- A few barrages ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SurgeTable:
    in_surge: BoolArray  # [set of surges, hour]
    cumulative: FloatArray  # probability of each set
    factor: FloatArray
    share: float
    surge_range: tuple[float, float]
    other_range: tuple[float, float]


def _surge_spread(pattern: Surges, factor: FloatArray, start_hour: int) -> Spread:
    sets = dict[tuple[int, ...], float]()
    for starts, probability in _surge_sets(pattern.start_hours, pattern):
        key = tuple(sorted(starts))
        sets[key] = sets.get(key, 0.0) + probability
    covered = [
        [float(any(s <= h < s + pattern.length_hours for s in key)) for h in range(HOURS_PER_DAY)]
        for key in sets
    ]
    table = _SurgeTable(
        in_surge=np.array([shifted(row, start_hour) for row in covered]) > 0,
        cumulative=_cumulative(np.array(list(sets.values()))),
        factor=factor,
        share=pattern.share,
        surge_range=pattern.surge_factor_range,
        other_range=pattern.other_factor_range,
    )
    return partial(_surges, table)


def _surge_sets(
    candidates: tuple[int, ...], pattern: Surges, chosen: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield every sequence of start hours that can be drawn, with its probability."""
    if not candidates or len(chosen) == pattern.surges:
        yield chosen, 1.0
        return
    for start in candidates:
        left = tuple(hour for hour in candidates if abs(hour - start) > pattern.apart_hours)
        for starts, probability in _surge_sets(left, pattern, (*chosen, start)):
            yield starts, probability / len(candidates)


def _surges(table: _SurgeTable, rng: np.random.Generator, counts: IntArray) -> IntArray:
    """Return an exact share (rounded at random) in the surges, the rest in the other hours."""
    which = np.searchsorted(table.cumulative, rng.random(counts.shape), side="right")
    in_surge = table.in_surge[which]
    shape = in_surge.shape
    surging = rng.uniform(*table.surge_range, shape) * table.factor * in_surge
    other = rng.uniform(*table.other_range, shape) * table.factor * ~in_surge
    in_surges = stochastic_round(table.share * counts, rng.random(counts.shape))
    return rng.multinomial(in_surges, _normalised(surging)) + rng.multinomial(
        counts - in_surges, _normalised(other)
    )


# ---- A few incidents -----------------------------------------------------------------------------


def _incidents(
    fewest: int, most: int, cumulative: FloatArray, rng: np.random.Generator, counts: IntArray
) -> IntArray:
    """Return casualties shared evenly by a few incidents; two may fall in one hour."""
    number = rng.integers(fewest, most + 1, counts.shape)[..., None]
    hour = np.searchsorted(cumulative, rng.random((*counts.shape, most)), side="right")
    order = np.arange(most)
    each, over = np.divmod(counts[..., None], number)
    persons = np.where(order < number, each + (order < over), 0)
    hours = np.zeros((*counts.shape, HOURS_PER_DAY), np.int64)
    day, sector = np.ogrid[: counts.shape[0], : counts.shape[1]]
    np.add.at(hours, (day[..., None], sector[..., None], hour), persons)
    return hours


def _working_hours(
    probability: FloatArray, weights: FloatArray, rng: np.random.Generator, counts: IntArray
) -> IntArray:
    """Return casualties shared by the incidents of the day; a day with casualties has one."""
    shape = (*counts.shape, HOURS_PER_DAY)
    happens = rng.random(shape) < probability
    only = np.searchsorted(_cumulative(probability), rng.random(counts.shape), side="right")
    happens |= (only[..., None] == np.arange(HOURS_PER_DAY)) & ~happens.any(axis=-1, keepdims=True)
    return rng.multinomial(counts, _normalised(happens * weights))


# ---- Contamination -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ContaminationTable:
    release: FloatArray  # [day, hour]: cumulative probability of the release
    exposure: FloatArray  # [hour since release]
    delay: FloatArray  # [hour since release], weights
    delayed_share: float


def _contamination_spread(pattern: Contamination, weights: FloatArray, days: int) -> Spread:
    release = np.tile(weights, (days, 1))
    latest = HOURS_PER_DAY - int(min(pattern.delays_hours))  # the first delay ends within the days
    release[-1, latest:] = 0.0
    table = _ContaminationTable(
        release=_cumulative(release),
        exposure=np.full(pattern.exposure_hours, 1.0 / pattern.exposure_hours),
        delay=_delay_weights(pattern, min(days * HOURS_PER_DAY, LONGEST_DELAY_HOURS)),
        delayed_share=pattern.delayed_share,
    )
    return partial(_contamination, table)


def _delay_weights(pattern: Contamination, hours: int) -> FloatArray:
    """Return the weight of each whole hour of delay: log-normal delays, equally likely."""
    edges = [math.log(hour) if hour else -math.inf for hour in range(hours + 1)]
    width = math.log(pattern.spread) * math.sqrt(2.0)
    below = np.zeros(hours + 1)
    for median in pattern.delays_hours:
        below += [math.erf((edge - math.log(median)) / width) for edge in edges]
    return np.diff(below)


def _contamination(
    table: _ContaminationTable, rng: np.random.Generator, counts: IntArray
) -> IntArray:
    """Return those exposed in the hours of their first symptoms, sector by sector."""
    return np.stack([_one_sector(table, rng, by_day) for by_day in counts.T], axis=1)


def _one_sector(table: _ContaminationTable, rng: np.random.Generator, counts: IntArray) -> IntArray:
    """Return [day, hour]; a delay that would end after the scenario's days is drawn again."""
    days = len(counts)
    last = days * HOURS_PER_DAY
    hour = (rng.random(days)[:, None] >= table.release).sum(axis=1)
    at = (hour + HOURS_PER_DAY * np.arange(days))[:, None]
    delayed = stochastic_round(table.delayed_share * counts, rng.random(days))
    now = rng.multinomial(counts - delayed, table.exposure)
    onset = at + np.arange(len(table.delay))
    later = rng.multinomial(delayed, _normalised(table.delay * (onset < last)))

    hours = np.zeros(last, np.int64)
    np.add.at(hours, at + np.arange(len(table.exposure)), now)
    np.add.at(hours, np.minimum(onset, last - 1), later)
    return hours.reshape(days, HOURS_PER_DAY)
