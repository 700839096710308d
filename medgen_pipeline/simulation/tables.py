"""Records of the event loop as rows of their tables.

Columns may share memory with the records, so those must stay as they are.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.treatments import treatments
from medgen_pipeline.simulation.diagnoses import written_down
from medgen_pipeline.simulation.origin import Origin
from medgen_pipeline.simulation.parameters import HOUR_S
from medgen_pipeline.simulation.rows import Column, Rows
from medgen_pipeline.simulation.state import CONTACT, HOUR, INJURY, NEVER_SEEN, VITALS, Records

CONTACT_OF_ROLE: Final = np.array(
    [
        getattr(CONTACT, "POINT_OF_INJURY" if role == "POI" else role, NEVER_SEEN)
        for role in vocabulary.ROLES
    ],
    np.uint8,
)


class TreatmentCodes(NamedTuple):
    """How a treatment is coded: the code's place in `words`, and the unit of its quantity."""

    words: tuple[str, ...]
    code: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int8]


@functools.cache
def treatment_codes() -> TreatmentCodes:
    """Return the SNOMED CT codes and units of the treatments, by treatment."""
    catalogue = treatments()
    words = tuple(dict.fromkeys(t.code for t in catalogue))
    units = [-1 if t.unit is None else vocabulary.UNITS.index(t.unit) for t in catalogue]
    return TreatmentCodes(
        words,
        np.array([words.index(t.code) for t in catalogue], np.int16),
        np.array(units, np.int8),
    )


def table_rows(origin: Origin, table: str, found: Records) -> Rows:
    """Return what the loop found as rows of a table."""
    return TABLES[table](origin, found)


def _injuries(origin: Origin, found: Records) -> Rows:
    return Rows(
        "injuries",
        {
            "subject_id": origin.ids(found["subject"]),
            "snomed_code": found["code"],
            **_as_found(found, _INJURY_COLUMNS),
        },
        {"snomed_code": origin.words.conditions},
    )


def _timeline(origin: Origin, found: Records) -> Rows:
    return Rows(
        "timeline",
        {
            "subject_id": origin.ids(found["subject"]),
            "occurred_at": origin.times(found["occurred_at"]),
            "event_number": found["event_number"] + np.uint16(1),
            **_as_found(found, _TIMELINE_COLUMNS),
        },
        {"facility": origin.words.facilities},
    )


def _treatments(origin: Origin, found: Records) -> Rows:
    codes, treatment = treatment_codes(), found["treatment"]
    return Rows(
        "treatments",
        {
            "subject_id": origin.ids(found["subject"]),
            "given_at": origin.times(found["given_at"]),
            "treatment_number": found["treatment_number"] + np.uint16(1),
            "snomed_code": codes.code[treatment],
            "unit": np.where(np.isnan(found["quantity"]), np.int8(-1), codes.unit[treatment]),
            **_as_found(found, _TREATMENT_COLUMNS),
        },
        {"facility": origin.words.facilities, "snomed_code": origin.words.treatments},
    )


def _observations(origin: Origin, found: Records) -> Rows:
    subjects = found["subject"].astype(np.int64)
    diagnosis = written_down(
        origin.diagnoses,
        origin.key_0,
        origin.key_1,
        subjects,
        origin.casualties["primary_code"][subjects],
        origin.casualties["primary_site"][subjects],
        CONTACT_OF_ROLE[found["role"]],
    )
    return Rows(
        "observations",
        {
            "subject_id": origin.ids(subjects),
            "observed_at": origin.times(found["observed_at"]),
            "diagnosis_code": diagnosis,
            **_as_found(found, _VITALS_COLUMNS),
        },
        {"diagnosis_code": origin.words.conditions},
    )


def _facility_hours(origin: Origin, found: Records) -> Rows:
    facility = found["facility"]
    return Rows(
        "facility_hours",
        {
            "facility": facility,
            "role": origin.facilities["role"][facility],
            "front": origin.facilities["front"][facility],
            "hour": origin.times(found["hour"] * np.int32(HOUR_S)),
            **_as_found(found, _HOUR_COLUMNS),
        },
        {"facility": origin.words.facilities, "front": origin.words.fronts},
    )


TABLES: Final[Mapping[str, Callable[[Origin, Records], Rows]]] = {
    "injuries": _injuries,
    "timeline": _timeline,
    "treatments": _treatments,
    "observations": _observations,
    "facility_hours": _facility_hours,
}


def _as_found(found: Records, names: tuple[str, ...]) -> dict[str, Column]:
    return {name: found[name] for name in names}


_INJURY_COLUMNS: Final = tuple(n for n in INJURY.names or () if n not in {"subject", "code"})
_TIMELINE_COLUMNS: Final = ("event_type", "facility", "role", "vehicle", "wait_minutes")
_TREATMENT_COLUMNS: Final = (
    "treatment",
    "facility",
    "role",
    "provider",
    "body_region",
    "quantity",
    "is_effective",
)
_VITALS_COLUMNS: Final = tuple(n for n in VITALS.names or () if n not in {"subject", "observed_at"})
_HOUR_COLUMNS: Final = tuple(n for n in HOUR.names or () if n not in {"hour", "facility"})
