"""From wounds to problems: what each wound threatens, and how long it leaves.

A problem is a bleed with a rate, or a time to death if nothing is done. All figures are those of
reference/physiology.toml.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.reference.vocabulary import BLEEDING_SITES, BODY_REGIONS, WOUND_TYPES
from medgen_pipeline.simulation import physiology, streams
from medgen_pipeline.simulation.compiled import jit
from medgen_pipeline.simulation.state import FLAG, NEVER, code

EXTREMITY: Final = code(BLEEDING_SITES, "extremity")
JUNCTIONAL: Final = code(BLEEDING_SITES, "junctional")
TRUNCAL: Final = code(BLEEDING_SITES, "truncal")
HEAD_NECK: Final = code(BODY_REGIONS, "head_neck")
FACE: Final = code(BODY_REGIONS, "face")
CHEST: Final = code(BODY_REGIONS, "chest")
ABDOMEN: Final = code(BODY_REGIONS, "abdomen")
EXTREMITIES: Final = code(BODY_REGIONS, "extremities")
PENETRATING: Final = code(WOUND_TYPES, "penetrating")
AMPUTATION: Final = code(WOUND_TYPES, "amputation")
BRAIN_INJURY: Final = code(WOUND_TYPES, "brain_injury")
BLAST: Final = code(WOUND_TYPES, "blast")
BURN: Final = code(WOUND_TYPES, "burn")
NO_BLEEDING: Final = code(BLEEDING_SITES, "none")
UNSURVIVABLE_AIS: Final = 6
_AGENT: Final = streams.PHYSIOLOGY + 20  # after one decision for the casualty and one a wound
_ILLNESS: Final = streams.PHYSIOLOGY + 21


@jit
def lognormal(median: float, spread: float, uniform: float) -> float:
    """Return the lognormal quantile of a uniform draw."""
    return median * math.exp(spread * streams.normal(uniform))


@jit
def after(start: int, median_and_spread: Any, minutes: float, uniform: float) -> int:
    """Return a lognormal time after `start`; the median is in units of so many minutes."""
    return in_seconds(
        start, minutes * lognormal(median_and_spread[0], median_and_spread[1], uniform)
    )


@jit
def in_seconds(start: int, minutes: float) -> int:
    """Return a time that many minutes on, at least one second and never past the end of time."""
    return start + max(1, int(min(minutes, 2.0e6) * 60.0))


@jit
def log_between(least: float, most: float, uniform: float) -> float:
    """Return a draw that is even in its logarithm."""
    return least * math.exp(uniform * math.log(most / least))


@jit
def afflict(world: Any, live: Any, wounds: Any, count: int, now: int) -> None:
    """Set a casualty's bleeding, times to death and needs from their wounds; mark lethal wounds."""
    key_0, key_1 = world.key_0, world.key_1
    u0, u1, u2, u3 = streams.uniforms(key_0, key_1, live.subject, streams.PHYSIOLOGY)
    tolerance = world.oxygen_debt_tolerance_h
    live.tolerance_h = lognormal(tolerance[0], tolerance[1], u0)
    for index in range(count):
        wound = wounds[index]
        a, b, c, d = streams.uniforms(key_0, key_1, live.subject, streams.PHYSIOLOGY + 1 + index)
        ais = wound.ais
        lethal = _bleed_from(world, live, wound, a, b)
        if ais >= UNSURVIVABLE_AIS:
            _kill(world, live, wound, now, u1, u3)
            lethal = True
        elif wound.wound_type == BURN:
            lethal = _burn(world, live, ais, now, c, d)
        elif wound.body_region == HEAD_NECK and wound.wound_type == BRAIN_INJURY:
            lethal = _brain(world, live, ais, now, c, d) or lethal
        elif wound.body_region == FACE or wound.body_region == HEAD_NECK:
            lethal = _airway(world, live, ais, now, c, d) or lethal
        elif wound.body_region == CHEST:
            lethal = _chest(world, live, ais, now, c, d) or lethal
        _needs(live, wound, ais)
        if _may_fester(wound) and b < world.sepsis_share[ais]:
            _contaminate(world, live, now, u2)
        wound.is_lethal = 1 if lethal else 0
    if live.bleed_junctional + live.bleed_truncal > world.massive_per_h:
        live.flags |= np.uint16(FLAG.UNSURVIVABLE)
    live.bleed_slope = world.bleeding_growth * physiology.bleeding_rate(live)
    live.limb_per_h = live.bleed_extremity


@jit
def _bleed_from(world: Any, live: Any, wound: Any, chance: float, size: float) -> bool:
    """Add the bleed of a wound, if it threatens life."""
    site, ais = wound.bleeding_site, wound.ais
    factor = world.bleeding_factor
    if site == EXTREMITY:
        is_severed = wound.wound_type == AMPUTATION and ais >= 3
        if chance < world.limb_artery_share[ais] or is_severed:
            band = world.limb_artery_per_h
            rate = factor * log_between(band[0], band[1], size)
            live.bleed_extremity = max(live.bleed_extremity, rate)  # the worst limb decides
            live.flags |= np.uint16(FLAG.LIMB_BLEEDING | FLAG.NEEDS_SURGERY)
            return True
    elif site == JUNCTIONAL:
        if chance < world.junction_share[ais]:
            band = world.junction_per_h
            live.bleed_junctional += factor * log_between(band[0], band[1], size)
            live.flags |= np.uint16(FLAG.NEEDS_SURGERY)
            return True
    elif site == TRUNCAL and chance < world.torso_share[ais]:
        least, most = world.torso_per_h_least[ais], world.torso_per_h_most[ais]
        live.bleed_truncal += factor * log_between(least, most, size)
        live.flags |= np.uint16(FLAG.TORSO_BLEEDING | FLAG.NEEDS_SURGERY)
        return True
    return False


@jit
def _kill(world: Any, live: Any, wound: Any, now: int, chance: float, time: float) -> None:
    """Set the death of a wound nobody survives: at once, or within minutes."""
    live.flags |= np.uint16(FLAG.UNSURVIVABLE)
    at = now
    if chance >= world.instant_share:
        at = in_seconds(now, -world.agonal_minutes * math.log(time))
    if at < live.brain_at:
        live.brain_at = at
        live.brain_cause = _destroyed_by(wound)


@jit
def _destroyed_by(wound: Any) -> int:
    """Return what a wound that nobody survives kills by."""
    if wound.wound_type == BURN:
        return physiology.BURNS
    if wound.wound_type == BRAIN_INJURY:
        return physiology.BRAIN
    is_torn_off = wound.wound_type == AMPUTATION
    if wound.bleeding_site == NO_BLEEDING or is_torn_off:
        return physiology.MULTIPLE
    return physiology.HAEMORRHAGE


@jit
def _burn(world: Any, live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    """Set the death of burn shock or inhaled smoke if nothing is given."""
    if chance >= world.burn_share[ais]:
        return False
    at = after(now, world.burn_hours, 60.0, size)
    if at < live.failing_at:
        live.failing_at = at
        live.failing_cause = physiology.BURNS
    return True


@jit
def _brain(world: Any, live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    fatal = world.fatal_brain_share[ais]
    lethal = world.lethal_brain_share[ais]
    if fatal + lethal <= 0.0:
        return False
    live.flags |= np.uint16(FLAG.NEEDS_NEUROSURGERY | FLAG.NEEDS_DEFINITIVE)
    if chance < fatal:
        live.flags |= np.uint16(FLAG.UNSURVIVABLE)
        at = after(now, world.fatal_brain_minutes, 1.0, size)
    elif chance < fatal + lethal:
        at = after(now, world.brain_minutes, 1.0, size)
    else:
        return False
    if at < live.brain_at:
        live.brain_at = at
        live.brain_cause = physiology.BRAIN
    return True


@jit
def _airway(world: Any, live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    if chance >= world.airway_share[ais]:
        return False
    live.airway_at = min(live.airway_at, after(now, world.airway_minutes, 1.0, size))
    return True


@jit
def _chest(world: Any, live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    if chance >= world.pneumothorax_share[ais]:
        return False
    live.flags |= np.uint16(FLAG.PNEUMOTHORAX)
    at = after(now, world.pneumothorax_minutes, 1.0, size)
    live.pneumothorax_at = min(live.pneumothorax_at, at)
    return True


@jit
def _contaminate(world: Any, live: Any, now: int, uniform: float) -> None:
    live.flags |= np.uint16(FLAG.CONTAMINATED)
    at = after(now, world.sepsis_days, 1440.0, uniform)
    if at < live.late_at:
        live.late_at = at
        live.late_cause = physiology.SEPSIS


@jit
def _needs(live: Any, wound: Any, ais: int) -> None:
    if wound.body_region == HEAD_NECK and wound.wound_type == BRAIN_INJURY:
        live.brain_ais = max(live.brain_ais, ais)
    if wound.body_region == CHEST:
        live.chest_ais = max(live.chest_ais, ais)
    if ais >= 3 and (
        wound.wound_type == PENETRATING
        or wound.wound_type == AMPUTATION
        or wound.body_region == ABDOMEN
    ):
        live.flags |= np.uint16(FLAG.NEEDS_SURGERY)
    if ais >= 3 or (ais == 2 and wound.body_region != CHEST):
        live.flags |= np.uint16(FLAG.NEEDS_DEFINITIVE)
    if ais >= 3:
        live.walking = 0
    if ais >= 2 and (wound.body_region == EXTREMITIES or wound.body_region == ABDOMEN):
        live.walking = 0


@jit
def _may_fester(wound: Any) -> bool:
    return bool(
        wound.wound_type == PENETRATING
        or wound.wound_type == AMPUTATION
        or wound.wound_type == BLAST
        or wound.body_region == ABDOMEN
    )


@jit
def poison(world: Any, live: Any, now: int, dose: float) -> None:
    """Set what an inhaled dose of nerve agent does; below the fatal dose nobody dies of it."""
    live.agent_dose = dose
    if dose > world.agent_fatal_dose:
        u, _, _, _ = streams.uniforms(world.key_0, world.key_1, live.subject, _AGENT)
        live.agent_at = after(now, world.agent_minutes, 1.0, u)


@jit
def sicken(world: Any, live: Any, now: int, deaths_per_day: float) -> None:
    """Set when a severe illness kills under a constant hazard."""
    if deaths_per_day > 0.0:
        u, _, _, _ = streams.uniforms(world.key_0, world.key_1, live.subject, _ILLNESS)
        at = in_seconds(now, -math.log(u) / deaths_per_day * 1440.0)
        if at < live.late_at:
            live.late_at = at
            live.late_cause = physiology.DISEASE


@jit
def reset(live: Any, subject: int, now: int) -> None:
    """Make a slot a casualty with no problem."""
    live.subject = subject
    live.plan = np.uint64(0)
    live.done = np.uint64(0)
    live.death_at = NEVER
    live.queue_next = -1
    live.queue_previous = -1
    live.waiting_since = now
    live.blood_at = now
    live.log_blood = 0.0
    live.oxygen_debt_h = 0.0
    live.bleed_extremity = 0.0
    live.bleed_junctional = 0.0
    live.bleed_truncal = 0.0
    live.bleed_slope = 0.0
    live.limb_per_h = 0.0
    live.tolerance_h = 1.0
    live.airway_at = NEVER
    live.pneumothorax_at = NEVER
    live.brain_at = NEVER
    live.brain_cause = physiology.BRAIN
    live.agent_at = NEVER
    live.late_at = NEVER
    live.late_cause = physiology.SEPSIS
    live.failing_at = NEVER
    live.failing_cause = physiology.MULTIPLE
    live.asked_at = now
    live.stay_days = 0.0
    live.agent_dose = 0.0
    live.ready_at = now
    live.target = -1
    live.flags = np.uint16(0)
    live.contact = 0
    live.queue = 0
    live.fleet = 0
    live.triage = 2
    live.legs = 0
    live.events = 0
    live.treatments = 0
    live.brain_ais = 0
    live.chest_ais = 0
    live.walking = 1
    live.severity = 0
