from dataclasses import fields

import pytest

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.warfare import HOURS_PER_DAY, SpecialEventRule, warfare


def test_every_warfare_type_has_its_weight() -> None:
    """T1: all eight types, with the weight of each."""
    weights = {t.name: t.daily_weight for t in warfare().types}
    assert weights == {
        "conventional": 1.0,
        "artillery": 1.2,
        "urban": 1.1,
        "guerrilla": 0.8,
        "drone": 0.6,
        "naval": 0.9,
        "cbrn": 2.0,
        "peacekeeping": 0.4,
    }


def test_tempo_has_eight_days() -> None:
    """T2: five profiles of eight values."""
    tempo = warfare().tempo
    assert tempo["surge"] == (0.5, 1.5, 2.0, 1.5, 0.5, 0.8, 1.2, 0.6)
    assert tempo["intermittent"] == (1.0, 0.3, 1.5, 0.4, 1.2, 0.2, 1.0, 0.5)
    assert tempo["escalating"] == pytest.approx(tuple(0.4 + 0.2 * day for day in range(8)))
    assert tempo["declining"] == pytest.approx(tempo["escalating"][::-1])
    assert tempo["sustained"] == (1.0,) * 8


def test_intensity_changes_the_chance_of_mass_casualties() -> None:
    """T3: factors by intensity."""
    factors = [i.mass_casualty_factor for i in warfare().intensity.values()]
    assert factors == [0.5, 1.0, 1.2, 1.5]
    assert [i.patient_factor for i in warfare().intensity.values()] == [0.5, 1.0, 1.5, 2.0]


def test_activity_peaks_in_the_morning_and_the_evening() -> None:
    """T4: 24 weights that sum to 19.8, with peaks at 7 and 17."""
    activity = warfare().hour_activity
    assert len(activity) == HOURS_PER_DAY
    assert sum(activity) == pytest.approx(19.8)
    assert {hour for hour, weight in enumerate(activity) if weight == max(activity)} == {7, 17}


def test_sizes_of_mass_casualty_events_by_type() -> None:
    """T13: sizes from 1-5 to 50-200, probabilities from 0.05 to 0.95."""
    events = {
        t.name: (t.mass_casualty.probability, t.mass_casualty.fewest, t.mass_casualty.most)
        for t in warfare().types
    }
    assert events == {
        "conventional": (0.3, 10, 30),
        "artillery": (0.8, 15, 50),
        "urban": (0.4, 5, 20),
        "guerrilla": (0.15, 2, 8),
        "drone": (0.1, 1, 5),
        "naval": (0.4, 10, 25),
        "cbrn": (0.95, 50, 200),
        "peacekeeping": (0.05, 1, 5),
    }


def test_an_event_ends_within_an_hour() -> None:
    """No warfare type lets an event last as long as the hour it has to stay in."""
    assert all(0 < t.mass_casualty.spread_minutes < 60 for t in warfare().types)


def test_special_events_have_a_trigger() -> None:
    """T14-T16: each kind has days of its own or a probability for every day, not both."""
    rules = warfare().special_events
    assert {field.name for field in fields(SpecialEventRule)} >= {"days", "daily_probability"}
    assert all(bool(rule.days) != bool(rule.daily_probability) for rule in rules.values())
    assert all(0 < rule.share_low <= rule.share_high < 1 for rule in rules.values())


def test_conditions_add_delay_and_take_visibility() -> None:
    """T17-T19: factor, visibility and delay of each condition, found again by its bits."""
    reference = warfare()
    flags = reference.flags_at(("storm", "rain"), hour=12)
    holding = reference.holding(flags)
    assert [c.name for c in holding] == ["rain", "storm"]
    assert sum(c.evacuation_delay_minutes for c in holding) == 105
    factors = [c.casualty_factor for c in reference.conditions]
    assert min(factors) == 0.5
    assert max(factors) == 1.2


def test_only_night_and_fog_come_and_go() -> None:
    """Darkness is from 20 to 5, fog lasts until after sunrise; the others hold throughout."""
    reference = warfare()
    names = vocabulary.ENVIRONMENT_CONDITIONS
    always = {c.name for c in reference.conditions if len(c.hours) == HOURS_PER_DAY}
    assert always == set(names) - {"night_operations", "fog"}
    assert reference.dark_hours() == {20, 21, 22, 23, 0, 1, 2, 3, 4}
    assert reference.flags_at(names, hour=12) == sum(
        1 << bit for bit, name in enumerate(names) if name in always
    )
