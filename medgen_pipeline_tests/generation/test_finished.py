"""A patient's course of care comes out whole, once, and equal to the tables of the dataset."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from medgen_pipeline.generation.finished import COURSE, Finished, finished_patients
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.simulation.engine import BUFFER_ROWS, SUBJECTS_PER_REPLICATE, engine
from medgen_pipeline.simulation.rows import Rows
from medgen_pipeline_tests.simulation.running import tables

SMALL_BUFFER = 400  # some 30 casualties, so that most are under care when it is handed over
Columns = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return with_patients(Catalogue().get("demo"), 300)


def finished(scenario: Scenario, replicate: int, buffer_rows: int) -> list[Finished]:
    return list(finished_patients(engine(scenario, buffer_rows=buffer_rows), [replicate]))


def columns(parts: list[Rows]) -> Columns:
    """Return the numbers of rows as one, in the order of patient, then as they came."""
    held = [numbers(part) for part in parts]
    return by_patient({name: np.concatenate([part[name] for part in held]) for name in held[0]})


def numbers(rows: Rows) -> Columns:
    return {name: each for name, each in rows.columns.items() if isinstance(each, np.ndarray)}


def by_patient(table: Columns) -> Columns:
    order = np.argsort(table["subject_id"], kind="stable")
    return {name: column[order] for name, column in table.items()}


@pytest.mark.parametrize("buffer_rows", [SMALL_BUFFER, BUFFER_ROWS])
@pytest.mark.parametrize("table", COURSE)
def test_a_course_is_that_of_the_dataset(scenario: Scenario, table: str, buffer_rows: int) -> None:
    """Every row of every patient, in the same order, whatever the buffer that it came through."""
    parts = [each.course()[table] for each in finished(scenario, 1, buffer_rows)]
    expected = by_patient(tables(scenario, 1)[table])
    for name, column in columns(parts).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


@pytest.mark.parametrize("buffer_rows", [SMALL_BUFFER, BUFFER_ROWS])
def test_patients_are_those_of_the_dataset(scenario: Scenario, buffer_rows: int) -> None:
    """Each patient once, with the same facts; codes of an event are those of its portion."""
    found = columns([each.patients() for each in finished(scenario, 1, buffer_rows)])
    expected = tables(scenario, 1)["patients"]
    assert len(found["subject_id"]) == 300
    for name in found.keys() - {"event_id"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_patients_come_when_they_are_done(scenario: Scenario) -> None:
    """The first leave while others are still to be hurt, in portions ordered by injury."""
    portions = finished(scenario, 0, SMALL_BUFFER)
    assert len(portions) > 5
    for portion in portions:
        assert (np.diff(numbers(portion.patients())["subject_id"]) > 0).all()
    first, last = numbers(portions[0].patients()), numbers(portions[-1].patients())
    assert first["outcome_at"].max() < last["injured_at"].max()


def test_rows_are_found_by_patient(scenario: Scenario) -> None:
    """The rows of a patient are those between its two starts."""
    for portion in finished(scenario, 2, SMALL_BUFFER):
        ids = numbers(portion.patients())["subject_id"]
        for table, rows in portion.course().items():
            lengths = np.diff(portion.starts[table])
            np.testing.assert_array_equal(numbers(rows)["subject_id"], np.repeat(ids, lengths))


def test_replicates_follow_one_another(scenario: Scenario) -> None:
    """Without a list of replicates they go on from the first for as long as someone asks."""
    coming = finished_patients(engine(scenario))
    seen = [next(coming).replicate for _ in range(3)]
    assert seen == [0, 1, 2]
    ids = numbers(next(coming).patients())["subject_id"]
    assert ids.min() == 3 * SUBJECTS_PER_REPLICATE + 1
