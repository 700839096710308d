"""What happens next: a calendar of what is far off, and a heap of what is near.

A key is `seconds << 32 | who`, so events come out in the order of the clock and, within a second,
of the subject: the order in which the tables are written. An event is never taken out of the
middle; one that no longer holds is left to be passed over when it comes up.

One heap of all events did not fit the processor's cache with a million casualties, and took a
third of the loop's time. So what lies further off than the stretch of time at hand is only noted
under its own stretch, and put on the heap when that begins.
"""

from typing import Any, Final

import numpy as np

from medgen_pipeline.simulation import heap
from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import entry_at, fetch, later_at, live_at, stretch_at

STRETCH_BITS: Final = 8  # seconds of a stretch, as a power of two: ours


@inner
def key_of(at: int, who: int) -> int:
    """Return the key of an event."""
    return int((np.int64(at) << np.int64(32)) | np.int64(who))


@inner
def schedule(world: Any, at: int, who: int, slot: int) -> None:
    """Put an event on the clock."""
    if at < world.near_until:
        heap.push(world, key_of(at, who), slot)
    else:
        stretch = min(at, world.horizon_s) >> STRETCH_BITS  # the last has what comes after the end
        _note(world, stretch, key_of(at, who), slot)


@inner
def first_key(world: Any, arrives: int) -> Any:
    """Return the key of the first event, or `arrives` if that comes before."""
    while world.heap_size == 0 and world.near_until <= min(arrives >> 32, world.horizon_s):
        _begin_stretch(world)
    if world.heap_size == 0:
        return arrives
    return min(arrives, entry_at(world, 0).key)


@inner
def _note(world: Any, stretch_index: int, key: int, slot: int) -> None:
    """Note an event under its stretch, in an entry that was used before if there is one."""
    here = world.later_free
    if here >= 0:
        world.later_free = later_at(world, here).after
    else:
        here = world.later_top
        world.later_top += 1
    stretch = stretch_at(world, stretch_index)
    entry = later_at(world, here)
    entry.key = key
    entry.slot = slot
    entry.after = stretch.first
    stretch.first = here
    world.later_size += 1


@inner
def _begin_stretch(world: Any) -> None:
    """Put the events of the next stretch on the heap."""
    stretch = stretch_at(world, world.near_until >> STRETCH_BITS)
    here = stretch.first
    stretch.first = -1
    while here >= 0:
        entry = later_at(world, here)
        heap.push(world, entry.key, entry.slot)
        if entry.slot >= 0:
            fetch(live_at(world, entry.slot))
        after = entry.after
        entry.after = world.later_free
        world.later_free = here
        here = after
        world.later_size -= 1
    world.near_until += 1 << STRETCH_BITS
