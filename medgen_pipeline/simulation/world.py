"""What every part of the loop does: put a casualty's next event on the clock, write a row."""

from typing import Any, Final

from medgen_pipeline.reference.vocabulary import ROLES
from medgen_pipeline.simulation.clock import schedule
from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import facility_at, live_at, timeline_at, treatment_at
from medgen_pipeline.simulation.state import code

TRANSIT: Final = code(ROLES, "TRANSIT")

# Who an event belongs to, beyond subjects: a fleet whose vehicle is back, a fleet whose part load
# has waited long enough, a facility whose operating table is ready again.
FLEET_BACK: Final = 1 << 28
FLEET_WAKES: Final = (1 << 28) + (1 << 20)
TABLE_READY: Final = (1 << 28) + (1 << 21)


@inner
def next_for(world: Any, slot: int, at: int) -> None:
    """Make `at` a casualty's one pending event, or their death if that comes first."""
    casualty = live_at(world, slot)
    when = min(at, casualty.death_at)
    casualty.next_at = when
    if when <= world.horizon_s:
        schedule(world, when, casualty.subject, slot)


@inner
def tell(
    world: Any, casualty: Any, event: int, facility: int, role: int, vehicle: int, wait: float
) -> None:
    """Write a line of the timeline."""
    row = timeline_at(world, world.timeline_rows)
    row.occurred_at = world.now
    row.subject = casualty.subject
    row.event_number = casualty.events
    row.event_type = event
    row.facility = facility
    row.role = role
    row.vehicle = vehicle
    row.wait_minutes = wait
    casualty.events += 1
    world.timeline_rows += 1


@inner
def tell_here(world: Any, casualty: Any, event: int, wait: float) -> None:
    """Write a line of the timeline about where the casualty is."""
    facility = casualty.facility
    tell(world, casualty, event, facility, facility_at(world, facility).role, -1, wait)


@inner
def tell_treatment(
    world: Any, casualty: Any, treatment: int, provider: int, quantity: float, works: bool
) -> None:
    """Write a treatment given where the casualty is."""
    row = treatment_at(world, world.treatment_rows)
    row.given_at = world.now
    row.subject = casualty.subject
    row.treatment_number = casualty.treatments
    row.treatment = treatment
    row.facility = casualty.facility
    row.role = facility_at(world, casualty.facility).role
    row.provider = provider
    row.quantity = quantity
    row.body_region = -1
    row.is_effective = works
    casualty.treatments += 1
    world.treatment_rows += 1


@inner
def tell_region(world: Any, body_region: int) -> None:
    """Add to the last treatment which body region it was for."""
    treatment_at(world, world.treatment_rows - 1).body_region = body_region


@inner
def vehicle_queue(fleet: int, leg: int) -> int:
    """Return the queue of those who wait for a fleet: leg 0 from the point of injury, 1 onward."""
    return 2 * fleet + leg


@inner
def bed_queue(world: Any, facility: int) -> int:
    """Return the queue of those who wait for a bed."""
    return int(2 * world.fleet_count + facility)


@inner
def table_queue(world: Any, facility: int) -> int:
    """Return the queue of those who wait for an operating table."""
    return int(2 * world.fleet_count + world.facility_count + facility)
