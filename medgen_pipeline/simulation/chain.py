"""Beds, operating tables and vehicles: who gets them, and who waits.

What one casualty frees another takes a second later, so that the tables stay in the order of the
clock and, within a second, of the subject.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.reference.vocabulary import ENVIRONMENT_CONDITIONS, ROLES
from medgen_pipeline.simulation import clock, lines, streams
from medgen_pipeline.simulation.care import has_flag
from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import facility_at, fleet_at, front_at, live_at, queue_at
from medgen_pipeline.simulation.parameters import WAY
from medgen_pipeline.simulation.state import FLAG, PHASE, code
from medgen_pipeline.simulation.world import (
    FLEET_BACK,
    FLEET_WAKES,
    TABLE_READY,
    bed_queue,
    next_for,
    table_queue,
    vehicle_queue,
)

CONDITIONS: Final = len(ENVIRONMENT_CONDITIONS)
ROLE1: Final = code(ROLES, "ROLE1")
ROLE2: Final = code(ROLES, "ROLE2")
ROLE3: Final = code(ROLES, "ROLE3")
ROLE4: Final = code(ROLES, "ROLE4")
POI: Final = code(ROLES, "POI")

LOOK_AROUND: Final = 8  # units of a role that are asked for room: ours
FORWARD_FLEETS: Final = 3  # of each front: ground, air, bus


@inner
def ageing_s(world: Any) -> int:
    """Return the seconds of waiting that count as one triage category."""
    return int(3600.0 * world.ageing_h)


@inner
def load_s(world: Any) -> int:
    """Return the seconds it takes to load or unload."""
    return int(60.0 * world.load_minutes)


@inner
def take_bed(world: Any, slot: int) -> None:
    """Reserve a bed, and count the time a facility works beyond what it was set up for."""
    casualty = live_at(world, slot)
    facility = facility_at(world, casualty.facility)
    facility.in_beds += 1
    casualty.flags |= np.uint16(FLAG.IN_BED)
    if facility.in_beds == facility.beds + 1:
        facility.over_since = world.now


@inner
def free_bed(world: Any, slot: int) -> None:
    """Give up a bed; whoever waits for it has it a second later."""
    casualty = live_at(world, slot)
    if not has_flag(casualty, FLAG.IN_BED):
        return
    casualty.flags &= ~np.uint16(FLAG.IN_BED)
    now = world.now
    facility = facility_at(world, casualty.facility)
    if facility.in_beds == facility.beds + 1 and facility.over_since >= 0:
        facility.over_capacity_s += now - facility.over_since
        facility.over_since = -1
    facility.in_beds -= 1
    queue = queue_at(world, bed_queue(world, casualty.facility))
    waiter = lines.first(world, queue, now, ageing_s(world))
    if waiter >= 0 and facility.in_beds < facility.beds_limit:
        lines.leave(world, queue, waiter)
        facility.waiting -= 1
        take_bed(world, waiter)
        live_at(world, waiter).phase = PHASE.BED
        next_for(world, waiter, now + 1)


@inner
def leave_staging(world: Any, slot: int) -> None:
    """Make room where casualties wait for a load."""
    casualty = live_at(world, slot)
    if has_flag(casualty, FLAG.IN_STAGING):
        casualty.flags &= ~np.uint16(FLAG.IN_STAGING)
        facility_at(world, casualty.facility).staged -= 1


@inner
def take_table(world: Any, slot: int) -> bool:
    """Take an operating table if one is free."""
    facility = facility_at(world, live_at(world, slot).facility)
    if facility.tables_taken >= facility.tables:
        return False
    facility.tables_taken += 1
    return True


@inner
def clear_table(world: Any, facility_index: int) -> None:
    """Begin the turnover of a table."""
    at = world.now + max(1, facility_at(world, facility_index).turnover_s)
    clock.schedule(world, at, TABLE_READY + facility_index, -1)


@inner
def table_is_ready(world: Any, facility_index: int) -> None:
    """Give a table to who needs it most, a second later."""
    now = world.now
    facility = facility_at(world, facility_index)
    facility.tables_taken -= 1
    queue = queue_at(world, table_queue(world, facility_index))
    waiter = lines.first(world, queue, now, ageing_s(world))
    if waiter >= 0:
        lines.leave(world, queue, waiter)
        facility.tables_taken += 1
        live_at(world, waiter).phase = PHASE.TABLE
        next_for(world, waiter, now + 1)


@inner
def unit_with_room(world: Any, first: int, units: int, own: int) -> Any:
    """Return the casualty's own unit of a role, or one nearby with room when it is full."""
    home = first + own % units
    best = home
    least = 1.0e9
    for step in range(min(units, LOOK_AROUND)):
        index = first + (own + step) % units
        facility = facility_at(world, index)
        # Who waits for a vehicle lies in one of the beds, or has given it up.
        without_bed = queue_at(world, bed_queue(world, index)).length
        taken = facility.in_beds + facility.inbound + without_bed
        if taken < facility.overflow_beds:
            best = index
            break
        load = taken / max(1, facility.beds)
        if load < least:
            least = load
            best = index
    if best != home:
        facility_at(world, home).turned_away += 1
        world.turned_away += 1
    return best


@inner
def destination(world: Any, casualty: Any, role: int) -> Any:
    """Return the facility a casualty is taken to, -1 when there is none of that role."""
    front = casualty.front
    if role == ROLE1 and front_at(world, front).role1_units > 0:
        return unit_with_room(
            world,
            front_at(world, front).first_role1,
            front_at(world, front).role1_units,
            casualty.unit,
        )
    if role == ROLE2 and front_at(world, front).role2_units > 0:
        return unit_with_room(
            world,
            front_at(world, front).first_role2,
            front_at(world, front).role2_units,
            casualty.unit,
        )
    if role == ROLE3 and world.role3_units > 0:
        return unit_with_room(world, world.first_role3, world.role3_units, casualty.unit)
    if role == ROLE4:
        return world.facility_count - 1
    return -1


@inner
def next_role(world: Any, casualty: Any) -> Any:
    """Return the role that follows where the casualty is, passing over what the front has not."""
    role = facility_at(world, casualty.facility).role
    front = casualty.front
    if role == POI and front_at(world, front).role1_units > 0:
        return ROLE1
    if role <= ROLE1 and front_at(world, front).role2_units > 0:
        return ROLE2
    return ROLE3 if role <= ROLE2 else ROLE4


@inner
def way(origin: int, target: int) -> Any:
    """Return the row of the legs for a move between two roles."""
    if target == ROLE1:
        return WAY.POI_ROLE1
    if target == ROLE2:
        return WAY.POI_ROLE2 if origin == POI else WAY.ROLE1_ROLE2
    return WAY.ROLE3_ROLE4 if target == ROLE4 else WAY.ROLE2_ROLE3


@inner
def flies_today(world: Any, casualty: Any) -> bool:
    """Whether the weather lets aircraft fly."""
    for index in range(CONDITIONS):
        if world.grounds_aircraft[index] and (casualty.environment >> index) & 1:
            return False
    return True


@inner
def choose_fleet(world: Any, casualty: Any, role: int) -> Any:
    """Return the fleet that takes a casualty to a role."""
    fronts = FORWARD_FLEETS * (world.fleet_count // FORWARD_FLEETS - 1)
    here = facility_at(world, casualty.facility).role
    if role == ROLE4:
        return fronts + 2
    air_s = world.leg_s[way(here, role), 1]
    is_flown = air_s > 0.0 and casualty.triage <= 1 and flies_today(world, casualty)
    own = FORWARD_FLEETS * casualty.front
    aircraft, ground = (fronts + 1, fronts) if role == ROLE3 else (own + 1, own)
    if is_flown and has_aircraft(world, casualty, aircraft):
        return aircraft
    is_by_bus = role < ROLE3 and casualty.triage == 2 and casualty.walking
    if is_by_bus and fleet_at(world, own + 2).total > 0:
        return own + 2
    has_no_wheels = fleet_at(world, ground).total == 0 and fleet_at(world, aircraft).total > 0
    if has_no_wheels and air_s > 0.0 and flies_today(world, casualty):
        return aircraft
    return ground


@inner
def has_aircraft(world: Any, casualty: Any, fleet_index: int) -> bool:
    """Whether a casualty flies: the immediate wait for an aircraft, the urgent take a free one."""
    fleet = fleet_at(world, fleet_index)
    return bool(fleet.free > 0 or (casualty.triage == 0 and fleet.total > 0))


@inner
def goes_straight_to_surgery(world: Any, casualty: Any) -> bool:
    """Whether a casualty is flown past Role 1 to a surgeon."""
    if casualty.triage != 0 or front_at(world, casualty.front).role2_units == 0:
        return False
    if world.leg_s[WAY.POI_ROLE2, 1] <= 0.0 or not flies_today(world, casualty):
        return False
    if fleet_at(world, FORWARD_FLEETS * casualty.front + 1).total == 0:
        return False
    draw, _, _, _ = streams.uniforms(
        world.key_0, world.key_1, casualty.subject, streams.TRAVEL + 31
    )
    return bool(draw < world.direct_share)


@inner
def travel_s(world: Any, casualty: Any, role: int, vehicle_is_air: bool, part: int) -> Any:
    """Return the seconds of one way of a move: part 0 to the casualty, part 1 with them."""
    here = facility_at(world, casualty.facility).role
    row = way(here, role)
    median = world.leg_s[row, 1 if vehicle_is_air else 0]
    if median <= 0.0:
        median = world.leg_s[row, 0]
    decision = streams.TRAVEL + min(casualty.legs, 12)
    a, b, _, _ = streams.uniforms(world.key_0, world.key_1, casualty.subject, decision)
    seconds = median * math.exp(world.spread * streams.normal(a if part == 0 else b))
    if part == 0 and role <= ROLE2:
        for index in range(CONDITIONS):
            if (casualty.environment >> index) & 1:
                seconds += world.approach_delay_share * world.delay_s[index]
    return max(1, int(seconds))


@inner
def load_is_ready(world: Any, fleet_index: int, leg: int, now: int) -> bool:
    """Whether those who wait make a load, or the first of them has waited long enough."""
    fleet = fleet_at(world, fleet_index)
    queue = queue_at(world, vehicle_queue(fleet_index, leg))
    if queue.length >= fleet.smallest_load:
        return True
    wake = lines.first_since(world, queue) + fleet.longest_wait_s
    if wake <= now:
        return True
    if fleet.wakes_at <= now or wake < fleet.wakes_at:
        fleet.wakes_at = wake
        clock.schedule(world, wake, FLEET_WAKES + fleet_index, -1)
    return False


@inner
def dispatch(world: Any, fleet_index: int) -> None:
    """Send free vehicles of a fleet to those who wait, the most urgent first."""
    now = world.now
    fleet = fleet_at(world, fleet_index)
    while fleet.free > 0:
        best_leg = -1
        best_rank = np.int64(1) << np.int64(60)
        for leg in range(2):
            queue = queue_at(world, vehicle_queue(fleet_index, leg))
            leader = lines.first(world, queue, now, ageing_s(world))
            if leader >= 0 and load_is_ready(world, fleet_index, leg, now):
                waiter = live_at(world, leader)
                rank = np.int64(waiter.triage) * ageing_s(world) - (now - waiter.waiting_since)
                if rank < best_rank:
                    best_rank = rank
                    best_leg = leg
        if best_leg < 0:
            return
        send(world, fleet_index, best_leg)


@inner
def send(world: Any, fleet_index: int, leg: int) -> None:
    """Send one vehicle: it takes up to its places, all to where the most urgent goes."""
    now = world.now
    fleet = fleet_at(world, fleet_index)
    queue = queue_at(world, vehicle_queue(fleet_index, leg))
    leader_slot = lines.first(world, queue, now, ageing_s(world))
    leader = live_at(world, leader_slot)
    role = leader.target
    facility = destination(world, leader, role)
    flies = fleet.vehicle == 1 or fleet.vehicle == 3
    head_start = 0
    if leader.ready_at == now:  # a vehicle that was free set out when it was asked for
        head_start = now - leader.asked_at
    approach = travel_s(world, leader, role, flies, 0)
    pickup = now + max(int(60.0 * world.pickup_minutes), approach - head_start)
    arrival = pickup + load_s(world) + travel_s(world, leader, role, flies, 1)
    fleet.free -= 1
    facility_at(world, fleet.facility).vehicles_out += 1
    under_way = min(head_start, approach)  # it was not free then: its crew has that time later
    clock.schedule(world, arrival + load_s(world) + under_way, FLEET_BACK + fleet_index, -1)
    for _ in range(fleet.places):
        slot = lines.first(world, queue, now, ageing_s(world))
        if slot < 0:
            return
        passenger = live_at(world, slot)
        if passenger.target != role:
            return
        lines.leave(world, queue, slot)
        facility_at(world, passenger.facility).waiting -= 1
        facility_at(world, facility).inbound += 1
        passenger.target = facility
        passenger.phase = PHASE.PICKUP
        passenger.ready_at = arrival
        next_for(world, slot, pickup)


@inner
def vehicle_is_back(world: Any, fleet_index: int) -> None:
    """Make a vehicle free, and send it out again if somebody waits."""
    fleet = fleet_at(world, fleet_index)
    fleet.free += 1
    facility_at(world, fleet.facility).vehicles_out -= 1
    dispatch(world, fleet_index)


@inner
def stop_waiting(world: Any, slot: int) -> None:
    """Take a casualty out of whatever they waited for, because they died."""
    casualty = live_at(world, slot)
    phase = casualty.phase
    facility = facility_at(world, casualty.facility)
    if phase == PHASE.WAIT_VEHICLE:
        lines.leave(world, queue_at(world, vehicle_queue(casualty.fleet, casualty.queue)), slot)
        facility.waiting -= 1
    elif phase == PHASE.WAIT_BED:
        lines.leave(world, queue_at(world, bed_queue(world, casualty.facility)), slot)
        facility.waiting -= 1
    elif phase == PHASE.WAIT_TABLE:
        lines.leave(world, queue_at(world, table_queue(world, casualty.facility)), slot)
    elif phase == PHASE.PICKUP or phase == PHASE.TRAVEL:
        facility_at(world, casualty.target).inbound -= 1
    elif phase == PHASE.TABLE or phase == PHASE.HAEMOSTASIS or phase == PHASE.SURGERY_END:
        clear_table(world, casualty.facility)
        if phase != PHASE.TABLE:
            facility.in_surgery -= 1
    free_bed(world, slot)
    leave_staging(world, slot)
