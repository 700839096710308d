from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import streams
from medgen_pipeline.simulation.counts import (
    CountTables,
    IntArray,
    count_tables,
    draw_counts,
    warfare_share,
)
from medgen_pipeline_tests.simulation.operations import TWO_FRONTS, assert_share, operation, rates

WOUNDED = {"family": "lognormal", "mean_per_1000": 1.77, "sd_per_1000": 3.56}


def drawn(tables: CountTables, replicate: int = 0, seed: int = 5) -> IntArray:
    return draw_counts(tables, partial(streams.generator, seed, replicate))


def by_rates(battle: dict[str, Any], days: int = 60, **changes: Any) -> Scenario:  # noqa: ANN401
    """Return an operation of one front with 1,000,000 persons, so that counting adds no noise."""
    front = {"id": "only", "share": 1, "strength": 1_000_000, "nations": {"POL": 1}}
    fields = {"patients": None, "rates": rates(battle), "days": days, "fronts": [front]}
    return operation(**fields | changes)


def battle_rates(scenario: Scenario, replicates: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the day's battle rate per 1,000 of every day, front and replicate."""
    tables = count_tables(scenario)
    counts = np.array([drawn(tables, replicate)[0] for replicate in range(replicates)])
    return counts / tables.strength * 1_000


@given(
    patients=st.integers(1, 3_000_000),
    days=st.integers(1, 40),
    battle=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_total_is_exact(patients: int, days: int, battle: float, seed: int) -> None:
    """S3: whatever the total, days and mix, classes and days add up to it."""
    rest = 1 - battle
    mix = {"battle_injury": battle, "non_battle_injury": rest, "disease": 0.0}
    tables = count_tables(operation(patients=patients, days=days, class_mix=mix))
    counts = drawn(tables, seed=seed)
    assert counts.shape == (3, days, 1)
    assert counts.min() >= 0
    assert counts.sum() == patients


def test_the_mix_is_honoured() -> None:
    """S5: each class has the share the scenario states, in one replicate as in many."""
    mix = {"battle_injury": 0.5, "non_battle_injury": 0.3, "disease": 0.2}
    counts = drawn(count_tables(operation(patients=200_000, class_mix=mix))).sum(axis=(1, 2))
    for count, share in zip(counts, mix.values(), strict=True):
        assert_share(int(count), 200_000, share, detects=0.01)


@pytest.mark.parametrize(
    ("warfare", "factors"),
    [
        ({"artillery": 1}, (2.5, 0.6, 0.3)),
        ({"peacekeeping": 5}, (0.3, 1.8, 2.0)),
        ({"conventional": 1, "drone": 3}, (1.875, 0.6, 0.35)),
    ],
)
def test_without_a_mix_the_warfare_types_shift_it(
    warfare: dict[str, float], factors: tuple[float, ...]
) -> None:
    """S5: 15 % battle, 33 % non-battle, 52 % disease, times the types' mean factors."""
    shifted = np.array([0.15, 0.33, 0.52]) * factors
    tables = count_tables(operation(warfare=warfare))
    assert tables.class_share == pytest.approx(shifted / shifted.sum())


def test_warfare_types_share_by_weight() -> None:
    """T1: a weight is relative to the others, in the order of the vocabulary."""
    share = warfare_share(operation(warfare={"drone": 1, "artillery": 3}))
    assert share.tolist() == [0, 0.75, 0, 0, 0.25, 0, 0, 0]


@pytest.mark.parametrize(
    ("tempo", "weights"),
    [
        ("sustained", [1.0] * 10),
        ("escalating", [0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 1.8, 1.8]),
        ("surge", [0.5, 1.5, 2.0, 1.5, 0.5, 0.8, 1.2, 0.6, 0.6, 0.6]),
        ("declining", [1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.4, 0.4]),
        ("intermittent", [1.0, 0.3, 1.5, 0.4, 1.2, 0.2, 1.0, 0.5, 0.5, 0.5]),
    ],
)
def test_tempo_weighs_days(tempo: str, weights: list[float]) -> None:
    """T2: battle follows the day's weight, the last repeated; the others follow it half way."""
    mix = {"battle_injury": 0.5, "non_battle_injury": 0.0, "disease": 0.5}
    fields = {"days": 10, "tempo": tempo, "patients": 400_000, "class_mix": mix}
    counts = drawn(count_tables(operation(**fields)))[:, :, 0]
    half = [0.5 + 0.5 * weight for weight in weights]
    for row, expected in ((counts[0], weights), (counts[2], half)):
        for count, weight in zip(row, expected, strict=True):
            assert_share(int(count), int(row.sum()), weight / sum(expected), detects=0.01)


def test_special_events_make_at_least_their_casualties() -> None:
    """What special events state is battle injury even where the mix gives less, and stays apart."""
    mix = {"battle_injury": 0.1, "non_battle_injury": 0.45, "disease": 0.45}
    event = {"kind": "mass_casualty", "casualties": 600}
    tables = count_tables(operation(patients=1_000, class_mix=mix, special_events=[event]))
    counts = drawn(tables)
    assert counts.min() >= 0
    assert counts[0].sum() == 0
    assert counts.sum() == 400


def test_a_lognormal_rate_has_its_mean_and_standard_deviation() -> None:
    """O13: the day's rate is 1.77 (10 %) with a standard deviation of 3.56 (0.75 to 1.25 times).

    The mean of 8,040 days has a standard error of 2.2 %. The tail is heavy, so what tells the law
    is the mean and standard deviation of the logarithm.
    """
    observed = battle_rates(by_rates(WOUNDED), 134).ravel()
    assert observed.mean() == pytest.approx(1.77, rel=0.10)
    assert 0.75 < observed.std() / 3.56 < 1.25
    logs = np.log(observed[observed > 0])
    assert logs.mean() == pytest.approx(-0.238, abs=4 * 1.272 / np.sqrt(logs.size))
    assert logs.std() == pytest.approx(1.272, rel=4 / np.sqrt(2 * logs.size))


def test_an_exponential_rate_varies_as_much_as_its_mean() -> None:
    """O14: the coefficient of variation of the day's rate is 1 (0.85 to 1.15)."""
    rate = {"family": "exponential", "mean_per_1000": 6.86}
    observed = battle_rates(by_rates(rate), 134).ravel()
    error = 1 / np.sqrt(observed.size)  # of the mean and, for this law, of the deviation
    assert observed.mean() == pytest.approx(6.86, rel=4 * error)
    assert observed.std() / observed.mean() == pytest.approx(1.0, abs=4 * error)
    assert (observed < 6.86).mean() == pytest.approx(1 - np.exp(-1), abs=4 * 0.48 * error)


def test_other_rates_keep_their_mean() -> None:
    """O15: 2.04 per 1,000 a day of disease and non-battle injury, each a draw of its own."""
    half = {"family": "lognormal", "mean_per_1000": 1.02, "sd_per_1000": 0.945}
    both = {"battle_injury": WOUNDED, "non_battle_injury": half, "disease": half}
    tables = count_tables(by_rates(WOUNDED, rates=both))
    days = np.concatenate([drawn(tables, r)[1:, :, 0] for r in range(134)], axis=1) / 1_000
    assert days.sum(axis=0).mean() == pytest.approx(2.04, rel=4 * 0.655 / np.sqrt(days.shape[1]))
    assert abs(np.corrcoef(days[0], days[1])[0, 1]) < 4 / np.sqrt(days.shape[1])


def test_counts_are_over_dispersed() -> None:
    """A battalion's days vary as the rate does, not only as a Poisson count does."""
    front = {"id": "only", "share": 1, "strength": 1_000, "nations": {"POL": 1}}
    rate = {"family": "exponential", "mean_per_1000": 6.86}
    observed = battle_rates(by_rates(rate, fronts=[front]), 60).ravel()
    assert observed.var() > 5 * observed.mean()  # 7.86 times; a Poisson count has 1


def test_a_rate_is_drawn_for_each_front_and_day() -> None:
    """Fronts of equal strength have days of their own."""
    fronts = [
        {"id": name, "share": 0.5, "strength": 1_000_000, "nations": {"POL": 1}} for name in "ab"
    ]
    observed = np.log(1 + battle_rates(by_rates(WOUNDED, fronts=fronts), 60))
    one, other = observed[:, :, 0].ravel(), observed[:, :, 1].ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(one.size)


def test_fronts_have_casualties_by_strength() -> None:
    """With rates, a front's strength says how many, not its share."""
    rate = {"family": "constant", "mean_per_1000": 10.0}
    counts = draw_many(by_rates(rate, fronts=TWO_FRONTS), 20)
    assert_share(int(counts[:, 0, :, 0].sum()), int(counts[:, 0].sum()), 0.75, detects=0.02)


def draw_many(scenario: Scenario, replicates: int) -> IntArray:
    tables = count_tables(scenario)
    return np.array([drawn(tables, replicate) for replicate in range(replicates)])


def test_tempo_shapes_rates_and_keeps_their_mean() -> None:
    """T2: with rates, days follow the tempo and the whole scenario has the stated mean."""
    rate = {"family": "constant", "mean_per_1000": 2.0}
    counts = draw_many(by_rates(rate, days=8, tempo="declining"), 5)[:, 0, :, 0]
    assert counts.mean() == pytest.approx(2_000, abs=4 * np.sqrt(2_000 / 40))
    share = 1.8 / 8.8
    assert_share(int(counts[:, 0].sum()), int(counts.sum()), share, detects=0.015)


def test_stated_special_events_are_part_of_the_mean() -> None:
    """With rates, ordinary days have what special events leave of the stated mean."""
    rate = {"family": "constant", "mean_per_1000": 2.0}
    event = {"kind": "mass_casualty", "casualties": 4_000}
    counts = draw_many(by_rates(rate, days=8, special_events=[event]), 5)[:, 0]
    assert counts.sum() / 5 == pytest.approx(12_000, abs=4 * np.sqrt(12_000 / 5))


def test_intensity_scales_rates_that_ask_for_it() -> None:
    """T3: the patient factor, 0.5 to 2, is an option of a rate."""
    plain = {"family": "constant", "mean_per_1000": 2.0}
    scaled = plain | {"scaled_by_intensity": True}
    means = [
        count_tables(by_rates(rate, intensity=intensity)).rates[0].mean
        for rate in (plain, scaled)
        for intensity in ("low", "medium", "high", "extreme")
    ]
    assert means == [2, 2, 2, 2, 1, 2, 3, 4]


def test_nobody_is_hurt_twice_a_day() -> None:
    """However wild a rate, a day hurts about as many as there are at most."""
    wild = {"family": "lognormal", "mean_per_1000": 900.0, "sd_per_1000": 10_000.0}
    counts = draw_many(by_rates(wild), 5)[:, 0]
    assert counts.max() < 1_000_000 + 6 * 1_000
