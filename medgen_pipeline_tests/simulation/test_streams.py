"""Random draws: the words of Philox, and nothing but who and what decides them."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import TREATMENTS
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.wound_tables import MOST_WOUNDS
from medgen_pipeline_tests.proportions import chi_square_z

WORD = st.integers(0, 2**64 - 1)


def uint64(*numbers: int) -> Any:  # noqa: ANN401  compiled code takes words, not integers
    """Return numbers as words."""
    return tuple(np.uint64(number) for number in numbers)


def unit(word: int) -> float:
    """Return a word as a uniform draw."""
    return streams.to_unit(*uint64(word))


@given(WORD, WORD, WORD, WORD)
def test_words_are_those_of_numpy_for_the_same_key_and_counter(
    key_0: int, key_1: int, subject: int, decision: int
) -> None:
    """The one of numpy counts up before its first words, so it is given the counter before."""
    before = (subject + (decision << 64) - 1) % 2**256
    expected = np.random.Philox(key=key_0 | key_1 << 64, counter=before).random_raw(4)
    drawn = streams.words(*uint64(key_0, key_1, subject, decision))
    assert [int(word) for word in drawn] == expected.tolist()


@given(WORD, WORD)
def test_to_unit_is_strictly_between_0_and_1_and_keeps_order(low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert 0.0 < unit(low) <= unit(high) < 1.0


@pytest.mark.parametrize(
    ("word", "middle"),
    [(0, 2.0**-53), (2**64 - 1, 1 - 2.0**-53), (2**63, 0.5 + 2.0**-53), (2**12, 1.5 * 2.0**-52)],
)
def test_to_unit_is_the_middle_of_a_step_of_2_to_the_minus_52(word: int, middle: float) -> None:
    assert unit(word) == middle


@given(st.floats(2.0**-53, 1 - 2.0**-53))
def test_normal_is_the_normal_quantile_to_1_2e_9(uniform: float) -> None:
    expected = NormalDist().inv_cdf(uniform)
    assert streams.normal(uniform) == pytest.approx(expected, rel=1.2e-9, abs=1.2e-9)


def test_normal_of_the_extreme_draws_is_finite() -> None:
    least = streams.normal(unit(0))
    most = streams.normal(unit(2**64 - 1))
    assert least == pytest.approx(-most)
    assert 8.1 < most < 8.3


def test_draws_are_uniform_over_subjects_and_over_decisions() -> None:
    key = uint64(*map(int, streams.replicate_key(1, 0)))
    drawn = np.array(
        [streams.uniforms(*key, *uint64(s, d)) for s in range(200) for d in range(100)]
    )
    for column in drawn.T:
        counts = np.histogram(column, 20, (0, 1))[0]
        assert chi_square_z(counts, [1.0] * 20) < 3.7
    pairs = np.histogram2d(drawn[:, 0], drawn[:, 1], 10, [(0, 1), (0, 1)])[0].ravel()
    assert chi_square_z(pairs, [1.0] * 100) < 3.7


@pytest.mark.parametrize("other", [(2, 0, 7, 3), (1, 1, 7, 3), (1, 0, 8, 3), (1, 0, 7, 4)])
def test_seed_replicate_subject_and_decision_each_change_every_draw(
    other: tuple[int, int, int, int],
) -> None:
    def draws(seed: int, replicate: int, subject: int, decision: int) -> list[int]:
        key = uint64(*map(int, streams.replicate_key(seed, replicate)))
        return [int(word) for word in streams.words(*key, *uint64(subject, decision))]

    assert set(draws(1, 0, 7, 3)).isdisjoint(draws(*other))


def test_a_generator_is_the_same_for_the_same_seed_replicate_and_decision_only() -> None:
    first = streams.generator(5, 2, 1).random(4).tolist()
    assert streams.generator(5, 2, 1).random(4).tolist() == first
    for other in ((6, 2, 1), (5, 3, 1), (5, 2, 2)):
        assert set(streams.generator(*other).random(4).tolist()).isdisjoint(first)


def test_no_two_decisions_share_a_number() -> None:
    """Each owns the numbers up to the next, and needs no more than it owns."""
    needed = {
        streams.NATION: 1,
        streams.PERSON: 3,
        streams.WOUND_COUNT: 6,
        streams.WOUND: 2 * MOST_WOUNDS,
        streams.PHYSIOLOGY: 23,
        streams.CARE: 8,
        streams.TREATMENT: len(TREATMENTS),
        streams.TRIAGE: 5,
        streams.TRAVEL: 32,
        streams.STAY: 6,
        streams.OBSERVATION: 12,
    }
    first = sorted(needed)
    for here, following in zip(first, [*first[1:], 256], strict=True):
        assert here + needed[here] <= following
    assert MOST_WOUNDS + 1 <= 20  # from there on agent and illness draw
