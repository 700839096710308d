"""What a scenario may say but hardly means: each doubt with the consequence it will have.

Thresholds without a source of their own are the planning checks of the predecessor (figures under
MIT licence): more than 4 tables in a Role 2, more than 5 helicopters, Role 1 beds above twice those
of Role 2, beds below a tenth of the expected casualties, multipliers outside 0.5 to 3.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline.scenario.model import FacilityGroup, Scenario
from medgen_pipeline.scenario.totals import class_mix, expected_patients, strength

MOST_TABLES_AT_ROLE2: Final = 4  # of one unit
MOST_HELICOPTERS: Final = 5  # of one front
MOST_ROLE1_TO_ROLE2_BEDS: Final = 2.0
LEAST_BEDS_PER_CASUALTY: Final = 0.1
MOST_PATIENTS_IN_MEMORY: Final = 1_000_000  # of one replicate, within the default 512 MB
SHARE_TOLERANCE: Final = 0.01
LEAST_FACTOR: Final = 0.5
MOST_FACTOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value that is allowed, and what will come of it."""

    path: str
    got: str
    consequence: str

    def __str__(self) -> str:
        return f"{self.path} is {self.got}: {self.consequence}"


def doubts(scenario: Scenario) -> Iterator[Doubt]:
    """Yield every doubt about a valid scenario."""
    for rule in RULES:
        yield from rule(scenario)


def _surgery(scenario: Scenario) -> Iterator[Doubt]:
    """Look for surgery, and for it to be forward."""
    role3 = scenario.facilities.role3.operating_tables
    for front in scenario.fronts:
        role2 = front.chain(scenario.facilities).role2
        path = f"operating_tables of Role 2, front {front.id}"
        if role2.operating_tables == 0 and role3 == 0:
            yield Doubt(
                path, "0, as at Role 3", "nobody is operated on; who needs it dies or waits"
            )
        elif role2.operating_tables == 0:
            yield Doubt(path, "0", "the first surgery is at Role 3")
        elif role2.operating_tables > MOST_TABLES_AT_ROLE2:
            got = f"{role2.operating_tables} a unit"
            yield Doubt(path, got, f"a Role 2 has 1 to {MOST_TABLES_AT_ROLE2}; nobody will wait")


def _beds(scenario: Scenario) -> Iterator[Doubt]:
    """Look for beds in proportion to the casualties, and to each other."""
    total = _beds_in(scenario.facilities.role3)
    for front in scenario.fronts:
        chain = front.chain(scenario.facilities)
        role1, role2 = chain.role1, chain.role2
        total += _beds_in(role1) + _beds_in(role2)
        if _beds_in(role1) > MOST_ROLE1_TO_ROLE2_BEDS * _beds_in(role2):
            got = f"{_beds_in(role1)} at Role 1, {_beds_in(role2)} at Role 2"
            yield Doubt(f"beds of front {front.id}", got, "casualties will pile up before Role 2")
        if role1.units == 0:
            path = f"units of Role 1, front {front.id}"
            yield Doubt(path, "0", "everyone goes straight to Role 2")
    patients = expected_patients(scenario)
    if total < LEAST_BEDS_PER_CASUALTY * patients:
        got = f"{total} for {patients:.0f} expected casualties"
        yield Doubt("beds of all facilities", got, "most will wait without a bed")


def _beds_in(group: FacilityGroup) -> int:
    return group.units * group.beds


def _vehicles(scenario: Scenario) -> Iterator[Doubt]:
    """Look for a vehicle on every leg, and for a flying time where something flies."""
    legs, vehicles = scenario.evacuation, scenario.evacuation.vehicles
    path = "evacuation.vehicles"
    if vehicles.ground_ambulances + vehicles.helicopters + vehicles.buses == 0:
        got = "without ambulance, helicopter or bus for a front"
        yield Doubt(path, got, "nobody leaves the point of injury")
    elif vehicles.ground_ambulances + vehicles.helicopters == 0:
        got = "without ambulance or helicopter for a front"
        yield Doubt(path, got, "no litter casualty leaves the point of injury")
    if vehicles.theatre_ambulances + vehicles.theatre_helicopters == 0:
        yield Doubt(path, "without any from Role 2 to Role 3", "Role 2 fills and stays full")
    if vehicles.strategic_aircraft == 0:
        yield Doubt(f"{path}.strategic_aircraft", "0", "nobody leaves the theatre; Role 3 fills")
    if vehicles.helicopters > MOST_HELICOPTERS:
        got = f"{vehicles.helicopters} for each front"
        yield Doubt(f"{path}.helicopters", got, f"more than {MOST_HELICOPTERS} are seldom there")
    forward = (legs.point_of_injury_to_role1, legs.point_of_injury_to_role2, legs.role1_to_role2)
    if vehicles.helicopters and not any(leg.air_minutes for leg in forward):
        got = str(vehicles.helicopters)
        yield Doubt(f"{path}.helicopters", got, "no leg before Role 2 has air_minutes; none flies")
    if vehicles.helicopters and not vehicles.ground_ambulances:
        yield from _only_aircraft(scenario)
    if vehicles.theatre_helicopters and not legs.role2_to_role3.air_minutes:
        got = str(vehicles.theatre_helicopters)
        yield Doubt(f"{path}.theatre_helicopters", got, "role2_to_role3 has no air_minutes")


def _only_aircraft(scenario: Scenario) -> Iterator[Doubt]:
    """Look for what keeps aircraft from moving casualties to Role 2, where nothing else does."""
    path, got = "evacuation.vehicles", "helicopters for a front, and no ground ambulance"
    legs = scenario.evacuation
    forward = {
        "point_of_injury_to_role1": legs.point_of_injury_to_role1,
        "role1_to_role2": legs.role1_to_role2,
    }
    for name, leg in forward.items():
        if not leg.air_minutes:
            consequence = f"{name} has no air_minutes; no litter casualty is moved on it"
            yield Doubt(path, got, consequence)
    for condition in warfare().conditions:
        if condition.grounds_aircraft and condition.name in scenario.environment:
            yield Doubt(path, got, f"no litter casualty is moved in the hours of {condition.name}")


def _clock(scenario: Scenario) -> Iterator[Doubt]:
    """Look for a clock that runs on for as long as casualties may stay in theatre."""
    policy_days = scenario.evacuation.policy_days
    if scenario.follow_up_days < policy_days:
        got = f"{scenario.follow_up_days}, below the {policy_days:g} of evacuation.policy_days"
        yield Doubt("follow_up_days", got, "many will still be IN_CARE when the clock ends")


def _size(scenario: Scenario) -> Iterator[Doubt]:
    """Look for a replicate that fits the memory, and casualties that fit the force."""
    patients = expected_patients(scenario)
    at_risk = strength(scenario)
    if patients > MOST_PATIENTS_IN_MEMORY:
        yield Doubt("patients", f"{patients:.0f}", "a replicate may need more than 512 MB")
    if patients > at_risk:
        got = f"{patients:.0f} of a strength of {at_risk}"
        yield Doubt("patients", got, "more are hurt than there are; raise the fronts' strength")


def _special_events(scenario: Scenario) -> Iterator[Doubt]:
    """Look for special events within the battle casualties there are to be."""
    mix = class_mix(scenario)
    if mix is None:
        return
    stated = sum(event.casualties or 0 for event in scenario.special_events)
    battle = mix["battle_injury"] * expected_patients(scenario)
    if stated > battle:
        got = f"{stated} in sum, of {battle:.0f} battle injuries expected"
        consequence = "the other classes make room for them, or the total grows"
        yield Doubt("special_events[].casualties", got, consequence)


def _overrides(scenario: Scenario) -> Iterator[Doubt]:
    """Look for factors near enough to 1 for what the model was fitted to."""
    overrides = scenario.overrides
    factors = {
        "wounds_per_casualty_factor": overrides.wounds_per_casualty_factor,
        "lethality_factor": overrides.lethality_factor,
        "bleeding_factor": overrides.bleeding_factor,
    }
    for name, factor in factors.items():
        if not LEAST_FACTOR <= factor <= MOST_FACTOR:
            consequence = (
                f"outside {LEAST_FACTOR:g} to {MOST_FACTOR:g} wounds and deaths are far from the "
                "published figures that the model follows"
            )
            yield Doubt(f"overrides.{name}", f"{factor:g}", consequence)


def _rates(scenario: Scenario) -> Iterator[Doubt]:
    """Look for what is given but has no effect beside rates."""
    if scenario.rates is None:
        return
    at_risk = strength(scenario)
    for number, front in enumerate(scenario.fronts):
        if abs(front.share - front.strength / at_risk) > SHARE_TOLERANCE:
            got = f"{front.share:g}, and {front.strength / at_risk:g} of the strength"
            yield Doubt(f"fronts[{number}].share", got, "rates follow the strength, not the share")
    for name in type(scenario.rates).model_fields:
        rate = getattr(scenario.rates, name)
        if rate.sd_per_1000 is not None and rate.family != "lognormal":
            path = f"rates.{name}.sd_per_1000"
            yield Doubt(path, f"{rate.sd_per_1000:g}", f"a rate that is {rate.family} ignores it")


RULES: Final[tuple[Callable[[Scenario], Iterator[Doubt]], ...]] = (
    _surgery,
    _beds,
    _vehicles,
    _clock,
    _size,
    _special_events,
    _overrides,
    _rates,
)
