"""What is written down for a casualty, and what their wounds leave."""

import functools

import numpy as np
import numpy.typing as npt
import pytest

from medgen_pipeline.reference import conditions, diagnoses, disabilities, vocabulary
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.diagnoses import diagnosis_tables, written_down
from medgen_pipeline.simulation.state import NEVER_SEEN
from medgen_pipeline_tests.proportions import chi_square_z
from medgen_pipeline_tests.simulation.running import Columns, is_outcome, small, tables

MANY = 20_000
KEY_0, KEY_1 = streams.replicate_key(7, 0)
THIGH = [site.name for site in conditions.sites()].index("thigh")
FRACTURE = conditions.concept_numbers()["28576007"]  # open, of the femur


def recorded(last_contact: int, **accuracy: float) -> npt.NDArray[np.int16]:
    """Return what is written down for many whose femur is broken."""
    return written_down(
        diagnosis_tables(small(overrides__diagnostic_accuracy=accuracy)),
        KEY_0,
        KEY_1,
        np.arange(MANY),
        np.full(MANY, FRACTURE, np.int16),
        np.full(MANY, THIGH, np.uint8),
        np.full(MANY, last_contact, np.uint8),
    )


@functools.cache
def war() -> dict[str, Columns]:
    """Return the tables of a small war."""
    return tables(small(patients=3_000))


@pytest.mark.parametrize(("contact", "level"), list(enumerate(diagnoses.LEVELS)))
def test_diagnoses_are_as_often_right_as_the_level_that_made_the_last(
    contact: int, level: diagnoses.Level
) -> None:
    """At every level; and what is wrong is spread evenly over what it may be taken for."""
    found, share = recorded(contact), diagnoses.accuracy()[level]
    is_right = found == FRACTURE
    assert chi_square_z([is_right.sum(), (~is_right).sum()], [share, 1 - share]) < 3.7
    others = diagnoses.mistaken_for("28576007", "thigh")
    numbers = [conditions.concept_numbers()[other] for other in others]
    assert set(found[~is_right]) == set(numbers)
    counts = [int((found == number).sum()) for number in numbers]
    assert chi_square_z(counts, [1.0] * len(numbers)) < 3.7


def test_better_diagnosis_makes_no_right_one_wrong() -> None:
    """A scenario's own accuracy meets the same luck."""
    worse, better = recorded(1, ROLE1=0.5), recorded(1, ROLE1=0.9)
    assert (better[worse == FRACTURE] == FRACTURE).all()
    assert (recorded(1, ROLE1=1.0) == FRACTURE).all()


def test_who_was_never_seen_has_no_diagnosis() -> None:
    """Everyone else has one: those of whom vital signs were taken."""
    assert (recorded(NEVER_SEEN) == -1).all()
    patients, seen = war()["patients"], war()["observations"]["subject_id"]
    has_one = patients["recorded_diagnosis_code"] >= 0
    assert (has_one == np.isin(patients["subject_id"], seen)).all()
    assert 0.0 < has_one.mean() < 1.0


def test_the_dead_have_no_disability_and_survivors_keep_what_they_lost() -> None:
    """Whoever lives without a limb is recorded so."""
    patients, injuries = war()["patients"], war()["injuries"]
    dead = is_outcome(patients, "KIA", "DOW", "DNB")
    disability = patients["disability_code"]
    assert (disability[dead] == -1).all()
    is_lost = injuries["wound_type"] == vocabulary.WOUND_TYPES.index("amputation")
    lost = np.isin(patients["subject_id"], injuries["subject_id"][is_lost])
    assert (lost & ~dead).any()
    assert (disability[lost & ~dead] >= 0).all()


def test_duty_waits_for_a_disability() -> None:
    """Nobody returns sooner than their disability lets them."""
    patients = war()["patients"]
    back = is_outcome(patients, "RTD") & (patients["disability_code"] >= 0)
    least = np.array([d.least_stay_days for d in disabilities.disabilities()])
    days = patients["days_to_duty"][back]
    assert (days >= least[patients["disability_code"][back]] - 1e-3).all()
