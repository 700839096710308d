"""The lines of those who wait for a bed, a table or a vehicle: one for each triage category."""

from typing import Any

import numpy as np

from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import live_at
from medgen_pipeline.simulation.state import NEVER


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
