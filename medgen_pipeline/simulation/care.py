"""What is done for a casualty: the plan at each contact, in MARCH order, and what steps change.

A plan is a bit per treatment, carried out from the lowest bit up, so the order of the vocabulary is
the order of care. A step that is no longer needed when its turn comes is left out. Whether a step
works is drawn once per casualty, treatment and contact, so two policies meet the same luck.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.reference.vocabulary import (
    MECHANISM_GROUPS,
    PROVIDERS,
    TREATMENTS,
    WOUND_TYPES,
)
from medgen_pipeline.simulation import physiology, streams
from medgen_pipeline.simulation.compiled import inlined, jit
from medgen_pipeline.simulation.state import CONTACT, FLAG, NEVER, code

TOURNIQUET: Final = code(TREATMENTS, "tourniquet")
PRESSURE: Final = code(TREATMENTS, "pressure_dressing")
HAEMOSTATIC: Final = code(TREATMENTS, "haemostatic_dressing")
JUNCTIONAL: Final = code(TREATMENTS, "junctional_tourniquet")
AIRWAY: Final = code(TREATMENTS, "airway_adjunct")
SURGICAL_AIRWAY: Final = code(TREATMENTS, "surgical_airway")
INTUBATION: Final = code(TREATMENTS, "intubation")
CHEST_SEAL: Final = code(TREATMENTS, "chest_seal")
NEEDLE: Final = code(TREATMENTS, "needle_decompression")
CHEST_TUBE: Final = code(TREATMENTS, "chest_tube")
OXYGEN: Final = code(TREATMENTS, "oxygen")
ACCESS: Final = code(TREATMENTS, "intravenous_access")
TRANEXAMIC: Final = code(TREATMENTS, "tranexamic_acid")
BLOOD: Final = code(TREATMENTS, "whole_blood")
CRYSTALLOID: Final = code(TREATMENTS, "crystalloid")
CALCIUM: Final = code(TREATMENTS, "calcium")
WARMTH: Final = code(TREATMENTS, "hypothermia_prevention")
HEAD_UP: Final = code(TREATMENTS, "head_elevation")
EYE_SHIELD: Final = code(TREATMENTS, "eye_shield")
DECONTAMINATION: Final = code(TREATMENTS, "decontamination")
ANTIDOTE: Final = code(TREATMENTS, "nerve_agent_antidote")
VENTILATION: Final = code(TREATMENTS, "ventilation")
BURN_DRESSING: Final = code(TREATMENTS, "burn_dressing")
SPLINT: Final = code(TREATMENTS, "splint")
WOUND_CARE: Final = code(TREATMENTS, "wound_care")
ANALGESIA: Final = code(TREATMENTS, "analgesia")
ANTIBIOTICS: Final = code(TREATMENTS, "antibiotics")
DAMAGE_CONTROL: Final = code(TREATMENTS, "damage_control_surgery")
NEUROSURGERY: Final = code(TREATMENTS, "neurosurgery")
DEFINITIVE: Final = code(TREATMENTS, "definitive_surgery")
INTENSIVE: Final = code(TREATMENTS, "intensive_care")
REHYDRATION: Final = code(TREATMENTS, "rehydration")
MEDICATION: Final = code(TREATMENTS, "medication")
PSYCHOLOGICAL: Final = code(TREATMENTS, "psychological_first_aid")
REST: Final = code(TREATMENTS, "rest")

SELF: Final = code(PROVIDERS, "self")
BUDDY: Final = code(PROVIDERS, "buddy")
MEDIC: Final = code(PROVIDERS, "combat_medic")
PHYSICIAN: Final = code(PROVIDERS, "physician")
SURGEON: Final = code(PROVIDERS, "surgical_team")

BURN_GROUP: Final = code(MECHANISM_GROUPS, "burn")
STRESS: Final = code(WOUND_TYPES, "stress_reaction")


@inlined
def bit(treatment: int) -> np.uint64:
    """Return the bit of a treatment in a plan."""
    return np.uint64(1) << np.uint64(treatment)


@jit
def first_of(plan: Any) -> int:
    """Return the first treatment of a plan that is not empty."""
    treatment = 0
    while not plan & (np.uint64(1) << np.uint64(treatment)):
        treatment += 1
    return treatment


@inlined
def has_had(live: Any, treatment: int) -> bool:
    """Whether a treatment was given and worked."""
    return bool(live.done & bit(treatment))


@inlined
def has_flag(live: Any, flag: int) -> bool:
    """Whether a fact holds for the casualty."""
    return bool(live.flags & np.uint16(flag))


@jit
def plan_wounded(live: Any, max_ais: int, group: int, policy: Any, has_blood: bool) -> np.uint64:
    """Return the plan of a contact for a wounded casualty, letter by letter of MARCH."""
    if live.contact == CONTACT.POINT_OF_INJURY and has_flag(live, FLAG.UNSURVIVABLE):
        return bit(ANALGESIA)
    plan = bit(ANALGESIA) | _massive_bleeding(live, max_ais, policy)
    plan |= _airway_and_breathing(live, max_ais)
    plan |= _circulation(live, max_ais, policy, has_blood) | _head_and_warmth(live, max_ais)
    if live.agent_dose > 0.0:
        plan |= plan_poisoned(live, policy)
    return plan | _wounds_themselves(live, max_ais, group)


@jit
def _massive_bleeding(live: Any, max_ais: int, policy: Any) -> np.uint64:
    plan = np.uint64(0)
    if live.bleed_extremity > policy.tourniquet_bleeding_per_h:
        plan |= bit(TOURNIQUET)
    elif max_ais >= 2 and live.contact == CONTACT.POINT_OF_INJURY:
        plan |= bit(PRESSURE)
    if live.bleed_junctional > policy.packing_bleeding_per_h:
        plan |= bit(HAEMOSTATIC) | bit(JUNCTIONAL)
    return plan


@jit
def _airway_and_breathing(live: Any, max_ais: int) -> np.uint64:
    plan = np.uint64(0)
    if live.airway_at < NEVER or (live.brain_ais >= 4 and live.contact >= CONTACT.ROLE2):
        plan |= bit(AIRWAY) | bit(SURGICAL_AIRWAY)
        if live.contact >= CONTACT.ROLE1:
            plan |= bit(INTUBATION)
    if has_flag(live, FLAG.PNEUMOTHORAX):
        plan |= bit(CHEST_SEAL) | bit(NEEDLE)
        if live.contact >= CONTACT.ROLE1:
            plan |= bit(CHEST_TUBE)
    if max_ais >= 3 and live.contact >= CONTACT.ROLE1:
        plan |= bit(OXYGEN)
    return plan


@jit
def _circulation(live: Any, max_ais: int, policy: Any, has_blood: bool) -> np.uint64:
    is_slow = physiology.bleeding_rate(live) <= policy.replaced_bleeding_per_h
    if is_slow and live.log_blood >= policy.replaced_log_blood:
        return bit(ACCESS) if max_ais >= 3 else np.uint64(0)
    plan = bit(ACCESS) | ((bit(BLOOD) | bit(CALCIUM)) if has_blood else bit(CRYSTALLOID))
    if policy.tranexamic_acid > 0.0:
        plan |= bit(TRANEXAMIC)
    return plan


@jit
def _head_and_warmth(live: Any, max_ais: int) -> np.uint64:
    plan = np.uint64(0)
    if max_ais >= 3:
        plan |= bit(WARMTH)
    if live.brain_ais >= 3:
        plan |= bit(HEAD_UP)
    if live.brain_ais >= 4 and live.contact >= CONTACT.ROLE2:
        plan |= bit(VENTILATION)
    return plan


@jit
def _wounds_themselves(live: Any, max_ais: int, group: int) -> np.uint64:
    plan = np.uint64(0)
    if max_ais >= 2 or has_flag(live, FLAG.CONTAMINATED):
        plan |= bit(ANTIBIOTICS)
    if group == BURN_GROUP:
        plan |= bit(BURN_DRESSING)
    if is_burn_shock(live) and live.contact >= CONTACT.ROLE1:
        plan |= bit(ACCESS) | bit(CRYSTALLOID)
    if not live.walking and live.contact == CONTACT.POINT_OF_INJURY:
        plan |= bit(SPLINT)
    if live.contact == CONTACT.ROLE1 and not has_flag(live, FLAG.NEEDS_SURGERY):
        plan |= bit(WOUND_CARE)
    if live.contact >= CONTACT.ROLE2 and max_ais >= 4:
        plan |= bit(INTENSIVE)
    return plan


@jit
def is_burn_shock(live: Any) -> bool:
    """Whether burns or smoke will kill the casualty."""
    return bool(live.failing_cause == physiology.BURNS and live.failing_at < NEVER)


@jit
def plan_poisoned(live: Any, policy: Any) -> np.uint64:
    """Return what a casualty of a nerve agent is given."""
    plan = bit(DECONTAMINATION) if live.contact <= CONTACT.ROLE1 else bit(MEDICATION)
    if policy.nerve_agent_antidote > 0.0 and live.agent_dose > policy.agent_doses[0]:
        plan |= bit(ANTIDOTE)
    if live.agent_dose > policy.agent_doses[1] and live.contact >= CONTACT.ROLE1:
        plan |= bit(OXYGEN) | bit(VENTILATION)
    return plan


@jit
def plan_sick(live: Any, wound_type: int) -> np.uint64:
    """Return the plan of a contact for disease, battle stress or a minor non-battle condition."""
    if wound_type == STRESS:
        return bit(PSYCHOLOGICAL) | bit(REST)
    plan = bit(MEDICATION) | bit(REST)
    if live.severity >= 1:
        plan |= bit(ACCESS) | bit(REHYDRATION)
    if live.severity >= 2:
        plan |= bit(ANTIBIOTICS) | bit(OXYGEN)
        if live.contact >= CONTACT.ROLE2:
            plan |= bit(INTENSIVE)
    return plan


@jit
def is_needed(world: Any, live: Any, treatment: int) -> bool:
    """Whether a planned step still has a purpose when its turn comes."""
    if treatment == TOURNIQUET:
        return bool(live.bleed_extremity > world.tourniquet_bleeding_per_h)
    if treatment == HAEMOSTATIC or treatment == JUNCTIONAL:
        return bool(live.bleed_junctional > world.packing_bleeding_per_h)
    if treatment == SURGICAL_AIRWAY or treatment == NEEDLE:
        at = live.airway_at if treatment == SURGICAL_AIRWAY else live.pneumothorax_at
        return bool(at < NEVER)
    if treatment == BLOOD or treatment == CALCIUM:
        return physiology.units_wanted(world, live, 1, 0.0) > 0
    is_repeated = treatment == ANALGESIA or treatment == ANTIBIOTICS or treatment == MEDICATION
    return is_repeated or not has_had(live, treatment)


@jit
def works(
    live: Any, treatment: int, probability: float, skill: float, key_0: int, key_1: int
) -> bool:
    """Whether a step does what it is for: one draw per casualty, treatment and contact."""
    a, b, c, d = streams.uniforms(key_0, key_1, live.subject, streams.TREATMENT + treatment)
    draw = a if live.contact == 0 else (b if live.contact == 1 else (c if live.contact == 2 else d))
    return draw < probability * skill


@jit
def apply(world: Any, live: Any, treatment: int, now: int) -> float:
    """Change a casualty as a step that worked does; return the units used where they vary."""
    live.done |= bit(treatment)
    units = _apply_to_blood(world, live, treatment)
    if treatment == AIRWAY or treatment == SURGICAL_AIRWAY or treatment == INTUBATION:
        live.airway_at = NEVER
    elif treatment == NEEDLE:
        live.pneumothorax_at = max(live.pneumothorax_at, now + int(world.needle_lasts_h * 3600))
    elif treatment == CHEST_TUBE:
        live.pneumothorax_at = NEVER
    elif treatment == ANTIDOTE:
        _antidote(world, live, now)
    elif treatment == INTENSIVE:
        _intensive(world, live, now)
    elif treatment == CRYSTALLOID and is_burn_shock(live):
        left = min((live.failing_at - now) * world.burn_fluid_stretch, 1.0e8)
        live.failing_at = now + int(left)
    return units


@jit
def _apply_to_blood(world: Any, live: Any, treatment: int) -> float:
    units = 0
    if treatment == TOURNIQUET:
        live.bleed_extremity = world.controlled_per_h
    elif treatment == HAEMOSTATIC or treatment == JUNCTIONAL:
        live.bleed_junctional *= world.packing_leaves
    elif treatment == TRANEXAMIC:
        live.bleed_truncal *= world.tranexamic_share
        live.bleed_junctional *= world.tranexamic_share
    elif treatment == BLOOD:
        units = physiology.units_wanted(world, live, int(world.most_units[live.contact]), 0.0)
        physiology.transfuse(world, live, units)
    elif treatment == CRYSTALLOID:
        physiology.infuse(world, live)
    live.bleed_slope = min(live.bleed_slope, world.bleeding_growth * physiology.bleeding_rate(live))
    return float(units)


@jit
def _intensive(world: Any, live: Any, now: int) -> None:
    """Win time for the brain, and carry failing organs and burns through."""
    if live.failing_cause != physiology.HAEMORRHAGE:
        live.failing_at = NEVER
    if live.brain_at < NEVER and not has_flag(live, FLAG.UNSURVIVABLE):
        left = min((live.brain_at - now) * world.brain_care_stretch, 1.0e8)
        live.brain_at = now + int(left)


@jit
def _antidote(world: Any, live: Any, now: int) -> None:
    """Set what autoinjectors and ventilation make up for."""
    if live.agent_dose <= world.antidote_dose_factor * world.agent_fatal_dose:
        live.agent_at = NEVER
    elif live.agent_at < NEVER:
        live.agent_at = now + 4 * max(0, live.agent_at - now)


@jit
def slip(world: Any, live: Any, uniform: float) -> None:
    """Let a tourniquet loosen as its bearer is moved, until the next hands tighten it."""
    is_on = has_had(live, TOURNIQUET) and not has_flag(live, FLAG.HAD_SURGERY)
    if is_on and uniform < world.tourniquet_slip_share:
        live.bleed_extremity = live.limb_per_h * world.tourniquet_slip_leaves


@jit
def operate(world: Any, live: Any, hours: float, is_definitive: bool, holds: bool) -> None:
    """Stop every bleed if it holds; what is cleaned in time does not fester.

    `hours` is the time since the injury. Where the packs do not hold, torso and junction bleed on
    more slowly; a limb is tied off or taken off.
    """
    left = 0.0 if holds else float(world.unheld_leaves)
    is_clean = has_had(live, ANTIBIOTICS) and hours < world.debridement_h
    if live.late_cause == physiology.SEPSIS and is_clean:
        live.late_at = NEVER
    live.bleed_extremity = 0.0
    live.bleed_junctional *= left
    live.bleed_truncal *= left
    live.bleed_slope = 0.0
    live.airway_at = NEVER
    live.pneumothorax_at = NEVER
    if is_definitive:
        live.flags |= np.uint16(FLAG.HAD_DEFINITIVE | FLAG.HAD_SURGERY)
    else:
        live.flags |= np.uint16(FLAG.HAD_SURGERY)


@jit
def strain_organs(world: Any, live: Any, now: int, uniform: float) -> None:
    """Let who was long in shock die later although the bleeding has been stopped.

    Of some the blood no longer clots: they die within hours, whatever is given. Of the others the
    organs fail within days.
    """
    if physiology.strain(live) <= world.organ_failure_debt_share:
        return
    refractory = float(world.refractory_share)
    if uniform < refractory:
        cause = physiology.HAEMORRHAGE
        hours = world.refractory_hours
        left_s = 3600.0 * hours[0] * math.exp(hours[1] * streams.normal(uniform / refractory))
    else:
        cause = physiology.MULTIPLE
        days = world.organ_failure_days
        rest = (uniform - refractory) / (1.0 - refractory)
        left_s = 86400.0 * days[0] * math.exp(days[1] * streams.normal(rest))
    at = now + int(left_s)
    if at < live.failing_at:
        live.failing_at = at
        live.failing_cause = cause


@jit
def relieve_brain(live: Any) -> None:
    """Take away the death a neurosurgeon prevents."""
    if not has_flag(live, FLAG.UNSURVIVABLE):
        live.brain_at = NEVER
