"""What the check table is measured on is large enough to decide it."""

from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.totals import expected_patients
from medgen_pipeline.validation import runs
from medgen_pipeline.validation.checks import CHECKS, SARIN
from medgen_pipeline.validation.table import ENOUGH_PATIENTS, ENOUGH_REPLICATES


def test_every_check_finds_its_scenarios_large_enough() -> None:
    """20,000 patients or 150 replicates; a check that counts days needs the replicates."""
    catalogue = Catalogue()
    for check in CHECKS:
        for name in check.scenarios:
            replicates = runs.REPLICATES[name]
            patients = replicates * expected_patients(catalogue.get(name))
            is_enough = replicates >= ENOUGH_REPLICATES
            assert is_enough or (patients >= ENOUGH_PATIENTS and not check.counts_days), check.id


def test_batches_make_up_the_replicates() -> None:
    for name, replicates in runs.REPLICATES.items():
        made = [s.replicates_per_batch for s, _ in runs.jobs(Catalogue(), [name])]
        assert sum(made) == replicates


def test_one_seed_for_all_or_each_its_own() -> None:
    assert {scenario.seed for scenario, _ in runs.jobs(Catalogue(), seed=5)} == {5}
    own = {scenario.seed for scenario, _ in runs.jobs(Catalogue(), [SARIN])}
    assert own == {Catalogue().get(SARIN).seed}
