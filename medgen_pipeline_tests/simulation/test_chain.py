"""Queues against queueing theory, units with room, ways and travel times."""

import math
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from medgen_pipeline.reference.vocabulary import EVENT_TYPES, ROLES, VEHICLES
from medgen_pipeline.simulation import chain, heap, lines, memory
from medgen_pipeline.simulation.memory import entry_at, live_at, queue_at
from medgen_pipeline.simulation.parameters import Theatre, theatre
from medgen_pipeline.simulation.state import ENTRY, LIVE, NEVER, PHASE, QUEUE, Records
from medgen_pipeline.simulation.world import TABLE_READY, next_for, table_queue, vehicle_queue
from medgen_pipeline_tests.simulation.running import Columns, small, tables

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@numba.njit  # type: ignore[untyped-decorator]
def waits_for_a_table(
    worlds: Any,  # noqa: ANN401
    facility: int,
    arrivals_s: Ints,
    services_s: Ints,
    triage: Ints,
    waits_s: Floats,
) -> None:
    """Let patients come to a facility's tables, be operated on and leave; note how long each waits.

    Whoever comes has the slot of their number; the clock is the loop's own heap, and
    all of time is near.
    """
    world = worlds[0]
    line = queue_at(world, table_queue(world, facility))
    arrived = 0
    while arrived < len(arrivals_s) or world.heap_size > 0:
        key = entry_at(world, 0).key if world.heap_size > 0 else np.int64(1) << 62
        if arrived < len(arrivals_s) and arrivals_s[arrived] < key >> 32:
            slot = arrived
            arrived += 1
            world.now = arrivals_s[slot]
            patient = live_at(world, slot)
            patient.subject = slot
            patient.facility = facility
            patient.triage = triage[slot]
            patient.death_at = 2_147_483_647
            patient.waiting_since = world.now
            if chain.take_table(world, slot):
                waits_s[slot] = 0.0
                patient.phase = PHASE.SURGERY_END
                next_for(world, slot, world.now + services_s[slot])
            else:
                patient.phase = PHASE.WAIT_TABLE
                lines.join(world, line, slot)
            continue
        slot = entry_at(world, 0).slot
        heap.drop_first(world)
        world.now = key >> 32
        if key & 0xFFFFFFFF >= TABLE_READY:
            chain.table_is_ready(world, facility)
        elif live_at(world, slot).phase == PHASE.TABLE:
            waits_s[slot] = world.now - live_at(world, slot).waiting_since
            live_at(world, slot).phase = PHASE.SURGERY_END
            next_for(world, slot, world.now + services_s[slot])
        else:
            chain.clear_table(world, facility)


def no_queues(built: Theatre) -> Records:
    """Return the queues of a theatre in which nobody waits."""
    queues = np.zeros(2 * len(built.fleets) + 2 * len(built.facilities), QUEUE)
    queues["head"] = queues["tail"] = -1
    return queues


def waits(
    tables_: int, load: float, *, patients: int, mean_s: float = 2_000.0, urgent: float = 1.0
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return what patients wait who come at random for exponential operations, in mean services.

    A share is T1, the rest T2, and no waiting makes up for that.
    """
    built = theatre(small())
    facility = built.names.index("role3-1")
    facilities = built.facilities.copy()
    facilities["tables"][facility] = tables_
    facilities["turnover_s"][facility] = 0
    world = built.world.copy()
    world["horizon_s"] = world["near_until"] = NEVER
    world["ageing_h"] = 1e6
    held = {
        "facilities": facilities,
        "queues": no_queues(built),
        "live": np.zeros(patients, LIVE),
        "heap": np.zeros(patients + 2 * tables_ + 8, ENTRY),
    }
    memory.hold(world, **held)
    random = np.random.default_rng(20_250_601)
    assert patients * mean_s / (load * tables_) < 2**30  # seconds are 32 bits wide
    gaps = random.exponential(mean_s / (load * tables_), patients)
    arrivals_s = np.cumsum(gaps).astype(np.int64)
    services_s = np.maximum(1, random.exponential(mean_s, patients)).astype(np.int64)
    is_urgent = random.random(patients) < urgent
    waited = np.full(patients, np.nan)
    waits_for_a_table(world, facility, arrivals_s, services_s, np.where(is_urgent, 0, 1), waited)
    assert not np.isnan(waited).any()
    assert facilities["tables_taken"][facility] == 0
    return waited / mean_s, is_urgent


def erlang_c(servers: int, load: float) -> float:
    """Return the probability of a wait in a queue M/M/c, `load` the use of each server."""
    offered = servers * load
    empty = sum(offered**k / math.factorial(k) for k in range(servers))
    full = offered**servers / (math.factorial(servers) * (1 - load))
    return full / (empty + full)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (3, 0.7), (8, 0.8)])
def test_waits_for_a_table_are_those_of_erlang(servers: int, load: float) -> None:
    """Share who wait and mean wait agree with M/M/c within 5 % and 10 %.

    Of 300,000 patients those are at least three standard errors, found from 50 parts of the run.
    """
    waited, _ = waits(servers, load, patients=300_000)
    chance = erlang_c(servers, load)
    mean = chance / (servers * (1 - load))
    parts = waited.reshape(50, -1).mean(axis=1)
    assert 3 * parts.std(ddof=1) / math.sqrt(50) < 0.10 * mean
    assert (waited > 0).mean() == pytest.approx(chance, rel=0.05)
    assert waited.mean() == pytest.approx(mean, rel=0.10)


def test_the_urgent_wait_less_at_a_table_as_cobham_says() -> None:
    """Without pre-emption: W1 = W0 / (1 - r1), W2 = W0 / ((1 - r1) (1 - r)), W0 = C / c."""
    servers, load, share = 2, 0.8, 0.3
    waited, is_urgent = waits(servers, load, patients=100_000, urgent=share)
    base = erlang_c(servers, load) / servers
    first, both = load * share, load
    assert waited[is_urgent].mean() == pytest.approx(base / (1 - first), rel=0.10)
    expected = base / ((1 - first) * (1 - both))
    assert waited[~is_urgent].mean() == pytest.approx(expected, rel=0.10)


@numba.njit  # type: ignore[untyped-decorator]
def chosen_unit(worlds: Any, first: int, units: int, own: int) -> int:  # noqa: ANN401
    """Return the unit that takes a casualty."""
    world = worlds[0]
    return int(chain.unit_with_room(world, first, units, own))


@pytest.mark.parametrize(
    ("taken", "own", "chosen", "turned_away"),
    [
        ([0, 0, 0], 4, 1, None),  # one's own unit, by the number of the event
        ([0, 9, 0], 1, 2, 1),  # full: the next one
        ([9, 9, 0], 0, 2, 0),
        ([12, 10, 11], 0, 1, 0),  # all full: the one with the least load
        ([9, 9, 9], 2, 2, None),
    ],
)
def test_a_full_unit_sends_on_to_one_with_room(
    taken: list[int], own: int, chosen: int, turned_away: int | None
) -> None:
    """Units of 10 beds divert from 9 on; who waits in a bed for a vehicle takes that one."""
    built = theatre(small(facilities__role1__units=3))
    facilities, queues = built.facilities.copy(), no_queues(built)
    first = built.names.index("only/role1-1")
    facilities["in_beds"][first : first + 3] = taken
    facilities["waiting"][first : first + 3] = taken
    world = built.world.copy()
    memory.hold(world, facilities=facilities, queues=queues)
    assert chosen_unit(world, first, 3, own) == first + chosen
    sent_on = facilities["turned_away"][first : first + 3].tolist()
    assert sent_on == [int(turned_away == unit) for unit in range(3)]


def moves(timeline: Columns) -> list[tuple[str, str, float]]:
    """Return origin, destination and minutes of every move that arrived."""
    order = np.lexsort((timeline["event_number"], timeline["subject_id"]))
    columns = [
        timeline[n][order].tolist() for n in ("subject_id", "event_type", "role", "occurred_at")
    ]
    found = []
    for (who, event, role, at), (then, after, there, later) in pairwise(zip(*columns, strict=True)):
        if who == then and EVENT_TYPES[event] == "departed" and EVENT_TYPES[after] == "arrived":
            found.append((ROLES[role], ROLES[there], (later - at) / 60e6))
    return found


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_the_way_to_each_role_takes_its_median_time_and_spread(spread: float) -> None:
    """By ground alone, 60 minutes a leg and the loading; the sign test of medians, 4 errors."""
    scenario = small(
        patients=1_500,
        evacuation__spread=spread,
        evacuation__role1_to_role2__ground_minutes=90,
        **{f"evacuation__{leg}__air_minutes": None for leg in ("role1_to_role2", "role2_to_role3")},
        **{f"facilities__role{n}__units": 40 for n in (1, 2, 3)},
        evacuation__vehicles__buses=0,
        evacuation__vehicles__ground_ambulances=2_000,
    )
    world = theatre(scenario).world
    load = int(60 * float(world["load_minutes"][0])) / 60
    found = moves(tables(scenario)["timeline"])
    for origin, there, median in (
        ("POI", "ROLE1", 60),
        ("ROLE1", "ROLE2", 90),
        ("ROLE2", "ROLE3", 60),
    ):
        minutes = np.array([m for a, b, m in found if (a, b) == (origin, there)]) - load
        assert len(minutes) > 150
        if spread == 0.0:
            assert set(minutes.tolist()) == {median}
            continue
        below = (minutes < median).sum()
        assert abs(below - len(minutes) / 2) < 4 * math.sqrt(len(minutes)) / 2
        error = spread / math.sqrt(2 * len(minutes))
        assert abs(np.log(minutes / median).std() - spread) < 4 * error


@pytest.mark.parametrize(
    ("vehicle", "longest_minutes", "care_minutes"),
    [("bus", 60, 90), ("strategic_aircraft", 6 * 60, 0)],
)
def test_a_part_load_leaves_when_the_first_of_it_has_waited_long_enough(
    vehicle: str, longest_minutes: float, care_minutes: float
) -> None:
    """However few come, with vehicles to spare: their wait, the way there, and care before it.

    A bus is asked for when care begins, so that the wait told includes the care.
    """
    sparse = small(
        patients=300,
        days=30,
        evacuation__spread=0.0,
        evacuation__policy_days=0.0,
        evacuation__vehicles__buses=50,
        evacuation__vehicles__strategic_aircraft=50,
        **{f"facilities__role{role}__units": 20 for role in (1, 2, 3)},
    )
    timeline = tables(sparse)["timeline"]
    left = timeline["vehicle"] == VEHICLES.index(vehicle)
    left &= timeline["event_type"] == EVENT_TYPES.index("departed")
    waited = timeline["wait_minutes"][left]
    assert len(waited) > 40
    assert waited.max() <= longest_minutes + 60 + care_minutes
    assert waited.max() > longest_minutes


@numba.njit  # type: ignore[untyped-decorator]
def looks_for_a_load(worlds: Any, fleet: int, joins_s: Ints, looks: Ints) -> int:  # noqa: ANN401
    """Let casualties join a fleet's line and the first leave it; note each look when it wakes."""
    world = worlds[0]
    line = queue_at(world, vehicle_queue(fleet, 0))
    for slot in range(len(joins_s)):
        live_at(world, slot).triage = 2
        live_at(world, slot).waiting_since = joins_s[slot]
        lines.join(world, line, slot)
        chain.load_is_ready(world, fleet, 0, joins_s[slot])
    lines.leave(world, line, 0)
    count = 0
    while world.heap_size > 0:
        now = entry_at(world, 0).key >> 32
        heap.drop_first(world)
        looks[count, 0] = now
        looks[count, 1] = chain.load_is_ready(world, fleet, 0, now)
        count += 1
    return count


def test_a_fleet_that_wakes_for_one_who_has_gone_wakes_again_for_the_next() -> None:
    """The first of two is fetched or dies; the second has waited an hour at 900 + 3,600 s."""
    built = theatre(small())
    bus = [VEHICLES[code] for code in built.fleets["vehicle"]].index("bus")
    queues = np.zeros(2 * len(built.fleets), QUEUE)
    queues["head"] = queues["tail"] = -1
    world = built.world.copy()
    world["near_until"] = NEVER
    arrays = {"live": np.zeros(2, LIVE), "heap": np.zeros(8, ENTRY), "queues": queues}
    held = arrays | {"fleets": built.fleets.copy()}
    memory.hold(world, **held)
    looks = np.zeros((8, 2), np.int64)
    count = looks_for_a_load(world, bus, np.array([0, 900]), looks)
    assert looks[:count].tolist() == [[3_600, 0], [4_500, 1]]
