"""Every row of what is really generated obeys every invariant, plenty or not."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from medgen_pipeline.dataset.invariants import INVARIANTS, check_invariants
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.generation.batch import generate_batch
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import with_patients, with_replicates_per_batch
from medgen_pipeline_tests.simulation.running import changed

NOBODY_MOVES = {
    f"evacuation__vehicles__{kind}": 0
    for kind in (
        "ground_ambulances",
        "helicopters",
        "buses",
        "theatre_ambulances",
        "theatre_helicopters",
        "strategic_aircraft",
    )
}


def shipped(scenario_id: str, patients: int, *, keep_capacity: bool = False) -> Scenario:
    """Return a shipped scenario at another size."""
    return with_patients(Catalogue().get(scenario_id), patients, keep_capacity=keep_capacity)


def assert_all_hold(scenario: Scenario, root: Path, batch: int = 0) -> None:
    """Generate a batch and want no row that breaks a rule."""
    generate_batch(scenario, batch, root)
    results = check_invariants(Dataset(str(root)))
    assert len(results) == len(INVARIANTS)
    broken = {r.name: (r.violations, r.sample[:2]) for r in results if r.violations}
    assert not broken


@pytest.mark.parametrize("scenario_id", ["coin", "high-intensity", "sarin"])
def test_invariants_hold_in_20_000_patients(scenario_id: str, tmp_path: Path) -> None:
    """In three kinds of war, with as many facilities as so many patients have."""
    assert_all_hold(shipped(scenario_id, 20_000), tmp_path)


def test_invariants_hold_where_everything_is_short(tmp_path: Path) -> None:
    """With five times the patients for its capacity, most wait, and some die or stay waiting."""
    assert_all_hold(shipped("demo", 5_000, keep_capacity=True), tmp_path)


def test_invariants_hold_where_hours_begin_at_half_past(tmp_path: Path) -> None:
    """In the zone of Kabul, from a quarter past six: no hour is one of the clock in UTC."""
    start = datetime(2025, 6, 1, 6, 15, tzinfo=timezone(timedelta(hours=4, minutes=30)))
    assert_all_hold(changed(shipped("demo", 1_000), start=start), tmp_path)


def test_invariants_hold_under_threat_and_in_the_dark(tmp_path: Path) -> None:
    scenario = changed(
        shipped("drone", 2_000),
        evacuation__threat__ground_loss_probability=0.5,
        evacuation__threat__moves_only_in_darkness=True,
    )
    assert_all_hold(scenario, tmp_path)


def test_invariants_hold_when_nobody_can_be_moved(tmp_path: Path) -> None:
    assert_all_hold(changed(shipped("demo", 1_000), **NOBODY_MOVES), tmp_path)


def test_invariants_hold_over_many_replicates_and_without_an_exact_total(tmp_path: Path) -> None:
    """Twenty replicates of a batch that is not the first, and two drawn from rates."""
    many = with_replicates_per_batch(shipped("demo", 100), 20)
    assert_all_hold(many, tmp_path / "many", batch=3)
    rates = with_replicates_per_batch(Catalogue().get("conventional"), 2)
    assert rates.rates is not None
    assert_all_hold(rates, tmp_path / "rates", batch=1)
