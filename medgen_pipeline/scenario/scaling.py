"""A scenario made larger or smaller, and what identifies it.

More patients meet more units, not larger ones: queues form at each unit, and a thousand brigades
have a thousand Role 2, not one of a thousand tables.
"""

import hashlib
import json
from typing import Any, Final

from medgen_pipeline.scenario.model import MOST_STRENGTH, MOST_VEHICLES, Scenario
from medgen_pipeline.scenario.totals import class_mix, expected_patients, strength
from medgen_pipeline.scenario.validation import parse

# Our own choice: below the limit of `rules.MAX_UNITS` with room for rounding. Beyond it units grow.
MOST_UNITS: Final = 25_000
# Our own choice: most events hurt one to three, and a unit must be able to take in one event.
LEAST_BEDS: Final = 4

_FRONT_ROLES: Final = ("role1", "role2")

Json = dict[str, Any]


def with_patients(scenario: Scenario, patients: int, *, keep_capacity: bool = False) -> Scenario:
    """Return the scenario with an exact total of patients, its force and capacity in proportion.

    With `keep_capacity` facilities and vehicles stay as written, to see them meet more casualties.
    """
    factor = max(1, patients) / expected_patients(scenario)  # below 1 is refused in the end
    data = scenario.model_dump()
    data |= {"patients": patients, "rates": None, "class_mix": class_mix(scenario)}
    data["special_events"] = [
        event for event in (_event(event, factor) for event in data["special_events"]) if event
    ]
    at_risk = strength(scenario)
    for front in data["fronts"]:
        if scenario.rates is not None:  # they follow the strength, where a total follows the share
            front["share"] = front["strength"] / at_risk
        front["strength"] = min(MOST_STRENGTH, _at_least_one(front["strength"] * factor))
    if not keep_capacity:
        _scale_facilities(data, factor)
        vehicles = data["evacuation"]["vehicles"]
        for kind, number in vehicles.items():
            vehicles[kind] = min(MOST_VEHICLES, _count(number, factor))
    return parse(data, scenario.id)


def with_seed(scenario: Scenario, seed: int) -> Scenario:
    """Return the scenario with another seed."""
    return parse(scenario.model_dump() | {"seed": seed}, scenario.id)


def with_replicates_per_batch(scenario: Scenario, replicates: int) -> Scenario:
    """Return the scenario with another number of replicates in each batch."""
    return parse(scenario.model_dump() | {"replicates_per_batch": replicates}, scenario.id)


def fingerprint(scenario: Scenario) -> str:
    """Return a SHA-256 over all that the scenario says, whatever the order it was written in.

    A start keeps the zone it is written in, because hours of the day are those of that zone.
    """
    data = scenario.model_dump(mode="json")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _event(event: Json, factor: float) -> Json | None:
    """Return a special event to scale; None if nobody is left in it."""
    if event["casualties"] is None:
        return event
    casualties = int(event["casualties"] * factor)
    return event | {"casualties": casualties} if casualties else None


def _scale_facilities(data: Json, factor: float) -> None:
    common = data["facilities"]
    own = [front["facilities"] for front in data["fronts"]]
    used = [groups[role] or common[role] for groups in own for role in _FRONT_ROLES]
    wanted = sum(group["units"] for group in [*used, common["role3"]]) * factor
    share = min(1.0, MOST_UNITS / wanted)
    for groups in [common, *own]:
        for role, group in groups.items():
            if group is not None:
                groups[role] = _group(group, factor, share)


def _group(group: Json, factor: float, share: float) -> Json:
    """Return a group with `factor` times its capacity, in `factor * share` times its units."""
    wanted = group["units"] * factor
    if wanted == 0:
        return group
    units = _at_least_one(wanted * share)
    growth = wanted / units
    beds, tables = group["beds"], group["operating_tables"]
    return group | {
        "units": units,
        "beds": max(min(beds, LEAST_BEDS), round(beds * growth)),
        "operating_tables": _count(tables, growth),
    }


def _count(number: int, factor: float) -> int:
    """Return a number to scale; what was there at all does not vanish."""
    return _at_least_one(number * factor) if number else 0


def _at_least_one(number: float) -> int:
    return max(1, round(number))
