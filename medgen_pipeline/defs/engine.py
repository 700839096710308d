"""What the assets work with: plain objects made from the settings, none of which knows Dagster.

A test puts an `Engine` with another `generate` in its place.
"""

import os
import secrets
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.generation.memory import give_back
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from medgen_pipeline.generation.batch import BatchResult
    from medgen_pipeline.generation.pool import Report, Workers

# Of a run's 512 MB, beside an interpreter of 255 MB; what does not fit is spilled to a file.
QUERY_MEMORY_MB: Final = 96
QUERY_THREADS: Final = 2  # each takes its part of that; on a host of many cores there is none left


class BoundedDataset(Dataset):
    """A dataset whose queries keep within the memory of a run."""

    def duckdb(
        self, *, scenario: str | None = None, batches: Collection[int] | None = None
    ) -> "DuckDBPyConnection":
        """Return a connection as any dataset does; what it spills is gone when it closes."""
        connection = super().duckdb(scenario=scenario, batches=batches)
        spill = Path(tempfile.gettempdir(), f"medgen-{os.getpid()}-{secrets.token_hex(4)}")
        connection.execute(f"set memory_limit = '{QUERY_MEMORY_MB}MB'")
        connection.execute(f"set threads = {QUERY_THREADS}")
        connection.execute(f"set temp_directory = '{spill}'")
        return connection


class Generate(Protocol):
    """Generates and commits batches of a scenario."""

    def __call__(
        self,
        scenario: Scenario,
        batches: Sequence[int],
        root: str,
        *,
        run_id: str,
        progress: "Report",
    ) -> "list[BatchResult]":
        """Return what was committed and what it took, batch by batch."""


def generate_batches(
    scenario: Scenario,
    batches: Sequence[int],
    root: str,
    *,
    run_id: str,
    progress: "Report",
    workers: "Workers | None" = None,
) -> "list[BatchResult]":
    """Generate and commit batches with the simulation, in this process or in `workers`.

    A run has none: its memory limit is that of all its processes.
    """
    # The compiler takes half a second and 50 MB, which a code server never needs.
    from medgen_pipeline.generation import pool  # noqa: PLC0415

    results = pool.generate_batches(
        scenario,
        batches,
        root,
        workers=workers,
        run_id=run_id,
        progress=progress,
    )
    give_back()  # before queries and pictures come on top
    return results


@dataclass(frozen=True, slots=True)
class Engine:
    """The scenarios, the generator and the dataset of a deployment."""

    settings: Settings
    generate: Generate = generate_batches
    given: Mapping[str, Scenario] = field(default_factory=dict)  # those that are in no catalogue

    @property
    def catalogue(self) -> Catalogue:
        """The scenario files as they are now."""
        return Catalogue(self.settings.scenario_dir)

    @property
    def dataset(self) -> BoundedDataset:
        """What is committed."""
        return BoundedDataset(self.settings.data_url)

    def scenario(self, scenario_id: str) -> Scenario:
        """Return a scenario by its id."""
        return self.given.get(scenario_id) or self.catalogue.get(scenario_id)

    def committed_batches(self, scenario_id: str) -> set[int]:
        """Return the batches of a scenario that the dataset holds."""
        return {partition.batch for partition in self.dataset.partitions(scenario_id)}
