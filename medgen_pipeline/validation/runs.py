"""The runs that the check table is measured on: which scenarios, and how much of each."""

import os
from collections.abc import Collection, Mapping
from typing import Final

from medgen_pipeline.generation.batch import BatchResult
from medgen_pipeline.generation.pool import Job, Report, generate_jobs
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_replicates_per_batch, with_seed
from medgen_pipeline.validation import checks

# Replicates of each scenario, the longest first. At least 20,000 patients, or 150 replicates where
# days are what is counted (medical-anchors 4); more where a value is noisy beside its band.
REPLICATES: Final[Mapping[str, int]] = {
    checks.HIGH: 150,
    checks.CONVENTIONAL: 600,  # SD of a day rate with a heavy tail: 97 of 100 seeds meet its law
    checks.STABILISATION: 150,
    checks.COIN: 40,
    checks.DRONE: 30,
    checks.SLOW: 20,
    checks.SARIN: 20,
}
BATCHES: Final = 10  # of each scenario, so that processes end together
INVARIANTS_BATCH: Final = 0  # the rows of a table run that the invariants are held against


def jobs(
    catalogue: Catalogue, scenarios: Collection[str] | None = None, seed: int | None = None
) -> list[Job]:
    """Return the batches to generate, of some scenarios or all; one seed for all, or their own."""
    found = []
    for name, replicates in REPLICATES.items():
        if scenarios is None or name in scenarios:
            scenario = with_replicates_per_batch(catalogue.get(name), replicates // BATCHES)
            if seed is not None:
                scenario = with_seed(scenario, seed)
            found += [(scenario, batch) for batch in range(BATCHES)]
    return found


def run(
    root: str | os.PathLike[str],
    wanted: list[Job],
    *,
    processes: int = 1,
    progress: Report | None = None,
) -> list[BatchResult]:
    """Generate batches into a dataset."""
    return generate_jobs(wanted, root, processes=processes, run_id="validate", progress=progress)
