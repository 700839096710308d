import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.errors import ScenarioError
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import MOST_PATIENTS, FacilityGroup, Scenario
from medgen_pipeline.scenario.rules import MAX_UNITS
from medgen_pipeline.scenario.scaling import (
    LEAST_BEDS,
    MOST_UNITS,
    fingerprint,
    with_patients,
    with_replicates_per_batch,
    with_seed,
)
from medgen_pipeline.scenario.totals import class_mix, expected_patients
from medgen_pipeline.scenario.validation import parse
from medgen_pipeline_tests.scenario.examples import SHIPPED_IDS, data_of

ALL = tuple(Catalogue().get(scenario_id) for scenario_id in SHIPPED_IDS)


def groups(scenario: Scenario) -> list[FacilityGroup]:
    """Return every group that is used, front by front, then Role 3."""
    chains = [front.chain(scenario.facilities) for front in scenario.fronts]
    used = [group for chain in chains for group in (chain.role1, chain.role2)]
    return [*used, scenario.facilities.role3]


def beds(group: FacilityGroup) -> int:
    return group.units * group.beds


def tables(group: FacilityGroup) -> int:
    return group.units * group.operating_tables


@given(st.sampled_from(ALL), st.floats(-2, 3))
def test_capacity_keeps_its_proportion_to_patients(scenario: Scenario, exponent: float) -> None:
    """From a hundredth to a thousandfold, beds and tables follow, to the nearest bed and table.

    A unit has a whole number of beds and tables, so that rounding can be off by half of one in each
    unit; below that, what a chain needs at least stays.
    """
    factor = 10**exponent
    patients = max(1, round(expected_patients(scenario) * factor))
    factor = patients / expected_patients(scenario)
    scaled = with_patients(scenario, patients)
    assert expected_patients(scaled) == patients
    for before, after in zip(groups(scenario), groups(scaled), strict=True):
        least = after.units * min(before.beds, LEAST_BEDS)
        assert_follows(beds(after), max(least, beds(before) * factor), after.units)
        least = after.units * min(before.operating_tables, 1)
        assert_follows(tables(after), max(least, tables(before) * factor), after.units)


def assert_follows(number: int, wanted: float, units: int) -> None:
    """Check a number that is whole in each unit against the one that was wanted in all."""
    assert abs(number - wanted) <= 0.5 * units + 1e-6


@pytest.mark.parametrize("scenario", ALL, ids=SHIPPED_IDS)
def test_a_million_patients_meet_more_units_of_the_same_size(scenario: Scenario) -> None:
    """Not giant ones, unless there would be more units than can be numbered."""
    scaled = with_patients(scenario, 1_000_000)
    units = sum(group.units for group in groups(scenario))
    growth = max(1.0, units * 1_000_000 / expected_patients(scenario) / MOST_UNITS)
    for before, after in zip(groups(scenario), groups(scaled), strict=True):
        assert after.units > 50 * before.units
        assert after.beds == pytest.approx(before.beds * growth, rel=0.1)
    assert sum(group.units for group in groups(scaled)) < MAX_UNITS


@pytest.mark.parametrize("scenario", ALL, ids=SHIPPED_IDS)
@pytest.mark.parametrize("patients", [1, 10, MOST_PATIENTS])
def test_the_extremes_are_still_scenarios(scenario: Scenario, patients: int) -> None:
    """One patient finds a whole chain, and ninety million no more units than can be numbered."""
    scaled = with_patients(scenario, patients)
    assert scaled.patients == patients
    assert all(group.units >= 1 and group.beds >= 1 for group in groups(scaled))
    assert sum(group.units for group in groups(scaled)) < MAX_UNITS


def test_force_and_vehicles_follow_the_patients() -> None:
    """Ten times the patients of ten times the strength, with ten times the vehicles."""
    demo = Catalogue().get("demo")
    scaled = with_patients(demo, 10_000)
    assert [front.strength for front in scaled.fronts] == [120_000, 60_000]
    vehicles = scaled.evacuation.vehicles
    assert vehicles.ground_ambulances == 200
    assert vehicles.strategic_aircraft == 20
    assert scaled.special_events[1].casualties == 300
    assert with_patients(demo, 1).evacuation.vehicles.helicopters == 1


def test_what_was_not_there_does_not_appear() -> None:
    """A chain without helicopters has none at any size."""
    drone = Catalogue().get("drone")
    assert with_patients(drone, 1_000_000).evacuation.vehicles.helicopters == 0


def test_capacity_can_be_kept_as_written() -> None:
    """More casualties of a larger force then meet the same facilities and vehicles."""
    demo = Catalogue().get("demo")
    scaled = with_patients(demo, 10_000, keep_capacity=True)
    assert scaled.facilities == demo.facilities
    assert scaled.evacuation == demo.evacuation
    assert [front.facilities for front in scaled.fronts] == [
        front.facilities for front in demo.fronts
    ]
    assert scaled.fronts[0].strength == 120_000


def test_an_exact_total_replaces_rates_and_keeps_their_mix() -> None:
    """Classes are shared as the rates shared them on average."""
    conventional = Catalogue().get("conventional")
    scaled = with_patients(conventional, 20_000)
    assert scaled.rates is None
    assert scaled.class_mix is not None
    assert scaled.class_mix.battle_injury == pytest.approx(2.36 / 4.40)
    assert scaled.class_mix.disease == pytest.approx(1.693 / 4.40)


def test_an_exact_total_is_shared_as_the_rates_would() -> None:
    """They follow the strength, which a share may contradict."""
    data = data_of("nato-article-5")
    data["rates"] = data_of("conventional")["rates"]
    del data["patients"], data["class_mix"]
    for front, strength in zip(data["fronts"], (9_000, 600, 400), strict=True):
        front["strength"] = strength
    scaled = with_patients(parse(data), 500)
    assert [front.share for front in scaled.fronts] == pytest.approx([0.9, 0.06, 0.04])


def test_a_scenario_without_a_mix_keeps_none() -> None:
    """It then follows from the warfare types, at any size."""
    data = data_of("demo")
    del data["class_mix"]
    assert class_mix(with_patients(parse(data), 5000)) is None


def test_the_same_total_changes_nothing() -> None:
    """A factor of one leaves everything as it is."""
    demo = Catalogue().get("demo")
    assert with_patients(demo, 1000) == demo


@pytest.mark.parametrize("patients", [0, -1, MOST_PATIENTS + 1])
def test_an_impossible_total_is_refused(patients: int) -> None:
    """As the same fault that a file would have."""
    with pytest.raises(ScenarioError, match=f"patients is {patients}; must be a whole number"):
        with_patients(Catalogue().get("demo"), patients)


def test_seed_and_replicates_are_checked_when_they_change() -> None:
    """Nothing but them changes, and a bad value is refused as in a file."""
    demo = Catalogue().get("demo")
    assert with_seed(demo, 5) == demo.model_copy(update={"seed": 5})
    changed = with_replicates_per_batch(demo, 100)
    assert changed == demo.model_copy(update={"replicates_per_batch": 100})
    with pytest.raises(ScenarioError, match="seed is -1"):
        with_seed(demo, -1)
    with pytest.raises(ScenarioError, match="replicates_per_batch is 0"):
        with_replicates_per_batch(demo, 0)


def test_a_fingerprint_tells_scenarios_apart_and_nothing_else() -> None:
    """Equal scenarios have the same, however they were written; any field changes it."""
    demo = Catalogue().get("demo")
    backwards = dict(reversed(data_of("demo").items()))
    assert fingerprint(parse(backwards)) == fingerprint(demo)
    assert fingerprint(with_seed(demo, 5)) != fingerprint(demo)
    assert len({fingerprint(scenario) for scenario in ALL}) == len(ALL)


def test_a_start_in_another_zone_is_another_start() -> None:
    """The same instant, but night falls at another hour of the scenario."""
    data = data_of("demo")
    east = parse(data | {"start": "2025-06-01T03:00:00+03:00"})
    assert east.start == Catalogue().get("demo").start
    assert fingerprint(east) != fingerprint(Catalogue().get("demo"))
