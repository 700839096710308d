"""Scenario data that the tests start from: valid, small, and fresh at every call."""

from collections.abc import Iterator
from typing import Any

from medgen_pipeline.scenario.catalogue import Catalogue

Json = dict[str, Any]
Path = tuple[str | int, ...]

SHIPPED_IDS = (
    "arctic-operation",
    "cbrn-incident",
    "coin",
    "coin-slow-evacuation",
    "conventional",
    "demo",
    "drone",
    "high-intensity",
    "maritime-operation",
    "mass-casualty",
    "nato-article-5",
    "peacekeeping",
    "sarin",
    "stabilisation",
    "training-exercise",
    "urban-assault",
)


def data_of(scenario_id: str) -> Json:
    """Return a shipped scenario as plain data, every default written out."""
    return Catalogue().get(scenario_id).model_dump(mode="json", exclude_none=True)


def smallest() -> Json:
    """Return the shortest data that is a scenario."""
    hold = {"T1": 1, "T2": 3, "T3": 6}
    leg = {"ground_minutes": 60}
    return {
        "id": "smallest",
        "title": "The smallest",
        "start": "2025-06-01T00:00:00Z",
        "days": 2,
        "patients": 50,
        "warfare": {"conventional": 1},
        "fronts": [{"id": "only", "share": 1, "nations": {"POL": 1}}],
        "facilities": {
            "role1": {"units": 2, "beds": 10, "hold_hours": hold},
            "role2": {"units": 1, "beds": 20, "operating_tables": 2, "hold_hours": hold},
            "role3": {"units": 1, "beds": 50, "operating_tables": 4, "hold_hours": hold},
        },
        "evacuation": {
            "point_of_injury_to_role1": leg,
            "point_of_injury_to_role2": leg,
            "role1_to_role2": {"ground_minutes": 60, "air_minutes": 20},
            "role2_to_role3": {"ground_minutes": 60, "air_minutes": 20},
            "role3_to_role4": leg,
        },
    }


def put(data: Json, path: Path, value: object) -> Json:
    """Return the data with a value put at a path, changed in place."""
    holder: Any = data
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return data


def paths(value: object, here: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the path and value of everything inside plain data, parts before what is in them."""
    items = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else items
    for step, part in inside:
        yield (*here, step), part
        yield from paths(part, (*here, step))
