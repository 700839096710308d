import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation import scores

# The 45 values, as printed in medical-anchors 5.2.
LEGAL = (
    "0 1 2 3 4 5 6 8 9 10 11 12 13 14 16 17 18 19 20 21 22 24 25 26 27 29 30 32 33 34 35 36 38 41 "
    "42 43 45 48 50 51 54 57 59 66 75"
)
BLUNT, PENETRATING = False, True
WOUNDS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=16)


def iss(*wounds: tuple[int, int]) -> int:
    """Score wounds given as (AIS, region)."""
    ais = np.array([grade for grade, _ in wounds], np.uint8)
    regions = np.array([region for _, region in wounds], np.uint8)
    return scores.iss(ais, regions, len(wounds))


def niss(*wounds: tuple[int, int]) -> int:
    """Score wounds given as (AIS, region), wherever they are."""
    return scores.niss(np.array([grade for grade, _ in wounds], np.uint8), len(wounds))


def test_the_legal_values_are_the_45_that_three_squares_can_give() -> None:
    """They equal the printed list."""
    assert tuple(map(int, LEGAL.split())) == scores.LEGAL_ISS


def test_iss_reaches_every_legal_value_and_no_other() -> None:
    """Over every combination of three AIS in three regions."""
    grades = itertools.product(range(7), repeat=3)
    assert {iss((a, 0), (b, 2), (c, 4)) for a, b, c in grades} == set(scores.LEGAL_ISS)


@pytest.mark.parametrize(
    ("wounds", "expected_iss", "expected_niss"),
    [
        ([], 0, 0),
        ([(1, 5)], 1, 1),
        ([(4, 4), (4, 4), (4, 4)], 16, 48),  # three wounds of the limbs count once in ISS
        ([(5, 0), (4, 2), (3, 3), (3, 4)], 50, 50),
        ([(2, 0), (3, 0), (4, 2), (1, 1)], 26, 29),
        ([(6, 2), (1, 4)], 75, 75),
        ([(5, 0), (5, 2), (5, 3)], 75, 75),
    ],
)
def test_worked_examples(
    wounds: list[tuple[int, int]], expected_iss: int, expected_niss: int
) -> None:
    """ISS takes one wound a region, NISS the three gravest."""
    assert (iss(*wounds), niss(*wounds)) == (expected_iss, expected_niss)


@given(WOUNDS)
def test_niss_is_never_below_iss(wounds: list[tuple[int, int]]) -> None:
    """And both are legal."""
    assert iss(*wounds) <= niss(*wounds)
    assert iss(*wounds) in scores.LEGAL_ISS
    assert niss(*wounds) in scores.LEGAL_ISS


@given(WOUNDS)
def test_the_order_of_wounds_does_not_change_a_score(wounds: list[tuple[int, int]]) -> None:
    """Scores look at grades and regions only."""
    assert iss(*sorted(wounds)) == iss(*wounds)
    assert niss(*sorted(wounds)) == niss(*wounds)


@pytest.mark.parametrize(
    ("gcs", "systolic", "rate", "expected"),
    [
        (15, 120, 16, 7.8408),
        (15, 120, 30, 7.5500),  # breathing fast loses one point of 0.2908
        (12, 89, 16, 6.1714),  # 0.9368 and 0.7326 lost
        (8, 75, 9, 3.9204),
        (5, 49, 5, 1.9602),
        (3, 0, 0, 0.0),
    ],
)
def test_revised_trauma_score(gcs: int, systolic: int, rate: int, expected: float) -> None:
    """Points of each band, weighed as printed."""
    assert scores.rts(gcs, systolic, rate) == pytest.approx(expected, abs=5e-5)


@given(st.integers(3, 15), st.integers(0, 250), st.integers(0, 29))
def test_better_signs_never_lower_the_revised_trauma_score(
    gcs: int, systolic: int, rate: int
) -> None:
    """In consciousness and blood pressure; breathing is best in the middle."""
    assert scores.rts(min(gcs + 1, 15), systolic, rate) >= scores.rts(gcs, systolic, rate)
    assert scores.rts(gcs, systolic + 1, rate) >= scores.rts(gcs, systolic, rate)


@pytest.mark.parametrize(
    ("severity", "blunt", "penetrating"),
    [(9, 0.9942, 0.9907), (25, 0.9782, 0.9741), (50, 0.8474, 0.8806), (75, 0.4078, 0.5917)],
)
def test_survival_at_the_printed_points(severity: int, blunt: float, penetrating: float) -> None:
    """Points of medical-anchors 5.2, RTS 7.8408, under 55 years."""
    assert scores.triss(7.8408, severity, 30, BLUNT) == pytest.approx(blunt, abs=5e-5)
    assert scores.triss(7.8408, severity, 30, PENETRATING) == pytest.approx(penetrating, abs=5e-5)


def test_survival_with_disturbed_physiology() -> None:
    """The last printed point: RTS 5.967, ISS 25, penetrating."""
    assert scores.triss(5.967, 25, 30, PENETRATING) == pytest.approx(0.8538, abs=5e-5)


def test_the_old_survive_less() -> None:
    """From 55 years on, and only from then."""
    assert scores.triss(7.0, 25, 54, BLUNT) == scores.triss(7.0, 25, 20, BLUNT)
    assert scores.triss(7.0, 25, 55, BLUNT) < scores.triss(7.0, 25, 54, BLUNT)
