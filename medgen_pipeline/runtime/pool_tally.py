"""Adding up what passes between two looks: slots of pools taken, slots leaked, ticks.

As runs, each tick and each leaked slot counts once: the last tick of a sensor that was counted, and
the leaked slots that are known, are kept with the figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.runtime.instance_view import InstanceView, Pool
from medgen_pipeline.runtime.kept_figures import Kept

MOST_SECONDS: Final = 60.0  # between two looks; what was before a longer pause is not known

AT: Final = "at"  # keys of the progress
LEAKED: Final = "leaked"
LAST_TICKS: Final = "last_ticks"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    pools: Sequence[Pool]
    ticks: int  # that ended since the last one
    leaks: int  # that are new


def look(view: InstanceView, kept: Kept, now: float) -> Look:
    """Add what has passed since the last look; nothing is kept yet."""
    pools = view.queue().pools
    _add_slots(kept, pools, now)
    leaks = _add_leaks(kept, pools)
    return Look(pools, _add_ticks(view, kept), leaks)


def _add_slots(kept: Kept, pools: Iterable[Pool], now: float) -> None:
    seconds = min(MOST_SECONDS, max(0.0, now - float(kept.progress.get(AT, now))))
    for pool in pools:
        amount = pool.claimed * seconds
        kept.figures.add(metrics.POOL_SLOT_SECONDS, pool.name, amount=amount)
    kept.progress[AT] = now


def _add_leaks(kept: Kept, pools: Iterable[Pool]) -> int:
    known = {tuple(each) for each in kept.progress.get(LEAKED, [])}
    found = {(pool.name, *slot) for pool in pools for slot in pool.leaked}
    for pool in pools:
        new = [each for each in found - known if each[0] == pool.name]
        kept.figures.add(metrics.POOL_LEAKS, pool.name, amount=len(new))
    kept.progress[LEAKED] = sorted(found)
    return len(found - known)


def _add_ticks(view: InstanceView, kept: Kept) -> int:
    last: dict[str, int] = kept.progress.setdefault(LAST_TICKS, {})
    number = 0
    for instigator in view.instigators():
        for tick in view.ticks(instigator, last.get(instigator.selector_id, 0)):
            kept.figures.add(metrics.TICKS, instigator.kind, instigator.name, tick.status)
            last[instigator.selector_id] = tick.tick_id
            number += 1
    return number
