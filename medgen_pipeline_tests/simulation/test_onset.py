"""What wounds do: bleeding, times to death and needs, at the shares and rates of the figures."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import DEATH_CAUSES
from medgen_pipeline.simulation import onset, physiology
from medgen_pipeline.simulation.memory import WORLD
from medgen_pipeline.simulation.state import FLAG, LIVE, NEVER
from medgen_pipeline_tests.simulation.casualties import Record, a_casualty, a_world, some_wounds
from medgen_pipeline_tests.simulation.operations import assert_share

LIMB = {"body_region": "extremities", "wound_type": "penetrating", "bleeding_site": "extremity"}
TORSO = {"body_region": "abdomen", "wound_type": "penetrating", "bleeding_site": "truncal"}
HEAD = {"body_region": "head_neck", "wound_type": "brain_injury", "bleeding_site": "none"}
CHEST = {"body_region": "chest", "wound_type": "contusion", "bleeding_site": "none"}
FACE = {"body_region": "face", "wound_type": "fracture", "bleeding_site": "none"}
THE_WORLD = a_world()


def hurt(*wounds: dict[str, Any], subject: int = 0, world: Record = THE_WORLD) -> Record:
    """Return a casualty with these wounds."""
    live = a_casualty(subject, 1_000)
    onset.afflict(world, live, some_wounds(*wounds), len(wounds), 1_000)
    return live


def many(count: int, *wounds: dict[str, Any], world: Record = THE_WORLD) -> list[Record]:
    """Return casualties with these same wounds, each with draws of their own."""
    return [hurt(*wounds, subject=subject, world=world) for subject in range(count)]


@given(st.floats(0.01, 1e4), st.floats(0.0, 2.0))
def test_the_median_of_a_lognormal_is_its_median(median: float, spread: float) -> None:
    assert onset.lognormal(median, spread, 0.5) == pytest.approx(median)
    upper = onset.lognormal(median, spread, 0.841344746)
    assert upper == pytest.approx(median * math.exp(spread), rel=1e-6)


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(0.0, 1), (0.001, 1), (1.0, 60), (90.5, 5_430), (1e12, 120_000_000)]
)
def test_a_time_lies_a_second_on_at_least_and_within_the_clock(
    minutes: float, seconds: int
) -> None:
    assert onset.in_seconds(5, minutes) == 5 + seconds
    assert NEVER > (365 + 180) * 86_400 + 120_000_000


@given(st.floats(0.0, 1.0))
def test_rates_between_two_lie_between_them(uniform: float) -> None:
    assert 2.0 <= onset.log_between(2.0, 5.0, uniform) <= 5.0 + 1e-12
    assert onset.log_between(2.0, 8.0, 0.5) == pytest.approx(4.0)


def test_the_slightly_hurt_have_no_problem() -> None:
    for live in many(200, {**LIMB, "ais": 1}, {**FACE, "ais": 1}, {**CHEST, "ais": 1}):
        physiology.forecast_death(THE_WORLD, live)
        assert live["death_at"] == NEVER
        assert not live["flags"] & FLAG.UNSURVIVABLE
        assert live["walking"] == 1


def test_limb_wounds_bleed_at_their_share_and_within_their_rates() -> None:
    bleeders = [live for live in many(4_000, {**LIMB, "ais": 4}) if live["bleed_extremity"] > 0]
    share = float(THE_WORLD["limb_artery_share"][4])
    assert_share(len(bleeders), 4_000, share, detects=0.06)
    least, most = THE_WORLD["limb_artery_per_h"]
    assert all(least - 1e-6 <= live["bleed_extremity"] <= most + 1e-6 for live in bleeders)
    assert all(live["flags"] & FLAG.NEEDS_SURGERY for live in bleeders)


def test_a_severed_limb_always_bleeds() -> None:
    severed: dict[str, Any] = {**LIMB, "wound_type": "amputation", "ais": 3}
    assert all(live["bleed_extremity"] > 0 for live in many(200, severed))


def test_the_worst_limb_decides_and_torso_wounds_add_up() -> None:
    limb: dict[str, Any] = {**LIMB, "wound_type": "amputation", "ais": 4}
    one, two = many(300, limb), many(300, limb, limb)
    most = float(THE_WORLD["limb_artery_per_h"][1])
    assert all(a["bleed_extremity"] <= b["bleed_extremity"] for a, b in zip(one, two, strict=True))
    assert all(live["bleed_extremity"] <= most + 1e-6 for live in two)
    torso: dict[str, Any] = {**TORSO, "ais": 6}
    one, two = many(50, torso), many(50, torso, torso)
    assert all(a["bleed_truncal"] < b["bleed_truncal"] for a, b in zip(one, two, strict=True))


def test_the_bleeding_factor_multiplies_every_rate() -> None:
    severed: dict[str, Any] = {**LIMB, "wound_type": "amputation", "ais": 4}
    double = a_world(bleeding_factor=2.0)
    for subject in range(50):
        rate = physiology.bleeding_rate(hurt(severed, subject=subject))
        twice = physiology.bleeding_rate(hurt(severed, subject=subject, world=double))
        assert twice == pytest.approx(2 * rate, rel=1e-6)


def test_a_wound_marks_itself_lethal_when_it_threatens_life() -> None:
    """It is marked in the rows, as the `injuries` table shows it."""
    marks = set()
    for subject in range(300):
        live = a_casualty(subject)
        wounds = some_wounds({**LIMB, "ais": 4}, {**FACE, "ais": 2})
        onset.afflict(THE_WORLD, live, wounds, 2, 0)
        assert wounds["is_lethal"][0] == (live["bleed_extremity"] > 0)
        assert wounds["is_lethal"][1] == 0
        marks.add(int(wounds["is_lethal"][0]))
    assert marks == {0, 1}


def test_ais_6_kills_at_once_or_within_minutes() -> None:
    dead = many(2_000, {**CHEST, "ais": 6})
    at_once = sum(live["brain_at"] == 1_000 for live in dead)
    assert_share(at_once, 2_000, float(THE_WORLD["instant_share"]), detects=0.08)
    assert all(live["flags"] & FLAG.UNSURVIVABLE for live in dead)
    later = [(live["brain_at"] - 1_000) / 60 for live in dead if live["brain_at"] > 1_000]
    mean = float(THE_WORLD["agonal_minutes"])
    assert abs(np.mean(later) - mean) < 4 * mean / math.sqrt(len(later))


SHATTERED = {
    "brain_injury": {**HEAD, "ais": 6},
    "haemorrhage": {**TORSO, "ais": 6},
    "multiple_trauma": {
        **HEAD,
        "wound_type": "amputation",
        "bleeding_site": "junctional",
        "ais": 6,
    },
    "burns": {"body_region": "external", "wound_type": "burn", "bleeding_site": "none", "ais": 6},
}


@pytest.mark.parametrize(("cause", "wound"), SHATTERED.items())
def test_ais_6_kills_by_what_it_destroys(cause: str, wound: dict[str, Any]) -> None:
    live = hurt(wound)
    at = int(live["brain_at"])
    assert DEATH_CAUSES[physiology.cause_of_death(live, at)] == cause


def test_burns_kill_at_their_share_and_time_and_smoke_bursts_no_lung() -> None:
    smoke = {"body_region": "chest", "wound_type": "burn", "bleeding_site": "none", "ais": 5}
    casualties = many(3_000, smoke)
    assert {int(live["pneumothorax_at"]) for live in casualties} == {NEVER}
    dying = [live for live in casualties if live["failing_at"] < NEVER]
    assert_share(len(dying), 3_000, float(THE_WORLD["burn_share"][5]), detects=0.07)
    assert {int(live["failing_cause"]) for live in dying} == {physiology.BURNS}
    median = float(THE_WORLD["burn_hours"][0])
    below = sum((live["failing_at"] - 1_000) / 3_600 < median for live in dying)
    assert_share(below, len(dying), 0.5, detects=0.1)


@pytest.mark.parametrize(
    ("wound", "share", "problem"),
    [
        ({**CHEST, "ais": 5}, "pneumothorax_share", "pneumothorax_at"),
        ({**FACE, "ais": 5}, "airway_share", "airway_at"),
    ],
)
def test_chest_and_airway_threaten_at_their_shares_and_times(
    wound: dict[str, Any], share: str, problem: str
) -> None:
    casualties = many(3_000, wound)
    times = [(live[problem] - 1_000) / 60 for live in casualties if live[problem] < NEVER]
    assert_share(len(times), 3_000, float(THE_WORLD[share][5]), detects=0.06)
    median, spread = THE_WORLD[problem.replace("_at", "_minutes")]
    below = sum(time < median for time in times)
    assert_share(below, len(times), 0.5, detects=0.3)
    assert np.std(np.log(times)) == pytest.approx(spread, rel=0.2)


def test_brain_injuries_are_fatal_lethal_or_neither_at_their_shares() -> None:
    casualties = many(3_000, {**HEAD, "ais": 5})
    fatal = sum(bool(live["flags"] & FLAG.UNSURVIVABLE) for live in casualties)
    killing = sum(live["brain_at"] < NEVER for live in casualties)
    share, lethal = (float(THE_WORLD[f"{kind}_brain_share"][5]) for kind in ("fatal", "lethal"))
    assert_share(fatal, 3_000, share, detects=0.07)
    assert_share(killing, 3_000, share + lethal, detects=0.07)
    assert all(live["brain_ais"] == 5 for live in casualties)


@pytest.mark.parametrize(("dose", "dies"), [(29.9, False), (30.1, True)])
def test_a_nerve_agent_kills_above_the_fatal_dose_only(dose: float, dies: bool) -> None:  # noqa: FBT001
    times = []
    for subject in range(1_000):
        live = a_casualty(subject)
        onset.poison(THE_WORLD, live, 0, dose)
        times.append(int(live["agent_at"]))
    if not dies:
        assert set(times) == {NEVER}
    else:
        assert_share(sum(time < 15 * 60 for time in times), 1_000, 0.5, detects=0.12)


def test_illness_kills_under_a_constant_hazard() -> None:
    """Half a death a day leaves exp(-0.5) alive after a day, exp(-1) after two."""
    times = []
    for subject in range(3_000):
        live = a_casualty(subject)
        onset.sicken(THE_WORLD, live, 0, 0.5)
        times.append(int(live["late_at"]))
    for days in (1, 2):
        alive = sum(time > days * 86_400 for time in times)
        assert_share(alive, 3_000, math.exp(-0.5 * days), detects=0.07)
    well = a_casualty()
    onset.sicken(THE_WORLD, well, 0, 0.0)
    assert well["late_at"] == NEVER


def test_a_slot_keeps_nothing_of_who_had_it_before() -> None:
    """What `reset` leaves is set by `is_hurt`, or by `next_for`, before anything reads it."""
    set_later = {
        "next_at": "next_for",
        "facility": "is_hurt",
        "unit": "is_hurt",
        "phase": "is_hurt",
        "front": "is_hurt",
        "casualty_class": "is_hurt",
        "condition": "is_hurt",
        "environment": "is_hurt",
    }
    junk = np.full(LIVE.itemsize, 0x55, np.uint8).view(LIVE)
    zero = np.zeros(1, LIVE)
    for slots in (junk, zero):
        onset.reset(slots[0], 7, 1_000)
    names: Any = LIVE.names
    left = {name for name in names if junk[name].tobytes() != zero[name].tobytes()}
    assert left == set(set_later)


def test_every_figure_of_the_model_reaches_the_world() -> None:
    from medgen_pipeline.reference.physiology import figures  # noqa: PLC0415  read once here

    for name, figure in figures().items():
        assert name in (WORLD.names or ())
        np.testing.assert_array_equal(THE_WORLD[name], figure.value)
