import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import WARFARE_TYPES
from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline.simulation.hours import IntArray, Spread, spread_of, stochastic_round
from medgen_pipeline_tests.proportions import chi_square_z
from medgen_pipeline_tests.simulation.operations import assert_share

CLEAR = (1.0,) * 24
ACTIVITY = np.array(warfare().hour_activity)


def spread(name: str, days: int, start_hour: int = 0) -> Spread:
    pattern = warfare().types[WARFARE_TYPES.index(name)].pattern
    return spread_of(pattern, CLEAR, start_hour, days)


def spread_days(name: str, days: int, persons: int, start_hour: int = 0) -> IntArray:
    """Return the hours of some equal days of one sector: [day, hour]."""
    counts = np.full((days, 1), persons)
    return spread(name, days, start_hour)(np.random.default_rng(20), counts)[:, 0]


def assert_follows(hours: IntArray, weights: npt.NDArray[np.float64]) -> None:
    """Want counts that follow weights; an hour without weight has none."""
    assert not hours[weights == 0].any()
    assert chi_square_z(hours[weights > 0], list(weights[weights > 0])) < 3.7


@given(
    name=st.sampled_from(WARFARE_TYPES),
    counts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40_000)), min_size=1, max_size=9),
    start_hour=st.integers(0, 23),
    seed=st.integers(0, 1000),
)
def test_no_pattern_loses_a_casualty(
    name: str, counts: list[tuple[int, int]], start_hour: int, seed: int
) -> None:
    """A spread keeps every sector's total, and every day's but for delayed symptoms."""
    before = np.array(counts)
    after = spread(name, len(counts), start_hour)(np.random.default_rng(seed), before)
    assert after.shape == (len(counts), 2, 24)
    assert after.min() >= 0
    assert (after.sum(axis=(0, 2)) == before.sum(axis=0)).all()
    if name != "cbrn":
        assert (after.sum(axis=2) == before).all()


def test_sustained_combat() -> None:
    """T5: activity times 2.5 at the peaks, 0.5 by day, 0.5 x 0.3 x 0.7 by night, least at 0."""
    factor = np.full(24, 0.5)
    factor[[6, 7, 8, 9, 16, 17, 18, 19]] = 2.5
    factor[[1, 2, 3, 4, 5, 22, 23]] = 0.5 * 0.3 * 0.7
    factor[0] = 0.5 * 0.3 * 0.5
    assert_follows(spread_days("conventional", 4, 50_000).sum(axis=0), ACTIVITY * factor)


@pytest.mark.parametrize("persons", [5, 10, 1_000, 300_000])
def test_surges_hold_exactly_four_fifths(persons: int) -> None:
    """T6: of any day whose four fifths are a whole number, exactly those fall in three surges."""
    starts = [5, 6, 11, 12, 17, 18, 22, 23]
    for day in spread_days("artillery", 60, persons):
        busiest = np.sort(day)[::-1][:6].sum()
        assert busiest >= persons * 4 // 5
        if persons >= 1_000:  # then the surges are the busiest hours
            five = np.sort(day)[::-1][:5].sum()
            assert persons * 4 // 5 in (busiest, five)  # a surge at 23 has but one hour
            surging = set(np.argsort(-day)[: 6 if busiest == persons * 4 // 5 else 5].tolist())
            assert {hour for hour in surging if hour - 1 not in surging} <= set(starts)


def test_surges_in_any_part_of_the_day() -> None:
    """T6: three of the four parts of the day have a surge, each part as often as another."""
    days = spread_days("artillery", 4_000, 1_000)
    parts = [days[:, [5, 6, 7]], days[:, [11, 12, 13]], days[:, [17, 18, 19]], days[:, [22, 23]]]
    surging = np.array([part.max(axis=1) > 60 for part in parts])  # others hold about 11 an hour
    assert (surging.sum(axis=0) == 3).all()
    for part in surging:
        assert_share(int(part.sum()), 4_000, 0.75, detects=0.05)


def test_four_fifths_of_a_few_are_four_fifths_on_average() -> None:
    """A share that is no whole number is rounded up as often as its fraction says."""
    rounded = stochastic_round(0.8 * np.full(10_000, 3), np.random.default_rng(1).random(10_000))
    assert set(rounded.tolist()) == {2, 3}
    assert_share(int((rounded == 3).sum()), 10_000, 0.4, detects=0.04)


def test_phased_assault() -> None:
    """T7: activity times 3.0 from 6 to 10, 2.5 from 14 to 17, 0.8 otherwise."""
    factor = np.full(24, 0.8)
    factor[6:10] = 3.0
    factor[14:17] = 2.5
    assert_follows(spread_days("urban", 4, 50_000).sum(axis=0), ACTIVITY * factor)


def test_sporadic_incidents() -> None:
    """T8: three to seven incidents a day, by activity, 1.4 at dawn and dusk, 0.7 by night."""
    days = spread_days("guerrilla", 3_000, 420)  # 420 is shared evenly by 3, 4, 5, 6 and 7
    factor = np.ones(24)
    factor[[5, 6, 7, 17, 18, 19]] = 1.4
    factor[[0, 1, 2, 3, 4, 20, 21, 22, 23]] = 0.7
    smallest = np.where(days > 0, days, 1_000).min(axis=1)
    incidents = days / smallest[:, None]
    assert set((420 // smallest).tolist()) >= {3, 4, 5, 6, 7}
    assert (np.round(incidents) == incidents).mean() > 0.97  # but for days with no single incident
    of_seven = days[smallest == 60]
    assert_follows((of_seven // 60).sum(axis=0), ACTIVITY * factor)


def test_few_casualties_are_not_more_incidents_than_casualties() -> None:
    """T8: with fewer casualties than incidents, each has an incident of its own."""
    assert spread_days("guerrilla", 500, 2).max() == 2
    assert (spread_days("guerrilla", 500, 2).sum(axis=1) == 2).all()


def test_precision_strikes() -> None:
    """T9: one to four strikes a day; 0.8 at any hour, the rest by daylight."""
    days = spread_days("drone", 6_000, 12)  # shared evenly by 1, 2, 3 and 4
    assert (days > 0).sum(axis=1).max() == 4
    single = days[(days == 12).any(axis=1)]
    assert_follows((single > 0).sum(axis=0), np.where(np.isin(np.arange(24), range(6, 18)), 3, 2))
    assert_share(int(days[:, 6:18].sum()) // 12, 6_000, 0.8 / 2 + 0.2, detects=0.05)


def test_naval_waves() -> None:
    """T10: activity times 3.0 in the hours of a wave, 0.3 otherwise."""
    factor = np.full(24, 0.3)
    factor[[4, 5, 6, 10, 11, 16, 17]] = 3.0
    assert_follows(spread_days("naval", 4, 50_000).sum(axis=0), ACTIVITY * factor)


def test_contamination() -> None:
    """T11: three tenths within three hours of release, the rest after 6, 12, 24 and 48."""
    counts = np.zeros((8, 1), np.int64)
    counts[0] = 100_000
    hours = spread("cbrn", 8)(np.random.default_rng(3), counts).reshape(-1)
    release = int(np.flatnonzero(hours)[0])
    since = hours[release:]
    edges = [3, 8, 16, 32, 64, len(since)]
    later = np.diff([_fell_ill_by(edge) for edge in edges])
    assert_share(int(since[:3].sum()), 100_000, 0.3 + 0.7 * _fell_ill_by(3), detects=0.02)
    assert chi_square_z(np.add.reduceat(since, edges[:-1]), list(later)) < 3.7


def _fell_ill_by(hours: float) -> float:
    """Return the share of delays that are over, each log-normal with a spread of 1.5."""
    law = NormalDist(sigma=math.log(1.5))
    return sum(law.cdf(math.log(hours / median)) for median in (6, 12, 24, 48)) / 4


def test_contamination_ends_with_the_scenario() -> None:
    """T11: of a single day, every delayed symptom is within it, whatever the hour of release."""
    counts = np.full((1, 400), 1_000)
    hours = spread("cbrn", 1)(np.random.default_rng(4), counts)[0]
    assert (hours.sum(axis=1) == 1_000).all()
    releases = (hours > 0).argmax(axis=1)
    assert releases.max() <= 17  # the shortest delay still ends within the day
    assert (hours[np.arange(400), releases] < 200).all()  # a tenth at once, and few delays so soon


def test_working_hours() -> None:
    """T12: incidents from 8 to 12 and 14 to 18 only, each hour with probability 0.3."""
    days = spread_days("peacekeeping", 4_000, 2_000)
    possible = np.isin(np.arange(24), [8, 9, 10, 11, 14, 15, 16, 17])
    assert not days[:, ~possible].any()
    had = (days[:, possible] > 0).sum(axis=1)
    none = 0.7**8  # then one hour is drawn
    assert_share(int((had == 1).sum()), 4_000, none + 8 * 0.3 * 0.7**7, detects=0.06)
    assert_share(int((had == 3).sum()), 4_000, 56 * 0.3**3 * 0.7**5, detects=0.06)


def test_crowds_hurt_more() -> None:
    """T12: an incident at 10, 11, 14 or 15 has twice the casualties of another on the same day."""
    days = spread_days("peacekeeping", 400, 30_000)
    both = days[(days[:, 10] > 0) & (days[:, 8] > 0)]
    assert_share(int(both[:, 10].sum()), int(both[:, [8, 10]].sum()), 2 / 3, detects=0.01)


def test_hours_are_those_of_the_clock() -> None:
    """A scenario that begins at 06:00 has its first peak in its first hour."""
    at_six = spread_days("urban", 2, 100_000, start_hour=6).sum(axis=0)
    at_midnight = spread_days("urban", 2, 100_000).sum(axis=0)
    assert chi_square_z(np.roll(at_six, 6), list(at_midnight)) < 6  # both counted
    assert at_six.argmax() == 1  # 07:00


def test_a_factor_moves_casualties_between_hours() -> None:
    """T17: an hour in which conditions halve the casualties has half its weight."""
    factor = [0.5 if hour < 12 else 1.0 for hour in range(24)]
    pattern = warfare().types[WARFARE_TYPES.index("naval")].pattern
    counts = np.full((4, 1), 50_000)
    hours = spread_of(pattern, factor, 0, 4)(np.random.default_rng(5), counts)[:, 0].sum(axis=0)
    waves = np.isin(np.arange(24), [4, 5, 6, 10, 11, 16, 17])
    assert_follows(hours, ACTIVITY * np.where(waves, 3.0, 0.3) * np.array(factor))
