"""A patient is an immutable value with every column, and small."""

import dataclasses

import pytest

from medgen_pipeline.dataset.schema import PATIENTS
from medgen_pipeline.generation.finished import COURSE
from medgen_pipeline.reference.vocabulary import ENVIRONMENT_CONDITIONS
from medgen_pipeline.service.patient import Patient, patients_of, row_names
from medgen_pipeline_tests.service.drawn import patients


@pytest.fixture(scope="module")
def first() -> Patient:
    return next(patients_of(patients()))


def test_its_fields_are_the_columns() -> None:
    """In the order of the schema, then the tables of the course."""
    names = [field.name for field in dataclasses.fields(Patient)]
    assert names == [column.name for column in PATIENTS.columns] + list(COURSE)


def test_it_has_no_dictionary_and_does_not_change(first: Patient) -> None:
    assert not hasattr(first, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.iss = 3  # type: ignore[misc]


def test_it_holds_what_the_columns_hold() -> None:
    """Each value of each patient, and each row of its course in its order."""
    rows = patients().to_pylist()
    for patient, row in zip(patients_of(patients()), rows, strict=True):
        assert (patient.subject_id, patient.outcome) == (row["subject_id"], row["outcome"])
        assert patient.injured_at == row["injured_at"]
        assert patient.rts == pytest.approx(row["rts"], rel=1e-6)
        for table in COURSE:
            names = row_names(table)
            held = [dict(zip(names, each, strict=True)) for each in getattr(patient, table)]
            assert [list(each) for each in held] == [list(each) for each in row[table]]
            for name in ("ais", "occurred_at", "treatment", "heart_rate_bpm"):
                if name in names:
                    assert [e[name] for e in held] == [e[name] for e in row[table]]


def test_the_environment_by_name(first: Patient) -> None:
    """Each bit has an accessor, and they agree with the list of conditions."""
    for bit, name in enumerate(ENVIRONMENT_CONDITIONS):
        only = dataclasses.replace(first, environment=1 << bit)
        assert only.conditions == (name,)
        flags = [getattr(only, f"in_{each}") for each in ENVIRONMENT_CONDITIONS]
        assert flags == [each == name for each in ENVIRONMENT_CONDITIONS]


def test_without_a_course() -> None:
    """Patients alone have no rows."""
    patient = next(patients_of(patients().drop_columns(list(COURSE))))
    assert patient.timeline == ()
