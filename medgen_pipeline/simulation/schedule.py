"""A schedule: when and where each casualty of a replicate is hurt, and the names of the events.

An event is drawn as one integer, its fields packed with the time first, so that sorting integers
sorts events; the same is done for casualties. Times are seconds since scenario.start.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.vocabulary import WARFARE_TYPES
from medgen_pipeline.simulation.compiled import entry_point, jit
from medgen_pipeline.simulation.rows import Strings

IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]
AnyArray = npt.NDArray[Any]

HOUR_S: Final = 3_600
DAY_S: Final = 86_400

EVENT_KINDS: Final = ("mass_casualty", "small_group", "special", "sick_call")
EVENT_PREFIXES: Final = ("MC", "IND", "SE", "SC")
MASS_CASUALTY, SMALL_GROUP, SPECIAL, SICK_CALL = range(len(EVENT_KINDS))

# An event as an integer: second, front (64 at most), warfare type, kind, casualty class, size.
_FRONT_BITS, _WARFARE_BITS, _KIND_BITS, _CLASS_BITS, _SIZE_BITS = 6, 3, 2, 2, 16
_CLASS_AT: Final = _SIZE_BITS
_KIND_AT: Final = _CLASS_AT + _CLASS_BITS
_WARFARE_AT: Final = _KIND_AT + _KIND_BITS
_FRONT_AT: Final = _WARFARE_AT + _WARFARE_BITS
_SECOND_AT: Final = _FRONT_AT + _FRONT_BITS
_EVENT_BITS: Final = 27  # a casualty as an integer: second, event


@dataclass(frozen=True, slots=True)
class Schedule:
    """When and where each casualty of a replicate is hurt; subjects in order of `injured_s`."""

    injured_s: npt.NDArray[np.int32]
    event: npt.NDArray[np.int32]  # index into the arrays below
    casualty_class: ByteArray
    position_in_event: npt.NDArray[np.uint16]  # from 0, in the order of injury
    event_start_s: npt.NDArray[np.int32]  # ascending; when its first casualty is hurt
    event_front: ByteArray
    event_warfare: ByteArray
    event_size: npt.NDArray[np.int32]
    event_is_mass_casualty: npt.NDArray[np.bool_]
    event_kind: ByteArray  # index in EVENT_KINDS
    event_environment: npt.NDArray[np.uint16]  # bits of the conditions that hold
    event_discovery_delay_s: npt.NDArray[np.int32]  # until anyone can begin to help
    start_second_of_day: int  # of the scenario, local
    name_key: int

    def __len__(self) -> int:
        return len(self.injured_s)

    def event_names(self, events: AnyArray) -> Strings:
        """Return the names of some events: kind, warfare type, day, hour, minute, 8 hex digits.

        The day counts from 1, the time is local. The digits are a bijection of the event's index
        under a key of the replicate, so no two events of a replicate share a name.
        """
        labels, lengths = _labels()
        offsets, data = name_events(
            np.ascontiguousarray(events, np.int64),
            self.event_start_s,
            self.event_kind,
            self.event_warfare,
            labels,
            lengths,
            self.start_second_of_day,
            self.name_key,
        )
        return Strings(offsets=offsets, data=data)


def packed(
    second: IntArray, front: AnyArray, warfare: AnyArray, *, kind: int, casualty_class: int
) -> IntArray:
    """Return events of one person as integers, in the memory of `second`; add others to enlarge."""
    second <<= _FRONT_BITS
    second |= front
    second <<= _WARFARE_BITS
    second |= warfare
    second <<= _WARFARE_AT
    second |= (kind << _KIND_AT) | (casualty_class << _CLASS_AT) | 1
    return second


@entry_point
def split_into_groups(persons: Any, sizes: Any) -> tuple[Any, Any]:
    """Return cell and size of the groups that hold the persons of each cell.

    `sizes` holds one drawn size for each person, enough for any split; a size is cut where its cell
    has fewer left.
    """
    groups = 0
    for here in persons:
        left = here
        while left > 0:
            sizes[groups] = min(sizes[groups], left)
            left -= sizes[groups]
            groups += 1
    cells = np.empty(groups, np.int32)
    group = 0
    for cell in range(len(persons)):
        left = persons[cell]
        while left > 0:
            cells[group] = cell
            left -= sizes[group]
            group += 1
    return cells, sizes[:groups]


@entry_point
def unpack_events(
    events: Any,
    environment: Any,
    discovery_minutes: Any,
    draws: Any,
    start_second_of_day: int,
) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
    """Return the columns of a schedule that belong to events, in their order.

    Environment flags and the longest delay of discovery are given by hour of the clock. A small
    group lies unseen for a whole number of minutes up to that; `draws` are uniform in [0, 1).
    """
    count = len(events)
    start = np.empty(count, np.int32)
    front = np.empty(count, np.uint8)
    warfare = np.empty(count, np.uint8)
    size = np.empty(count, np.int32)
    is_mass_casualty = np.empty(count, np.bool_)
    kind = np.empty(count, np.uint8)
    flags = np.empty(count, np.uint16)
    delay = np.zeros(count, np.int32)
    for i in range(count):
        event = events[i]
        start[i] = event >> _SECOND_AT
        front[i] = (event >> _FRONT_AT) & ((1 << _FRONT_BITS) - 1)
        warfare[i] = (event >> _WARFARE_AT) & ((1 << _WARFARE_BITS) - 1)
        size[i] = event & ((1 << _SIZE_BITS) - 1)
        kind[i] = (event >> _KIND_AT) & ((1 << _KIND_BITS) - 1)
        is_mass_casualty[i] = kind[i] in (MASS_CASUALTY, SPECIAL) and size[i] > 1
        hour = (start[i] + start_second_of_day) // HOUR_S % 24
        flags[i] = environment[hour]
        if kind[i] == SMALL_GROUP:
            delay[i] = np.int64(draws[i] * (discovery_minutes[hour] + 1)) * 60
    return start, front, warfare, size, is_mass_casualty, kind, flags, delay


@entry_point
def pack_casualties(
    start: Any,
    size: Any,
    kind: Any,
    warfare: Any,
    spread_s: Any,
    draws: Any,
) -> Any:
    """Return casualties as integers: the second each is hurt, then the event.

    The first of an event is hurt as it starts, the others within `spread_s` [kind, warfare type];
    `draws` are uniform 16-bit numbers, one for each of those others.
    """
    casualties = np.empty(len(size) + len(draws), np.int64)
    casualty = 0
    draw = 0
    for event in range(len(size)):
        casualties[casualty] = (np.int64(start[event]) << _EVENT_BITS) | event
        casualty += 1
        spread = spread_s[kind[event], warfare[event]]
        for _ in range(size[event] - 1):
            second = start[event] + ((np.int64(draws[draw]) * spread) >> 16)
            casualties[casualty] = (second << _EVENT_BITS) | event
            casualty += 1
            draw += 1
    return casualties


@entry_point
def unpack_casualties(
    casualties: Any,
    events: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return second, event, class and position in the event of sorted casualties."""
    count = len(casualties)
    second = np.empty(count, np.int32)
    event = np.empty(count, np.int32)
    casualty_class = np.empty(count, np.uint8)
    position = np.empty(count, np.uint16)
    seen = np.zeros(len(events), np.uint16)
    for i in range(count):
        here = casualties[i] & ((1 << _EVENT_BITS) - 1)
        second[i] = casualties[i] >> _EVENT_BITS
        event[i] = here
        casualty_class[i] = (events[here] >> _CLASS_AT) & ((1 << _CLASS_BITS) - 1)
        position[i] = seen[here]
        seen[here] += 1
    return second, event, casualty_class, position


@functools.cache
def _labels() -> tuple[AnyArray, AnyArray]:
    """Return the beginning of a name for each kind and warfare type, padded, and its length."""
    words = [[f"{p}-{name}-".encode() for name in WARFARE_TYPES] for p in EVENT_PREFIXES]
    lengths = np.array([[len(word) for word in row] for row in words], np.int64)
    labels = np.zeros((*lengths.shape, int(lengths.max())), np.uint8)
    for kind, row in enumerate(words):
        for warfare, word in enumerate(row):
            labels[kind, warfare, : len(word)] = list(word)
    return labels, lengths


_TAIL: Final = len("001-05-17-9f2c01aa")
_DASH, _DIGIT_0, _HEX_A = ord("-"), ord("0"), ord("a") - 10


@jit
def _write_number(data: Any, at: Any, number: Any, width: int) -> Any:
    """Write a number with leading zeros, then a dash; return where the next thing goes."""
    for place in range(at + width - 1, at - 1, -1):
        data[place] = _DIGIT_0 + number % 10
        number //= 10
    data[at + width] = _DASH
    return at + width + 1


@jit
def _scrambled(number: int, key: int) -> Any:
    """Return a 32-bit number that corresponds one to one to `number`: MurmurHash3's last step."""
    x = np.uint32(number) ^ np.uint32(key)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@entry_point
def name_events(
    events: Any,
    start: Any,
    kind: Any,
    warfare: Any,
    labels: Any,
    lengths: Any,
    start_second_of_day: int,
    key: int,
) -> tuple[Any, Any]:
    """Return offsets and bytes of the names of events."""
    offsets = np.empty(len(events) + 1, np.int32)
    offsets[0] = 0
    for i in range(len(events)):
        event = events[i]
        offsets[i + 1] = offsets[i] + lengths[kind[event], warfare[event]] + _TAIL
    data = np.empty(offsets[-1], np.uint8)
    for i in range(len(events)):
        event = events[i]
        at: Any = np.int64(offsets[i])
        length = lengths[kind[event], warfare[event]]
        for place in range(length):
            data[at + place] = labels[kind[event], warfare[event], place]
        second = start[event] + start_second_of_day
        at = _write_number(data, at + length, start[event] // DAY_S + 1, 3)
        at = _write_number(data, at, second // HOUR_S % 24, 2)
        at = _write_number(data, at, second // 60 % 60, 2)
        digits = _scrambled(event, key)
        for place in range(8):
            digit = (digits >> np.uint32(28 - 4 * place)) & np.uint32(15)
            data[at + place] = digit + (_DIGIT_0 if digit < 10 else _HEX_A)
    return offsets, data
