"""What may be changed in Dagster's Launchpad for one run, without touching the scenario."""

import dagster as dg
from pydantic import Field

from medgen_pipeline.dataset.manifest import scenario_digest
from medgen_pipeline.errors import SettingError
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import with_patients, with_replicates_per_batch, with_seed


class GenerationConfig(dg.Config):
    """Changes to a scenario; what is left out stays as the scenario says."""

    patients: int | None = Field(
        default=None,
        ge=1,
        le=90_000_000,
        description="Patients in each replicate, exactly; strength and facilities scale with them.",
    )
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="Seed of all random draws.")
    replicates_per_batch: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Replicates in each batch: batch b holds those from b times this number on.",
    )
    keep_capacity: bool = Field(
        default=False, description="With patients: leave the facilities as the scenario has them."
    )
    only_missing: bool = Field(
        default=False,
        description="Leave batches as they are that are committed from this very scenario.",
    )
    scenario_sha256: str | None = Field(
        default=None,
        description="Of the scenario with these changes; a node that finds another one refuses.",
    )

    def applied_to(self, scenario: Scenario) -> Scenario:
        """Return the scenario with these changes; raises MedgenError if they do not fit it."""
        if self.patients is not None:
            scenario = with_patients(scenario, self.patients, keep_capacity=self.keep_capacity)
        if self.seed is not None:
            scenario = with_seed(scenario, self.seed)
        if self.replicates_per_batch is not None:
            scenario = with_replicates_per_batch(scenario, self.replicates_per_batch)
        found = scenario_digest(scenario.model_dump(mode="json"))
        if self.scenario_sha256 not in {None, found}:
            raise SettingError(
                f"scenario {scenario.id} is {found[:12]} here, and {self.scenario_sha256[:12]} "
                "where the run was ordered; MEDGEN_SCENARIO_DIR must hold the same everywhere"
            )
        return scenario
