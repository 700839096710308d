"""A scenario as the numbers the event loop reads: policy, legs, facilities, fleets."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.physiology import figures
from medgen_pipeline.reference.treatments import treatments
from medgen_pipeline.reference.vehicles import vehicles
from medgen_pipeline.reference.warfare import HOURS_PER_DAY, warfare
from medgen_pipeline.scenario.model import FacilityGroup, Front, Leg, Scenario
from medgen_pipeline.simulation.memory import WORLD
from medgen_pipeline.simulation.state import FACILITY, FLEET, FRONT, Records

DAY_S = 86_400
HOUR_S = 3_600


class Way(NamedTuple):
    """The rows of `Parameters.leg_s`."""

    POI_ROLE1: int = 0
    POI_ROLE2: int = 1
    ROLE1_ROLE2: int = 2
    ROLE2_ROLE3: int = 3
    ROLE3_ROLE4: int = 4


WAY = Way()


class Theatre(NamedTuple):
    """What a replicate starts with: the world, and the arrays it points at, and their names."""

    world: Records
    fronts: Records
    facilities: Records
    fleets: Records  # three for each front, then theatre ground, theatre air, strategic
    names: tuple[str, ...]


ROLE = {word: index for index, word in enumerate(vocabulary.ROLES)}
VEHICLE = {word: index for index, word in enumerate(vocabulary.VEHICLES)}


def theatre(scenario: Scenario) -> Theatre:
    """Return a scenario as the loop reads it."""
    care, move = scenario.care, scenario.evacuation
    catalogue = treatments()
    minutes = {t.name: t.minutes for t in catalogue}
    start = scenario.start
    works = [scenario.overrides.treatment_effectiveness.get(t.name, t.works) for t in catalogue]
    values: dict[str, Any] = {
        "tourniquet_training_share": care.tourniquet_training_share,
        "tourniquet_s": care.tourniquet_minutes * 60,
        "medic_s": care.medic_minutes * 60,
        "casualties_per_medic": care.casualties_per_medic,
        "medic_skill": care.medic_skill,
        "blood_forward": care.blood_forward,
        "tranexamic_acid": care.tranexamic_acid,
        "nerve_agent_antidote": care.nerve_agent_antidote,
        "surgery_factor": care.damage_control_surgery_minutes / minutes["damage_control_surgery"],
        "definitive_factor": care.definitive_surgery_minutes / minutes["definitive_surgery"],
        "spread": move.spread,
        "ground_loss": move.threat.ground_loss_probability,
        "air_loss": move.threat.air_loss_probability,
        "moves_only_in_darkness": move.threat.moves_only_in_darkness,
        "extraction_s": move.threat.extraction_delay_minutes * 60,
        "direct_share": move.direct_to_surgery_share,
        "policy_s": move.policy_days * DAY_S,
        "bleeding_factor": scenario.overrides.bleeding_factor,
        "start_second_of_day": start.hour * HOUR_S + start.minute * 60 + start.second,
        "horizon_s": (scenario.days + scenario.follow_up_days) * DAY_S,
        "leg_s": _legs(scenario),
        "delay_s": [60 * c.evacuation_delay_minutes for c in warfare().conditions],
        "grounds_aircraft": [c.grounds_aircraft for c in warfare().conditions],
        "is_dark": [hour in warfare().dark_hours() for hour in range(HOURS_PER_DAY)],
        "works": works,
        "minutes": [t.minutes for t in catalogue],
        "alongside": [t.alongside for t in catalogue],
        "quantity": [np.nan if t.quantity is None else t.quantity for t in catalogue],
    }
    values |= {name: figure.value for name, figure in figures().items()}
    built = _build(scenario)
    for name, value in values.items():
        built.world[name] = value
    return built


def _legs(scenario: Scenario) -> npt.NDArray[np.float64]:
    move = scenario.evacuation
    legs: tuple[Leg, ...] = (
        move.point_of_injury_to_role1,
        move.point_of_injury_to_role2,
        move.role1_to_role2,
        move.role2_to_role3,
        move.role3_to_role4,
    )
    return np.array([(leg.ground_minutes * 60, (leg.air_minutes or 0) * 60) for leg in legs])


def _build(scenario: Scenario) -> Theatre:
    """Return the facilities: points of injury, Roles 1 and 2 by front, the shared."""
    fronts = np.zeros(len(scenario.fronts), FRONT)
    rows: list[tuple[str, FacilityGroup | None, int, str]] = [
        (f"{front.id}/poi", None, index, "POI") for index, front in enumerate(scenario.fronts)
    ]
    for index, front in enumerate(scenario.fronts):
        for role in ("role1", "role2"):
            units = _group(scenario, front, role)
            fronts[index][f"first_{role}"] = len(rows)
            fronts[index][f"{role}_units"] = units.units
            rows += [
                (f"{front.id}/{role}-{unit + 1}", units, index, role.upper())
                for unit in range(units.units)
            ]
    first_role3 = len(rows)
    role3 = scenario.facilities.role3
    rows += [(f"role3-{unit + 1}", role3, -1, "ROLE3") for unit in range(role3.units)]
    rows.append(("role4", None, -1, "ROLE4"))
    facilities = np.zeros(len(rows), FACILITY)
    for index, (_, group, front_index, role) in enumerate(rows):
        _fill_facility(facilities[index : index + 1], group, front_index, role)
    fleets = _fleets(scenario, first_role3)
    world = np.zeros(1, WORLD)
    world["first_role3"] = first_role3
    world["role3_units"] = role3.units
    world["facility_count"] = len(facilities)
    world["fleet_count"] = len(fleets)
    return Theatre(world, fronts, facilities, fleets, tuple(row[0] for row in rows))


def _group(scenario: Scenario, front: Front, role: str) -> FacilityGroup:
    group: FacilityGroup = getattr(front.chain(scenario.facilities), role)
    return group


def _fill_facility(record: Records, group: FacilityGroup | None, front: int, role: str) -> None:
    record["front"] = front
    record["role"] = ROLE[role]
    record["over_since"] = -1
    if group is None:
        record["beds"] = record["beds_limit"] = np.iinfo(np.int32).max if role == "ROLE4" else 0
        return
    record["beds"] = group.beds
    record["beds_limit"] = int(group.beds * group.surge_factor)
    record["overflow_beds"] = max(1, int(group.beds * group.overflow_at))
    record["tables"] = group.operating_tables
    record["turnover_s"] = int(group.table_turnover_minutes * 60)
    record["has_blood"] = group.has_blood
    hold = group.hold_hours
    record["hold_s"] = [int(h * HOUR_S) for h in (hold.T1, hold.T2, hold.T3, hold.T1)]


def _fleets(scenario: Scenario, first_role3: int) -> Records:
    v = scenario.evacuation.vehicles
    rows = []
    for front in range(len(scenario.fronts)):
        rows += [
            (v.ground_ambulances, front, "ground_ambulance"),
            (v.helicopters, front, "helicopter"),
            (v.buses, front, "bus"),
        ]
    rows += [
        (v.theatre_ambulances, first_role3, "ground_ambulance"),
        (v.theatre_helicopters, first_role3, "helicopter"),
        (v.strategic_aircraft, first_role3, "strategic_aircraft"),
    ]
    fleets = np.zeros(len(rows), FLEET)
    for record, (total, facility, name) in zip(fleets, rows, strict=True):
        vehicle = vehicles()[name]
        record["free"] = record["total"] = total
        record["places"] = vehicle.places
        record["smallest_load"] = vehicle.smallest_load
        record["longest_wait_s"] = int(vehicle.longest_wait_hours * HOUR_S)
        record["facility"] = facility
        record["vehicle"] = VEHICLE[name]
        record["wakes_at"] = -1
    return fleets
