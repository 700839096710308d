"""How long a casualty has: blood, oxygen debt, and the other problems that compete to kill first.

Blood follows `dB/dt = -(a + k t) B` (Benhassine et al. 2023 and 2025): from a share B0 of the
normal volume, `B(t) = B0 exp(-(a t + k t^2 / 2))`, t in hours. A casualty bleeds to death when B
falls to 40 %. Below 74 % they gather oxygen debt, the area between that line and their blood
volume; below 70 % (class III, ATLS) they are in shock. A casualty whose debt outgrows what they
tolerate dies even if the bleeding is stopped, which is why a tourniquet after the onset of shock
comes too late for most (Kragh et al., Ann Surg 2009). All other problems are times to death that
treatment moves.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.reference.vocabulary import DEATH_CAUSES
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.compiled import jit
from medgen_pipeline.simulation.state import FLAG, NEVER, code

LOG_FULL: Final = 0.0
HORIZON_H: Final = 96.0  # a bleed that takes longer is not what kills
_ONE_SECOND_H: Final = 1 / 3600
_MOST_STEPS: Final = 40
_POINTS: Final = (
    -0.9061798459386640,
    -0.5384693101056831,
    0.0,
    0.5384693101056831,
    0.9061798459386640,
)
_WEIGHTS: Final = (
    0.2369268850561891,
    0.4786286704993665,
    0.5688888888888889,
    0.4786286704993665,
    0.2369268850561891,
)

HAEMORRHAGE: Final = code(DEATH_CAUSES, "haemorrhage")
AIRWAY: Final = code(DEATH_CAUSES, "airway")
PNEUMOTHORAX: Final = code(DEATH_CAUSES, "tension_pneumothorax")
BRAIN: Final = code(DEATH_CAUSES, "brain_injury")
BURNS: Final = code(DEATH_CAUSES, "burns")
CHEMICAL: Final = code(DEATH_CAUSES, "chemical")
MULTIPLE: Final = code(DEATH_CAUSES, "multiple_trauma")
SEPSIS: Final = code(DEATH_CAUSES, "sepsis")
DISEASE: Final = code(DEATH_CAUSES, "disease")
ATTACK: Final = code(DEATH_CAUSES, "attack_in_transit")


@jit
def log_blood_after(log_blood: float, rate: float, slope: float, hours: float) -> float:
    """Return the log of the blood share after some hours of bleeding (closed form)."""
    return log_blood - (rate * hours + 0.5 * slope * hours * hours)


@jit
def hours_to(log_blood: float, target: float, rate: float, slope: float) -> float:
    """Return the hours until the log of the blood share falls to `target`, infinite if never."""
    loss = log_blood - target
    if loss <= 0.0:
        return 0.0
    if rate <= 1e-9 and slope <= 1e-9:
        return np.inf
    return 2.0 * loss / (rate + math.sqrt(rate * rate + 2.0 * slope * loss))


@jit
def debt_over(world: Any, log_blood: float, rate: float, slope: float, hours: float) -> float:
    """Return the oxygen debt gathered over some hours, in hours of missing blood share.

    Gauss and Legendre's five points: blood falls by less than half from the line to death, so the
    curve between is nearly straight and the error below a millionth.
    """
    start = hours_to(log_blood, math.log(world.debt_blood_share), rate, slope)
    if start >= hours:
        return 0.0
    half = 0.5 * (hours - start)
    debt = 0.0
    for point in range(5):
        at = start + half * (1.0 + _POINTS[point])
        share = math.exp(log_blood_after(log_blood, rate, slope, at))
        debt += _WEIGHTS[point] * (world.debt_blood_share - share)
    return debt * half


@jit
def hours_to_death_by_bleeding(
    world: Any, log_blood: float, rate: float, slope: float, debt_left: float
) -> float:
    """Return the hours until blood or oxygen debt kills, infinite if neither does."""
    if rate <= 1e-9 and slope <= 1e-9:
        deficit = world.debt_blood_share - math.exp(log_blood)
        return debt_left / deficit if deficit > 1e-6 else np.inf
    empty = min(hours_to(log_blood, math.log(world.fatal_blood_share), rate, slope), HORIZON_H)
    if debt_over(world, log_blood, rate, slope, empty) < debt_left:
        return np.inf if empty >= HORIZON_H else empty
    return hours_to_debt(world, log_blood, rate, slope, debt_left, empty)


@jit
def hours_to_debt(
    world: Any, log_blood: float, rate: float, slope: float, debt: float, latest: float
) -> float:
    """Return the hours until a debt is reached that is exceeded at `latest`, to the second.

    Newton's steps from above: the debt grows ever faster, so they never pass the answer.
    """
    at = latest
    for _ in range(_MOST_STEPS):
        growth = world.debt_blood_share - math.exp(log_blood_after(log_blood, rate, slope, at))
        step = (debt_over(world, log_blood, rate, slope, at) - debt) / growth
        at -= step
        if step < _ONE_SECOND_H:
            break
    return float(at)


@jit
def bleeding_rate(live: Any) -> float:
    """Return the total rate of bleeding, per hour."""
    return float(live.bleed_extremity + live.bleed_junctional + live.bleed_truncal)


@jit
def bleed_until(world: Any, live: Any, now: int) -> None:
    """Bring blood volume and oxygen debt up to date."""
    hours = (now - live.blood_at) / 3600.0
    live.blood_at = now
    if hours <= 0.0:
        return
    rate = bleeding_rate(live)
    if rate > 1e-6 or live.log_blood < math.log(world.debt_blood_share):
        live.oxygen_debt_h += debt_over(world, live.log_blood, rate, live.bleed_slope, hours)
        live.log_blood = log_blood_after(live.log_blood, rate, live.bleed_slope, hours)
        if rate > 1e-6:
            growth = 1.0 + live.bleed_slope * hours / rate
            live.bleed_extremity *= growth
            live.bleed_junctional *= growth
            live.bleed_truncal *= growth
    if live.log_blood < math.log(world.shock_blood_share):
        live.flags |= np.uint16(FLAG.WAS_IN_SHOCK)


@jit
def is_in_shock(world: Any, live: Any) -> bool:
    """Whether the casualty has lost more than 30 % of their blood."""
    return bool(live.log_blood < math.log(world.shock_blood_share))


@jit
def forecast_death(world: Any, live: Any) -> None:
    """Set `death_at` to the earliest death that will come if nothing more is done."""
    hours = hours_to_death_by_bleeding(
        world,
        live.log_blood,
        bleeding_rate(live),
        live.bleed_slope,
        max(live.tolerance_h - live.oxygen_debt_h, 1e-6),
    )
    bleeding_at = NEVER
    if hours < 10_000.0:
        bleeding_at = live.blood_at + max(1, int(hours * 3600.0))
    earliest = min(bleeding_at, live.airway_at, live.pneumothorax_at, live.brain_at)
    live.death_at = min(earliest, live.agent_at, live.late_at, live.failing_at)


@jit
def cause_of_death(live: Any, now: int) -> int:  # noqa: PLR0911  one return for each cause
    """Return which problem reached its time."""
    if live.flags & np.uint16(FLAG.HIT_IN_TRANSIT):
        return ATTACK
    if live.airway_at <= now:
        return AIRWAY
    if live.pneumothorax_at <= now:
        return PNEUMOTHORAX
    if live.agent_at <= now:
        return CHEMICAL
    if live.brain_at <= now:
        return int(live.brain_cause)
    if live.late_at <= now:
        return int(live.late_cause)
    if live.failing_at <= now:
        return int(live.failing_cause)
    return HAEMORRHAGE


@jit
def transfuse(world: Any, live: Any, units: int) -> None:
    """Add whole blood, never beyond the normal volume."""
    live.log_blood = min(
        LOG_FULL, math.log(math.exp(live.log_blood) + units * world.blood_unit_share)
    )


@jit
def infuse(world: Any, live: Any) -> None:
    """Add half a litre of crystalloid, of which a fifth stays in the vessels."""
    live.log_blood = min(LOG_FULL, math.log(math.exp(live.log_blood) + world.crystalloid_share))


@jit
def units_wanted(world: Any, live: Any, most: int, losing: float) -> int:
    """Return the units of blood that bring who has lost much to the volume aimed at.

    `losing` is the share of the normal volume that an operation costs meanwhile.
    """
    share = math.exp(live.log_blood) - losing
    if share >= world.transfused_blood_share:
        return 0
    missing = world.wanted_blood_share - share
    return int(max(0, min(most, math.ceil(missing / world.blood_unit_share))))


@jit
def strain(live: Any) -> float:
    """Return the oxygen debt as a share of what the casualty tolerates."""
    return float(min(live.oxygen_debt_h / live.tolerance_h, 1.0))


@jit
def lost_in_surgery(world: Any, live: Any, max_ais: int, uniform: float) -> float:
    """Return the share of the normal volume that an operation costs.

    The first operation costs more where vessels are torn, and where long shock has spoilt the
    clotting of the blood.
    """
    lost = float(world.surgery_loss_share[max_ais])
    if not live.flags & np.uint16(FLAG.HAD_SURGERY):
        torn = live.bleed_junctional + live.bleed_truncal + world.torn_limb_share * live.limb_per_h
        lost *= 1.0 + world.torn_vessel_loss_h * torn + world.coagulopathy_loss * strain(live)
    return lost * math.exp(world.surgery_loss_spread * streams.normal(uniform))


@jit
def lose_in_surgery(world: Any, live: Any, lost: float, units: int) -> None:
    """Take away what an operation costs and add the units given meanwhile."""
    share = math.exp(live.log_blood) - lost + units * world.blood_unit_share
    live.log_blood = min(LOG_FULL, math.log(max(share, 0.01)))
