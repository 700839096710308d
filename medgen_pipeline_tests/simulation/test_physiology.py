"""Blood, debt and death: closed forms against fine steps, and what treatment does to them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import DEATH_CAUSES
from medgen_pipeline.simulation import care, physiology
from medgen_pipeline.simulation.state import FLAG, NEVER
from medgen_pipeline_tests.simulation.casualties import a_casualty, a_world

HOUR = 3600
WORLD = a_world()
FATAL, SHOCK, DEBT = (float(WORLD[f"{name}_blood_share"]) for name in ("fatal", "shock", "debt"))
RATES = st.floats(0.005, 15.0)
SLOPES = st.floats(0.0, 0.75)
SHARES = st.floats(FATAL + 0.001, 1.0)
UNIT = float(WORLD["blood_unit_share"])


def finely(share: float, rate: float, slope: float, hours: float) -> tuple[float, float]:
    """Return blood share and oxygen debt by 200,000 steps of the differential equation itself."""
    steps = 200_000
    width = hours / steps
    at = (np.arange(steps) + 0.5) * width
    shares = share * np.exp(-np.cumsum(rate + slope * at) * width)
    middle = shares * np.exp(0.5 * (rate + slope * at) * width)
    return float(shares[-1]), float(np.maximum(DEBT - middle, 0.0).sum() * width)


@pytest.mark.parametrize(
    ("share", "rate", "slope", "hours"),
    [(1.0, 2.0, 0.1, 0.3), (0.9, 0.3, 0.0, 2.0), (1.0, 14.0, 0.7, 0.06), (0.75, 0.01, 0.0, 48.0)],
)
def test_blood_and_debt_agree_with_fine_steps(
    share: float, rate: float, slope: float, hours: float
) -> None:
    blood, debt = finely(share, rate, slope, hours)
    found = physiology.log_blood_after(math.log(share), rate, slope, hours)
    assert math.exp(found) == pytest.approx(blood, rel=1e-6)
    found = physiology.debt_over(WORLD, math.log(share), rate, slope, hours)
    assert found == pytest.approx(debt, rel=1e-5, abs=1e-9)


@given(SHARES, st.floats(FATAL, 1.0), RATES, SLOPES)
def test_hours_to_is_the_time_at_which_blood_has_fallen_to_the_target(
    share: float, target: float, rate: float, slope: float
) -> None:
    hours = physiology.hours_to(math.log(share), math.log(target), rate, slope)
    if target >= share:
        assert hours == 0.0
    else:
        after = physiology.log_blood_after(math.log(share), rate, slope, hours)
        assert after == pytest.approx(math.log(target), abs=1e-9)


def test_who_does_not_bleed_never_falls_to_a_target() -> None:
    assert physiology.hours_to(0.0, math.log(0.7), 0.0, 0.0) == math.inf


@given(SHARES, RATES, SLOPES, st.floats(1e-6, 0.2))
def test_death_comes_when_blood_or_debt_reaches_its_limit_and_not_before(
    share: float, rate: float, slope: float, debt_left: float
) -> None:
    """To the second; a bleed that takes more than 96 hours does not kill."""
    hours = physiology.hours_to_death_by_bleeding(WORLD, math.log(share), rate, slope, debt_left)
    empty = physiology.hours_to(math.log(share), math.log(FATAL), rate, slope)
    latest = min(empty, hours, physiology.HORIZON_H)
    debt = physiology.debt_over(WORLD, math.log(share), rate, slope, latest)
    if hours == math.inf:
        assert empty > physiology.HORIZON_H
        assert debt < debt_left
    elif hours < empty:
        second = physiology.debt_over(WORLD, math.log(share), rate, slope, latest + 2 / HOUR)
        assert debt - 1e-9 <= debt_left <= second or debt == pytest.approx(debt_left, abs=1e-6)
    else:
        assert hours == empty
        assert debt < debt_left


def test_a_stable_casualty_in_debt_dies_of_it_when_it_outgrows_them() -> None:
    """At 64 % of blood, 10 % below the line, half a tolerated hour lasts five hours."""
    hours = physiology.hours_to_death_by_bleeding(WORLD, math.log(DEBT - 0.1), 0.0, 0.0, 0.5)
    assert hours == pytest.approx(5.0)
    assert physiology.hours_to_death_by_bleeding(WORLD, math.log(0.9), 0.0, 0.0, 0.5) == math.inf


@given(st.floats(0.05, 6.0), st.floats(0.05, 1.0), st.lists(st.integers(1, 600), max_size=12))
def test_a_death_foreseen_stays_where_it_is_however_often_it_is_looked_at(
    rate: float, tolerance: float, looks: list[int]
) -> None:
    """Blood brought up to date at any moments before gives the same death, within a few seconds."""
    live = a_casualty(bleed_truncal=rate, bleed_slope=0.05 * rate, tolerance_h=tolerance)
    physiology.forecast_death(WORLD, live)
    first = int(live["death_at"])
    for now in np.cumsum(looks).tolist():
        if now < first:
            physiology.bleed_until(WORLD, live, now)
            physiology.forecast_death(WORLD, live)
    assert abs(int(live["death_at"]) - first) <= max(3, 0.002 * first)


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.floats(0.05, 2.0))
def test_blood_does_not_depend_on_how_often_it_is_brought_up_to_date(
    steps: list[int], rate: float
) -> None:
    """One step over all the time, or many: volume, debt and rates agree."""
    once, often = (
        a_casualty(bleed_junctional=rate, bleed_truncal=rate, bleed_slope=0.1 * rate)
        for _ in range(2)
    )
    for now in np.cumsum(steps).tolist():
        physiology.bleed_until(WORLD, often, now)
    physiology.bleed_until(WORLD, once, sum(steps))
    for name in ("log_blood", "oxygen_debt_h", "bleed_junctional", "bleed_truncal"):
        assert float(often[name]) == pytest.approx(float(once[name]), rel=1e-4, abs=1e-6)


def bled_for(minutes: float, **values: Any) -> Any:  # noqa: ANN401  a record
    """Return who bled that long from a limb at three blood volumes an hour."""
    live = a_casualty(bleed_extremity=3.0, bleed_slope=0.15, tolerance_h=0.011, **values)
    physiology.bleed_until(WORLD, live, int(60 * minutes))
    return live


def test_a_tourniquet_saves_before_shock_and_comes_too_late_after_it() -> None:
    """Shock begins after ln(1/0.7)/3 hours, some 7 minutes; at 10.5 minutes 42 % is lost."""
    in_time, too_late = bled_for(4), bled_for(10.5)
    assert not physiology.is_in_shock(WORLD, in_time)
    assert physiology.is_in_shock(WORLD, too_late)
    for live in (in_time, too_late):
        care.apply(WORLD, live, care.TOURNIQUET, int(live["blood_at"]))
        physiology.forecast_death(WORLD, live)
    assert in_time["death_at"] - in_time["blood_at"] > 6 * HOUR
    assert too_late["death_at"] - too_late["blood_at"] < HOUR


@given(SHARES, st.integers(0, 10))
def test_transfusion_adds_its_units_and_never_overfills(share: float, units: int) -> None:
    live = a_casualty(log_blood=math.log(share))
    physiology.transfuse(WORLD, live, units)
    expected = min(1.0, share + UNIT * units)
    assert math.exp(live["log_blood"]) == pytest.approx(expected, rel=1e-6)


@given(SHARES, st.integers(0, 10), st.floats(0.0, 0.5))
def test_units_wanted_reach_the_volume_aimed_at_or_are_all_there_are(
    share: float, most: int, losing: float
) -> None:
    """Of who will have lost much; the others are given none."""
    live = a_casualty(log_blood=math.log(share))
    units = physiology.units_wanted(WORLD, live, most, losing)
    aim = float(WORLD["wanted_blood_share"])
    threshold = float(WORLD["transfused_blood_share"])
    assert 0 <= units <= most
    share -= losing
    assume(abs(share - threshold) > 1e-6)  # the kernel's share has gone through its logarithm
    if share > threshold:
        assert units == 0
        return
    if units > 0:
        assert share + UNIT * (units - 1) < aim + 1e-6
    if units < most:
        assert share + UNIT * units >= aim - 1e-6


@given(SHARES, st.floats(0.0, 3.0), st.integers(0, 40))
def test_an_operation_costs_its_blood_and_adds_the_units_given(
    share: float, lost: float, units: int
) -> None:
    live = a_casualty(log_blood=math.log(share))
    physiology.lose_in_surgery(WORLD, live, lost, units)
    expected = min(1.0, max(share - lost + UNIT * units, 0.01))
    assert math.exp(live["log_blood"]) == pytest.approx(expected, rel=1e-5)


def test_the_first_operation_costs_most_where_vessels_are_torn_and_shock_was_long() -> None:
    def costs(**values: float) -> float:
        return physiology.lost_in_surgery(WORLD, a_casualty(tolerance_h=1.0, **values), 4, 0.5)

    sound = float(WORLD["surgery_loss_share"][4])
    assert costs() == pytest.approx(sound)
    assert costs(bleed_truncal=2.0) > costs(bleed_truncal=1.0) > costs(limb_per_h=1.0) > sound
    assert costs(oxygen_debt_h=0.8) > costs(oxygen_debt_h=0.2) > sound
    assert costs(bleed_truncal=2.0, flags=FLAG.HAD_SURGERY) == pytest.approx(sound)


def test_blood_postpones_death() -> None:
    bleeding, given_blood = bled_for(9), bled_for(9)
    physiology.transfuse(WORLD, given_blood, 2)
    for live in (bleeding, given_blood):
        physiology.forecast_death(WORLD, live)
    assert given_blood["death_at"] > bleeding["death_at"]


PROBLEMS = {
    "airway_at": "airway",
    "pneumothorax_at": "tension_pneumothorax",
    "brain_at": "brain_injury",
    "agent_at": "chemical",
    "late_at": "sepsis",
    "failing_at": "multiple_trauma",
}


@pytest.mark.parametrize(("problem", "cause"), PROBLEMS.items())
def test_the_earliest_problem_is_the_death_and_its_cause(problem: str, cause: str) -> None:
    times = dict.fromkeys(PROBLEMS, 9_000) | {problem: 5_000}
    live = a_casualty(bleed_truncal=0.1)
    for name, at in times.items():
        live[name] = at
    physiology.forecast_death(WORLD, live)
    assert live["death_at"] == 5_000
    assert DEATH_CAUSES[physiology.cause_of_death(live, 5_000)] == cause


def test_who_dies_of_no_other_problem_bled_to_death() -> None:
    live = a_casualty(bleed_truncal=6.0)
    physiology.forecast_death(WORLD, live)
    assert 0 < live["death_at"] < HOUR
    cause = physiology.cause_of_death(live, int(live["death_at"]))
    assert DEATH_CAUSES[cause] == "haemorrhage"


def test_who_is_hit_in_transit_died_of_the_attack() -> None:
    live = a_casualty(flags=FLAG.HIT_IN_TRANSIT, airway_at=10)
    assert DEATH_CAUSES[physiology.cause_of_death(live, 10)] == "attack_in_transit"


def test_the_unhurt_live() -> None:
    live = a_casualty()
    physiology.bleed_until(WORLD, live, 10 * HOUR)
    physiology.forecast_death(WORLD, live)
    assert live["death_at"] == NEVER
    assert live["log_blood"] == 0.0
