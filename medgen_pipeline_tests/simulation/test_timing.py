from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import (
    ENVIRONMENT_CONDITIONS,
    INTENSITIES,
    TEMPOS,
    WARFARE_TYPES,
)
from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline.simulation.schedule import (
    MASS_CASUALTY,
    SICK_CALL,
    SMALL_GROUP,
    SPECIAL,
    Schedule,
)
from medgen_pipeline.simulation.timing import plan_casualties, timing_tables
from medgen_pipeline_tests.proportions import chi_square_z
from medgen_pipeline_tests.simulation.operations import (
    BATTLE_ONLY,
    TWO_FRONTS,
    assert_share,
    hours_of_clock,
    operation,
    planned,
    rates,
)

EIGHT_TYPES = {t.name: t.daily_weight for t in warfare().types}


def assert_is_consistent(schedule: Schedule, days: int) -> None:
    """Want a schedule whose events and casualties agree, in order and within the days."""
    events = len(schedule.event_start_s)
    order = schedule.injured_s.astype(np.int64) << 32 | schedule.event
    assert (np.diff(order) >= 0).all()
    assert (np.diff(schedule.event_start_s) >= 0).all()
    assert (np.bincount(schedule.event, minlength=events) == schedule.event_size).all()
    assert schedule.event_size.sum(dtype=np.int64) == len(schedule)
    if not len(schedule):
        return
    assert schedule.injured_s.min() >= 0
    assert schedule.injured_s.max() < days * 86_400
    assert (schedule.injured_s // 3_600 == schedule.event_start_s[schedule.event] // 3_600).all()
    first = schedule.position_in_event == 0
    assert first.sum() == events
    assert (schedule.injured_s[first] == schedule.event_start_s[schedule.event[first]]).all()
    by_event = np.lexsort((schedule.position_in_event, schedule.event))
    same_event = np.diff(schedule.event[by_event]) == 0
    assert (np.diff(schedule.position_in_event[by_event].astype(int))[same_event] == 1).all()
    assert (np.diff(schedule.injured_s[by_event])[same_event] >= 0).all()


def assert_equal(one: Schedule, other: Schedule) -> None:
    for field in fields(Schedule):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


any_operation = st.fixed_dictionaries(
    {
        "days": st.integers(1, 12),
        "start": st.sampled_from(["2025-06-01T00:00:00Z", "2025-02-28T17:45:10+03:00"]),
        "warfare": st.dictionaries(st.sampled_from(WARFARE_TYPES), st.floats(0.1, 5), min_size=1),
        "tempo": st.sampled_from(TEMPOS),
        "intensity": st.sampled_from(INTENSITIES),
        "environment": st.sets(st.sampled_from(ENVIRONMENT_CONDITIONS)).map(sorted),
        "special_events": st.lists(
            st.sampled_from([{"kind": k} for k in ("major_offensive", "ambush", "mass_casualty")])
            | st.just({"kind": "ambush", "day": 1, "casualties": 1}),
            max_size=3,
        ),
        "fronts": st.sampled_from([TWO_FRONTS, TWO_FRONTS[:1]]).map(
            lambda fronts: [f | {"share": f["share"] if len(fronts) > 1 else 1} for f in fronts]
        ),
    }
)


@settings(max_examples=60)
@given(changes=any_operation, patients=st.integers(3, 20_000), seed=st.integers(0, 2**63 - 1))
def test_any_total_is_exact(changes: dict[str, Any], patients: int, seed: int) -> None:
    """S3: whatever shapes the time, as many are hurt as the scenario says, all within its days."""
    schedule = planned(operation(patients=patients, **changes), seed=seed)
    assert len(schedule) == patients
    assert_is_consistent(schedule, changes["days"])


@settings(max_examples=30)
@given(changes=any_operation, seed=st.integers(0, 2**63 - 1))
def test_any_rates_are_consistent(changes: dict[str, Any], seed: int) -> None:
    """With rates, events and casualties agree as they do with a total, even when there are few."""
    lognormal = {"family": "lognormal", "mean_per_1000": 0.3, "sd_per_1000": 0.6}
    by_rates = rates(lognormal, other=0.1)
    schedule = planned(operation(patients=None, rates=by_rates, **changes), seed=seed)
    assert_is_consistent(schedule, changes["days"])


def test_nobody_hurt_is_a_schedule_too() -> None:
    """A replicate in which a rate gives nobody is empty, not an error."""
    none = {"family": "constant", "mean_per_1000": 1e-9}
    schedule = planned(operation(patients=None, rates=rates(none)))
    assert len(schedule) == len(schedule.event_start_s) == 0
    assert len(schedule.event_names(np.arange(0))) == 0


def test_a_replicate_is_a_function_of_seed_and_number() -> None:
    """S12: the same again, in any order; another number or seed gives others."""
    tables = timing_tables(operation(patients=2_000, warfare=EIGHT_TYPES))
    first = plan_casualties(tables, 7, 3)
    other = plan_casualties(tables, 7, 4)
    assert_equal(first, plan_casualties(tables, 7, 3))
    assert not np.array_equal(first.injured_s, other.injured_s)
    assert not np.array_equal(first.injured_s, plan_casualties(tables, 8, 3).injured_s)


def test_replicates_are_independent() -> None:
    """Casualties of the first day in one replicate say nothing about the next."""
    tables = timing_tables(operation(patients=200, days=2, class_mix=BATTLE_ONLY))
    first_day = np.array(
        [(plan_casualties(tables, 1, r).injured_s < 86_400).sum() for r in range(400)]
    )
    assert abs(np.corrcoef(first_day[:-1], first_day[1:])[0, 1]) < 4 / np.sqrt(399)
    assert first_day.std() == pytest.approx(np.sqrt(50), rel=4 / np.sqrt(2 * 400))


@pytest.mark.parametrize(
    "changes",
    [
        {"care": {"tourniquet_training_share": 0.1, "blood_forward": True}},
        {"facilities": "doubled"},
        {"evacuation": "slow"},
        {"force": {"female_share_battle": 0.3}},
        {"overrides": {"lethality_factor": 2.0}},
        {"follow_up_days": 60, "title": "Another", "replicates_per_batch": 50},
    ],
)
def test_care_never_changes_the_schedule(changes: dict[str, Any]) -> None:
    """What is done for casualties, and who they are, leaves when and where they are hurt."""
    base = operation(patients=1_000)
    data = base.model_dump(mode="json", exclude_none=True)
    if changes == {"facilities": "doubled"}:
        data["facilities"]["role2"]["beds"] *= 2
        changes = {"facilities": data["facilities"]}
    if changes == {"evacuation": "slow"}:
        data["evacuation"]["role1_to_role2"] = {"ground_minutes": 600}
        changes = {"evacuation": data["evacuation"]}
    assert_equal(planned(base), planned(operation(patients=1_000, **changes)))


def test_decisions_do_not_shift_each_other() -> None:
    """Another front leaves every time; another warfare type leaves who is not hurt in battle."""
    one = planned(operation(patients=3_000))
    two = planned(operation(patients=3_000, fronts=TWO_FRONTS))
    assert np.array_equal(one.injured_s, two.injured_s)
    mix = {"battle_injury": 0.5, "non_battle_injury": 0.2, "disease": 0.3}
    plain = planned(operation(patients=3_000, class_mix=mix))
    mixed = planned(
        operation(patients=3_000, class_mix=mix, warfare={"conventional": 1, "drone": 1})
    )
    for schedule_class in (1, 2):
        times = [s.injured_s[s.casualty_class == schedule_class] for s in (plain, mixed)]
        assert np.array_equal(*times)


def test_all_eight_types_share_by_weight() -> None:
    """T1: all eight at once, each with its share of the battle casualties."""
    schedule = planned(
        operation(patients=400_000, days=8, class_mix=BATTLE_ONLY, warfare=EIGHT_TYPES)
    )
    persons = np.bincount(schedule.event_warfare, schedule.event_size, len(WARFARE_TYPES))
    for count, weight in zip(persons, EIGHT_TYPES.values(), strict=True):
        assert_share(int(count), 400_000, weight / 8.0, detects=0.01)


@pytest.mark.parametrize("name", WARFARE_TYPES)
def test_each_type_works_alone(name: str) -> None:
    """T1: every type generates, for a handful as for many, over all days."""
    for patients in (7, 30_000):
        schedule = planned(
            operation(patients=patients, days=3, class_mix=BATTLE_ONLY, warfare={name: 1})
        )
        assert len(schedule) == patients
        assert set(schedule.event_warfare.tolist()) == {WARFARE_TYPES.index(name)}
    assert np.bincount(schedule.injured_s // 86_400).min() > 1_000


def test_tempo_weighs_the_days_of_battle() -> None:
    """T2: in the schedule as in the table: day 3 of a surge has four times day 1."""
    fields = {"patients": 100_000, "days": 8, "class_mix": BATTLE_ONLY, "tempo": "surge"}
    by_day = np.bincount(planned(operation(**fields)).injured_s // 86_400)
    assert chi_square_z(by_day, [0.5, 1.5, 2.0, 1.5, 0.5, 0.8, 1.2, 0.6]) < 3.7


def mass_casualty_share(intensity: str, **changes: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return hours with a mass-casualty event, and hours that could have one."""
    fields = {"patients": 1_400, "days": 6, "class_mix": BATTLE_ONLY, "intensity": intensity}
    tables = timing_tables(operation(**fields | changes))
    had = active = 0
    for replicate in range(80):
        schedule = plan_casualties(tables, 2, replicate)
        hour = schedule.event_start_s // 3_600
        persons = np.bincount(hour, schedule.event_size)
        mass = np.bincount(hour[schedule.event_kind == MASS_CASUALTY], minlength=len(persons))
        single = (persons > 5) & (persons < 40)  # one chance: fewer than two mean sizes
        active += int(single.sum())
        had += int((mass[single] > 0).sum())
    return had, active


@pytest.mark.parametrize(("intensity", "factor"), [("low", 0.5), ("medium", 1), ("extreme", 1.5)])
def test_intensity_makes_mass_casualties_likelier(intensity: str, factor: float) -> None:
    """T3, T13: an hour with more than 5 has one with probability 0.3 times the factor."""
    had, active = mass_casualty_share(intensity)
    assert_share(had, active, 0.3 * factor, detects=0.06)


def test_a_probability_is_at_most_one() -> None:
    """T3: 0.95 for contamination, times 1.5, is certain."""
    tables = timing_tables(operation(warfare={"cbrn": 1}, intensity="extreme"))
    assert tables.cluster_probability.max() == 1.0


@pytest.mark.parametrize("name", WARFARE_TYPES)
@pytest.mark.parametrize("patients", [2_000, 300_000])
def test_mass_casualty_events_keep_their_size(name: str, patients: int) -> None:
    """T13: clusters in the range of their type, groups of 1 to 3, all within the hour.

    An hour with fewer than the smallest cluster may have one of all it has, more than 5.
    """
    mass = warfare().types[WARFARE_TYPES.index(name)].mass_casualty
    schedule = planned(
        operation(patients=patients, days=2, class_mix=BATTLE_ONLY, warfare={name: 1})
    )
    assert_is_consistent(schedule, 2)
    clusters = schedule.event_size[schedule.event_kind == MASS_CASUALTY]
    groups = schedule.event_size[schedule.event_kind == SMALL_GROUP]
    assert (schedule.event_is_mass_casualty == (schedule.event_kind == MASS_CASUALTY)).all()
    assert clusters.max() <= mass.most
    assert clusters.min() >= min(max(2, mass.fewest), 6)
    assert set(groups.tolist()) == {1, 2, 3}
    if patients == 300_000:
        inside = clusters[clusters >= mass.fewest]
        assert len(inside) > 0.99 * len(clusters)
        sizes = np.bincount(inside)[max(2, mass.fewest) :]
        assert sizes.size == mass.most - max(2, mass.fewest) + 1
        assert groups.size > 1_000


def test_sizes_of_clusters_are_uniform() -> None:
    """T13: in hours with thousands, every size of the range is as likely as another."""
    schedule = planned(operation(patients=400_000, days=2, class_mix=BATTLE_ONLY))
    sizes = np.bincount(schedule.event_size[schedule.event_kind == MASS_CASUALTY])[10:]
    assert chi_square_z(sizes, [1] * 21) < 3.7


def test_an_hour_of_thousands_is_many_events() -> None:
    """T13: 30,000 in an hour are many clusters and groups; three tenths are in clusters."""
    event_of_one_hour = planned(
        operation(patients=400_000, days=1, class_mix=BATTLE_ONLY, warfare={"conventional": 1})
    )
    busiest = int(hours_of_clock(event_of_one_hour).argmax())
    inside = event_of_one_hour.event_start_s // 3_600 == busiest
    size = event_of_one_hour.event_size[inside]
    assert size.sum() > 30_000
    assert size.max() <= 30
    clusters = size[event_of_one_hour.event_kind[inside] == MASS_CASUALTY]
    # binomial of n / 20 chances, each 20 persons on average
    assert clusters.sum() / size.sum() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 1_500))


def test_casualties_of_an_event_are_hurt_within_minutes() -> None:
    """T13: a group within a minute, a cluster within its type's minutes and not all at once."""
    schedule = planned(operation(patients=60_000, days=2, class_mix=BATTLE_ONLY))
    after = schedule.injured_s - schedule.event_start_s[schedule.event]
    kind = schedule.event_kind[schedule.event]
    assert after[kind == SMALL_GROUP].max() < 60
    assert 1_000 < after[kind == MASS_CASUALTY].max() < 1_200
    others = after[(kind == MASS_CASUALTY) & (schedule.position_in_event > 0)]
    assert chi_square_z(np.histogram(others, range(0, 1201, 200))[0], [1] * 6) < 3.7


def test_groups_begin_at_any_second() -> None:
    """T13: the start of a group is uniform over the hour, but for the minute it may last."""
    schedule = planned(operation(patients=60_000, days=2, class_mix=BATTLE_ONLY))
    second = schedule.event_start_s[schedule.event_kind == SMALL_GROUP] % 3_600
    assert second.max() < 3_540
    assert chi_square_z(np.histogram(second, range(0, 3541, 177))[0], [1] * 20) < 3.7


def test_what_is_not_battle_comes_one_by_one() -> None:
    """Non-battle injuries and disease are never part of an event of several."""
    schedule = planned(
        operation(
            patients=50_000,
            days=3,
            warfare={"artillery": 1},
            special_events=[{"kind": "major_offensive"}],
        )
    )
    event_class = np.empty(len(schedule.event_size), np.uint8)
    event_class[schedule.event] = schedule.casualty_class
    assert (event_class[schedule.event] == schedule.casualty_class).all()  # one class an event
    assert (schedule.event_size[event_class > 0] == 1).all()
    assert set(schedule.event_kind[event_class == 1].tolist()) == {SMALL_GROUP}
    assert set(schedule.event_kind[event_class == 2].tolist()) == {SICK_CALL}
    assert set(schedule.event_kind[event_class == 0].tolist()) == {
        MASS_CASUALTY,
        SMALL_GROUP,
        SPECIAL,
    }


@pytest.mark.parametrize(("name", "code"), [("non_battle_injury", 1), ("disease", 2)])
def test_individuals_come_at_their_own_hours(name: str, code: int) -> None:
    """Disease is reported at sick call, non-battle injury follows work and the evening."""
    mix = {"battle_injury": 0.0, "non_battle_injury": 0.0, "disease": 0.0} | {name: 1.0}
    schedule = planned(operation(patients=100_000, class_mix=mix))
    assert set(schedule.casualty_class.tolist()) == {code}
    assert chi_square_z(hours_of_clock(schedule), warfare().individual_hours[name]) < 3.7


def test_fronts_have_their_share() -> None:
    """S4: of events of every kind, and so of casualties, as the shares say."""
    schedule = planned(operation(patients=100_000, fronts=TWO_FRONTS))
    for kind in (MASS_CASUALTY, SMALL_GROUP, SICK_CALL):
        front = schedule.event_front[schedule.event_kind == kind]
        assert_share(int((front == 0).sum()), len(front), 0.7, detects=0.2)
    single = schedule.event_front[schedule.event_size == 1]
    assert_share(int((single == 0).sum()), len(single), 0.7, detects=0.02)


def test_with_rates_an_event_is_where_its_casualties_are() -> None:
    """With rates, the events of a front hold exactly the casualties drawn for it."""
    quiet = {"family": "constant", "mean_per_1000": 4.0}
    fronts = [f | {"strength": s} for f, s in zip(TWO_FRONTS, (50_000, 1), strict=True)]
    schedule = planned(operation(patients=None, rates=rates(quiet), fronts=fronts, days=10))
    assert len(schedule) > 1_000
    assert schedule.event_front.max() == 0  # of one person, none is hurt in ten days


def test_environment_shapes_the_time_and_not_the_total() -> None:
    """T17: nights at 0.9 have 0.9 of their casualties, the rest moves to the days."""
    fields = {"patients": 500_000, "class_mix": BATTLE_ONLY, "warfare": {"urban": 1}}
    clear = hours_of_clock(planned(operation(**fields))).astype(float)
    dark = planned(operation(environment=["night_operations"], **fields))
    assert len(dark) == 500_000
    night = [20, 21, 22, 23, 0, 1, 2, 3, 4]
    expected = clear.copy()
    expected[night] *= 0.9
    share = expected[night].sum() / expected.sum()
    before = clear[night].sum() / clear.sum()
    found = int(hours_of_clock(dark)[night].sum())
    assert_share(found, 500_000, share, detects=before - share)


def test_conditions_that_always_hold_leave_the_time() -> None:
    """T17: a factor that is the same at every hour cancels out of an exact total."""
    fields = {"patients": 2_000, "warfare": {"urban": 1}}
    clear, mountains = (
        planned(operation(environment=e, **fields)) for e in ([], ["mountainous_terrain"])
    )
    assert np.array_equal(clear.injured_s, mountains.injured_s)


def test_events_bear_the_conditions_of_their_hour() -> None:
    """Darkness and fog are flagged by the clock, also when the day begins at another hour."""
    schedule = planned(
        operation(
            start="2025-06-01T13:20:00Z",
            patients=5_000,
            environment=["night_operations", "rain", "fog"],
        )
    )
    clock = (schedule.event_start_s // 60 + 13 * 60 + 20) // 60 % 24
    dark = (clock >= 20) | (clock < 5)
    foggy = (clock >= 20) | (clock < 9)
    assert (schedule.event_environment == dark * 1 + 2 + foggy * 4).all()


def test_discovery_is_late_where_visibility_is_poor() -> None:
    """T18: below 0.5, small groups lie unseen for whole minutes up to the summed delay.

    Dust alone leaves 0.4 and 45 minutes; dust by night leaves 0.24 and 65.
    """
    schedule = planned(
        operation(patients=40_000, days=8, environment=["dust_storm", "night_operations"])
    )
    delay = schedule.event_discovery_delay_s
    clock = schedule.event_start_s // 3_600 % 24
    dark = (clock >= 20) | (clock < 5)
    seen = schedule.event_kind == SMALL_GROUP
    assert not delay[~seen].any()
    assert not (delay % 60).any()
    assert chi_square_z(np.bincount(delay[seen & ~dark] // 60), [1] * 46) < 3.7
    assert chi_square_z(np.bincount(delay[seen & dark] // 60), [1] * 66) < 3.7


def test_discovery_never_changes_the_time_of_injury() -> None:
    """T18: poor visibility at every hour moves discovery, not injury."""
    fields = {"patients": 2_000, "warfare": {"urban": 1}}
    clear, storm = (planned(operation(environment=e, **fields)) for e in ([], ["storm"]))
    assert np.array_equal(clear.injured_s, storm.injured_s)
    assert not clear.event_discovery_delay_s.any()
    assert storm.event_discovery_delay_s.max() == 90 * 60


def test_rain_alone_hides_nobody() -> None:
    """T18: visibility of 0.8 is not poor."""
    schedule = planned(operation(patients=2_000, environment=["rain"]))
    assert not schedule.event_discovery_delay_s.any()
