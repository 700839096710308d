"""What the assets work with: plain objects made from the settings, none of which knows Dagster.

A test puts an `Engine` with another `generate` in its place.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from medgen_pipeline.dataset.janitor import find_litter, remove
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from medgen_pipeline.generation.batch import BatchResult, Progress

# Of a run's 512 MB, beside an interpreter of 255 MB; what does not fit is spilled to a file.
QUERY_MEMORY_MB: Final = 128


class BoundedDataset(Dataset):
    """A dataset whose queries keep within the memory of a run."""

    def duckdb(
        self, *, scenario: str | None = None, batches: Collection[int] | None = None
    ) -> "DuckDBPyConnection":
        """Return a connection as any dataset does; what it spills is gone when it closes."""
        connection = super().duckdb(scenario=scenario, batches=batches)
        spill = Path(tempfile.gettempdir(), f"medgen-{os.getpid()}-{secrets.token_hex(4)}")
        connection.execute(f"set memory_limit = '{QUERY_MEMORY_MB}MB'")
        connection.execute(f"set temp_directory = '{spill}'")
        return connection


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    paths: tuple[str, ...]
    bytes: int


class Generate(Protocol):
    """Generates and commits one batch."""

    def __call__(
        self,
        scenario: Scenario,
        batch: int,
        root: str,
        *,
        run_id: str | None = None,
        progress: "Callable[[Progress], None] | None" = None,
    ) -> "BatchResult":
        """Return what was committed and what it took."""


def generate_batch(
    scenario: Scenario,
    batch: int,
    root: str,
    *,
    run_id: str | None = None,
    progress: "Callable[[Progress], None] | None" = None,
) -> "BatchResult":
    """Generate and commit one batch with the simulation."""
    # The compiler takes half a second and 50 MB, which a code server never needs.
    from medgen_pipeline.generation import batch as generation  # noqa: PLC0415

    return generation.generate_batch(scenario, batch, root, run_id=run_id, progress=progress)


@dataclass(frozen=True, slots=True)
class Engine:
    """The scenarios, the generator and the dataset of a deployment."""

    settings: Settings
    generate: Generate = generate_batch
    given: Mapping[str, Scenario] = field(default_factory=dict)  # those that are in no catalogue

    @property
    def catalogue(self) -> Catalogue:
        """The scenario files as they are now."""
        return Catalogue(self.settings.scenario_dir)

    @property
    def dataset(self) -> "BoundedDataset":
        """What is committed."""
        return BoundedDataset(self.settings.data_url)

    def scenario(self, scenario_id: str) -> Scenario:
        """Return a scenario by its id."""
        return self.given.get(scenario_id) or self.catalogue.get(scenario_id)

    def committed_batches(self, scenario_id: str) -> set[int]:
        """Return the batches of a scenario that the dataset holds."""
        return {partition.batch for partition in self.dataset.partitions(scenario_id)}

    def swept(self) -> Swept:
        """Remove what no manifest lists and no living writer holds; return what it was."""
        store = self.dataset.store
        litter = find_litter(store)
        return Swept(tuple(each.path for each in litter), remove(store, litter))
