"""A small dataset that the tests of the service read."""

from pathlib import Path

import pytest

from medgen_pipeline.generation.batch import generate_batch
from medgen_pipeline.scenario.catalogue import Catalogue, to_yaml
from medgen_pipeline.scenario.scaling import with_patients, with_replicates_per_batch

PATIENTS = 40  # of a replicate
BATCHES = 3
REPLICATES = 2  # of a batch


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small scenario, and its first batches as a dataset."""
    folder = tmp_path_factory.mktemp("service")
    scenario = with_patients(Catalogue().get("demo"), PATIENTS)
    scenario = with_replicates_per_batch(scenario, REPLICATES)
    small = scenario.model_copy(update={"id": "small"})
    (folder / "scenarios").mkdir()
    (folder / "scenarios" / "small.yaml").write_text(to_yaml(small), encoding="utf-8")
    for batch in range(BATCHES):
        generate_batch(small, batch, folder / "data")
    return folder
