"""The predecessor's viewer can open what it is given: its rules, as its documentation has them."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from medgen_pipeline.service.patient import Patient, patients_of
from medgen_pipeline.service.viewer import TAKEN, viewer_patient
from medgen_pipeline_tests.service.drawn import patients

EVENTS = {"arrival", "evacuation_start", "transit_start", "kia", "rtd", "remains_role4"}
COLUMNS = {"POI", "Role1", "Role2", "Role3", "Role4"}


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Patient, dict[str, Any]]]:
    return [(patient, viewer_patient(patient)) for patient in patients_of(patients())]


def test_a_patient_is_accepted(pairs: list[tuple[Patient, dict[str, Any]]]) -> None:
    """Id, nation, triage and final status are of the kinds the viewer takes."""
    for patient, shown in pairs:
        assert isinstance(shown["id"], int)
        assert shown["demographics"]["nationality"] == patient.nationality
        assert shown["triage_category"] in {"T1", "T2", "T3", "T4"}
        assert shown["final_status"] in {"KIA", "RTD", "Remains_Role4"}
        assert shown["last_facility"] in COLUMNS


def test_moves_are_in_the_columns_of_the_viewer(
    pairs: list[tuple[Patient, dict[str, Any]]],
) -> None:
    """Times rise, start with the injury, and end as the final status says."""
    endings = {"KIA": "kia", "RTD": "rtd", "Remains_Role4": "remains_role4"}
    for patient, shown in pairs:
        moves = shown["movement_timeline"]
        hours = [move["hours_since_injury"] for move in moves]
        assert {move["event_type"] for move in moves} <= EVENTS
        assert {move["facility"] for move in moves} <= COLUMNS
        assert hours == sorted(hours)
        assert hours[0] == 0
        assert moves[-1]["event_type"] == endings[shown["final_status"]]
        assert len(moves) + len(shown.get("care_timeline", [])) == len(patient.timeline)


def test_a_transit_ends_where_the_next_move_is(
    pairs: list[tuple[Patient, dict[str, Any]]],
) -> None:
    """Who leaves arrives after the transit's duration, at the facility it names."""
    transits = 0
    for _, shown in pairs:
        moves = shown["movement_timeline"]
        for move, later in pairwise(moves):
            if move["event_type"] == "transit_start" and later["event_type"] == "arrival":
                transits += 1
                assert move["to_facility"] == later["facility"]
                took: datetime = move["timestamp"] + timedelta(hours=move["transit_duration_hours"])
                assert abs(took - later["timestamp"]) < timedelta(seconds=1)
    assert transits > 10


def empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | dict | tuple) and not value)


def test_a_key_holds_something(pairs: list[tuple[Patient, dict[str, Any]]]) -> None:
    for _, shown in pairs:
        assert not [key for key, value in shown.items() if empty(value)]


def test_no_fact_is_lost(pairs: list[tuple[Patient, dict[str, Any]]]) -> None:
    """What the shape has no name for keeps ours, wherever it holds something."""
    for patient, shown in pairs:
        for name in set(Patient.__slots__) - TAKEN:
            value = getattr(patient, name)
            assert empty(value) or shown[name] == value
