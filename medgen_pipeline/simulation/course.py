"""The course of a casualty: what happens at each of their events, and what comes next."""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.reference.vocabulary import BODY_REGIONS, CASUALTY_CLASSES, OUTCOMES
from medgen_pipeline.reference.warfare import HOURS_PER_DAY
from medgen_pipeline.simulation import care, chain, lines, physiology, streams, vitals
from medgen_pipeline.simulation.care import has_flag
from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import (
    facility_at,
    fleet_at,
    front_at,
    live_at,
    queue_at,
    record_of,
    vitals_at,
)
from medgen_pipeline.simulation.onset import lognormal
from medgen_pipeline.simulation.parameters import DAY_S, HOUR_S
from medgen_pipeline.simulation.state import CONTACT, EVENT, FLAG, NEVER, NOT_YET, PHASE, code
from medgen_pipeline.simulation.world import (
    TRANSIT,
    bed_queue,
    next_for,
    table_queue,
    tell,
    tell_here,
    tell_region,
    tell_treatment,
    vehicle_queue,
)

BATTLE: Final = code(CASUALTY_CLASSES, "battle_injury")
DISEASE: Final = code(CASUALTY_CLASSES, "disease")
EXTREMITIES: Final = code(BODY_REGIONS, "extremities")
KIA: Final = code(OUTCOMES, "KIA")
DOW: Final = code(OUTCOMES, "DOW")
DNB: Final = code(OUTCOMES, "DNB")
RTD: Final = code(OUTCOMES, "RTD")
EVACUATED: Final = code(OUTCOMES, "EVACUATED")
IN_CARE: Final = code(OUTCOMES, "IN_CARE")

T1: Final = 0
T2: Final = 1
T3: Final = 2
T4: Final = 3


@inner
def minutes_since(world: Any, at: int) -> float:
    """Return the minutes from a time to now."""
    return float((world.now - at) / 60.0)


@inner
def draw_for(world: Any, casualty: Any, decision: int) -> float:
    """Return one uniform draw of a casualty's decision."""
    a, _, _, _ = streams.uniforms(world.key_0, world.key_1, casualty.subject, decision)
    return a


@inner
def leaves(world: Any, slot: int, outcome: int) -> None:
    """Record what became of a casualty and give their slot to another."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    record.outcome = outcome
    record.outcome_at = world.now
    record.outcome_facility = casualty.facility
    if outcome == RTD:
        record.days_to_duty = (record.outcome_at - record.injured_at) / DAY_S
    world.outcomes[outcome] += 1
    casualty.next_at = NOT_YET
    casualty.subject = -1
    casualty.queue_next = world.free_slot
    world.free_slot = slot


@inner
def dies(world: Any, slot: int) -> None:
    """End a casualty's course: killed in action, died of wounds, or died of something else."""
    casualty = live_at(world, slot)
    now = world.now
    record = record_of(world, casualty.subject)
    record.death_cause = physiology.cause_of_death(casualty, now)
    record.is_potentially_survivable = 0 if has_flag(casualty, FLAG.UNSURVIVABLE) else 1
    phase = casualty.phase
    is_moving = phase == PHASE.TRAVEL
    is_waiting = phase == PHASE.WAIT_BED or phase == PHASE.WAIT_TABLE
    is_waiting = is_waiting or phase == PHASE.WAIT_VEHICLE or phase == PHASE.PICKUP
    chain.stop_waiting(world, slot)
    if is_moving:
        casualty.facility = casualty.target
        world.died_in_transit += 1
        tell(world, casualty, EVENT.died, casualty.facility, TRANSIT, -1, np.nan)
    else:
        tell_here(world, casualty, EVENT.died, np.nan)
    if not is_moving:
        facility_at(world, casualty.facility).deaths += 1
    if is_waiting:
        facility_at(world, casualty.facility).died_waiting += 1
        world.died_waiting += 1
    outcome = DNB
    if casualty.casualty_class == BATTLE:
        outcome = DOW if has_flag(casualty, FLAG.HAS_ARRIVED) else KIA
    leaves(world, slot, outcome)


@inner
def returns_to_duty(world: Any, slot: int) -> None:
    """Send a casualty back to their unit."""
    casualty = live_at(world, slot)
    if has_flag(casualty, FLAG.IN_BED):
        tell_here(world, casualty, EVENT.discharged, np.nan)
        chain.free_bed(world, slot)
    tell_here(world, casualty, EVENT.returned_to_duty, np.nan)
    facility_at(world, casualty.facility).departures += 1
    leaves(world, slot, RTD)


@inner
def assess(world: Any, casualty: Any) -> int:
    """Return the triage category a casualty truly is: what they need, and how soon."""
    if has_flag(casualty, FLAG.UNSURVIVABLE):
        return T4
    if (
        physiology.bleeding_rate(casualty) > world.immediate_bleeding_per_h
        or casualty.airway_at < NEVER
        or casualty.pneumothorax_at < NEVER
        or casualty.brain_ais >= 4
        or casualty.agent_dose >= world.agent_doses[vitals.SEVERE]
        or physiology.is_in_shock(world, casualty)
        or has_flag(casualty, FLAG.LIMB_BLEEDING)
        or has_flag(casualty, FLAG.TORSO_BLEEDING)
        or casualty.chest_ais >= 3
        or (casualty.casualty_class == DISEASE and casualty.severity >= 2)
    ):
        return T1
    if (
        has_flag(casualty, FLAG.NEEDS_SURGERY)
        or not casualty.walking
        or casualty.brain_ais >= 3
        or casualty.agent_dose >= world.agent_doses[vitals.MODERATE]
        or casualty.severity >= 1
    ):
        return T2
    return T3


@inner
def looks(world: Any, slot: int, is_written: bool) -> None:
    """Observe a casualty and sort them by what is seen; write that down if anybody saw it."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    now = world.now
    row = vitals_at(world, world.vitals_rows)
    draw = draw_for(world, casualty, streams.TRIAGE + casualty.contact)
    least, by_root, sure, most = world.pain_points
    pain = min(most, least + by_root * math.sqrt(float(record.iss)) * (sure + draw))
    if care.has_had(casualty, care.ANALGESIA):
        pain *= world.analgesia_leaves
    vitals.observe(world, casualty, row, now, pain)
    row.role = facility_at(world, casualty.facility).role
    casualty.triage = sorted_as(world, casualty, row, draw)
    row.triage = casualty.triage
    if is_written:
        world.vitals_rows += 1
    if record.rts < 0.0:
        record.rts = vitals.revised_trauma_score(row)
        record.shock_index = row.heart_rate_bpm / row.systolic_mmhg
        record.triage_assigned = casualty.triage


@inner
def sorted_as(world: Any, casualty: Any, row: Any, draw: float) -> int:
    """Return the category given: the signs decide who is immediate, needs the rest."""
    true = assess(world, casualty)
    if true == T4:
        return T4 if draw < world.expectant_recognised_share else T1
    if casualty.casualty_class == DISEASE:
        return true
    if vitals.reads_as_immediate(row):
        return T1
    return T2 if true <= T2 else T3


@inner
def first_aid(world: Any, slot: int) -> None:
    """Self or buddy aid: a tourniquet on a bleeding limb, before the medic is there."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    now = world.now
    record.first_care_at = now
    tell_here(world, casualty, EVENT.first_care, np.nan)
    provider = care.BUDDY
    if (
        not physiology.is_in_shock(world, casualty)
        and draw_for(world, casualty, streams.CARE + 2) < world.self_aid_share
    ):
        provider = care.SELF
    tourniquet(world, slot, provider)
    casualty.phase = PHASE.MEDIC
    physiology.forecast_death(world, casualty)
    next_for(world, slot, max(now + int(60.0 * world.minutes[care.TOURNIQUET]), casualty.ready_at))


@inner
def tourniquet(world: Any, slot: int, provider: int) -> None:
    """Apply a tourniquet and note whether shock had set in."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    skill = world.medic_skill if provider == care.MEDIC else world.provider_skill[provider]
    if provider == care.SELF or provider == care.BUDDY:  # luck of their own, or no medic mends it
        _, _, _, draw = streams.uniforms(
            world.key_0, world.key_1, casualty.subject, streams.CARE + 2
        )
        did = draw < world.works[care.TOURNIQUET] * skill
    else:
        did = care.works(
            casualty, care.TOURNIQUET, world.works[care.TOURNIQUET], skill, world.key_0, world.key_1
        )
    tell_treatment(world, casualty, care.TOURNIQUET, provider, 1.0, did)
    tell_region(world, EXTREMITIES)
    if did:
        if record.tourniquet_at == NOT_YET:
            record.tourniquet_at = world.now
            record.tourniquet_before_shock = 0 if physiology.is_in_shock(world, casualty) else 1
        care.apply(world, casualty, care.TOURNIQUET, world.now)


@inner
def begins_contact(world: Any, slot: int) -> None:
    """Look, sort, and plan what is to be done here."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    record.last_contact = casualty.contact
    looks(world, slot, True)
    asks_early(world, casualty)
    has_blood = facility_at(world, casualty.facility).has_blood != 0
    if record.max_ais == 0 and casualty.agent_dose <= 0.0:
        casualty.plan = care.plan_sick(casualty, casualty.condition)
    else:
        casualty.plan = care.plan_wounded(
            casualty, record.max_ais, record.mechanism_group, world, has_blood
        )
    casualty.phase = PHASE.STEP
    step(world, slot)


@inner
def step(world: Any, slot: int) -> None:
    """Carry out the next treatment that needs hands, and what is given alongside it.

    What has lost its purpose is left out; when nothing is left the contact ends.
    """
    casualty = live_at(world, slot)
    busy_s = 0
    while casualty.plan != np.uint64(0):
        treatment = care.first_of(casualty.plan)
        if care.is_needed(world, casualty, treatment):
            if not world.alongside[treatment]:
                if busy_s > 0:
                    break
                busy_s = max(1, int(60.0 * world.minutes[treatment]))
            gives(world, slot, treatment)
        casualty.plan &= ~care.bit(treatment)
    if busy_s == 0:
        ends_contact(world, slot)
        return
    physiology.forecast_death(world, casualty)
    next_for(world, slot, world.now + busy_s)


@inner
def provider_of(casualty: Any) -> int:
    """Return who treats at this contact."""
    return care.MEDIC if casualty.contact == CONTACT.POINT_OF_INJURY else care.PHYSICIAN


@inner
def skill_of(world: Any, casualty: Any, provider: int) -> float:
    """Return the factor on what a treatment achieves: less where beds are more than established."""
    if provider == care.MEDIC:
        return float(world.medic_skill)
    facility = facility_at(world, casualty.facility)
    surge = world.surge_skill if facility.in_beds > facility.beds else 1.0
    return float(world.provider_skill[provider] * surge)


@inner
def gives(world: Any, slot: int, treatment: int) -> None:
    """Give one treatment."""
    casualty = live_at(world, slot)
    provider = provider_of(casualty)
    if treatment == care.TOURNIQUET:
        tourniquet(world, slot, provider)
    else:
        skill = skill_of(world, casualty, provider)
        probability = world.works[treatment]
        if treatment == care.AIRWAY or treatment == care.BLOOD or probability >= 1.0:
            skill = 1.0
        did = care.works(casualty, treatment, probability, skill, world.key_0, world.key_1)
        quantity = float(world.quantity[treatment])
        if did:
            units = care.apply(world, casualty, treatment, world.now)
            if treatment == care.BLOOD:
                quantity = units
                record = record_of(world, casualty.subject)
                record.blood_units = record.blood_units + int(units)
        tell_treatment(world, casualty, treatment, provider, quantity, did)


@inner
def ends_contact(world: Any, slot: int) -> None:
    """Decide where a casualty goes from here."""
    casualty = live_at(world, slot)
    contact = casualty.contact
    if contact == CONTACT.POINT_OF_INJURY:
        extraction(world, slot)
    elif contact == CONTACT.ROLE1:
        after_role1(world, slot)
    elif contact == CONTACT.ROLE2:
        after_role2(world, slot)
    else:
        after_role3(world, slot)


@inner
def extraction(world: Any, slot: int) -> None:
    """Hold a casualty at the point of injury until a move is possible, then ask for a vehicle."""
    casualty = live_at(world, slot)
    now = world.now
    ready = now
    if world.extraction_s > 0.0 and casualty.casualty_class == BATTLE:
        draw = draw_for(world, casualty, streams.CARE + 3)
        ready += int(lognormal(world.extraction_s, world.extraction_spread, draw))
    if world.moves_only_in_darkness > 0.0 and casualty.casualty_class == BATTLE:
        ready = next_darkness(world, ready)
    if ready <= now:
        asks_for_vehicle(world, slot)
        return
    casualty.phase = PHASE.EXTRACTION
    next_for(world, slot, ready)


@inner
def next_darkness(world: Any, at: int) -> int:
    """Return the first time from `at` on that lies in the hours of darkness."""
    of_day = (at + int(world.start_second_of_day)) % DAY_S
    hour = of_day // HOUR_S
    if world.is_dark[hour]:
        return at
    for later in range(1, HOURS_PER_DAY):
        if world.is_dark[(hour + later) % HOURS_PER_DAY]:
            return at + (hour + later) * HOUR_S - of_day
    return at


@inner
def asks_early(world: Any, casualty: Any) -> None:
    """Request evacuation while care begins, for who will surely be moved on."""
    if casualty.contact == CONTACT.POINT_OF_INJURY:
        is_held = world.extraction_s > 0.0 or world.moves_only_in_darkness > 0.0
        is_sure = not (is_held and casualty.casualty_class == BATTLE)
    else:
        is_sure = casualty.contact == CONTACT.ROLE1 and not is_light(world, casualty)
    if is_sure:
        casualty.flags |= np.uint16(FLAG.HAS_ASKED)
        casualty.asked_at = world.now
        tell_here(world, casualty, EVENT.evacuation_requested, np.nan)


@inner
def is_light(world: Any, casualty: Any) -> bool:
    """Whether a casualty needs no more than Role 1 and returns to duty within 72 hours."""
    return bool(
        casualty.stay_days <= world.light_days
        and not has_flag(casualty, FLAG.NEEDS_SURGERY)
        and casualty.brain_ais < 3
    )


@inner
def asks_for_vehicle(world: Any, slot: int) -> None:
    """Request evacuation to the next role that can do what is needed."""
    casualty = live_at(world, slot)
    role = chain.next_role(world, casualty)
    here = facility_at(world, casualty.facility).role
    if here == chain.POI and role < chain.ROLE2 and chain.goes_straight_to_surgery(world, casualty):
        facility_at(world, front_at(world, casualty.front).first_role1).bypassed += 1
        world.bypassed += 1
        role = chain.ROLE2
    casualty.target = role
    casualty.fleet = chain.choose_fleet(world, casualty, role)
    casualty.queue = 0 if here == chain.POI else 1
    casualty.phase = PHASE.WAIT_VEHICLE
    casualty.ready_at = world.now
    casualty.waiting_since = world.now
    if has_flag(casualty, FLAG.HAS_ASKED):
        casualty.flags &= ~np.uint16(FLAG.HAS_ASKED)
    else:
        casualty.asked_at = world.now
        tell_here(world, casualty, EVENT.evacuation_requested, np.nan)
    facility_at(world, casualty.facility).waiting += 1
    if fleet_at(world, casualty.fleet).smallest_load > 1 and casualty.walking:
        goes_to_staging(world, slot)
    queue = queue_at(world, vehicle_queue(casualty.fleet, casualty.queue))
    lines.join(world, queue, slot)
    next_for(world, slot, NEVER)
    chain.dispatch(world, casualty.fleet)


@inner
def goes_to_staging(world: Any, slot: int) -> None:
    """Let who walks and waits for a load give up their bed."""
    casualty = live_at(world, slot)
    if has_flag(casualty, FLAG.IN_BED):
        tell_here(world, casualty, EVENT.discharged, np.nan)
        facility_at(world, casualty.facility).staged += 1
        casualty.flags |= np.uint16(FLAG.IN_STAGING)
        chain.free_bed(world, slot)


@inner
def departs(world: Any, slot: int) -> None:
    """Load a casualty; out of theatre is out of sight."""
    casualty = live_at(world, slot)
    now = world.now
    fleet = fleet_at(world, casualty.fleet)
    here = facility_at(world, casualty.facility)
    wait = minutes_since(world, casualty.waiting_since)
    tell(world, casualty, EVENT.departed, casualty.facility, here.role, fleet.vehicle, wait)
    here.departures += 1
    chain.free_bed(world, slot)
    chain.leave_staging(world, slot)
    if facility_at(world, casualty.target).role == chain.ROLE4:
        casualty.facility = casualty.target
        facility_at(world, casualty.target).inbound -= 1
        tell_here(world, casualty, EVENT.left_theatre, np.nan)
        leaves(world, slot, EVACUATED)
        return
    casualty.phase = PHASE.TRAVEL
    flies = fleet.vehicle == 1
    probability = world.air_loss if flies else world.ground_loss
    on_the_way(world, slot)
    forward = facility_at(world, casualty.target).role <= chain.ROLE2
    draw = draw_for(world, casualty, streams.TRAVEL + 13 + min(casualty.legs, 8))
    hit_at = now + max(1, (casualty.ready_at - now) // 2)
    if forward and draw < probability and hit_at < casualty.death_at:
        casualty.flags |= np.uint16(FLAG.HIT_IN_TRANSIT)
        casualty.death_at = hit_at
    casualty.legs += 1
    next_for(world, slot, casualty.ready_at)


@inner
def on_the_way(world: Any, slot: int) -> None:
    """Give blood on a vehicle that carries it; a move may loosen a tourniquet."""
    casualty = live_at(world, slot)
    if world.blood_forward > 0.0 and casualty.triage != T4:
        transfuses(world, slot, care.MEDIC)
    draw = draw_for(world, casualty, streams.CARE + 4 + min(casualty.legs, 3))
    care.slip(world, casualty, draw)
    physiology.forecast_death(world, casualty)


@inner
def arrives(world: Any, slot: int) -> None:
    """Bring a casualty into a facility, to a bed if there is one."""
    casualty = live_at(world, slot)
    now = world.now
    facility = facility_at(world, casualty.target)
    casualty.facility = casualty.target
    facility.inbound -= 1
    facility.arrivals += 1
    casualty.contact = facility.role
    vehicle = fleet_at(world, casualty.fleet).vehicle
    tell(world, casualty, EVENT.arrived, casualty.facility, facility.role, vehicle, np.nan)
    record = record_of(world, casualty.subject)
    if not has_flag(casualty, FLAG.HAS_ARRIVED):
        casualty.flags |= np.uint16(FLAG.HAS_ARRIVED)
        record.facility_at = now
    casualty.waiting_since = now
    if facility.in_beds < facility.beds_limit:
        chain.take_bed(world, slot)
        admitted(world, slot)
        return
    casualty.phase = PHASE.WAIT_BED
    facility.waiting += 1
    lines.join(world, queue_at(world, bed_queue(world, casualty.facility)), slot)
    next_for(world, slot, NEVER)


@inner
def admitted(world: Any, slot: int) -> None:
    """Begin care in a bed."""
    casualty = live_at(world, slot)
    tell_here(world, casualty, EVENT.admitted, minutes_since(world, casualty.waiting_since))
    begins_contact(world, slot)


@inner
def fit_at(world: Any, casualty: Any) -> int:
    """Return when a casualty will be fit for duty, counted from the injury."""
    record = record_of(world, casualty.subject)
    return int(record.injured_at + casualty.stay_days * DAY_S)


@inner
def hold_until(world: Any, slot: int, at: int) -> None:
    """Keep a casualty where they are until a time."""
    casualty = live_at(world, slot)
    casualty.phase = PHASE.HOLD
    casualty.ready_at = max(at, world.now + 1)
    next_for(world, slot, casualty.ready_at)


@inner
def longest_hold(world: Any, casualty: Any) -> int:
    """Return how long this facility may keep a casualty of this triage category, seconds."""
    return int(facility_at(world, casualty.facility).hold_s[casualty.triage])


@inner
def after_role1(world: Any, slot: int) -> None:
    """Rest the lightly hurt and send them back; move the others on."""
    casualty = live_at(world, slot)
    if is_light(world, casualty):
        now = world.now
        bed_until = min(fit_at(world, casualty), now + longest_hold(world, casualty))
        hold_until(world, slot, bed_until)
        return
    asks_for_vehicle(world, slot)


@inner
def after_role2(world: Any, slot: int) -> None:
    """Operate on who needs it, keep who recovers within the hold, move the others on."""
    casualty = live_at(world, slot)
    now = world.now
    facility = facility_at(world, casualty.facility)
    needs = has_flag(casualty, FLAG.NEEDS_SURGERY) and not has_flag(casualty, FLAG.HAD_SURGERY)
    if needs and facility.tables > 0 and casualty.triage != T4:
        to_surgery(world, slot)
        return
    is_done = is_light(world, casualty) and not has_flag(casualty, FLAG.NEEDS_DEFINITIVE)
    if is_done and fit_at(world, casualty) <= now + longest_hold(world, casualty):
        hold_until(world, slot, fit_at(world, casualty))
        return
    wait = 0
    if has_flag(casualty, FLAG.HAD_SURGERY):
        draw = draw_for(world, casualty, streams.STAY)
        wait = min(
            int(lognormal(world.after_surgery_h, world.hold_spread, draw) * HOUR_S),
            longest_hold(world, casualty),
        )
    if wait > 0:
        hold_until(world, slot, now + wait)
        return
    asks_for_vehicle(world, slot)


@inner
def after_role3(world: Any, slot: int) -> None:
    """Operate, keep who recovers within the evacuation policy; the others leave the theatre."""
    casualty = live_at(world, slot)
    now = world.now
    facility = facility_at(world, casualty.facility)
    needs = has_flag(casualty, FLAG.NEEDS_DEFINITIVE) or has_flag(casualty, FLAG.NEEDS_SURGERY)
    if needs and not has_flag(casualty, FLAG.HAD_DEFINITIVE) and facility.tables > 0:
        to_surgery(world, slot)
        return
    record = record_of(world, casualty.subject)
    fit = fit_at(world, casualty)
    if fit <= record.injured_at + int(world.policy_s):
        hold_until(world, slot, fit)
        return
    draw = draw_for(world, casualty, streams.STAY + 1)
    stay = int(lognormal(world.role3_h, world.hold_spread, draw) * HOUR_S)
    hold_until(world, slot, now + min(stay, longest_hold(world, casualty)))


@inner
def after_hold(world: Any, slot: int) -> None:
    """End a stay: duty for who is fit, rest outside a bed for who nearly is, else onward."""
    casualty = live_at(world, slot)
    now = world.now
    fit = fit_at(world, casualty)
    if fit <= now:
        returns_to_duty(world, slot)
        return
    if casualty.contact == CONTACT.ROLE1:
        tell_here(world, casualty, EVENT.discharged, np.nan)
        chain.free_bed(world, slot)
        hold_until(world, slot, fit)
        return
    asks_for_vehicle(world, slot)


@inner
def to_surgery(world: Any, slot: int) -> None:
    """Take a casualty to an operating table, or into the line for one."""
    casualty = live_at(world, slot)
    now = world.now
    casualty.waiting_since = now
    if chain.take_table(world, slot):
        starts_surgery(world, slot)
        return
    casualty.phase = PHASE.WAIT_TABLE
    lines.join(world, queue_at(world, table_queue(world, casualty.facility)), slot)
    awaits_table(world, slot)


@inner
def awaits_table(world: Any, slot: int) -> None:
    """Keep up the blood of who bleeds in the line for a table."""
    casualty = live_at(world, slot)
    at = NEVER
    if physiology.bleeding_rate(casualty) > world.replaced_bleeding_per_h:
        at = world.now + int(60.0 * world.transfusion_minutes)
    physiology.forecast_death(world, casualty)
    next_for(world, slot, at)


@inner
def replaces_blood(world: Any, slot: int) -> None:
    """Transfuse what has been lost, where there is blood."""
    casualty = live_at(world, slot)
    if facility_at(world, casualty.facility).has_blood:
        transfuses(world, slot, care.SURGEON)


@inner
def transfuses(world: Any, slot: int, provider: int) -> None:
    """Give the units of blood a casualty lacks."""
    casualty = live_at(world, slot)
    units = physiology.units_wanted(world, casualty, int(world.most_units[casualty.contact]), 0.0)
    if units > 0:
        physiology.transfuse(world, casualty, units)
        tell_units(world, casualty, provider, units)


@inner
def tell_units(world: Any, casualty: Any, provider: int, units: int) -> None:
    """Write down blood given."""
    record = record_of(world, casualty.subject)
    record.blood_units = record.blood_units + units
    tell_treatment(world, casualty, care.BLOOD, provider, float(units), True)


@inner
def starts_surgery(world: Any, slot: int) -> None:
    """Begin an operation."""
    casualty = live_at(world, slot)
    now = world.now
    record = record_of(world, casualty.subject)
    if record.surgery_at == NOT_YET:
        record.surgery_at = now
    tell_here(world, casualty, EVENT.surgery_started, minutes_since(world, casualty.waiting_since))
    facility_at(world, casualty.facility).in_surgery += 1
    replaces_blood(world, slot)
    casualty.phase = PHASE.HAEMOSTASIS
    physiology.forecast_death(world, casualty)
    next_for(world, slot, now + int(60.0 * world.haemostasis_minutes))


@inner
def has_haemostasis(world: Any, slot: int) -> None:
    """Stop the bleeding, then finish the operation."""
    casualty = live_at(world, slot)
    now = world.now
    is_definitive = casualty.contact == CONTACT.ROLE3
    record = record_of(world, casualty.subject)
    fate, first_loss, later_loss, _ = streams.uniforms(
        world.key_0, world.key_1, casualty.subject, streams.PHYSIOLOGY + 22
    )
    is_first = not has_flag(casualty, FLAG.HAD_SURGERY)
    if is_first:
        care.strain_organs(world, casualty, now, fate)
    loses_blood(world, casualty, record.max_ais, first_loss if is_first else later_loss)
    treatment = care.DEFINITIVE if is_definitive else care.DAMAGE_CONTROL
    factor = world.definitive_factor if is_definitive else world.surgery_factor
    if is_definitive and has_flag(casualty, FLAG.NEEDS_NEUROSURGERY):
        treatment = care.NEUROSURGERY
    median_s = 60.0 * world.minutes[treatment] * factor
    draw = draw_for(world, casualty, streams.STAY + 2 + casualty.contact)
    rest = int(lognormal(median_s, world.surgery_spread, draw)) - int(
        60.0 * world.haemostasis_minutes
    )
    holding = 1.0 - world.coagulopathy_unheld * physiology.strain(casualty)
    did = care.works(casualty, treatment, world.works[treatment], holding, world.key_0, world.key_1)
    hours = (now - record.injured_at) / 3600.0
    care.operate(world, casualty, hours, is_definitive, did or treatment == care.NEUROSURGERY)
    if did:
        care.apply(world, casualty, treatment, now)
        if treatment == care.NEUROSURGERY:
            care.relieve_brain(casualty)
    tell_treatment(world, casualty, treatment, care.SURGEON, np.nan, did)
    casualty.phase = PHASE.SURGERY_END
    physiology.forecast_death(world, casualty)
    next_for(world, slot, now + max(int(60.0 * world.closing_minutes), rest))


@inner
def loses_blood(world: Any, casualty: Any, max_ais: int, draw: float) -> None:
    """Let an operation cost its blood, and replace that where there is blood."""
    lost = physiology.lost_in_surgery(world, casualty, max_ais, draw)
    units = 0
    if facility_at(world, casualty.facility).has_blood:
        most = int(world.most_units[casualty.contact])
        units = physiology.units_wanted(world, casualty, most, lost)
    physiology.lose_in_surgery(world, casualty, lost, units)
    if units > 0:
        tell_units(world, casualty, care.SURGEON, units)


@inner
def ends_surgery(world: Any, slot: int) -> None:
    """Leave the table and recover."""
    casualty = live_at(world, slot)
    tell_here(world, casualty, EVENT.surgery_ended, np.nan)
    facility_at(world, casualty.facility).in_surgery -= 1
    chain.clear_table(world, casualty.facility)
    ends_contact(world, slot)


@inner
def goes_on(world: Any, slot: int) -> None:  # noqa: C901, PLR0912  one branch for each phase
    """Handle a casualty's pending event."""
    casualty = live_at(world, slot)
    now = world.now
    physiology.bleed_until(world, casualty, now)
    if casualty.death_at <= now:
        dies(world, slot)
        return
    phase = casualty.phase
    if phase == PHASE.STEP:
        step(world, slot)
    elif phase == PHASE.MEDIC:
        meets_medic(world, slot)
    elif phase == PHASE.SELF_AID:
        first_aid(world, slot)
    elif phase == PHASE.PICKUP:
        departs(world, slot)
    elif phase == PHASE.TRAVEL:
        arrives(world, slot)
    elif phase == PHASE.HOLD:
        after_hold(world, slot)
    elif phase == PHASE.BED:
        admitted(world, slot)
    elif phase == PHASE.TABLE:
        starts_surgery(world, slot)
    elif phase == PHASE.HAEMOSTASIS:
        has_haemostasis(world, slot)
    elif phase == PHASE.SURGERY_END:
        ends_surgery(world, slot)
    elif phase == PHASE.WAIT_TABLE:
        replaces_blood(world, slot)
        awaits_table(world, slot)
    elif phase == PHASE.EXTRACTION:
        asks_for_vehicle(world, slot)


@inner
def meets_medic(world: Any, slot: int) -> None:
    """Begin care by the medic at the point of injury."""
    casualty = live_at(world, slot)
    record = record_of(world, casualty.subject)
    if record.first_care_at == NOT_YET:
        record.first_care_at = world.now
        tell_here(world, casualty, EVENT.first_care, np.nan)
    begins_contact(world, slot)
