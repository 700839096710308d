"""The loop loses and invents nothing: every casualty, bed, table and vehicle is accounted for."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import (
    ENVIRONMENT_CONDITIONS,
    EVENT_TYPES,
    ROLES,
    WARFARE_TYPES,
)
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation.engine import Replicate, engine
from medgen_pipeline.simulation.kernel import MARGIN
from medgen_pipeline.simulation.parameters import theatre
from medgen_pipeline.simulation.state import FLAG, PHASE
from medgen_pipeline.simulation.world import FLEET_BACK, FLEET_WAKES, TABLE_READY
from medgen_pipeline_tests.simulation.running import moments, small, tables

Records = npt.NDArray[Any]

UNDER_OPERATION: Final = (PHASE.HAEMOSTASIS, PHASE.SURGERY_END)
ON_TABLE: Final = (PHASE.TABLE, *UNDER_OPERATION)
UNDER_WAY: Final = (PHASE.PICKUP, PHASE.TRAVEL)


def live(running: Replicate) -> Records:
    """Return the casualties in theatre."""
    slots = running.arrays["live"]
    return slots[slots["subject"] >= 0]


def pending(running: Replicate) -> npt.NDArray[np.int64]:
    """Return the keys on the clock: those of the heap, in its order, then those noted for later."""
    later, world = running.arrays["later"], running.world[0]
    noted = []
    for first in running.arrays["stretches"]["first"].tolist():
        here = first
        while here >= 0:
            noted.append(later[here]["key"])
            here = int(later[here]["after"])
    assert len(noted) == world["later_size"]
    assert all(key >> 32 >= world["near_until"] for key in noted)
    near = running.arrays["heap"]["key"][: int(world["heap_size"])]
    return np.concatenate([near, np.array(noted, np.int64)])


def counted(places: Records, number: int) -> npt.NDArray[np.int64]:
    """Return how often each place is named."""
    return np.bincount(places, minlength=number)


def assert_places_are_accounted_for(running: Replicate) -> None:
    """Want beds, tables and those who wait or come to be what the casualties themselves say."""
    here, facilities = live(running), running.arrays["facilities"]
    number = len(facilities)
    has_bed = (here["flags"] & FLAG.IN_BED) > 0
    assert counted(here["facility"][has_bed], number).tolist() == facilities["in_beds"].tolist()
    assert (facilities["in_beds"] <= facilities["beds_limit"]).all()
    phase = here["phase"]
    waits = np.isin(phase, (PHASE.WAIT_VEHICLE, PHASE.WAIT_BED))
    assert counted(here["facility"][waits], number).tolist() == facilities["waiting"].tolist()
    comes = np.isin(phase, UNDER_WAY)
    assert counted(here["target"][comes], number).tolist() == facilities["inbound"].tolist()
    who = pending(running) & 0xFFFFFFFF
    on_table = counted(here["facility"][np.isin(phase, ON_TABLE)], number)
    turned_over = counted(who[who >= TABLE_READY] - TABLE_READY, number)
    assert (on_table + turned_over).tolist() == facilities["tables_taken"].tolist()
    assert (facilities["tables_taken"] <= facilities["tables"]).all()
    operated = counted(here["facility"][np.isin(phase, UNDER_OPERATION)], number)
    assert operated.tolist() == facilities["in_surgery"].tolist()


def assert_vehicles_are_accounted_for(running: Replicate) -> None:
    """Want each vehicle free or on its way back, and counted out at its fleet's facility."""
    fleets, facilities = running.arrays["fleets"], running.arrays["facilities"]
    who = pending(running) & 0xFFFFFFFF
    back = who[(who >= FLEET_BACK) & (who < FLEET_WAKES)] - FLEET_BACK
    out = counted(back, len(fleets))
    assert (fleets["free"] + out).tolist() == fleets["total"].tolist()
    assert (fleets["free"] >= 0).all()
    by_facility = np.bincount(fleets["facility"], out, len(facilities))
    assert by_facility.tolist() == facilities["vehicles_out"].tolist()


def assert_lines_hold_who_waits(running: Replicate) -> None:
    """Want each line linked both ways, of one triage category, in order of joining."""
    slots, queues = running.arrays["live"], running.arrays["queues"]
    in_line: list[int] = []
    for number, queue in enumerate(queues):
        is_for_vehicle = number < 2 * len(running.arrays["fleets"])
        joined_at = "ready_at" if is_for_vehicle else "waiting_since"
        before = len(in_line)
        for category in range(4):
            slot, previous, since = int(queue["head"][category]), -1, -1
            while slot >= 0:
                waiter = slots[slot]
                assert waiter["queue_previous"] == previous
                assert waiter["triage"] == category
                assert waiter[joined_at] >= since
                in_line.append(int(waiter["subject"]))
                previous, since = slot, waiter[joined_at]
                slot = int(waiter["queue_next"])
            assert queue["tail"][category] == previous
        assert len(in_line) - before == queue["length"]
    here = live(running)
    waits = np.isin(here["phase"], (PHASE.WAIT_VEHICLE, PHASE.WAIT_BED, PHASE.WAIT_TABLE))
    assert sorted(in_line) == sorted(here["subject"][waits].tolist())


def assert_everyone_is_accounted_for(running: Replicate) -> None:
    """Want each slot free or a casualty's; who was hurt is in theatre or has an outcome."""
    world, slots = running.world[0], running.arrays["live"]
    here = live(running)
    free, slot = set(), int(world["free_slot"])
    while slot >= 0:
        assert slot not in free
        assert slots[slot]["subject"] == -1
        free.add(slot)
        slot = int(slots[slot]["queue_next"])
    assert len(free) + len(here) == len(slots)
    assert len(set(here["subject"].tolist())) == len(here)
    assert world["outcomes"].sum() + len(here) == world["next_subject"]


def assert_the_clock_is_in_order(running: Replicate) -> None:
    """Want no key before its parent, and for each casualty the one event they wait for."""
    keys, world, here = pending(running), running.world[0], live(running)
    near = keys[: int(world["heap_size"])]
    above = (np.arange(1, len(near)) - 1) >> 2
    assert (near[above] <= near[1:]).all()
    assert (here["next_at"] >= world["now"]).all()
    assert (here["next_at"] <= here["death_at"]).all()
    due = here[here["next_at"] <= world["horizon_s"]]
    expected = (due["next_at"].astype(np.int64) << 32) | due["subject"]
    assert np.isin(expected, keys).all()


def assert_all_is_accounted_for(running: Replicate) -> None:
    assert_places_are_accounted_for(running)
    assert_vehicles_are_accounted_for(running)
    assert_lines_hold_who_waits(running)
    assert_everyone_is_accounted_for(running)
    assert_the_clock_is_in_order(running)


FEW = st.integers(0, 2)
SHARE = st.sampled_from([0.0, 0.3, 1.0])
SCARCE = st.fixed_dictionaries(
    {
        "patients": st.integers(1, 120),
        "days": st.integers(1, 3),
        "follow_up_days": FEW,
        "intensity": st.sampled_from(["low", "extreme"]),
        "warfare": st.sampled_from(WARFARE_TYPES).map(lambda warfare: {warfare: 1.0}),
        "environment": st.lists(st.sampled_from(ENVIRONMENT_CONDITIONS), max_size=3, unique=True),
        "facilities__role1__units": FEW,
        "facilities__role1__beds": st.integers(1, 3),
        "facilities__role1__surge_factor": st.sampled_from([1.0, 1.5, 5.0]),
        "facilities__role1__has_blood": st.booleans(),
        "facilities__role2__beds": st.integers(1, 5),
        "facilities__role2__operating_tables": FEW,
        "facilities__role3__beds": st.integers(1, 10),
        "facilities__role3__operating_tables": FEW,
        "facilities__role3__table_turnover_minutes": st.sampled_from([0.001, 30.0, 600.0]),
        "evacuation__point_of_injury_to_role2__air_minutes": st.none() | st.just(15.0),
        "evacuation__spread": st.sampled_from([0.0, 0.25, 2.0]),
        "evacuation__policy_days": st.sampled_from([0.0, 7.0]),
        "evacuation__direct_to_surgery_share": SHARE,
        "evacuation__vehicles__ground_ambulances": FEW,
        "evacuation__vehicles__helicopters": FEW,
        "evacuation__vehicles__buses": FEW,
        "evacuation__vehicles__theatre_ambulances": FEW,
        "evacuation__vehicles__theatre_helicopters": FEW,
        "evacuation__vehicles__strategic_aircraft": FEW,
        "evacuation__threat__ground_loss_probability": SHARE,
        "evacuation__threat__moves_only_in_darkness": st.booleans(),
        "evacuation__threat__extraction_delay_minutes": st.sampled_from([0.0, 300.0]),
        "care__blood_forward": st.booleans(),
        "care__tourniquet_training_share": SHARE,
    }
)


@settings(max_examples=15)
@given(SCARCE)
def test_all_is_accounted_for_whatever_is_scarce(changes: dict[str, Any]) -> None:
    """At every moment rows are handed over, of scenarios that lack any of what they need."""
    for running in moments(small(**changes)):
        assert_all_is_accounted_for(running)


@pytest.fixture(scope="module")
def crowded() -> Scenario:
    """Return a scenario in which every kind of line forms, and slots and heap grow."""
    return small(
        patients=4_000,
        days=1,
        warfare={"artillery": 1.0},
        facilities__role1__beds=40,
        facilities__role2__beds=40,
        evacuation__vehicles__ground_ambulances=60,
    )


def test_all_is_accounted_for_in_a_crowd(crowded: Scenario) -> None:
    """Slots and heap are larger in the end than at first, and lines of each kind were seen."""
    seen: set[int] = set()
    sizes = set()
    for number, running in enumerate(moments(crowded, buffer_rows=512)):
        if number % 5 == 0:
            assert_all_is_accounted_for(running)
            seen.update(live(running)["phase"].tolist())
            sizes.add((len(running.arrays["live"]), len(running.arrays["heap"])))
    assert seen >= {PHASE.WAIT_VEHICLE, PHASE.WAIT_BED, PHASE.WAIT_TABLE, PHASE.HAEMOSTASIS}
    assert len(sizes) >= 3


def test_buffers_of_any_size_hand_over_the_same_rows(crowded: Scenario) -> None:
    """Every table is the same, from a hand-over at almost every event to a few in all."""
    scenario = crowded.model_copy(update={"patients": 500})
    expected = tables(scenario)
    for buffer_rows in (MARGIN, 256, 4_096):
        found = tables(scenario, buffer_rows=buffer_rows)
        assert found.keys() == expected.keys()
        for name, columns in expected.items():
            for column, values in columns.items():
                np.testing.assert_array_equal(found[name][column], values, f"{name}.{column}")


@pytest.mark.parametrize("lacking", ["vehicles", "tables"])
def test_without_vehicles_or_tables_the_clock_still_ends(lacking: str) -> None:
    """Everyone has an outcome, though nobody arrives anywhere or is operated on."""
    if lacking == "vehicles":
        names = ("ground_ambulances", "helicopters", "buses")
        scenario = small(**{f"evacuation__vehicles__{name}": 0 for name in names})
        column = "minutes_to_facility"
    else:
        scenario = small(
            facilities__role2__operating_tables=0, facilities__role3__operating_tables=0
        )
        column = "minutes_to_surgery"
    patients = tables(scenario)["patients"]
    assert len(patients["outcome"]) == scenario.patients
    assert np.isnan(patients[column]).all()
    assert not np.isnan(tables(small())["patients"][column]).all()


def test_the_clock_ends_before_its_last_second() -> None:
    """Ended at the second of any event, a clock holds the end of the clock there and no other.

    So every event lies in an hour that is written.
    """
    scenario = small(patients=300)
    times = tables(scenario)["timeline"]["occurred_at"]
    for end in times[100:2_000:200].tolist():
        running = Replicate(engine(scenario), 0)
        running.world["horizon_s"] = end // 1_000_000 - round(scenario.start.timestamp())
        timeline = [rows.columns for rows in running.rows() if rows.table == "timeline"]
        at = np.concatenate([np.asarray(columns["occurred_at"]) for columns in timeline])
        events = np.concatenate([np.asarray(columns["event_type"]) for columns in timeline])
        assert at.max() == end
        assert set(events[at == end].tolist()) == {EVENT_TYPES.index("clock_ended")}


def test_facilities_without_a_bed_or_front_are_points_of_injury_and_role_4_only() -> None:
    facilities = theatre(small()).facilities
    poi, role4 = ROLES.index("POI"), ROLES.index("ROLE4")
    assert set(facilities["role"][facilities["beds"] == 0].tolist()) == {poi}
    assert facilities["role"].tolist().count(role4) == 1
