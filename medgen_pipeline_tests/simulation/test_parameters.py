"""A scenario becomes facilities, fleets, ways and policy, each number where the loop reads it."""

import numpy as np
import pytest

from medgen_pipeline.reference.vocabulary import ENVIRONMENT_CONDITIONS, TREATMENTS, VEHICLES
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.simulation.parameters import WAY, Theatre, theatre
from medgen_pipeline.simulation.state import CONTACT
from medgen_pipeline_tests.simulation.operations import TWO_FRONTS, operation
from medgen_pipeline_tests.simulation.running import small

HOUR, DAY = 3600, 86_400
HOLD = {"T1": 2, "T2": 4, "T3": 8}


@pytest.fixture(scope="module")
def two_fronts() -> Theatre:
    """Return a theatre whose second front has a Role 1 of its own and no other."""
    own = {"role1": {"units": 3, "beds": 7, "hold_hours": HOLD, "surge_factor": 1.5}}
    fronts = [TWO_FRONTS[0], TWO_FRONTS[1] | {"facilities": own}]
    return theatre(operation(fronts=fronts))


def test_facilities_are_points_of_injury_then_front_by_front_then_shared(
    two_fronts: Theatre,
) -> None:
    assert two_fronts.names == (
        *("north/poi", "south/poi"),
        *("north/role1-1", "north/role1-2", "north/role2-1"),
        *("south/role1-1", "south/role1-2", "south/role1-3", "south/role2-1"),
        *("role3-1", "role4"),
    )
    assert two_fronts.facilities["front"].tolist() == [0, 1, 0, 0, 0, 1, 1, 1, 1, -1, -1]
    north, south = two_fronts.fronts
    assert (north["first_role1"], north["role1_units"], north["first_role2"]) == (2, 2, 4)
    assert (south["first_role1"], south["role1_units"], south["first_role2"]) == (5, 3, 8)
    world = two_fronts.world[0]
    assert (world["first_role3"], world["role3_units"], world["facility_count"]) == (9, 1, 11)


def test_a_front_may_have_its_own_facilities(two_fronts: Theatre) -> None:
    unit = two_fronts.facilities[two_fronts.names.index("south/role1-3")]
    assert (unit["beds"], unit["beds_limit"], unit["overflow_beds"]) == (7, 10, 6)
    assert unit["hold_s"].tolist() == [2 * HOUR, 4 * HOUR, 8 * HOUR, 2 * HOUR]


def test_each_front_has_three_fleets_and_the_theatre_three() -> None:
    vehicles = {
        "ground_ambulances": 5,
        "helicopters": 4,
        "buses": 3,
        "theatre_ambulances": 2,
        "theatre_helicopters": 1,
        "strategic_aircraft": 0,
    }
    evacuation = operation().evacuation.model_dump() | {"vehicles": vehicles}
    built = theatre(operation(fronts=TWO_FRONTS, evacuation=evacuation))
    assert built.fleets["total"].tolist() == [5, 4, 3, 5, 4, 3, 2, 1, 0]
    assert built.fleets["free"].tolist() == built.fleets["total"].tolist()
    assert built.fleets["places"].tolist() == [2, 4, 30, 2, 4, 30, 2, 4, 20]
    words = [VEHICLES[code] for code in built.fleets["vehicle"]]
    forward = ["ground_ambulance", "helicopter", "bus"]
    assert words == [*forward, *forward, "ground_ambulance", "helicopter", "strategic_aircraft"]
    role3 = built.names.index("role3-1")
    assert built.fleets["facility"].tolist() == [0, 0, 0, 1, 1, 1, role3, role3, role3]


def test_ways_are_in_seconds_and_0_where_nobody_flies() -> None:
    ways = theatre(small(evacuation__role3_to_role4__air_minutes=None)).world[0]["leg_s"]
    assert ways[WAY.POI_ROLE1].tolist() == [HOUR, 0]
    assert ways[WAY.ROLE1_ROLE2].tolist() == [HOUR, 1_200]
    assert ways[WAY.ROLE3_ROLE4].tolist() == [HOUR, 0]


def test_policy_reaches_the_world_in_seconds() -> None:
    scenario = small(
        days=3,
        follow_up_days=4,
        care__medic_minutes=7.0,
        care__tourniquet_minutes=2.5,
        evacuation__policy_days=15.0,
        evacuation__threat__extraction_delay_minutes=90.0,
        overrides__bleeding_factor=1.5,
        start="2025-06-01T06:30:05+02:00",
    )
    world = theatre(scenario).world[0]
    assert world["horizon_s"] == 7 * DAY
    assert world["medic_s"] == 420
    assert world["tourniquet_s"] == 150
    assert world["policy_s"] == 15 * DAY
    assert world["extraction_s"] == 5_400
    assert world["bleeding_factor"] == 1.5
    assert world["start_second_of_day"] == 6 * HOUR + 30 * 60 + 5


def test_surgery_takes_the_median_of_the_scenario() -> None:
    world = theatre(small(care__damage_control_surgery_minutes=48.0)).world[0]
    minutes = world["minutes"][TREATMENTS.index("damage_control_surgery")]
    assert minutes * world["surgery_factor"] == pytest.approx(48.0)


def test_an_override_changes_how_often_a_treatment_works() -> None:
    changed = theatre(small(overrides__treatment_effectiveness={"chest_seal": 0.25})).world[0]
    plain = theatre(small()).world[0]
    seal = TREATMENTS.index("chest_seal")
    assert changed["works"][seal] == 0.25
    others = np.arange(len(TREATMENTS)) != seal
    assert changed["works"][others].tolist() == plain["works"][others].tolist()


def test_weather_grounds_aircraft_and_delays() -> None:
    world = theatre(small()).world[0]
    grounding = {
        word
        for word, grounds in zip(ENVIRONMENT_CONDITIONS, world["grounds_aircraft"], strict=True)
        if grounds
    }
    assert grounding == {"fog", "storm", "dust_storm"}
    assert world["delay_s"][ENVIRONMENT_CONDITIONS.index("rain")] == 15 * 60


@pytest.mark.parametrize("scenario_id", Catalogue().ids())
def test_every_shipped_scenario_can_take_and_move_on_its_casualties(scenario_id: str) -> None:
    """Role 2 and Role 3 have units with beds and tables, and every fleet has a home."""
    built = theatre(Catalogue().get(scenario_id))
    facilities, world = built.facilities, built.world[0]
    for role in (CONTACT.ROLE2, CONTACT.ROLE3):
        of_role = facilities[facilities["role"] == role]
        assert len(of_role) > 0
        assert (of_role["beds"] > 0).all()
        assert of_role["tables"].sum() > 0
    assert (facilities["beds_limit"] >= facilities["beds"]).all()
    assert (built.fleets["facility"] < world["facility_count"]).all()
    assert (world["leg_s"][:, 0] > 0).all()
