"""The event loop of one replicate: the only compiled code that Python calls for it.

It runs until the scenario's clock ends or something it writes to is full, says which, and goes on
where it stopped when it is called again.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.simulation import (
    chain,
    clock,
    course,
    heap,
    onset,
    physiology,
    streams,
    wounds,
)
from medgen_pipeline.simulation.compiled import entry_point, inner
from medgen_pipeline.simulation.memory import entry_at, facility_at, live_at, queue_at, record_of
from medgen_pipeline.simulation.parameters import HOUR_S
from medgen_pipeline.simulation.state import (
    EVENT,
    NEVER,
    NEVER_SEEN,
    NOT_YET,
    PHASE,
    Records,
)
from medgen_pipeline.simulation.world import (
    FLEET_BACK,
    FLEET_WAKES,
    TABLE_READY,
    TRANSIT,
    next_for,
    table_queue,
    tell,
    tell_here,
)

# What `run` answers.
ENDED: Final = 0  # the clock has run out
FULL: Final = 1  # hand over the buffers and call again
CROWDED: Final = 2  # more slots or a larger heap are needed

MARGIN: Final = 40  # rows one event can write to a buffer: the wounds of one casualty, and some
ENTRIES: Final = 64  # events one event can put on the clock: a bus load, and some


class Arrivals(NamedTuple):
    """Who is hurt when: the schedule of stage 1, and where wounds come from and go to."""

    injured_s: npt.NDArray[np.int32]
    event: npt.NDArray[np.int32]
    casualty_class: npt.NDArray[np.uint8]
    position_in_event: npt.NDArray[np.uint16]
    event_front: npt.NDArray[np.uint8]
    event_warfare: npt.NDArray[np.uint8]
    event_environment: npt.NDArray[np.uint16]
    event_discovery_delay_s: npt.NDArray[np.int32]
    tables: Any  # wounds.WoundTables
    wounds: Records  # scratch
    summary: Records  # scratch, one
    injuries: Records


@inner
def is_hurt(world: Any, arrivals: Arrivals, subject: int, slot: int) -> None:
    """Let a casualty be hurt: wounds, problems, and what comes first."""
    now = arrivals.injured_s[subject]
    event = arrivals.event[subject]
    casualty = live_at(world, slot)
    onset.reset(casualty, subject, now)
    casualty.front = arrivals.event_front[event]
    casualty.casualty_class = arrivals.casualty_class[subject]
    casualty.environment = arrivals.event_environment[event]
    casualty.unit = np.uint16((event * 40503) & 0xFFFF)  # scatters events over units
    casualty.facility = casualty.front
    casualty.phase = PHASE.MEDIC
    count = wounds.inflict(
        arrivals.tables,
        world.key_0,
        world.key_1,
        subject,
        casualty.casualty_class,
        arrivals.event_warfare[event],
        casualty.environment,
        arrivals.wounds,
        arrivals.summary[0],
    )
    summary = arrivals.summary[0]
    casualty.stay_days = summary.stay_days
    casualty.severity = summary.condition_severity
    casualty.condition = arrivals.wounds[0].wound_type
    onset.afflict(world, casualty, arrivals.wounds, count, now)
    if summary.chemical_dose_mg_min_m3 > 0.0:
        onset.poison(world, casualty, now, summary.chemical_dose_mg_min_m3)
    onset.sicken(world, casualty, now, summary.deaths_per_day)
    _record(world, casualty, summary, count, now)
    _write_wounds(world, arrivals, subject, count)
    tell_here(world, casualty, EVENT.injured, np.nan)
    physiology.forecast_death(world, casualty)
    record_of(world, subject).triage_true = course.assess(world, casualty)
    if casualty.death_at <= now:
        course.dies(world, slot)
        return
    _first_hands(world, arrivals, slot, event, now)


@inner
def _record(world: Any, casualty: Any, summary: Any, count: int, now: int) -> None:
    record = record_of(world, casualty.subject)
    record.injured_at = now
    record.outcome_at = NOT_YET
    record.first_care_at = NOT_YET
    record.tourniquet_at = NOT_YET
    record.facility_at = NOT_YET
    record.surgery_at = NOT_YET
    record.rts = -1.0
    record.shock_index = np.nan
    record.days_to_duty = np.nan
    record.chemical_dose_mg_min_m3 = np.nan
    if summary.chemical_dose_mg_min_m3 > 0.0:
        record.chemical_dose_mg_min_m3 = summary.chemical_dose_mg_min_m3
    record.primary_code = summary.primary_code
    record.primary_site = summary.primary_site
    record.last_contact = NEVER_SEEN
    record.death_cause = -1
    record.is_potentially_survivable = -1
    record.tourniquet_before_shock = -1
    record.triage_assigned = 255
    record.mechanism = summary.mechanism
    record.mechanism_group = summary.mechanism_group
    record.injury_count = count
    record.max_ais = summary.max_ais
    record.iss = summary.iss
    record.niss = summary.niss
    record.disability = summary.disability
    record.blood_units = 0


@inner
def _write_wounds(world: Any, arrivals: Arrivals, subject: int, count: int) -> None:
    at = world.injury_rows
    for index in range(count):
        wound = arrivals.wounds[index]
        row = arrivals.injuries[at + index]
        row.subject = subject
        row.injury_number = index + 1
        row.burn_tbsa_percent = wound.burn_tbsa_percent
        row.code = wound.code
        row.body_region = wound.body_region
        row.wound_region = wound.wound_region
        row.side = wound.side
        row.ais = wound.ais
        row.wound_type = wound.wound_type
        row.mechanism = wound.mechanism
        row.bleeding_site = wound.bleeding_site
        row.is_lethal = wound.is_lethal
    world.injury_rows = at + count


@inner
def _first_hands(world: Any, arrivals: Arrivals, slot: int, event: int, now: int) -> None:
    """Set when a buddy and when the medic reach a casualty."""
    casualty = live_at(world, slot)
    a, b, c, _ = streams.uniforms(world.key_0, world.key_1, casualty.subject, streams.CARE)
    found = now + arrivals.event_discovery_delay_s[event]
    turn = int(arrivals.position_in_event[casualty.subject] / world.casualties_per_medic)
    medic_s = onset.lognormal(world.medic_s, world.medic_spread, a)
    medic_s += 60.0 * world.minutes_per_casualty * turn
    if casualty.casualty_class == course.DISEASE:
        medic_s *= world.sick_call_factor
    casualty.ready_at = found + max(1, int(medic_s))
    casualty.phase = PHASE.MEDIC
    at = casualty.ready_at
    is_bleeding = casualty.bleed_extremity > world.tourniquet_bleeding_per_h
    if is_bleeding and b < world.tourniquet_training_share:
        aid = found + max(1, int(onset.lognormal(world.tourniquet_s, world.aid_spread, c)))
        if aid < at:
            casualty.phase = PHASE.SELF_AID
            at = aid
    next_for(world, slot, at)


@inner
def write_hour(world: Any, hours: Records) -> bool:
    """Write the hour that has passed, facility by facility; return whether all are written."""
    hour = world.hour
    end = (hour + 1) * HOUR_S
    at = world.hour_facility
    while at < world.facility_count:
        if world.hour_rows >= len(hours):
            world.hour_facility = at
            return False
        _write_facility(world, hours, at, hour, end)
        at += 1
    world.hour_facility = 0
    world.hour = hour + 1
    return True


@inner
def _write_facility(world: Any, hours: Records, at: int, hour: int, end: int) -> None:
    facility = facility_at(world, at)
    if facility.over_since >= 0:
        facility.over_capacity_s += end - facility.over_since
        facility.over_since = end
    is_active = (
        facility.arrivals + facility.departures + facility.deaths + facility.in_beds > 0
        or facility.waiting + facility.vehicles_out + facility.in_surgery > 0
        or facility.turned_away + facility.bypassed > 0
    )
    if is_active:
        row = hours[world.hour_rows]
        row.hour = hour
        row.facility = at
        row.arrivals = facility.arrivals
        row.departures = facility.departures
        row.deaths = facility.deaths
        row.in_beds = facility.in_beds
        row.waiting = facility.waiting + queue_at(world, table_queue(world, at)).length
        row.beds = facility.beds
        row.in_surgery = facility.in_surgery
        row.operating_tables = facility.tables
        row.vehicles_out = facility.vehicles_out
        row.turned_away = facility.turned_away
        row.bypassed = facility.bypassed
        row.died_waiting = facility.died_waiting
        row.over_capacity_minutes = (facility.over_capacity_s + 59) // 60
        row.in_staging = facility.staged
        world.hour_rows += 1
    facility.arrivals = 0
    facility.departures = 0
    facility.deaths = 0
    facility.turned_away = 0
    facility.bypassed = 0
    facility.died_waiting = 0
    facility.over_capacity_s = 0


@inner
def has_room(world: Any, arrivals: Arrivals) -> bool:
    """Whether one more event fits every buffer."""
    return bool(
        world.timeline_rows + MARGIN <= world.timeline_room
        and world.treatment_rows + MARGIN <= world.treatment_room
        and world.vitals_rows + MARGIN <= world.vitals_room
        and world.injury_rows + MARGIN <= len(arrivals.injuries)
    )


@entry_point
def run(worlds: Records, arrivals: Arrivals, hours: Records) -> int:
    """Let the clock run until it ends, or a buffer is full, or more slots are needed."""
    world: Any = worlds[0]
    total = len(arrivals.injured_s)
    while True:
        subject = world.next_subject
        at = arrivals.injured_s[subject] if subject < total else NEVER
        arrives = clock.key_of(at, subject)
        key = clock.first_key(world, arrives)
        now = key >> 32
        while world.hour < min(now, world.horizon_s) // HOUR_S:
            if not write_hour(world, hours):
                return FULL
        if now >= world.horizon_s:
            return ENDED
        if not has_room(world, arrivals):
            return FULL
        if world.free_slot < 0 or world.heap_size + world.later_size + ENTRIES > world.heap_room:
            return CROWDED
        world.now = now
        world.events += 1
        if key == arrives:
            slot = world.free_slot
            world.free_slot = live_at(world, slot).queue_next
            world.next_subject = subject + 1
            is_hurt(world, arrivals, subject, slot)
        else:
            who = key & 0xFFFFFFFF
            slot = entry_at(world, 0).slot
            heap.drop_first(world)
            happens(world, who, slot, now)


@inner
def happens(world: Any, who: int, slot: int, now: int) -> None:
    """Let an event of the clock happen, unless it no longer holds."""
    if who >= TABLE_READY:
        chain.table_is_ready(world, who - TABLE_READY)
    elif who >= FLEET_WAKES:
        chain.dispatch(world, who - FLEET_WAKES)
    elif who >= FLEET_BACK:
        chain.vehicle_is_back(world, who - FLEET_BACK)
    elif live_at(world, slot).subject == who and live_at(world, slot).next_at == now:
        course.goes_on(world, slot)


@entry_point
def close(worlds: Records, slots_in_order: npt.NDArray[np.int32], start: int) -> int:
    """End the clock for everyone still in theatre; return how many are done."""
    world: Any = worlds[0]
    world.now = world.horizon_s
    for index in range(start, len(slots_in_order)):
        if world.timeline_rows + 1 > world.timeline_room:
            return index
        slot = slots_in_order[index]
        casualty = live_at(world, slot)
        if record_of(world, casualty.subject).rts < 0.0:  # hurt too late for anybody to come
            physiology.bleed_until(world, casualty, world.now)
            course.looks(world, slot, False)
        is_moving = casualty.phase == PHASE.TRAVEL
        if is_moving:
            casualty.facility = casualty.target
        role = TRANSIT if is_moving else facility_at(world, casualty.facility).role
        tell(world, casualty, EVENT.clock_ended, casualty.facility, role, -1, np.nan)
        course.leaves(world, slot, course.IN_CARE)
    return len(slots_in_order)
