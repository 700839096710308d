"""The Launchpad's changes to a scenario."""

import pytest
from pydantic import ValidationError

from medgen_pipeline.defs.config import GenerationConfig
from medgen_pipeline.scenario.totals import strength
from medgen_pipeline_tests.defs.conftest import tiny


def test_nothing_set_changes_nothing() -> None:
    """The scenario is used as its file has it."""
    assert GenerationConfig().applied_to(tiny()) == tiny()


def test_each_change_is_made() -> None:
    """Patients, seed and replicates become those of the config."""
    config = GenerationConfig(patients=600, seed=7, replicates_per_batch=5)
    changed = config.applied_to(tiny())
    assert (changed.patients, changed.seed, changed.replicates_per_batch) == (600, 7, 5)
    assert strength(changed) > strength(tiny())


def test_capacity_is_kept_on_request() -> None:
    """More patients meet the facilities that the scenario has, if so told."""
    scaled = GenerationConfig(patients=6_000).applied_to(tiny())
    kept = GenerationConfig(patients=6_000, keep_capacity=True).applied_to(tiny())
    assert kept.facilities == tiny().facilities
    assert scaled.facilities.role2.units > kept.facilities.role2.units


@pytest.mark.parametrize("wrong", [{"patients": 0}, {"seed": -1}, {"replicates_per_batch": 0}])
def test_values_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    """The Launchpad's values have the ranges of the scenario's own."""
    with pytest.raises(ValidationError):
        GenerationConfig.model_validate(wrong)
