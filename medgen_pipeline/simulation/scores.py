"""Injury and trauma scores, as their sources print them.

ISS: Baker et al., J Trauma 1974. NISS: Osler et al., J Trauma 1997. RTS: Champion et al., J Trauma
1989, from memory. TRISS: Boyd et al., J Trauma 1987, with the coefficients of trauma.org (MTOS,
revised), read there.
"""

import math
from typing import Any, Final

from medgen_pipeline.simulation.compiled import jit

UNSURVIVABLE_ISS: Final = 75
REGIONS: Final = 6
ELDERLY_YEARS: Final = 55
LEGAL_ISS: Final = tuple(
    sorted(
        {a * a + b * b + c * c for a in range(6) for b in range(a + 1) for c in range(b + 1)}
        | {UNSURVIVABLE_ISS}
    )
)  # fmt: skip

RTS_GCS: Final = 0.9368
RTS_SYSTOLIC: Final = 0.7326
RTS_RESPIRATION: Final = 0.2908
RTS_MOST: Final = 4.0 * (RTS_GCS + RTS_SYSTOLIC + RTS_RESPIRATION)

BLUNT: Final = (-0.4499, 0.8085, -0.0835, -1.7430)
PENETRATING: Final = (-2.5355, 0.9934, -0.0651, -1.1360)


@jit
def iss(ais: Any, regions: Any, count: int) -> int:
    """Return the sum of squares of the gravest AIS in the three worst regions; 75 if any is 6."""
    first, second, third = 0, 0, 0
    for region in range(REGIONS):
        worst = 0
        for wound in range(count):
            if regions[wound] == region and ais[wound] > worst:
                worst = int(ais[wound])
        first, second, third = _with(first, second, third, worst)
    return _squares(first, second, third)


@jit
def niss(ais: Any, count: int) -> int:
    """Return the sum of squares of the three gravest AIS wherever they are; 75 if any is 6."""
    first, second, third = 0, 0, 0
    for wound in range(count):
        first, second, third = _with(first, second, third, int(ais[wound]))
    return _squares(first, second, third)


@jit
def _with(first: int, second: int, third: int, value: int) -> tuple[int, int, int]:
    if value > first:
        return value, first, second
    if value > second:
        return first, value, second
    return first, second, max(third, value)


@jit
def _squares(first: int, second: int, third: int) -> int:
    if first >= 6:
        return UNSURVIVABLE_ISS
    return first * first + second * second + third * third


@jit
def rts(gcs: int, systolic_mmhg: int, respiratory_rate_bpm: int) -> float:
    """Return the Revised Trauma Score, 0 to 7.8408."""
    return (
        RTS_GCS * _gcs_points(gcs)
        + RTS_SYSTOLIC * _systolic_points(systolic_mmhg)
        + RTS_RESPIRATION * _respiration_points(respiratory_rate_bpm)
    )


@jit
def _gcs_points(gcs: int) -> int:
    if gcs >= 13:
        return 4
    if gcs >= 9:
        return 3
    if gcs >= 6:
        return 2
    return 1 if gcs >= 4 else 0


@jit
def _systolic_points(systolic_mmhg: int) -> int:
    if systolic_mmhg > 89:
        return 4
    if systolic_mmhg >= 76:
        return 3
    if systolic_mmhg >= 50:
        return 2
    return 1 if systolic_mmhg >= 1 else 0


@jit
def _respiration_points(respiratory_rate_bpm: int) -> int:
    if respiratory_rate_bpm > 29:
        return 3
    if respiratory_rate_bpm >= 10:
        return 4
    if respiratory_rate_bpm >= 6:
        return 2
    return 1 if respiratory_rate_bpm >= 1 else 0


@jit
def triss(revised: float, severity: int, age_years: int, is_penetrating: bool) -> float:
    """Return the probability of survival from RTS, ISS, age and kind of trauma (adults)."""
    b0, b1, b2, b3 = PENETRATING if is_penetrating else BLUNT
    b = b0 + b1 * revised + b2 * severity
    if age_years >= ELDERLY_YEARS:
        b += b3
    return 1.0 / (1.0 + math.exp(-b))
