"""The `patients` table: who each casualty is and what became of them, for any set of subjects."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.simulation import person, scores
from medgen_pipeline.simulation.compiled import entry_point
from medgen_pipeline.simulation.diagnoses import written_down
from medgen_pipeline.simulation.origin import Origin
from medgen_pipeline.simulation.parameters import DAY_S
from medgen_pipeline.simulation.rows import Column, Rows
from medgen_pipeline.simulation.schedule import Schedule
from medgen_pipeline.simulation.state import NOT_YET, Records

NOT_SORTED = 255
EXPECTANT = 3
DEATHS = [vocabulary.OUTCOMES.index(outcome) for outcome in ("KIA", "DOW", "DNB")]
# Mechanism groups with the penetrating coefficients of TRISS; all others have the blunt ones.
PENETRATING = [vocabulary.MECHANISM_GROUPS.index(group) for group in ("explosion", "gunshot")]


@entry_point
def triss(
    rts: npt.NDArray[np.float32],
    iss: npt.NDArray[np.uint8],
    age_years: npt.NDArray[np.uint8],
    is_penetrating: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    """Return the probability of survival by TRISS."""
    survival = np.empty(len(rts), np.float32)
    for index in range(len(rts)):
        survival[index] = scores.triss(
            float(rts[index]), int(iss[index]), int(age_years[index]), is_penetrating[index]
        )
    return survival


def patient_rows(origin: Origin, schedule: Schedule, subjects: npt.NDArray[np.int64]) -> Rows:
    """Return the rows of some subjects, in the order given."""
    record = origin.casualties[subjects]
    event = schedule.event[subjects]
    casualty_class = schedule.casualty_class[subjects]
    front = schedule.event_front[event].astype(np.int16)
    injured_s = schedule.injured_s[subjects]
    people = person.people(
        origin.people, origin.key_0, origin.key_1, subjects, front, casualty_class, injured_s
    )
    events, event_code = np.unique(event, return_inverse=True)
    rts = np.maximum(record["rts"], np.float32(0))
    columns: dict[str, Column] = {
        "subject_id": origin.ids(subjects),
        "event_id": event_code.astype(np.int32),
        "front": front,
        "warfare_type": schedule.event_warfare[event],
        "casualty_class": casualty_class,
        "is_mass_casualty": schedule.event_is_mass_casualty[event].astype(np.int8),
        "environment": schedule.event_environment[event],
        "injured_at": origin.times(injured_s),
        "day": (injured_s // DAY_S + 1).astype(np.uint16),
        **people,
        "primary_condition_code": _copy(record, "primary_code"),
        "recorded_diagnosis_code": written_down(
            origin.diagnoses,
            origin.key_0,
            origin.key_1,
            subjects,
            _copy(record, "primary_code"),
            _copy(record, "primary_site"),
            _copy(record, "last_contact"),
        ),
        "rts": rts,
        "triss_survival": triss(
            rts,
            _copy(record, "iss"),
            _ages(people),
            np.isin(record["mechanism_group"], PENETRATING),
        ),
        "triage_assigned": np.where(
            record["triage_assigned"] == NOT_SORTED, np.uint8(EXPECTANT), record["triage_assigned"]
        ),
        "minutes_to_first_care": _minutes(record, "first_care_at"),
        "minutes_to_tourniquet": _minutes(record, "tourniquet_at"),
        "minutes_to_facility": _minutes(record, "facility_at"),
        "minutes_to_surgery": _minutes(record, "surgery_at"),
        "blood_units": record["blood_units"].astype(np.uint16),
        "outcome_at": origin.times(record["outcome_at"]),
        "disability_code": np.where(
            np.isin(record["outcome"], DEATHS), np.int8(-1), record["disability"]
        ),
        **{name: _copy(record, name) for name in _AS_RECORDED},
    }
    codes = origin.words.conditions
    return Rows(
        "patients",
        columns,
        {
            "event_id": schedule.event_names(events),
            "front": origin.words.fronts,
            "primary_condition_code": codes,
            "recorded_diagnosis_code": codes,
            "disability_code": origin.words.disabilities,
            "outcome_facility": origin.words.facilities,
            **origin.people.words,
        },
    )


_AS_RECORDED = (
    "mechanism",
    "mechanism_group",
    "injury_count",
    "max_ais",
    "iss",
    "niss",
    "shock_index",
    "triage_true",
    "is_potentially_survivable",
    "tourniquet_before_shock",
    "outcome",
    "outcome_facility",
    "death_cause",
    "days_to_duty",
    "chemical_dose_mg_min_m3",
)


def _copy(record: Records, name: str) -> npt.NDArray[Any]:
    return np.ascontiguousarray(record[name])


def _minutes(record: Records, name: str) -> npt.NDArray[np.float32]:
    minutes = (record[name] - record["injured_at"]).astype(np.float32) / np.float32(60)
    return np.where(record[name] == NOT_YET, np.float32(np.nan), minutes)


def _ages(people: dict[str, Column]) -> npt.NDArray[np.uint8]:
    ages = people["age_years"]
    if not isinstance(ages, np.ndarray):
        raise TypeError("age_years is an array of numbers")
    return ages
