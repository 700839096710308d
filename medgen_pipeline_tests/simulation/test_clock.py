"""Events come out in the order of the clock, from the heap and from the calendar alike."""

import heapq
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation import clock, heap, memory
from medgen_pipeline.simulation.memory import WORLD
from medgen_pipeline.simulation.state import ENTRY, NEVER, STRETCH

Ints = npt.NDArray[np.int64]
HORIZON_S: Final = 3_000  # a dozen stretches
NOTHING: Final = NEVER << 32


@numba.njit  # type: ignore[untyped-decorator]
def through_the_clock(worlds: Any, times: Ints, subjects: Ints, taken: Ints) -> None:  # noqa: ANN401
    """Put events on the clock; where `times` is negative, take the first off into `taken`."""
    world = worlds[0]
    count = 0
    for index in range(len(times)):
        if times[index] >= 0:
            clock.schedule(world, times[index], subjects[index], index)
            continue
        key = clock.first_key(world, NOTHING)
        taken[count, 0] = key
        if key < NOTHING:
            taken[count, 1] = memory.entry_at(world, 0).slot
            heap.drop_first(world)
        count += 1


@numba.njit  # type: ignore[untyped-decorator]
def first_of(worlds: Any, arrives_s: int) -> int:  # noqa: ANN401
    """Return when the first thing happens, an event or an arrival."""
    return int(clock.first_key(worlds[0], clock.key_of(arrives_s, 0)) >> 32)


def a_clock(events: int) -> tuple[npt.NDArray[np.void], tuple[npt.NDArray[np.void], ...]]:
    """Return a world with an empty clock for so many events, and the memory it points at."""
    world = np.zeros(1, WORLD)
    world["horizon_s"] = HORIZON_S
    world["later_free"] = -1
    entries = np.zeros(events + 1, ENTRY), np.zeros(events + 1, ENTRY)
    stretches = np.full((HORIZON_S >> clock.STRETCH_BITS) + 1, -1, np.int32).view(STRETCH)
    memory.hold(world, heap=entries[0], later=entries[1], stretches=stretches)
    return world, (*entries, stretches)


EVENTS: Final = st.tuples(st.integers(0, HORIZON_S), st.integers(0, 2**29))


@given(st.lists(st.none() | EVENTS, max_size=200))
def test_the_first_off_the_clock_is_the_earliest_and_of_those_the_least_subject(
    steps: list[tuple[int, int] | None],
) -> None:
    """As `heapq` has it, whatever is put on and taken off between; None takes one off."""
    wanted: list[tuple[int, int]] = []
    expected: list[tuple[int, int]] = []
    for step in steps:
        if step is not None:
            heapq.heappush(wanted, step)
        else:
            expected.append(heapq.heappop(wanted) if wanted else (NEVER, 0))
    done = [(-1, 0) if step is None else step for step in steps]
    world, _held = a_clock(len(steps))
    taken = np.zeros((len(expected), 2), np.int64)
    times, subjects = np.array(done, np.int64).reshape(-1, 2).T.copy()
    through_the_clock(world, times, subjects, taken)
    found = [(key >> 32, key & 0xFFFFFFFF) for key, _ in taken.tolist()]
    assert found == expected
    assert all(
        done[slot] == event
        for (_, slot), event in zip(taken.tolist(), found, strict=True)
        if event[0] < NEVER
    )
    assert world["heap_size"][0] + world["later_size"][0] == len(wanted)
    assert world["later_top"][0] <= len(steps)


def test_what_comes_from_outside_is_first_when_it_comes_before() -> None:
    """And the calendar is not turned beyond it, so that what it causes still finds its place."""
    world, _held = a_clock(2)
    through_the_clock(world, np.array([2_000]), np.array([7]), np.zeros((0, 2), np.int64))
    assert first_of(world, 300) == 300
    assert world["near_until"][0] <= 300 + (1 << clock.STRETCH_BITS)
    assert first_of(world, 2_500) == 2_000


def test_what_comes_after_the_end_is_last() -> None:
    """However far off it is."""
    world, _held = a_clock(3)
    taken = np.zeros((2, 2), np.int64)
    times = np.array([NEVER - 1, HORIZON_S, -1, -1])
    through_the_clock(world, times, np.array([7, 8, 0, 0]), taken)
    assert (taken[:, 0] >> 32).tolist() == [HORIZON_S, NEVER - 1]
