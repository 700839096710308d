"""How many casualties: by class, day and sector, from an exact total or from rates.

A sector is a front where the scenario gives rates, and the whole theatre where it gives a total (an
event is then given its front). Casualties that special events state are battle casualties of their
own: they are part of an exact total, and of the mean of a rate, and not in the counts here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.vocabulary import CASUALTY_CLASSES, WARFARE_TYPES
from medgen_pipeline.reference.warfare import Warfare, warfare
from medgen_pipeline.scenario.model import DayRate, Scenario

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Draw = Callable[[int], np.random.Generator]

BATTLE, NON_BATTLE, DISEASE = range(len(CASUALTY_CLASSES))
CLASSES: Final = range(len(CASUALTY_CLASSES))
EVERYONE_PER_1000: Final = 1_000.0  # the most that a day's rate can be

# Decisions taken once for a replicate, for streams.generator; see timing.py for the others.
CLASS: Final = 1000
RATE: Final = 1010  # + casualty class
DAY: Final = 1020  # + casualty class


@dataclass(frozen=True, slots=True)
class RateLaw:
    """The law of a day's rate, casualties per 1,000 strength."""

    family: str
    mean: float
    log_mean: float  # of the natural log, for the lognormal
    log_sd: float


@dataclass(frozen=True, slots=True)
class CountTables:
    """What a scenario fixes about numbers."""

    days: int
    patients: int | None
    stated: int  # casualties that special events state
    class_share: FloatArray
    rates: tuple[RateLaw, ...]  # by class; empty with an exact total
    strength: FloatArray  # [front]
    day_factor: FloatArray  # [class, day], mean 1


def count_tables(scenario: Scenario) -> CountTables:
    """Return what a validated scenario fixes about numbers."""
    reference = warfare()
    stated = sum(event.casualties or 0 for event in scenario.special_events)
    return CountTables(
        days=scenario.days,
        patients=scenario.patients,
        stated=stated,
        class_share=_class_share(scenario, reference),
        rates=_rates(scenario, reference, stated),
        strength=np.array([front.strength for front in scenario.fronts], np.float64),
        day_factor=_day_factor(scenario, reference),
    )


def warfare_share(scenario: Scenario) -> FloatArray:
    """Return the share of battle casualties of each warfare type, by code."""
    weights: Mapping[Any, float] = scenario.warfare
    return shares(np.array([weights.get(name, 0.0) for name in WARFARE_TYPES]))


def shares(weights: FloatArray) -> FloatArray:
    """Return weights as shares that sum to 1."""
    share: FloatArray = weights / weights.sum()
    return share


def draw_counts(tables: CountTables, draw: Draw) -> IntArray:
    """Return casualties [class, day, sector]."""
    if tables.patients is None:
        return _from_rates(tables, draw)
    classes = draw(CLASS).multinomial(tables.patients, tables.class_share)
    missing = max(0, tables.stated - classes[BATTLE])
    if missing:  # rare: special events alone exceed what the mix gave
        classes[1:] -= draw(CLASS + 1).multivariate_hypergeometric(classes[1:], missing)
    classes[BATTLE] += missing - tables.stated
    by_day = [
        draw(DAY + c).multinomial(classes[c], tables.day_factor[c] / tables.days) for c in CLASSES
    ]
    return np.array(by_day)[:, :, None]


def _from_rates(tables: CountTables, draw: Draw) -> IntArray:
    """Return Poisson counts about one rate for each class, day and front."""
    shape = (tables.days, len(tables.strength))
    counts = []
    for c in CLASSES:
        rng = draw(RATE + c)
        rate = np.minimum(day_rates(tables.rates[c], rng, shape), EVERYONE_PER_1000)
        expected = rate / 1_000 * tables.strength * tables.day_factor[c][:, None]
        counts.append(draw(DAY + c).poisson(expected))
    return np.array(counts)


def day_rates(law: RateLaw, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Return independent draws of a day's rate."""
    match law.family:
        case "lognormal":
            return rng.lognormal(law.log_mean, law.log_sd, shape)
        case "exponential":
            return rng.exponential(law.mean, shape)
    return np.full(shape, law.mean)


def _class_share(scenario: Scenario, reference: Warfare) -> FloatArray:
    """Return the scenario's class mix, or the default one shifted by its warfare types."""
    mix = scenario.class_mix
    if mix is not None:
        return shares(np.array([mix.battle_injury, mix.non_battle_injury, mix.disease]))
    factor = warfare_share(scenario) @ np.array([t.class_factor for t in reference.types])
    return shares(reference.class_mix * factor)


def _rates(scenario: Scenario, reference: Warfare, stated: int) -> tuple[RateLaw, ...]:
    """Return the laws of the classes; that of battle keeps its mean with what is stated apart."""
    rates = scenario.rates
    if rates is None:
        return ()
    by_class = (rates.battle_injury, rates.non_battle_injury, rates.disease)
    factor = reference.intensity[scenario.intensity].patient_factor
    means = [r.mean_per_1000 * (factor if r.scaled_by_intensity else 1.0) for r in by_class]
    strength = sum(front.strength for front in scenario.fronts)
    stated_per_1000 = stated * 1_000 / strength / scenario.days
    means[BATTLE] = max(0.0, means[BATTLE] - stated_per_1000)
    return tuple(_rate_law(rate, mean) for rate, mean in zip(by_class, means, strict=True))


def _rate_law(rate: DayRate, mean: float) -> RateLaw:
    """Return the law of a rate at another mean; its coefficient of variation stays."""
    if not mean:
        return RateLaw("constant", 0.0, 0.0, 0.0)
    variance = math.log1p(((rate.sd_per_1000 or 0.0) / rate.mean_per_1000) ** 2)
    return RateLaw(rate.family, mean, math.log(mean) - variance / 2, math.sqrt(variance))


def _day_factor(scenario: Scenario, reference: Warfare) -> FloatArray:
    tempo = reference.tempo[scenario.tempo]
    weight = np.array([tempo[min(day, len(tempo) - 1)] for day in range(scenario.days)])
    follows = np.array(reference.tempo_share)[:, None]
    factor: FloatArray = 1.0 - follows + follows * weight
    factor /= factor.mean(axis=1, keepdims=True)
    return factor
