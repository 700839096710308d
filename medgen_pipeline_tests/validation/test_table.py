"""A dataset decides the checks it is large enough for, and fails those it contradicts."""

from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.validation.checks import COIN, CONVENTIONAL, HIGH
from medgen_pipeline.validation.table import ENOUGH_REPLICATES, CheckResult, check_table
from medgen_pipeline_tests.dataset.handmade import Row
from medgen_pipeline_tests.validation.casualties import commit, hit, ill, on_days

ALIVE: Final = [hit() for _ in range(9)]
KILLED: Final = hit(outcome="KIA")


def result(
    root: Path, casts: dict[str, list[Row]], name: str, replicates: int = ENOUGH_REPLICATES
) -> CheckResult:
    checks = check_table(commit(root, casts, replicates=replicates)).checks
    return next(one for one in checks if one.check.id == name)


def test_one_death_in_ten_passes(tmp_path: Path) -> None:
    """O6: a case fatality rate of 7.1 to 11.6 %."""
    found = result(tmp_path, {COIN: [*ALIVE, KILLED]}, "O6")
    assert found.passed is True
    assert found.undecided is None


@pytest.mark.parametrize("dead", [0, 5])
def test_too_few_and_too_many_deaths_fail(dead: int, tmp_path: Path) -> None:
    found = result(tmp_path, {COIN: [*ALIVE, *[KILLED] * dead]}, "O6")
    assert found.passed is False


def test_few_casualties_decide_nothing(tmp_path: Path) -> None:
    found = result(tmp_path, {COIN: [*ALIVE, *ALIVE, *[KILLED] * 9]}, "O6", replicates=1)
    assert found.passed is None
    assert found.undecided is not None
    assert found.undecided.startswith("too few: 27 patients and 1 replicates of coin")
    assert found.parts[0].found.value == pytest.approx(100 / 3)


def test_a_missing_scenario_is_said_to_be_missing(tmp_path: Path) -> None:
    found = result(tmp_path, {COIN: ALIVE}, "O15")
    assert found.passed is None
    assert found.undecided == "missing: no data of stabilisation, conventional, high-intensity"


def test_nobody_to_measure_on_is_said(tmp_path: Path) -> None:
    """O11 is about deaths, and nobody died."""
    found = result(tmp_path, {COIN: ALIVE}, "O11")
    assert found.undecided == "missing: nobody in the data to measure it on"


def test_one_part_that_fails_fails_the_check_and_stands_for_it(tmp_path: Path) -> None:
    """O16: the age is right, the share of men is not."""
    cast = [hit(age_years=26, sex=sex) for sex in ("male", "female")]
    found = result(tmp_path, {COIN: cast}, "O16")
    assert [part.passed for part in found.parts] == [True, False]
    assert found.passed is False
    assert found.decisive.part.statistic == "men among the wounded"


def test_of_some_scenarios_only_the_checks_on_those_alone(tmp_path: Path) -> None:
    dataset = commit(tmp_path, {CONVENTIONAL: ALIVE, HIGH: ALIVE})
    ids = [one.check.id for one in check_table(dataset, [HIGH]).checks]
    assert ids == ["O7", "O8", "O14"]


def test_figures_of_a_scenario(tmp_path: Path) -> None:
    """By hand: 2 KIA, 1 DOW, 1 back soon, 4 others hit; 2 ill; 4 front days of 1,000."""
    cast = [
        *[KILLED] * 2,
        hit(outcome="DOW", minutes_to_facility=60.0),
        hit(outcome="RTD", hours=10.0, minutes_to_facility=20.0),
        *on_days(1, 1, 1, 1),
        ill(outcome="RTD", minutes_to_facility=500.0),
        ill(),
    ]
    (figures,) = check_table(commit(tmp_path, {HIGH: cast}, days=4)).scenarios
    assert figures.patients == 10
    assert figures.case_fatality_percent == pytest.approx(100 * 3 / 8)
    assert figures.killed_percent == pytest.approx(100 * 2 / 7)
    assert figures.died_of_wounds_percent == pytest.approx(100 * 1 / 5)
    assert figures.wounded_per_killed == pytest.approx(3)
    assert figures.disease_per_1000_per_day == pytest.approx(0.5)
    assert figures.non_battle_injury_per_1000_per_day == 0
    assert figures.returned_to_duty_percent == pytest.approx(20)
    assert figures.median_minutes_to_facility == pytest.approx(40)
    assert figures.median_minutes_to_surgery is None


def test_replicates_and_scenarios_without_a_casualty_have_figures(tmp_path: Path) -> None:
    """Of three replicates one has casualties; of another scenario none has."""
    dataset = commit(tmp_path, {HIGH: ALIVE, COIN: []}, replicates=3)
    coin, high = check_table(dataset).scenarios
    assert (coin.scenario, coin.replicates, coin.patients) == (COIN, 3, 0)
    assert coin.case_fatality_percent is None
    assert coin.disease_per_1000_per_day == 0
    assert (high.scenario, high.replicates, high.patients) == (HIGH, 3, 9)
    (alone,) = check_table(dataset, [HIGH]).scenarios
    assert alone == high
