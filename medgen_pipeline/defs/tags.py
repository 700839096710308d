"""The tags a run carries: what it does, for whom, and how urgent it is."""

from typing import Final

from medgen_pipeline.scenario.model import Scenario

WORKLOAD: Final = "medgen/workload"
TENANT: Final = "medgen/tenant"
PRIORITY: Final = "dagster/priority"

GENERATION: Final = "generation"
AGGREGATES: Final = "aggregates"
VALIDATION: Final = "validation"
HOUSEKEEPING: Final = "housekeeping"

# The queue lets no tenant take every slot. A deployment with one tenant has nobody to keep a slot
# for, so runs of the default tenant do not name it and may take them all.
NOBODY: Final = "default"


def run_tags(scenario: Scenario, workload: str) -> dict[str, str]:
    """Return the tags of a run for a scenario."""
    tenant = {} if scenario.tenant == NOBODY else {TENANT: scenario.tenant}
    return {WORKLOAD: workload, PRIORITY: str(scenario.priority), **tenant}
