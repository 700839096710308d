"""The `patients` table says of each casualty what the loop and the schedule say."""

import numpy as np
import pytest

from medgen_pipeline.reference.vocabulary import MECHANISM_GROUPS, OUTCOMES, TRIAGE_CATEGORIES
from medgen_pipeline.simulation import scores
from medgen_pipeline.simulation.engine import Replicate, engine
from medgen_pipeline.simulation.patients import PENETRATING, triss
from medgen_pipeline_tests.simulation.running import Columns, is_outcome, small, tables


@pytest.fixture(scope="module")
def found() -> dict[str, Columns]:
    return tables(small(patients=3_000, days=4, warfare={"artillery": 1.0}))


def test_triss_is_that_of_its_four_arguments() -> None:
    """The test points of medical-anchors 5.2, blunt and penetrating, and one of low RTS."""
    rts = np.array([7.8408, 7.8408, 7.8408, 5.967], np.float32)
    iss = np.array([9, 75, 75, 25], np.uint8)
    is_penetrating = np.array([False, False, True, True])
    survival = triss(rts, iss, np.full(4, 30, np.uint8), is_penetrating)
    assert survival.tolist() == pytest.approx([0.9942, 0.4078, 0.5917, 0.8538], abs=1e-4)


def test_explosions_and_shots_are_scored_as_penetrating(found: dict[str, Columns]) -> None:
    patients = found["patients"]
    for group in ("explosion", "gunshot", "blunt"):
        some = np.flatnonzero(patients["mechanism_group"] == MECHANISM_GROUPS.index(group))[:50]
        assert len(some) == 50
        for row in some.tolist():
            expected = scores.triss(
                float(patients["rts"][row]),
                int(patients["iss"][row]),
                int(patients["age_years"][row]),
                MECHANISM_GROUPS.index(group) in PENETRATING,
            )
            assert patients["triss_survival"][row] == pytest.approx(expected, rel=1e-5)


def test_the_day_is_that_of_the_injury_from_1(found: dict[str, Columns]) -> None:
    patients = found["patients"]
    start = small().start.timestamp()
    days = (patients["injured_at"] / 1e6 - start) // 86_400 + 1
    assert patients["day"].tolist() == days.tolist()
    assert set(patients["day"].tolist()) == {1, 2, 3, 4}


def test_minutes_are_null_for_what_never_came(found: dict[str, Columns]) -> None:
    """Who is killed in action reached no facility and no table, though perhaps a medic."""
    patients = found["patients"]
    killed = is_outcome(patients, "KIA")
    assert killed.sum() > 30
    for column in ("minutes_to_facility", "minutes_to_surgery"):
        assert np.isnan(patients[column][killed]).all()
    treated = ~np.isnan(patients["minutes_to_surgery"])
    assert treated.sum() > 50
    assert (
        patients["minutes_to_surgery"][treated] > patients["minutes_to_facility"][treated]
    ).all()
    assert np.nanmin(patients["minutes_to_first_care"]) > 0


def test_who_died_unseen_is_sorted_as_expectant_with_a_score_of_0(
    found: dict[str, Columns],
) -> None:
    patients = found["patients"]
    seen = np.isin(patients["subject_id"], found["observations"]["subject_id"])
    assert (~seen).sum() > 20
    assert is_outcome(patients, "KIA", "DNB", "IN_CARE")[~seen].all()
    assert set(patients["rts"][~seen].tolist()) == {0.0}
    t4 = TRIAGE_CATEGORIES.index("T4")
    assert set(patients["triage_assigned"][~seen].tolist()) == {t4}
    assert np.isnan(patients["shock_index"][~seen]).all()


def test_outcome_at_is_the_time_of_the_last_event(found: dict[str, Columns]) -> None:
    timeline, patients = found["timeline"], found["patients"]
    last = np.zeros(3_000, np.int64)
    np.maximum.at(last, timeline["subject_id"] - 1, timeline["occurred_at"])
    assert patients["outcome_at"].tolist() == last.tolist()


def test_only_the_dead_have_a_cause_and_could_have_been_saved_or_not(
    found: dict[str, Columns],
) -> None:
    patients = found["patients"]
    dead = is_outcome(patients, "KIA", "DOW", "DNB")
    assert ((patients["death_cause"] >= 0) == dead).all()
    assert ((patients["is_potentially_survivable"] >= 0) == dead).all()
    assert set(patients["is_potentially_survivable"][dead].tolist()) == {0, 1}
    assert (patients["disability_code"][dead] == -1).all()
    assert len(set(patients["outcome"].tolist())) >= len(OUTCOMES) - 1


def test_any_choice_of_subjects_gives_their_rows_of_the_whole() -> None:
    running = Replicate(engine(small(patients=200)), 3)
    *_, whole = running.rows()
    chosen = np.array([150, 3, 77], np.int64)
    some = running.patients(chosen)
    for name, column in whole.columns.items():
        if isinstance(column, np.ndarray) and name != "event_id":
            part = some.columns[name]
            assert isinstance(part, np.ndarray)
            np.testing.assert_array_equal(part, column[chosen], name)


def test_signs_are_taken_once_at_each_contact(found: dict[str, Columns]) -> None:
    """So subject and time tell observations apart, and nobody is looked at twice at one role."""
    seen = found["observations"]
    for column in ("observed_at", "role"):
        pairs = np.stack([seen["subject_id"], seen[column].astype(np.int64)], axis=1)
        assert len(np.unique(pairs, axis=0)) == len(pairs)
