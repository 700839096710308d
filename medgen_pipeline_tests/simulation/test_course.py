"""The course of casualties: better policies do no harm; darkness, duty, what events say."""

from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from medgen_pipeline.reference.vocabulary import (
    BLEEDING_SITES,
    EVENT_TYPES,
    PROVIDERS,
    ROLES,
    TREATMENTS,
    VEHICLES,
)
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import course
from medgen_pipeline_tests.simulation.casualties import a_world
from medgen_pipeline_tests.simulation.running import Columns, changed, is_outcome, small, tables

HOUR = 3600
CONTACTS = ("POI", "ROLE1", "ROLE2", "ROLE3")
ARRIVED, DEPARTED, ADMITTED, SURGERY, DIED = (
    EVENT_TYPES.index(word)
    for word in ("arrived", "departed", "admitted", "surgery_started", "died")
)


@numba.njit  # type: ignore[untyped-decorator]
def darkness(world: Any, at: int) -> int:  # noqa: ANN401  a record
    """Return the next time of darkness."""
    return int(course.next_darkness(world, at))


@pytest.mark.parametrize(
    ("clock", "start", "dark"),
    [
        (12 * HOUR, 0, 20 * HOUR),  # noon: at eight in the evening
        (20 * HOUR, 0, 20 * HOUR),
        (23 * HOUR, 0, 23 * HOUR),
        (4 * HOUR, 0, 4 * HOUR),
        (5 * HOUR, 0, 20 * HOUR),  # dawn
        (0, 6 * HOUR, 14 * HOUR),  # a scenario that begins at six in the morning
        (86_400 * 9 + 19 * HOUR, 0, 86_400 * 9 + 20 * HOUR),
    ],
)
def test_darkness_is_from_20_to_5_by_the_clock_of_the_scenario(
    clock: int, start: int, dark: int
) -> None:
    assert darkness(a_world(start_second_of_day=start), clock) == dark


def waits(
    found: dict[str, Columns], event: int, role: str | None = None
) -> npt.NDArray[np.float32]:
    """Return the waits that ended with an event."""
    timeline = found["timeline"]
    chosen = timeline["event_type"] == event
    if role is not None:
        chosen &= timeline["role"] == ROLES.index(role)
    minutes: npt.NDArray[np.float32] = timeline["wait_minutes"][chosen]
    return minutes


@pytest.fixture(scope="module")
def busy() -> Scenario:
    """Return a war that is too much for its chain, so that everything is waited for."""
    return small(
        patients=1_500,
        days=3,
        warfare={"artillery": 1.0},
        facilities__role1__units=4,
        facilities__role1__beds=60,
        facilities__role2__beds=150,
        facilities__role2__operating_tables=4,
        facilities__role3__beds=500,
        facilities__role3__operating_tables=8,
        evacuation__vehicles__ground_ambulances=60,
    )


def assert_never_rises(values: list[float]) -> None:
    """Want each value no larger than the one before, and the last below the first."""
    assert all(after <= before for before, after in pairwise(values)), values
    assert values[-1] < values[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_ambulances_never_lengthen_the_wait_for_one(busy: Scenario, seed: int) -> None:
    """The median wait at the point of injury, the same casualties meeting 15 to 240."""
    medians = []
    for number in (15, 30, 60, 120, 240):
        found = tables(changed(busy, seed=seed, evacuation__vehicles__ground_ambulances=number))
        medians.append(float(np.median(waits(found, DEPARTED, "POI"))))
    assert_never_rises(medians)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_tables_never_lengthen_the_wait_for_surgery(busy: Scenario, seed: int) -> None:
    """The mean wait at Role 2 of who is operated on there, with 1 to 16 tables."""
    means = []
    for number in (1, 2, 4, 8, 16):
        found = tables(changed(busy, seed=seed, facilities__role2__operating_tables=number))
        means.append(float(waits(found, SURGERY, "ROLE2").mean()))
    assert_never_rises(means)


@pytest.fixture(scope="module")
def plenty() -> Scenario:
    """Return a war with room and vehicles for all: with few, who is saved takes another's table."""
    return small(
        patients=3_000,
        warfare={"artillery": 1.0},
        **{f"facilities__role{role}__units": 300 for role in (1, 2, 3)},
        **{f"evacuation__vehicles__{kind}_ambulances": 3_000 for kind in ("ground", "theatre")},
    )


def deaths_of_bleeders(scenario: Scenario, site: str) -> int:
    """Return how many die of those with a bleed at a site that kills if nothing is done."""
    found = tables(scenario)
    injuries, patients = found["injuries"], found["patients"]
    lethal = injuries["is_lethal"].astype(bool)
    lethal &= injuries["bleeding_site"] == BLEEDING_SITES.index(site)
    bleeders = np.isin(patients["subject_id"], injuries["subject_id"][lethal])
    assert bleeders.sum() > 50
    return int(is_outcome(patients, "KIA", "DOW", "DNB")[bleeders].sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faster_evacuation_never_kills_more_of_those_who_bleed_inside(
    plenty: Scenario, seed: int
) -> None:
    """The same bleeders into the trunk, on ways of 240 minutes down to 10."""
    legs = ("point_of_injury_to_role1", "point_of_injury_to_role2", "role1_to_role2")
    deaths = []
    for minutes in (240.0, 120.0, 60.0, 30.0, 10.0):
        ways = {f"evacuation__{leg}__ground_minutes": minutes for leg in legs}
        deaths.append(float(deaths_of_bleeders(changed(plenty, seed=seed, **ways), "truncal")))
    assert_never_rises(deaths)


def test_sooner_tourniquets_never_kill_more_of_those_who_bleed_from_a_limb(
    plenty: Scenario,
) -> None:
    """Where a medic takes half an hour: by nobody but them, then by ever more and sooner."""
    deaths = []
    for share, minutes in ((0.0, 4.0), (0.5, 4.0), (1.0, 4.0), (1.0, 2.0)):
        policy = changed(
            plenty,
            care__medic_minutes=30.0,
            care__tourniquet_training_share=share,
            care__tourniquet_minutes=minutes,
        )
        deaths.append(float(deaths_of_bleeders(policy, "extremity")))
    assert_never_rises(deaths)


def test_forward_moves_wait_for_darkness_where_they_must() -> None:
    """Battle casualties leave the point of injury in the dark, within a vehicle's time to come."""
    scenario = small(
        patients=1_000,
        evacuation__threat__moves_only_in_darkness=True,
        evacuation__vehicles__ground_ambulances=1_000,
    )
    found = tables(scenario)
    timeline, patients = found["timeline"], found["patients"]
    battle = patients["subject_id"][patients["casualty_class"] == 0]
    asked = timeline["event_type"] == EVENT_TYPES.index("evacuation_requested")
    asked &= (timeline["role"] == ROLES.index("POI")) & np.isin(timeline["subject_id"], battle)
    hours = (timeline["occurred_at"][asked] // 1_000_000) % 86_400 // HOUR
    assert len(hours) > 100
    assert set(hours.tolist()) <= {20, 21, 22, 23, 0, 1, 2, 3, 4}


def test_who_returns_to_duty_was_fit_and_who_leaves_the_theatre_was_not_in_time() -> None:
    """Nobody is back before they are fit, nor kept longer than the policy of seven days."""
    patients = tables(small(patients=2_000, follow_up_days=30))["patients"]
    back, gone = is_outcome(patients, "RTD"), is_outcome(patients, "EVACUATED")
    assert back.sum() > 500
    assert gone.sum() > 100
    assert not np.isnan(patients["days_to_duty"][back]).any()
    days = (patients["outcome_at"] - patients["injured_at"]) / 86_400e6
    np.testing.assert_allclose(patients["days_to_duty"][back], days[back], rtol=1e-5)


def test_no_policy_of_evacuation_empties_the_theatre() -> None:
    """With a policy of no days nobody is kept at Role 3 to recover; with 180 nobody leaves."""
    none, all_ = (
        tables(small(patients=500, follow_up_days=180, evacuation__policy_days=days))["patients"]
        for days in (0.0, 180.0)
    )
    assert is_outcome(none, "EVACUATED").sum() > is_outcome(all_, "EVACUATED").sum()
    assert is_outcome(all_, "EVACUATED").sum() <= 0.01 * 500


def test_a_wait_is_the_time_since_what_it_waited_for() -> None:
    """Admission: since arrival; surgery: no sooner than admission."""
    timeline = tables(small(patients=1_000))["timeline"]
    order = np.lexsort((timeline["event_number"], timeline["subject_id"]))
    rows = zip(
        *(
            timeline[n][order].tolist()
            for n in ("subject_id", "event_type", "occurred_at", "wait_minutes")
        ),
        strict=True,
    )
    seen = 0
    for (who, event, at, _), (then, after, later, wait) in pairwise(rows):
        if who == then and (event, after) == (ARRIVED, ADMITTED):
            assert wait == pytest.approx((later - at) / 60e6, abs=1e-3)
            seen += 1
    assert seen > 500


def test_the_dead_of_a_facility_hour_are_those_who_died_there() -> None:
    """Who dies under way is no death of where they were bound for."""
    lost = small(
        patients=300,
        evacuation__threat__ground_loss_probability=1.0,
        evacuation__threat__air_loss_probability=1.0,
    )
    found = tables(lost)
    died = found["timeline"]["event_type"] == DIED
    in_transit = died & (found["timeline"]["role"] == ROLES.index("TRANSIT"))
    assert in_transit.sum() > 100
    assert found["facility_hours"]["deaths"].sum() == died.sum() - in_transit.sum()


def test_a_medic_mends_what_a_buddy_got_wrong() -> None:
    """Each pair of hands has its own luck with a tourniquet."""
    given = tables(
        small(
            patients=12_000,
            warfare={"guerrilla": 1.0},
            care__tourniquet_training_share=1.0,
            overrides__treatment_effectiveness={"tourniquet": 0.5},
        )
    )["treatments"]
    tourniquets = given["treatment"] == TREATMENTS.index("tourniquet")
    by_others = np.isin(given["provider"], [PROVIDERS.index(word) for word in ("self", "buddy")])
    by_medic = given["provider"] == PROVIDERS.index("combat_medic")
    failed = given["subject_id"][tourniquets & by_others & (given["is_effective"] == 0)]
    mended = given["subject_id"][tourniquets & by_medic & (given["is_effective"] == 1)]
    tried = given["subject_id"][tourniquets & by_medic]
    assert np.isin(failed, tried).sum() > 30
    assert 0.2 < np.isin(failed, mended).sum() / np.isin(failed, tried).sum() < 0.7


def test_who_cannot_go_by_road_is_flown() -> None:
    """Without ground vehicles the less urgent take aircraft too, and nobody stays behind."""
    ways = ("point_of_injury_to_role1", "point_of_injury_to_role2", "role1_to_role2")
    found = tables(
        small(
            patients=300,
            evacuation__vehicles__ground_ambulances=0,
            evacuation__vehicles__buses=0,
            evacuation__vehicles__helicopters=20,
            **{f"evacuation__{way}__air_minutes": 15.0 for way in ways},
        )
    )
    timeline = found["timeline"]
    from_there = (timeline["event_type"] == DEPARTED) & (timeline["role"] == ROLES.index("POI"))
    assert from_there.sum() > 200
    assert set(timeline["vehicle"][from_there].tolist()) == {VEHICLES.index("helicopter")}


def test_who_walks_and_waits_for_a_load_gives_up_the_bed(busy: Scenario) -> None:
    found = tables(changed(busy, evacuation__vehicles__strategic_aircraft=1))
    hours = found["facility_hours"]
    assert hours["in_staging"].max() > 5
    assert set(hours["in_staging"][hours["role"] == ROLES.index("POI")].tolist()) == {0}
    timeline = found["timeline"]
    left = timeline["event_type"] == EVENT_TYPES.index("discharged")
    assert (left & (timeline["role"] == ROLES.index("ROLE3"))).sum() > 20


def test_a_casualty_is_sorted_and_diagnosed_anew_at_each_contact(busy: Scenario) -> None:
    """The first sorting and the last diagnosis are those of the casualty's row."""
    found = tables(busy)
    seen, patients = found["observations"], found["patients"]
    place = np.searchsorted(patients["subject_id"], seen["subject_id"])
    _, first = np.unique(seen["subject_id"], return_index=True)
    last = len(place) - 1 - np.unique(seen["subject_id"][::-1], return_index=True)[1]
    assert (seen["triage"][first] == patients["triage_assigned"][place[first]]).all()
    assert (seen["diagnosis_code"][last] == patients["recorded_diagnosis_code"][place[last]]).all()
    assert (seen["triage"] != patients["triage_assigned"][place]).any()
    right = seen["diagnosis_code"] == patients["primary_condition_code"][place]
    shares = [right[seen["role"] == ROLES.index(role)].mean() for role in CONTACTS]
    assert shares == sorted(shares)
