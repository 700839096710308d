from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation.schedule import SPECIAL, IntArray, Schedule
from medgen_pipeline.simulation.special_events import draw_special_events, special_plans
from medgen_pipeline.simulation.timing import plan_casualties, timing_tables
from medgen_pipeline_tests.simulation.operations import (
    BATTLE_ONLY,
    TWO_FRONTS,
    assert_share,
    operation,
    planned,
    rates,
)

KINDS = ("major_offensive", "ambush", "mass_casualty")


def drawn(counts: IntArray, *events: dict[str, Any], seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return what is left of the counts, and the incidents."""
    scenario = operation(
        patients=10_000_000, days=min(365, len(counts)), special_events=list(events)
    )
    return draw_special_events(special_plans(scenario), np.random.default_rng(seed), counts)


def days_of(persons: int, days: int) -> IntArray:
    return np.full((days, 1), persons)


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=6),
    counts=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 9)), min_size=1, max_size=9),
    seed=st.integers(0, 1000),
)
def test_special_events_never_exceed_a_day(
    kinds: list[str], counts: list[tuple[int, int]], seed: int
) -> None:
    """T14-T16: what events take is what the day and its sector lose, and nobody is left owing."""
    before = np.array(counts)
    left, incidents = drawn(before, *({"kind": kind} for kind in kinds), seed=seed)
    hour, persons, sector = incidents.T
    taken = np.zeros_like(before)
    np.add.at(taken, (hour // 24, sector), persons)
    assert left.min() >= 0
    assert (persons > 0).all()
    assert (left + taken == before).all()


def test_major_offensive() -> None:
    """T14: on day 2, from 5, 6 or 7 for four hours, nine tenths of the day."""
    starts = set()
    for seed in range(60):
        left, incidents = drawn(days_of(1_000, 4), {"kind": "major_offensive"}, seed=seed)
        assert left.ravel().tolist() == [1_000, 100, 1_000, 1_000]
        hours = np.unique(incidents[:, 0]) - 24
        assert np.ptp(hours) == 3
        starts.add(int(hours[0]))
    assert starts == {5, 6, 7}


def test_an_offensive_is_many_incidents() -> None:
    """No incident of an offensive has more than 100, whatever the day holds."""
    _, incidents = drawn(days_of(40_000, 2), {"kind": "major_offensive"})
    assert incidents[:, 1].sum() == 36_000
    assert 90 <= incidents[:, 1].min() <= incidents[:, 1].max() <= 100


def test_ambush() -> None:
    """T15: on days 1, 4 and 6, at dawn or dusk, a fifth of the day."""
    hours = set()
    for seed in range(60):
        left, incidents = drawn(days_of(100, 8), {"kind": "ambush"}, seed=seed)
        assert left.ravel().tolist() == [80, 100, 100, 80, 100, 80, 100, 100]
        hours |= set((incidents[:, 0] % 24).tolist())
    assert hours == {6, 7, 17, 18, 19}


def test_mass_casualty_event() -> None:
    """T16: on a day in five, from 6 to 18, a quarter to three quarters of it and at most 100."""
    left, incidents = drawn(days_of(80, 10_000), {"kind": "mass_casualty"})
    assert_share(len(incidents), 10_000, 0.2, detects=0.03)
    assert set((incidents[:, 0] % 24).tolist()) == set(range(6, 19))
    assert left.min() == 21
    assert incidents[:, 1].min() == 20
    assert incidents[:, 1].max() == 59
    _, large = drawn(days_of(5_000, 1_000), {"kind": "mass_casualty"})
    assert set(large[:, 1].tolist()) == {100}


def test_short_scenarios_have_their_events_on_the_last_day() -> None:
    """An offensive in a scenario of one day is on that day."""
    left, _ = drawn(days_of(100, 1), {"kind": "major_offensive"})
    assert left.tolist() == [[10]]


def special(schedule: Schedule) -> dict[tuple[int, int], int]:
    """Return casualties of special events by day from 1 and hour."""
    sums: dict[tuple[int, int], int] = {}
    for start, size, kind in zip(
        schedule.event_start_s, schedule.event_size, schedule.event_kind, strict=True
    ):
        if kind == SPECIAL:
            key = int(start // 86_400 + 1), int(start // 3_600 % 24)
            sums[key] = sums.get(key, 0) + int(size)
    return sums


@pytest.mark.parametrize("kind", ["ambush", "mass_casualty"])
@pytest.mark.parametrize("size", [{"patients": 500}, {"patients": 100_000}, {"rates": True}])
def test_a_stated_event_is_as_stated(kind: str, size: dict[str, Any]) -> None:
    """T15, T16: day, hour and casualties stated are day, hour and casualties had, in both modes."""
    constant = {"family": "constant", "mean_per_1000": 5.0}
    mode = {"patients": None, "rates": rates(constant)} if "rates" in size else size
    event = {"kind": kind, "day": 3, "hour": 23, "casualties": 77}
    schedule = planned(operation(days=4, fronts=TWO_FRONTS, special_events=[event], **mode))
    assert special(schedule) == {(3, 23): 77}
    if "patients" in size:
        assert len(schedule) == size["patients"]


def test_a_stated_offensive_fills_the_hours_from_its_own() -> None:
    """T14: an offensive begins in the hour stated and ends with its day."""
    event = {"kind": "major_offensive", "day": 2, "hour": 22, "casualties": 300}
    found = special(planned(operation(patients=1_000, days=3, special_events=[event])))
    assert set(found) == {(2, 22), (2, 23)}
    assert sum(found.values()) == 300


def test_stated_casualties_happen_once() -> None:
    """An event with casualties but no day happens on one day that is drawn."""
    event = {"kind": "mass_casualty", "casualties": 40}
    scenario = operation(patients=400, days=10, special_events=[event])
    tables = timing_tables(scenario)
    found = [special(plan_casualties(tables, 1, replicate)) for replicate in range(40)]
    assert all(list(hours.values()) == [40] for hours in found)
    assert len({day for hours in found for day, _ in hours}) > 5


def test_a_mass_casualty_event_is_one_incident() -> None:
    """T16: 600 stated are hurt in one place within minutes, unless 16 bits cannot count them."""
    event = {"kind": "mass_casualty", "day": 1, "hour": 9, "casualties": 600}
    fields = {"patients": 600, "class_mix": BATTLE_ONLY, "fronts": TWO_FRONTS}
    schedule = planned(operation(special_events=[event], **fields))
    assert schedule.event_size.tolist() == [600]
    assert schedule.event_is_mass_casualty.tolist() == [True]
    assert schedule.injured_s.max() < 10 * 3_600
    assert np.ptp(schedule.injured_s) <= 900
    huge = event | {"casualties": 200_000}
    fields["patients"] = 200_000
    sizes = planned(operation(special_events=[huge], **fields)).event_size
    assert sizes.tolist() == [50_000] * 4


def test_hours_of_special_events_are_of_the_clock() -> None:
    """A scenario that begins at 06:00 has an event of 09:00 three hours later."""
    event = {"kind": "ambush", "day": 1, "hour": 9, "casualties": 5}
    fields = {"patients": 5, "class_mix": BATTLE_ONLY, "special_events": [event]}
    schedule = planned(operation(start="2025-06-01T06:00:00+02:00", **fields))
    assert set((schedule.injured_s // 3_600).tolist()) == {3}


def test_with_rates_a_sector_bears_an_ambush() -> None:
    """T15: with rates by front, one front's casualties are taken, never more than it has."""
    counts = np.array([[90, 10]] * 6)
    sectors = []
    for seed in range(200):
        left, incidents = drawn(counts, {"kind": "ambush", "day": 1}, seed=seed)
        assert len(incidents) == 1
        sectors.append(int(incidents[0, 2]))
        assert left[0].tolist() in ([70, 10], [90, 0])
    assert_share(sectors.count(1), 200, 0.1, detects=0.16)
