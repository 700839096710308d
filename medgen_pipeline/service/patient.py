"""A patient as one immutable value: the columns of a row, and the course of care as tuples.

A row of a course is a tuple in the order of the schema: `row_names` gives its names. Words are
shared between patients, so that a patient holds little more than numbers, times and references.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.reference.vocabulary import ENVIRONMENT_CONDITIONS
from medgen_pipeline.service.courses import row_type

Row = tuple[Any, ...]  # of a course, in the order of `row_names` of its table
Rows = tuple[Row, ...]

SECOND_US: Final = 1_000_000


def _flag(condition: str) -> property:
    """Return an accessor of one bit of the environment."""
    bit = ENVIRONMENT_CONDITIONS.index(condition)

    def is_set(patient: "Patient") -> bool:
        return bool(patient.environment >> bit & 1)

    return property(is_set, doc=f"Whether the incident happened under {condition}.")


@dataclass(frozen=True, slots=True)
class Patient:
    """One casualty; each field is the column of its name, and says there what it means."""

    replicate: int
    subject_id: int
    event_id: str
    front: str
    warfare_type: str
    mechanism: str
    mechanism_group: str
    casualty_class: str
    is_mass_casualty: bool
    environment: int
    injured_at: datetime
    day: int
    nationality: str
    sex: str
    age_years: int
    birth_date: date
    given_name: str
    family_name: str
    service_number: str
    blood_group: str
    weight_kg: float
    religion: str | None
    allergy_codes: tuple[str, ...]
    primary_condition_code: str
    recorded_diagnosis_code: str | None
    injury_count: int
    max_ais: int
    iss: int
    niss: int
    rts: float
    triss_survival: float
    shock_index: float | None
    triage_true: str
    triage_assigned: str
    is_potentially_survivable: bool | None
    minutes_to_first_care: float | None
    minutes_to_tourniquet: float | None
    minutes_to_facility: float | None
    minutes_to_surgery: float | None
    tourniquet_before_shock: bool | None
    blood_units: int
    outcome: str
    outcome_at: datetime
    outcome_facility: str
    death_cause: str | None
    disability_code: str | None
    days_to_duty: float | None
    chemical_dose_mg_min_m3: float | None
    injuries: Rows
    timeline: Rows
    treatments: Rows
    observations: Rows

    in_night_operations = _flag("night_operations")
    in_rain = _flag("rain")
    in_fog = _flag("fog")
    in_storm = _flag("storm")
    in_extreme_heat = _flag("extreme_heat")
    in_extreme_cold = _flag("extreme_cold")
    in_dust_storm = _flag("dust_storm")
    in_mountainous_terrain = _flag("mountainous_terrain")
    in_urban_debris = _flag("urban_debris")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions at the incident, by name."""
        return tuple(
            name for bit, name in enumerate(ENVIRONMENT_CONDITIONS) if self.environment >> bit & 1
        )


def row_names(table: str) -> tuple[str, ...]:
    """Return the names of a row's values."""
    return tuple(field.name for field in row_type(table))


def patients_of(batch: pa.RecordBatch) -> Iterator[Patient]:
    """Yield the patients of a batch that `courses` made; without courses they have no rows."""
    names = batch.schema.names
    columns = [values(batch.column(name)) for name in names if name not in COURSE]
    courses = [
        _courses(batch.column(table)) if table in names else [()] * len(batch) for table in COURSE
    ]
    for row in zip(*columns, *courses, strict=True):
        yield Patient(*row)


def values(column: Any) -> list[Any]:  # noqa: ANN401  an Arrow array, which has no type
    """Return a column as plain values; a float is the shortest one that stands for it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        words = [*column.dictionary.to_pylist(), None]
        return [words[code] for code in column.indices.fill_null(len(words) - 1).to_pylist()]
    if pa.types.is_timestamp(kind):
        times = column.cast(pa.int64()).to_pylist()
        return [datetime.fromtimestamp(time / SECOND_US, UTC) for time in times]
    if pa.types.is_floating(kind):
        texts = pc.cast(column, pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if pa.types.is_list(kind):
        return [tuple(each) for each in column.to_pylist()]
    found: list[Any] = column.to_pylist()
    return found


def _courses(column: Any) -> list[Rows]:  # noqa: ANN401  an Arrow array, which has no type
    """Return the rows of each patient."""
    rows = list(zip(*(values(child) for child in column.flatten().flatten()), strict=True))
    starts = pc.subtract(column.offsets, column.offsets[0]).to_pylist()
    return [tuple(rows[a:b]) for a, b in pairwise(starts)]
