"""The tags of runs."""

from medgen_pipeline.defs.tags import GENERATION, run_tags
from medgen_pipeline_tests.defs.conftest import tiny


def test_tags_are_the_scenarios() -> None:
    """Workload, priority and tenant, by the names that the queue knows."""
    assert run_tags(tiny(priority=-7, tenant="north"), GENERATION) == {
        "medgen/workload": "generation",
        "dagster/priority": "-7",
        "medgen/tenant": "north",
    }


def test_the_default_tenant_is_not_named() -> None:
    """A deployment with one tenant may fill every slot, so the limit by tenant must not see it."""
    assert "medgen/tenant" not in run_tags(tiny(), GENERATION)
