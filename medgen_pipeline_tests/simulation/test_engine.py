"""A replicate from nothing to rows: whole, in order, and in little memory."""

from itertools import pairwise

import numpy as np
import pytest

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.treatments import treatments
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.simulation import engine as engines
from medgen_pipeline.simulation.engine import SUBJECTS_PER_REPLICATE, Replicate, engine
from medgen_pipeline.simulation.kernel import MARGIN
from medgen_pipeline.simulation.rows import Dictionary
from medgen_pipeline.simulation.state import RECORD
from medgen_pipeline_tests.simulation.operations import operation, rates
from medgen_pipeline_tests.simulation.running import small, tables

NO_RATE = {"family": "constant", "mean_per_1000": 0.0001}


def words_of(dictionary: Dictionary) -> list[str]:
    """Return the words of a dictionary, however they are held."""
    if isinstance(dictionary, tuple):
        return list(dictionary)
    text = dictionary.data.tobytes()
    return [text[a:b].decode() for a, b in pairwise(dictionary.offsets.tolist())]


def test_subjects_are_numbered_from_1_in_order_of_injury_within_their_replicate() -> None:
    patients = tables(small(), replicate=7)["patients"]
    first = 7 * SUBJECTS_PER_REPLICATE + 1
    assert patients["subject_id"].tolist() == list(range(first, first + 50))
    assert (np.diff(patients["injured_at"]) >= 0).all()


def test_every_casualty_has_one_outcome_and_they_are_counted_as_they_come() -> None:
    running = Replicate(engine(small(patients=400), buffer_rows=256), 0)
    counts = [sum(running.outcome_counts.values()) for _ in running.rows()]
    assert counts == sorted(counts)
    assert counts[-1] == running.casualties == 400
    assert len(set(counts)) > 10


def test_a_replicate_without_casualties_has_no_patients() -> None:
    """At a rate of one casualty in 10,000 years of the force there is none in two days."""
    quiet = operation(patients=None, rates=rates(NO_RATE))
    running = Replicate(engine(quiet), 0)
    assert running.casualties == 0
    assert {rows.table for rows in running.rows()} == set()


def test_buffers_too_small_for_one_event_are_refused() -> None:
    with pytest.raises(ValueError, match=f"buffer_rows is {MARGIN - 1}; must be at least {MARGIN}"):
        engine(small(), buffer_rows=MARGIN - 1)


def test_patients_in_blocks_are_the_patients_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of an event are those of its block; the words are the same."""

    def words() -> list[str]:
        found = []
        for rows in Replicate(engine(small(patients=300)), 0).rows():
            if rows.table == "patients":
                names = words_of(rows.dictionaries["event_id"])
                codes = rows.columns["event_id"]
                assert isinstance(codes, np.ndarray)
                found += [names[code] for code in codes.tolist()]
        return found

    whole = words()
    before = tables(small(patients=300))["patients"]
    monkeypatch.setattr(engines, "PATIENTS_PER_BLOCK", 77)
    after = tables(small(patients=300))["patients"]
    assert words() == whole
    for column in before.keys() - {"event_id"}:
        np.testing.assert_array_equal(before[column], after[column], column)


def test_memory_follows_those_in_theatre_and_not_all_who_were_ever_hurt() -> None:
    """Over months a slot serves many casualties; what is kept of each is at most 64 bytes."""
    long = with_patients(Catalogue().get("stabilisation"), 20_000)
    running = Replicate(engine(long), 0)
    arrays = running.arrays
    for _ in running.rows():
        pass
    assert len(arrays["live"]) < 20_000 / 5
    assert RECORD.itemsize <= 64


def test_a_replicate_gives_back_the_loop_before_patients_are_made() -> None:
    running = Replicate(engine(small()), 0)
    held = [set(running.arrays) for rows in running.rows() if rows.table == "patients"]
    assert held == [{"records"}]


def test_treatments_carry_the_code_and_unit_of_the_catalogue() -> None:
    catalogue = treatments()
    rows = [
        rows
        for rows in Replicate(engine(small(patients=500)), 0).rows()
        if rows.table == "treatments"
    ]
    columns = {name: np.asarray(column) for name, column in rows[0].columns.items()}
    codes = words_of(rows[0].dictionaries["snomed_code"])
    for number in range(len(rows[0])):
        given = catalogue[columns["treatment"][number]]
        assert codes[columns["snomed_code"][number]] == given.code
        unit = columns["unit"][number]
        if np.isnan(columns["quantity"][number]):
            assert unit == -1
        else:
            assert vocabulary.UNITS[unit] == given.unit


def test_rows_stay_as_they_were_handed_out() -> None:
    """They are written while the loop goes on in other memory, also those of a single row."""
    running = Replicate(engine(small(patients=200), buffer_rows=MARGIN), 0)
    kept, copies = [], []
    for rows in running.rows():
        arrays = [array for array in rows.columns.values() if isinstance(array, np.ndarray)]
        kept += arrays
        copies += [array.copy() for array in arrays]
    assert 1 in {len(array) for array in kept}
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
