"""The runs that the check table is measured on: which scenarios, and how much of each."""

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from medgen_pipeline.generation.batch import generate_batch
from medgen_pipeline.generation.warm import compile_kernels
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.validation import checks

# Replicates of each scenario, largest work first. At least 20,000 patients or 150 replicates each
# (medical-anchors 4); more where a value is noisy beside its tolerance: our own choice.
REPLICATES: Final[Mapping[str, int]] = {
    checks.HIGH: 150,
    checks.CONVENTIONAL: 600,  # the deviation of a heavy-tailed day rate
    checks.STABILISATION: 150,
    checks.COIN: 40,
    checks.SLOW: 20,
    checks.SARIN: 20,
    checks.DRONE: 30,
}
SHARES: Final = 4  # batches a scenario is cut into, so that processes end together


def run(root: str | os.PathLike[str], seed: int | None = None, processes: int = 2) -> None:
    """Generate the validation scenarios into a dataset, with one seed for all or each its own."""
    compile_kernels()
    catalogue = Catalogue()
    jobs = [
        (_sized(catalogue.get(name), replicates, seed), batch)
        for name, replicates in REPLICATES.items()
        for batch in range(SHARES)
    ]
    if processes == 1:
        for scenario, batch in jobs:
            generate_batch(scenario, batch, root, run_id="validate")
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(generate_batch, scenario, batch, os.fspath(root), run_id="validate")
            for scenario, batch in jobs
        ]
        for each in waiting:
            each.result()


def _sized(scenario: Scenario, replicates: int, seed: int | None) -> Scenario:
    changes: dict[str, object] = {"replicates_per_batch": -(-replicates // SHARES)}
    if seed is not None:
        changes["seed"] = seed
    return scenario.model_copy(update=changes)
