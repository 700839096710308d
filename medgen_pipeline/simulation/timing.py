"""Stage 1, when and where: from how many casualties to the second and the event of each.

Counts come first and are only ever split: class, day, warfare type, hour, event, person. So an
exact total stays exact whatever shapes it. Battle casualties are hurt in events of several persons;
non-battle injuries and disease come one by one. Who they are and what they have is decided later,
by subject index; care, facilities and evacuation are never looked at here.

Each decision draws from its own stream, so that none shifts another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.vocabulary import CASUALTY_CLASSES, WARFARE_TYPES
from medgen_pipeline.reference.warfare import HOURS_PER_DAY, Warfare, warfare
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.counts import (
    BATTLE,
    DISEASE,
    NON_BATTLE,
    CountTables,
    Draw,
    count_tables,
    draw_counts,
    shares,
    warfare_share,
)
from medgen_pipeline.simulation.hours import Spread, shifted, spread_of
from medgen_pipeline.simulation.schedule import (
    EVENT_KINDS,
    HOUR_S,
    MASS_CASUALTY,
    SICK_CALL,
    SMALL_GROUP,
    SPECIAL,
    Schedule,
    pack_casualties,
    packed,
    split_into_groups,
    unpack_casualties,
    unpack_events,
)
from medgen_pipeline.simulation.special_events import (
    ANY_SECTOR,
    SpecialPlan,
    draw_special_events,
    special_plans,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

SMALLEST_CLUSTER: Final = 2  # one casualty is no mass-casualty event

# Decisions taken once for a replicate, for streams.generator. A number, once released, keeps its
# meaning. Those up to 1029 are in counts.py; to the last three the source of the event is added.
WARFARE: Final = 1030
SPECIAL_EVENTS: Final = 1031
CLUSTERS: Final = 1032
GROUPS: Final = 1033
OFFSETS: Final = 1034
DISCOVERY: Final = 1035
HOUR: Final = 1040  # + warfare type
INDIVIDUAL_HOUR: Final = 1060  # + casualty class
SECOND: Final = 1070
FRONT: Final = 1080
LABEL: Final = 1090  # the warfare type of an event that has no pattern

FROM_CLUSTER, FROM_GROUP, FROM_SPECIAL, FROM_NON_BATTLE, FROM_DISEASE = range(5)
INDIVIDUALS: Final = {
    NON_BATTLE: (FROM_NON_BATTLE, SMALL_GROUP),
    DISEASE: (FROM_DISEASE, SICK_CALL),
}


@dataclass(frozen=True, slots=True)
class TimingTables:
    """What a scenario fixes about time and place, for every replicate."""

    counts: CountTables
    start_second_of_day: int  # local
    has_sectors: bool  # counts are by front already
    front_cumulative: npt.NDArray[np.float32]
    warfare_types: npt.NDArray[np.uint8]  # codes
    warfare_share: FloatArray  # in the order of warfare_types
    warfare_cumulative: npt.NDArray[np.float32]
    spreads: tuple[Spread, ...]  # in the order of warfare_types
    cluster_probability: FloatArray  # [warfare code]
    cluster_fewest: IntArray
    cluster_most: IntArray
    cluster_above: int  # casualties in the hour
    group_persons: tuple[int, int]
    spread_s: IntArray  # [kind, warfare code]: from first to last casualty of an event, at most
    individual_hours: Mapping[int, FloatArray]  # by class: share of each hour of the scenario's day
    environment: npt.NDArray[np.uint16]  # flags by hour of the clock
    discovery_minutes: IntArray  # the longest delay, by hour of the clock
    special: tuple[SpecialPlan, ...]


def timing_tables(scenario: Scenario) -> TimingTables:
    """Return what a validated scenario fixes about time and place."""
    reference = warfare()
    start = scenario.start
    share = warfare_share(scenario)
    codes = np.flatnonzero(share)
    flags = [reference.flags_at(scenario.environment, hour) for hour in range(HOURS_PER_DAY)]
    factor = [math.prod(c.casualty_factor for c in reference.holding(f)) for f in flags]
    mass = [t.mass_casualty for t in reference.types]
    likelier = reference.intensity[scenario.intensity].mass_casualty_factor
    return TimingTables(
        counts=count_tables(scenario),
        start_second_of_day=start.hour * HOUR_S + start.minute * 60 + start.second,
        has_sectors=scenario.rates is not None,
        front_cumulative=_front_cumulative(scenario),
        warfare_types=codes.astype(np.uint8),
        warfare_share=share[codes],
        warfare_cumulative=_cumulative(share[codes]),
        spreads=tuple(
            spread_of(reference.types[c].pattern, factor, start.hour, scenario.days) for c in codes
        ),
        cluster_probability=np.minimum(1.0, [m.probability * likelier for m in mass]),
        cluster_fewest=np.array([max(m.fewest, SMALLEST_CLUSTER) for m in mass]),
        cluster_most=np.array([m.most for m in mass]),
        cluster_above=reference.mass_casualty_above_persons,
        group_persons=(reference.group_fewest, reference.group_most),
        spread_s=_spread_s(reference),
        individual_hours={
            c: shares(shifted(reference.individual_hours[CASUALTY_CLASSES[c]], start.hour))
            for c in INDIVIDUALS
        },
        environment=np.array(flags, np.uint16),
        discovery_minutes=np.array([_discovery_minutes(reference, f) for f in flags]),
        special=special_plans(scenario),
    )


def _front_cumulative(scenario: Scenario) -> npt.NDArray[np.float32]:
    """Return fronts by share of an exact total; by strength where rates apply to strength."""
    has_rates = scenario.rates is not None
    weights = [front.strength if has_rates else front.share for front in scenario.fronts]
    return _cumulative(np.array(weights, np.float64))


def _cumulative(weights: FloatArray) -> npt.NDArray[np.float32]:
    total = np.cumsum(weights)
    return np.asarray(total / total[-1], np.float32)


def _spread_s(reference: Warfare) -> IntArray:
    spread = np.zeros((len(EVENT_KINDS), len(WARFARE_TYPES)), np.int64)
    spread[MASS_CASUALTY] = [t.mass_casualty.spread_minutes * 60 for t in reference.types]
    spread[SMALL_GROUP] = reference.group_spread_seconds
    spread[SPECIAL] = reference.special_incident_spread_minutes * 60
    return spread


def _discovery_minutes(reference: Warfare, flags: int) -> int:
    holding = reference.holding(flags)
    if math.prod(c.visibility for c in holding) >= reference.discovery_visibility_below:
        return 0
    return int(sum(c.evacuation_delay_minutes for c in holding))


def plan_casualties(tables: TimingTables, seed: int, replicate: int) -> Schedule:
    """Return the schedule of one replicate: the same for the same scenario, seed and number."""
    draw = partial(streams.generator, seed, replicate)
    counts = draw_counts(tables.counts, draw)
    battle, incidents = draw_special_events(tables.special, draw(SPECIAL_EVENTS), counts[BATTLE])
    events = np.concatenate(
        [
            *_battle_events(tables, draw, battle),
            _special_events(tables, draw, incidents),
            _individual_events(tables, draw, counts, NON_BATTLE),
            _individual_events(tables, draw, counts, DISEASE),
        ]
    )
    events.sort()
    return _schedule(
        tables, draw, events, int(streams.replicate_key(seed, replicate)[0]) & 0xFFFFFFFF
    )


# ---- Events, as integers -------------------------------------------------------------------------


class Cells(NamedTuple):
    """Casualties of one hour, sector and warfare type together; one row each."""

    hour: IntArray  # of the scenario
    sector: IntArray
    warfare: npt.NDArray[np.uint8]
    persons: IntArray


def _battle_events(tables: TimingTables, draw: Draw, counts: IntArray) -> list[IntArray]:
    """Return mass-casualty events and small groups of battle casualties [day, sector]."""
    cells = _cells(tables, draw, counts)
    where, size = _clusters(tables, draw(CLUSTERS), cells)
    in_clusters = np.bincount(where, size, len(cells.persons)).astype(np.int64)
    left = cells.persons - in_clusters
    fewest, most = tables.group_persons
    sizes = draw(GROUPS).integers(fewest, most + 1, left.sum(), np.uint8)
    group_where, group_size = split_into_groups(left, sizes)
    return [
        _events(tables, draw, cells, where, size, FROM_CLUSTER, MASS_CASUALTY),
        _events(tables, draw, cells, group_where, group_size, FROM_GROUP, SMALL_GROUP),
    ]


def _cells(tables: TimingTables, draw: Draw, counts: IntArray) -> Cells:
    """Return battle casualties [day, sector] split over warfare types and hours."""
    by_type = draw(WARFARE).multinomial(counts, tables.warfare_share)
    parts = []
    for i, (code, spread) in enumerate(zip(tables.warfare_types, tables.spreads, strict=True)):
        hours = spread(draw(HOUR + int(code)), by_type[:, :, i])
        day, sector, hour = np.nonzero(hours)
        persons = hours[day, sector, hour]
        parts.append((day * HOURS_PER_DAY + hour, sector, np.full(len(day), code), persons))
    return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _clusters(
    tables: TimingTables, rng: np.random.Generator, cells: Cells
) -> tuple[IntArray, IntArray]:
    """Return cell and size of each mass-casualty event.

    An hour with more than a few casualties has one chance of an event, and one more for each time
    it holds a further mean size, so that the share in such events does not depend on the total. A
    size is within its range, or all that the hour has where that is less.
    """
    fewest, most = tables.cluster_fewest[cells.warfare], tables.cluster_most[cells.warfare]
    chances = np.maximum(1, 2 * cells.persons // (fewest + most))
    chances[cells.persons <= tables.cluster_above] = 0
    number = rng.binomial(chances, tables.cluster_probability[cells.warfare])
    where = np.repeat(np.arange(len(number)), number)
    size = rng.integers(fewest[where], most[where] + 1)
    before = np.cumsum(size) - size
    first = np.flatnonzero(np.diff(where, prepend=-1))  # event of each cell that has any
    before -= np.repeat(before[first], number[where[first]])
    size = np.minimum(size, cells.persons[where] - before)
    stays = (size >= fewest[where]) | (before == 0)
    return where[stays], size[stays]


def _events(
    tables: TimingTables,
    draw: Draw,
    cells: Cells,
    where: AnyArray,
    size: AnyArray,
    source: int,
    kind: int,
) -> IntArray:
    """Return battle events in their cells, each early enough to end within its hour."""
    types = cells.warfare[where]
    latest = HOUR_S - tables.spread_s[kind, types]
    second = cells.hour[where] * HOUR_S + draw(SECOND + source).integers(0, latest)
    front = _fronts(tables, draw(FRONT + source), cells.sector[where])
    events = packed(second, front, types, kind=kind, casualty_class=BATTLE)
    events += size
    events -= 1
    return events


def _special_events(tables: TimingTables, draw: Draw, incidents: IntArray) -> IntArray:
    """Return the incidents (hour, persons, sector) of special events."""
    hour, persons, sector = incidents.T
    types = _labels(tables, draw(LABEL + FROM_SPECIAL), len(hour))
    cells = Cells(hour, sector, types, persons)
    return _events(tables, draw, cells, np.arange(len(hour)), persons, FROM_SPECIAL, SPECIAL)


def _individual_events(
    tables: TimingTables, draw: Draw, counts: IntArray, casualty_class: int
) -> IntArray:
    """Return non-battle injuries or disease [class, day, sector], one by one."""
    source, kind = INDIVIDUALS[casualty_class]
    share = tables.individual_hours[casualty_class]
    hours = draw(INDIVIDUAL_HOUR + casualty_class).multinomial(counts[casualty_class], share)
    day, sector, hour = np.nonzero(hours)
    persons = hours[day, sector, hour]
    total = int(persons.sum())
    second = np.repeat((day * HOURS_PER_DAY + hour) * HOUR_S, persons)
    second += draw(SECOND + source).integers(0, HOUR_S, total, np.uint16)
    front = _fronts(tables, draw(FRONT + source), np.repeat(sector.astype(np.int8), persons))
    types = _labels(tables, draw(LABEL + source), total)
    return packed(second, front, types, kind=kind, casualty_class=casualty_class)


def _fronts(tables: TimingTables, rng: np.random.Generator, sector: AnyArray) -> AnyArray:
    """Return the front of each event: its sector's, or drawn where it has none."""
    if len(tables.front_cumulative) == 1:
        return np.zeros(len(sector), np.uint8)
    if not tables.has_sectors:
        return _drawn(rng, tables.front_cumulative, len(sector))
    front = sector.astype(np.uint8)
    anywhere = np.flatnonzero(sector == ANY_SECTOR)
    front[anywhere] = _drawn(rng, tables.front_cumulative, len(anywhere))
    return front


def _labels(tables: TimingTables, rng: np.random.Generator, count: int) -> AnyArray:
    """Return a warfare type for each event that has none of its own, by share."""
    return tables.warfare_types[_drawn(rng, tables.warfare_cumulative, count)]


def _drawn(rng: np.random.Generator, cumulative: AnyArray, count: int) -> AnyArray:
    """Return indices drawn by cumulative probability."""
    if len(cumulative) == 1:
        return np.zeros(count, np.uint8)
    uniform = rng.random(count, np.float32)
    return np.searchsorted(cumulative, uniform, side="right").astype(np.uint8)


def _schedule(tables: TimingTables, draw: Draw, events: IntArray, name_key: int) -> Schedule:
    """Return sorted events unpacked, with their casualties in order of injury."""
    start, front, types, size, is_mass_casualty, kind, environment, delay = unpack_events(
        events,
        tables.environment,
        tables.discovery_minutes,
        draw(DISCOVERY).random(len(events), np.float32),
        tables.start_second_of_day,
    )
    others = int(size.sum(dtype=np.int64)) - len(size)
    draws = draw(OFFSETS).integers(0, 1 << 16, others, np.uint16)
    casualties = pack_casualties(start, size, kind, types, tables.spread_s, draws)
    casualties.sort()
    injured, event, casualty_class, position = unpack_casualties(casualties, events)
    return Schedule(
        injured_s=injured,
        event=event,
        casualty_class=casualty_class,
        position_in_event=position,
        event_start_s=start,
        event_front=front,
        event_warfare=types,
        event_size=size,
        event_is_mass_casualty=is_mass_casualty,
        event_kind=kind,
        event_environment=environment,
        event_discovery_delay_s=delay,
        start_second_of_day=tables.start_second_of_day,
        name_key=name_key,
    )
