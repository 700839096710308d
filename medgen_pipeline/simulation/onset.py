"""From wounds to problems: what each wound threatens, and how long it leaves.

A problem is a bleed with a rate, or a time to death if nothing is done. The ranges of bleeding
rates are those of medical-anchors 5.3 (b), SIMEDIS; the share of wounds that have a problem, and
the medians of the other times, are our own choice and name the check that fixed them.
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

# Share of wounds whose bleeding threatens life, by AIS 0-6: ours, fixed by O10 and O11.
LIMB_ARTERY_SHARE: Final = (0.0, 0.0, 0.015, 0.22, 0.60, 0.9, 1.0)
JUNCTION_SHARE: Final = (0.0, 0.0, 0.03, 0.35, 0.75, 1.0, 1.0)
TORSO_SHARE: Final = (0.0, 0.0, 0.02, 0.30, 0.80, 1.0, 1.0)
# Bleeding rates per hour, least and most, drawn evenly in the logarithm.
LIMB_ARTERY_PER_H: Final = (2.0, 5.0)  # 5.3 (b)
JUNCTION_PER_H: Final = (1.5, 6.0)  # ours, between limb and torso
TORSO_PER_H: Final = ((0.1, 0.5), (0.5, 2.0), (2.0, 14.0))  # AIS to 3, 4, 5 and more: 5.3 (b)
SLOPE_SHARE: Final = 0.05  # growth of the rate per hour, as a share of it: 5.3 (b), middle rows
MASSIVE_PER_H: Final = 8.0  # nobody is reached in time above this: ours, near 5.3 (b) "massive"

# Median minutes to death of the other problems, and the spread of their logarithm: ours, O9 to O11.
AIRWAY_MINUTES: Final = (9.0, 0.5)
AIRWAY_SHARE: Final = (0.0, 0.0, 0.0, 0.10, 0.35, 0.6, 1.0)  # by AIS of face and neck
PNEUMOTHORAX_MINUTES: Final = (70.0, 0.7)
PNEUMOTHORAX_SHARE: Final = (0.0, 0.0, 0.02, 0.15, 0.25, 0.35, 1.0)  # by AIS of the chest
BRAIN_MINUTES: Final = (2160.0, 0.9)  # AIS 4 and survivable AIS 5
FATAL_BRAIN_MINUTES: Final = (14.0, 1.2)
FATAL_BRAIN_SHARE: Final = 0.60  # of AIS 5 head injuries
FATAL_BRAIN_SHARE_4: Final = 0.03
LETHAL_BRAIN_SHARE_4: Final = 0.25  # AIS 4 that kills in time without an operation
INSTANT_SHARE: Final = 0.75  # of AIS 6; the rest live for minutes. Fixed by 35.2 % instantaneous
AGONAL_MINUTES: Final = 7.0
SEPSIS_DAYS: Final = (7.0, 0.45)
SEPSIS_SHARE_BY_AIS: Final = (0.0, 0.0, 0.01, 0.06, 0.15, 0.25, 1.0)  # untreated contamination
TOLERANCE_H: Final = (0.028, 0.9)  # oxygen debt survived: median and spread, fixed by O18
UNSURVIVABLE_AIS: Final = 6
BRAIN_LETHAL_AIS: Final = 4
AGENT_FATAL_DOSE: Final = 30.0  # mg.min/m3, IP-6
AGENT_MINUTES: Final = (15.0, 0.30)  # IP-6 untreated, medical-anchors 1.13 and O22


@jit
def lognormal(median: float, spread: float, uniform: float) -> float:
    """Return the lognormal quantile of a uniform draw."""
    return median * math.exp(spread * streams.normal(uniform))


@jit
def in_seconds(start: int, minutes: float) -> int:
    """Return a time that many minutes on, at least one second and never past the end of time."""
    return start + max(1, int(min(minutes, 2.0e6) * 60.0))


@jit
def log_between(least: float, most: float, uniform: float) -> float:
    """Return a draw that is even in its logarithm."""
    return least * math.exp(uniform * math.log(most / least))


@jit
def afflict(
    live: Any,
    wounds: Any,
    count: int,
    now: int,
    key_0: int,
    key_1: int,
    bleeding_factor: float,
) -> None:
    """Set a casualty's bleeding, times to death and needs from their wounds; mark lethal wounds."""
    subject = live.subject
    u0, u1, u2, u3 = streams.uniforms(key_0, key_1, subject, streams.PHYSIOLOGY)
    live.tolerance_h = lognormal(TOLERANCE_H[0], TOLERANCE_H[1], u0)
    for index in range(count):
        wound = wounds[index]
        a, b, c, d = streams.uniforms(key_0, key_1, subject, streams.PHYSIOLOGY + 1 + index)
        ais = wound.ais
        lethal = _bleed_from(live, wound, ais, a, b, bleeding_factor)
        if ais >= UNSURVIVABLE_AIS:
            _kill(live, now, u1, u3)
            lethal = True
        elif wound.body_region == HEAD_NECK and wound.wound_type == BRAIN_INJURY:
            lethal = _brain(live, ais, now, c, d) or lethal
        elif wound.body_region == FACE or wound.body_region == HEAD_NECK:
            lethal = _airway(live, ais, now, c, d) or lethal
        elif wound.body_region == CHEST:
            lethal = _chest(live, ais, now, c, d) or lethal
        _needs(live, wound, ais)
        if _may_fester(wound) and b < SEPSIS_SHARE_BY_AIS[ais]:
            _contaminate(live, now, u2)
        wound.is_lethal = 1 if lethal else 0
    if physiology.bleeding_rate(live) > MASSIVE_PER_H:
        live.flags |= np.uint16(FLAG.UNSURVIVABLE)
    live.bleed_slope = SLOPE_SHARE * physiology.bleeding_rate(live)


@jit
def _bleed_from(live: Any, wound: Any, ais: int, chance: float, size: float, factor: float) -> bool:
    site = wound.bleeding_site
    if site == EXTREMITY and (
        chance < LIMB_ARTERY_SHARE[ais] or (wound.wound_type == AMPUTATION and ais >= 3)
    ):
        live.bleed_extremity += factor * log_between(
            LIMB_ARTERY_PER_H[0], LIMB_ARTERY_PER_H[1], size
        )
        live.flags |= np.uint16(FLAG.LIMB_BLEEDING | FLAG.NEEDS_SURGERY)
        return True
    if site == JUNCTIONAL and chance < JUNCTION_SHARE[ais]:
        live.bleed_junctional += factor * log_between(JUNCTION_PER_H[0], JUNCTION_PER_H[1], size)
        live.flags |= np.uint16(FLAG.NEEDS_SURGERY)
        return True
    if site == TRUNCAL and chance < TORSO_SHARE[ais]:
        band = TORSO_PER_H[min(max(ais - 3, 0), 2)]
        live.bleed_truncal += factor * log_between(band[0], band[1], size)
        live.flags |= np.uint16(FLAG.TORSO_BLEEDING | FLAG.NEEDS_SURGERY)
        return True
    return False


@jit
def _kill(live: Any, now: int, chance: float, time: float) -> None:
    """Set the death of a wound nobody survives: at once, or within minutes."""
    live.flags |= np.uint16(FLAG.UNSURVIVABLE)
    if chance < INSTANT_SHARE:
        live.brain_at = now
    else:
        at = in_seconds(now, -AGONAL_MINUTES * math.log(time))
        live.brain_at = min(live.brain_at, at)


@jit
def _airway(live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    if chance >= AIRWAY_SHARE[ais]:
        return False
    live.flags |= np.uint16(FLAG.AIRWAY_THREATENED)
    at = in_seconds(now, lognormal(AIRWAY_MINUTES[0], AIRWAY_MINUTES[1], size))
    live.airway_at = min(live.airway_at, at)
    return True


@jit
def _chest(live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    if chance >= PNEUMOTHORAX_SHARE[ais]:
        return False
    live.flags |= np.uint16(FLAG.PNEUMOTHORAX)
    at = in_seconds(now, lognormal(PNEUMOTHORAX_MINUTES[0], PNEUMOTHORAX_MINUTES[1], size))
    live.pneumothorax_at = min(live.pneumothorax_at, at)
    return True


@jit
def _contaminate(live: Any, now: int, uniform: float) -> None:
    live.flags |= np.uint16(FLAG.CONTAMINATED)
    at = in_seconds(now, lognormal(SEPSIS_DAYS[0], SEPSIS_DAYS[1], uniform) * 1440.0)
    if at < live.late_at:
        live.late_at = at
        live.late_cause = physiology.SEPSIS


@jit
def _brain(live: Any, ais: int, now: int, chance: float, size: float) -> bool:
    if ais < BRAIN_LETHAL_AIS:
        return False
    fatal = FATAL_BRAIN_SHARE if ais == 5 else FATAL_BRAIN_SHARE_4
    live.flags |= np.uint16(FLAG.NEEDS_NEUROSURGERY | FLAG.NEEDS_DEFINITIVE)
    if chance < fatal:
        live.flags |= np.uint16(FLAG.UNSURVIVABLE)
        at = in_seconds(now, lognormal(FATAL_BRAIN_MINUTES[0], FATAL_BRAIN_MINUTES[1], size))
    elif ais == 5 or chance < fatal + LETHAL_BRAIN_SHARE_4:
        at = in_seconds(now, lognormal(BRAIN_MINUTES[0], BRAIN_MINUTES[1], size))
    else:
        return False
    live.brain_at = min(live.brain_at, at)
    return True


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
    if ais >= 2 and (wound.body_region == EXTREMITIES or wound.body_region == ABDOMEN):
        live.walking = 0
    if ais >= 3:
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
def poison(live: Any, now: int, dose: float, key_0: int, key_1: int) -> None:
    """Set what an inhaled dose of nerve agent does; below the fatal dose nobody dies of it."""
    live.agent_dose = dose
    if dose > AGENT_FATAL_DOSE:
        u, _, _, _ = streams.uniforms(key_0, key_1, live.subject, streams.PHYSIOLOGY + 20)
        live.agent_at = in_seconds(now, lognormal(AGENT_MINUTES[0], AGENT_MINUTES[1], u))


@jit
def reset(live: Any, subject: int, now: int) -> None:
    """Make a slot a casualty with no problem."""
    live.subject = subject
    live.plan = np.uint64(0)
    live.done = np.uint64(0)
    live.death_at = NEVER
    live.queue_next = -1
    live.queue_previous = -1
    live.waiting_since = -1
    live.blood_at = now
    live.log_blood = 0.0
    live.oxygen_debt_h = 0.0
    live.bleed_extremity = 0.0
    live.bleed_junctional = 0.0
    live.bleed_truncal = 0.0
    live.bleed_slope = 0.0
    live.tolerance_h = 1.0
    live.airway_at = NEVER
    live.pneumothorax_at = NEVER
    live.brain_at = NEVER
    live.agent_at = NEVER
    live.late_at = NEVER
    live.late_cause = physiology.SEPSIS
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


@jit
def sicken(live: Any, now: int, deaths_per_day: float, key_0: int, key_1: int) -> None:
    """Set when a severe illness kills under a constant hazard, per day."""
    if deaths_per_day > 0.0:
        u, _, _, _ = streams.uniforms(key_0, key_1, live.subject, streams.PHYSIOLOGY + 21)
        at = in_seconds(now, -math.log(u) / deaths_per_day * 1440.0)
        if at < live.late_at:
            live.late_at = at
            live.late_cause = physiology.DISEASE
