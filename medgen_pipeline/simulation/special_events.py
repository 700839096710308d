"""Major offensives, ambushes and mass-casualty events: which day and hour, and how many casualties.

An event whose casualties the scenario states has exactly those, beyond the ordinary run of days.
Any other takes a share of its day's battle casualties, never more than are left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.warfare import HOURS_PER_DAY, SpecialEventRule, warfare
from medgen_pipeline.scenario.model import Scenario, SpecialEvent

IntArray = npt.NDArray[np.int64]

ANY_SECTOR = -1


class Incident(NamedTuple):
    """Casualties of one incident of a special event."""

    hour: int  # of the scenario
    persons: int
    sector: int  # whose casualties they are, or ANY_SECTOR


@dataclass(frozen=True, slots=True)
class SpecialPlan:
    """One special event of a scenario, with what its kind fills in."""

    rule: SpecialEventRule
    days: tuple[int, ...]  # from 0; empty when each day has a probability
    hours: tuple[int, ...]  # of the scenario's day
    casualties: int | None
    is_theatre_wide: bool


def special_plans(scenario: Scenario) -> tuple[SpecialPlan, ...]:
    """Return the scenario's special events with their days and hours within it."""
    return tuple(_plan(event, scenario) for event in scenario.special_events)


def _plan(event: SpecialEvent, scenario: Scenario) -> SpecialPlan:
    rule = warfare().special_events[event.kind]
    clock = rule.start_hours if event.hour is None else (event.hour,)
    return SpecialPlan(
        rule=rule,
        days=_days(event, rule, scenario.days),
        hours=tuple((hour - scenario.start.hour) % HOURS_PER_DAY for hour in clock),
        casualties=event.casualties,
        is_theatre_wide=event.kind == "major_offensive",
    )


def _days(event: SpecialEvent, rule: SpecialEventRule, days: int) -> tuple[int, ...]:
    """Return the days it may happen on; of the rule's days, the last one if none is within."""
    if event.day is not None:
        return (event.day - 1,)
    if rule.days:
        return tuple(day - 1 for day in rule.days if day <= days) or (days - 1,)
    return tuple(range(days)) if event.casualties is not None else ()


def draw_special_events(
    plans: tuple[SpecialPlan, ...], rng: np.random.Generator, counts: IntArray
) -> tuple[IntArray, IntArray]:
    """Return what is left of the battle casualties [day, sector], and the incidents.

    Incidents are rows of hour of the scenario, persons, sector.
    """
    left = counts.copy()
    incidents: list[Incident] = []
    for plan in plans:
        for day in _days_drawn(plan, rng, len(counts)):
            hour = plan.hours[rng.integers(len(plan.hours))]
            for sector, persons in _taken(plan, rng, counts[day], left[day]):
                incidents += _incidents(plan.rule, rng, (day, hour), sector, persons)
    return left, np.array(incidents, np.int64).reshape(-1, len(Incident._fields))


def _days_drawn(plan: SpecialPlan, rng: np.random.Generator, days: int) -> list[int]:
    if not plan.days:
        return [int(day) for day in np.flatnonzero(rng.random(days) < plan.rule.daily_probability)]
    if plan.casualties is not None:
        return [plan.days[rng.integers(len(plan.days))]]
    return list(plan.days)


def _taken(
    plan: SpecialPlan, rng: np.random.Generator, whole: IntArray, left: IntArray
) -> Iterator[tuple[int, int]]:
    """Yield sector and persons of an event; what it takes of a day is taken off `left`."""
    if plan.casualties is not None:
        yield ANY_SECTOR, plan.casualties
        return
    share = rng.uniform(plan.rule.share_low, plan.rule.share_high)
    if plan.is_theatre_wide:
        sectors, wanted = range(len(left)), np.floor(share * whole)
    else:
        place = rng.random() * left.sum()
        sector = int(np.searchsorted(np.cumsum(left), place, side="right"))
        sectors = range(sector, min(sector + 1, len(left)))  # none when nobody is left
        wanted = np.full(len(left), np.floor(share * whole.sum()))
    for sector in sectors:
        persons = int(min(wanted[sector], left[sector], plan.rule.persons_cap or np.inf))
        left[sector] -= persons
        yield sector, persons


def _incidents(
    rule: SpecialEventRule,
    rng: np.random.Generator,
    start: tuple[int, int],
    sector: int,
    persons: int,
) -> Iterator[Incident]:
    """Yield the incidents of an event: spread over its hours within the day, none too large."""
    day, hour = start
    hours = min(rule.length_hours, HOURS_PER_DAY - hour)
    first = day * HOURS_PER_DAY + hour
    for offset, here in enumerate(rng.multinomial(persons, np.full(hours, 1.0 / hours))):
        parts = -(-int(here) // rule.incident_persons)
        for part in range(parts):
            yield Incident(first + offset, (int(here) + part) // parts, sector)
