"""What happens next: a 4-ary heap of whole numbers, and the lines of those who wait.

A key is `seconds << 32 | who`, so the heap gives out events in the order of the clock and, within a
second, of the subject: the order in which the tables are written. An event is never taken out of
the middle; one that no longer holds is left to be passed over when it comes up.
"""

from typing import Any

import numpy as np

from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import entry_at, live_at
from medgen_pipeline.simulation.state import NEVER


@inner
def key_of(at: int, who: int) -> int:
    """Return the key of an event."""
    return int((np.int64(at) << np.int64(32)) | np.int64(who))


@inner
def schedule(world: Any, at: int, who: int, slot: int) -> None:
    """Put an event on the clock."""
    key = key_of(at, who)
    here = world.heap_size
    world.heap_size += 1
    while here > 0:
        above = (here - 1) >> 2
        parent = entry_at(world, above)
        if parent.key <= key:
            break
        entry = entry_at(world, here)
        entry.key = parent.key
        entry.slot = parent.slot
        here = above
    entry = entry_at(world, here)
    entry.key = key
    entry.slot = slot


@inner
def drop_first(world: Any) -> None:
    """Take the first event off the clock; the caller has read it."""
    last = world.heap_size - 1
    world.heap_size = last
    key = entry_at(world, last).key
    slot = entry_at(world, last).slot
    here = 0
    while True:
        child = (here << 2) + 1
        if child >= last:
            break
        least = child
        least_key = entry_at(world, child).key
        for other in range(child + 1, min(child + 4, last)):
            other_key = entry_at(world, other).key
            if other_key < least_key:
                least = other
                least_key = other_key
        if least_key >= key:
            break
        entry = entry_at(world, here)
        entry.key = least_key
        entry.slot = entry_at(world, least).slot
        here = least
    entry = entry_at(world, here)
    entry.key = key
    entry.slot = slot


@inner
def join(world: Any, queue: Any, slot: int) -> None:
    """Put a casualty at the end of the line of their triage category."""
    waiter = live_at(world, slot)
    line = waiter.triage
    waiter.queue_next = -1
    waiter.queue_previous = queue.tail[line]
    if queue.tail[line] >= 0:
        live_at(world, queue.tail[line]).queue_next = slot
    else:
        queue.head[line] = slot
    queue.tail[line] = slot
    queue.length += 1


@inner
def leave(world: Any, queue: Any, slot: int) -> None:
    """Take a casualty out of the line they stand in."""
    waiter = live_at(world, slot)
    line = waiter.triage
    if waiter.queue_previous >= 0:
        live_at(world, waiter.queue_previous).queue_next = waiter.queue_next
    else:
        queue.head[line] = waiter.queue_next
    if waiter.queue_next >= 0:
        live_at(world, waiter.queue_next).queue_previous = waiter.queue_previous
    else:
        queue.tail[line] = waiter.queue_previous
    waiter.queue_next = -1
    waiter.queue_previous = -1
    queue.length -= 1


@inner
def first_since(world: Any, queue: Any) -> int:
    """Return since when the first of the lines waits who has waited longest."""
    earliest = np.int32(NEVER)
    for line in range(4):
        slot = queue.head[line]
        if slot >= 0:
            earliest = min(earliest, live_at(world, slot).waiting_since)
    return int(earliest)


@inner
def first(world: Any, queue: Any, now: int, ageing_s: int) -> int:
    """Return who is served next, -1 when nobody waits: by triage, and by how long they waited.

    A category counts as `ageing_s` seconds of waiting, so nobody is passed over for ever.
    """
    best = -1
    best_rank = np.int64(1) << np.int64(60)
    for line in range(4):
        slot = queue.head[line]
        if slot >= 0:
            rank = np.int64(line) * ageing_s - (now - live_at(world, slot).waiting_since)
            if rank < best_rank:
                best_rank = rank
                best = slot
    return best
