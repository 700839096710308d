"""A patient in the JSON shape of the predecessor, which its timeline viewer opens.

A key appears only if it holds something. Facilities are the viewer's five columns; the units of our
scenario stand beside them as `unit`. What the shape has no place for stands under names of ours, so
that no fact is lost. The viewer itself refuses patients of T4, which its time did not know.
"""

import functools
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from medgen_pipeline.reference.conditions import concepts
from medgen_pipeline.service.patient import Patient, Row, row_names

Json = dict[str, Any]

CLASSES: Final = {
    "battle_injury": "Battle Injury",
    "non_battle_injury": "Non-Battle Injury",
    "disease": "Disease",
}
STATUS: Final = {"DNB": "Died", "EVACUATED": "Evacuated", "IN_CARE": "In Treatment"}
FINAL_STATUS: Final = {"KIA": "KIA", "DOW": "KIA", "DNB": "KIA", "RTD": "RTD"}
REMAINS: Final = "Remains_Role4"
FACILITIES: Final = {
    "POI": "POI",
    "ROLE1": "Role1",
    "ROLE2": "Role2",
    "ROLE3": "Role3",
    "ROLE4": "Role4",
}
MOVES: Final = {  # our events by the viewer's names; it knows no others
    "injured": "arrival",
    "evacuation_requested": "evacuation_start",
    "departed": "transit_start",
    "arrived": "arrival",
    "died": "kia",
    "returned_to_duty": "rtd",
    "left_theatre": "remains_role4",
    "clock_ended": "remains_role4",
}
BODY_PARTS: Final = {
    "head": "Head",
    "eyes": "Head",
    "ears": "Head",
    "face": "Head",
    "neck": "Head",
    "thorax": "Torso",
    "abdomen": "Torso",
}
HOUR_S: Final = 3600.0

# Columns that the shape itself holds, under other names.
TAKEN: Final = frozenset(
    {
        *("subject_id", "nationality", "sex", "casualty_class", "triage_assigned", "front"),
        *("given_name", "family_name", "birth_date", "religion", "weight_kg", "blood_group"),
        *("warfare_type", "event_id", "is_mass_casualty", "day", "injured_at", "environment"),
        *("injuries", "timeline", "treatments", "observations"),
    }
)


def viewer_patient(patient: Patient) -> Json:
    """Return a patient in the shape."""
    names = terms()
    injuries = _rows("injuries", patient.injuries)
    moves, care = _timeline(patient)
    return _held(
        {
            "id": patient.subject_id,
            "nationality": patient.nationality,
            "gender": patient.sex,
            "injury_type": CLASSES[patient.casualty_class],
            "triage_category": patient.triage_assigned,
            "status": STATUS.get(patient.outcome, patient.outcome),
            "front": patient.front,
            "final_status": FINAL_STATUS.get(patient.outcome, REMAINS),
            "last_facility": moves[-1]["facility"],
            "demographics": {
                "given_name": patient.given_name,
                "family_name": patient.family_name,
                "gender": patient.sex,
                "birthdate": patient.birth_date,
                "nationality": patient.nationality,
                "religion": patient.religion,
                "weight": patient.weight_kg,
                "blood_type": patient.blood_group,
            },
            "conditions": [_condition(patient.primary_condition_code, names)],
            "additional_conditions": [
                _condition(code, names)
                for code in dict.fromkeys(each["snomed_code"] for each in injuries)
                if code != patient.primary_condition_code
            ],
            "treatments": [
                {"timestamp": each.pop("given_at"), "location": each.pop("facility"), **each}
                for each in _rows("treatments", patient.treatments)
            ],
            "movement_timeline": moves,
            "injury_time": patient.injured_at,
            "scenario": patient.warfare_type,
            "event_id": patient.event_id,
            "mass_casualty": patient.is_mass_casualty or None,
            "day": f"Day {patient.day}",
            "body_part": _body_part(injuries[0]) if injuries else None,
            "environment": list(patient.conditions),
            "injuries": injuries,
            "care_timeline": care,
            "observations": _rows("observations", patient.observations),
            **{name: getattr(patient, name) for name in _others()},
        }
    )


@functools.cache
def terms() -> Mapping[str, str]:
    """Return the term of each SNOMED CT code that a condition can have."""
    return {concept.code: concept.term for concept in concepts()}


@functools.cache
def _others() -> tuple[str, ...]:
    return tuple(name for name in Patient.__slots__ if name not in TAKEN)


def _condition(code: str, names: Mapping[str, str]) -> Json:
    return {"code": code, "name": names.get(code)}


def _rows(table: str, rows: tuple[Row, ...]) -> list[Json]:
    names = row_names(table)
    return [_held(dict(zip(names, row, strict=True))) for row in rows]


def _held(found: Json) -> Json:
    """Return what holds something: a number or a bool always does."""
    return {key: each for key, each in found.items() if each not in (None, [], {}, ())}


def _body_part(injury: Json) -> str | None:
    side = {"left": "Left", "right": "Right"}.get(injury.get("side", ""))
    if injury["wound_region"] == "extremity":
        return f"{side} Limb" if side else "Limb"
    return BODY_PARTS.get(injury["wound_region"])


def _timeline(patient: Patient) -> tuple[list[Json], list[Json]]:
    """Return the moves that the viewer shows, and everything else that happened."""
    events = [dict(zip(row_names("timeline"), row, strict=True)) for row in patient.timeline]
    moves = [event for event in events if event["event_type"] in MOVES]
    care = [_held(event) for event in events if event["event_type"] not in MOVES]
    column = "POI"
    found = []
    for event, later in _with_next(moves):
        column = FACILITIES.get(event["role"], column)  # in transit: where it came from
        found.append(_held(_move(event, later, column, patient)))
    return found, care


def _with_next(moves: list[Json]) -> Iterator[tuple[Json, Json | None]]:
    yield from pairwise(moves)
    yield moves[-1], None


def _move(event: Json, later: Json | None, column: str, patient: Patient) -> Json:
    kind = MOVES[event["event_type"]]
    at: datetime = event["occurred_at"]
    found = {
        "event_type": kind,
        "facility": column,
        "timestamp": at,
        "hours_since_injury": _hours(patient.injured_at, at),
        "unit": event["facility"],
        "vehicle": event["vehicle"],
        "wait_minutes": event["wait_minutes"],
        "event": event["event_type"],
        "event_number": event["event_number"],
    }
    if kind in {"evacuation_start", "transit_start"}:
        found["triage_category"] = patient.triage_assigned
    if later is None:
        return found
    if kind == "evacuation_start":
        found["evacuation_duration_hours"] = _hours(at, later["occurred_at"])
    elif kind == "transit_start":
        found["transit_duration_hours"] = _hours(at, later["occurred_at"])
        found["from_facility"] = column
        found["to_facility"] = FACILITIES.get(later["role"], column)
    return found


def _hours(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds() / HOUR_S, 4)
