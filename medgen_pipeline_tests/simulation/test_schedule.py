import re

import numpy as np
import pytest

from medgen_pipeline.reference.vocabulary import WARFARE_TYPES
from medgen_pipeline.simulation.rows import Strings
from medgen_pipeline.simulation.schedule import (
    EVENT_KINDS,
    EVENT_PREFIXES,
    packed,
    split_into_groups,
    unpack_events,
)
from medgen_pipeline_tests.simulation.operations import TWO_FRONTS, operation, planned

NAME = re.compile(r"(MC|IND|SE|SC)-([a-z]+)-(\d{3})-(\d\d)-(\d\d)-([0-9a-f]{8})")


def texts(strings: Strings) -> list[str]:
    bounds = zip(strings.offsets[:-1], strings.offsets[1:], strict=True)
    return [bytes(strings.data[start:end]).decode() for start, end in bounds]


def test_a_name_says_kind_type_and_time() -> None:
    """T20: prefix, warfare type, day from 1, hour and minute of the clock, 8 hex digits."""
    event = {"kind": "ambush", "day": 2, "hour": 6, "casualties": 30}
    fields = {"days": 3, "patients": 3_000, "warfare": {"artillery": 1, "urban": 1}}
    schedule = planned(
        operation(start="2025-06-01T05:30:00Z", special_events=[event], fronts=TWO_FRONTS, **fields)
    )
    events = np.arange(len(schedule.event_start_s))
    prefixes = set()
    for i, name in zip(events, texts(schedule.event_names(events)), strict=True):
        found = NAME.fullmatch(name)
        assert found is not None
        prefix, warfare, day, hour, minute, _ = found.groups()
        prefixes.add(prefix)
        start = int(schedule.event_start_s[i])
        assert EVENT_PREFIXES.index(prefix) == schedule.event_kind[i]
        assert WARFARE_TYPES.index(warfare) == schedule.event_warfare[i]
        assert int(day) == start // 86_400 + 1
        assert int(hour) * 60 + int(minute) == (start // 60 + 330) % 1_440
    assert prefixes == set(EVENT_PREFIXES)


def test_names_are_unique_and_the_same_again() -> None:
    """T20: no two events of a replicate share the hex digits; another replicate has others."""
    scenario = operation(patients=60_000)
    schedule = planned(scenario)
    events = np.arange(len(schedule.event_start_s))
    names = texts(schedule.event_names(events))
    assert len({name[-8:] for name in names}) == len(names)
    assert texts(planned(scenario).event_names(events)) == names
    other = texts(planned(scenario, replicate=1).event_names(events[:100]))
    assert not {name[-8:] for name in other} & {name[-8:] for name in names[:100]}


def test_any_events_can_be_named_in_any_order() -> None:
    """A name depends on the event alone, not on which others are asked for."""
    schedule = planned(operation(patients=500))
    names = texts(schedule.event_names(np.arange(len(schedule.event_start_s))))
    some = np.array([7, 0, 7, 30], np.int32)
    assert texts(schedule.event_names(some)) == [names[i] for i in some]
    assert texts(schedule.event_names(some[:0])) == []


@pytest.mark.parametrize("kind", range(len(EVENT_KINDS)))
def test_an_event_survives_packing(kind: int) -> None:
    """The extremes of every field come back, and an earlier event is a smaller integer."""
    last = 365 * 86_400 - 1
    events = packed(
        np.array([0, last]), np.array([63, 0]), np.array([7, 0]), kind=kind, casualty_class=2
    )
    events += np.array([0, 65_534])
    assert events[0] < events[1]
    start, front, warfare, size, is_mass_casualty, kinds, flags, delay = unpack_events(
        events, np.arange(24, dtype=np.uint16), np.zeros(24, np.int64), np.zeros(2, np.float32), 0
    )
    assert start.tolist() == [0, last]
    assert front.tolist() == [63, 0]
    assert warfare.tolist() == [7, 0]
    assert size.tolist() == [1, 65_535]
    assert kinds.tolist() == [kind, kind]
    assert is_mass_casualty.tolist() == [False, EVENT_KINDS[kind] in ("mass_casualty", "special")]
    assert flags.tolist() == [0, 23]
    assert delay.tolist() == [0, 0]


def test_groups_hold_the_persons_of_their_cell() -> None:
    """T13: groups have the sizes drawn, but for the last of each cell."""
    sizes = np.array([3, 2, 1, 3, 3, 3, 1, 1, 1], np.uint8)
    cells, held = split_into_groups(np.array([4, 0, 1, 4]), sizes)
    assert cells.tolist() == [0, 0, 2, 3, 3]
    assert held.tolist() == [3, 1, 1, 3, 1]
