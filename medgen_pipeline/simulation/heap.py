"""A 4-ary heap of events, the least key first."""

from typing import Any

from medgen_pipeline.simulation.compiled import inner
from medgen_pipeline.simulation.memory import entry_at


@inner
def push(world: Any, key: int, slot: int) -> None:
    """Add an event."""
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
    """Take the first event off; the caller has read it."""
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
