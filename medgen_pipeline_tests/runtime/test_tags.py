"""What a run says of itself holds for that run, and not for one that repeats it."""

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pytest
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import (
    Assignment,
    assignment_of,
    assignment_tags,
    command_of,
    in_process_tags,
    is_of_a_command,
)
from medgen_pipeline_tests.runtime.test_coordinator import STARTED, add

LIMITS: Final = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def tagged(instance: dg.DagsterInstance, run: dg.DagsterRun, tags: dict[str, str]) -> dg.DagsterRun:
    """Return a run with tags added to it."""
    instance.add_run_tags(run.run_id, tags)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_a_run_names_who_executes_it(instance: dg.DagsterInstance) -> None:
    """Either a process of the deployment with its limits, or a command."""
    here = Worker.here()
    run = add(instance, STARTED)
    own = tagged(instance, run, assignment_tags(run, Assignment(here, LIMITS)))
    assert assignment_of(own) == Assignment(here, LIMITS)
    assert command_of(own) is None
    run = add(instance, STARTED)
    of_command = tagged(instance, run, in_process_tags(run.run_id, here))
    assert command_of(of_command) == here
    assert assignment_of(of_command) is None


def test_a_run_that_repeats_one_of_a_command_is_bounded(instance: dg.DagsterInstance) -> None:
    """Dagster hands it the other's tags, which let the daemon never end it."""
    run = add(instance, STARTED)
    told = in_process_tags(run.run_id, Worker.here())
    assert is_of_a_command(tagged(instance, run, told))
    run = add(instance, STARTED, told)
    assert not is_of_a_command(run)
    begun = tagged(instance, run, assignment_tags(run, Assignment(Worker.here(), LIMITS)))
    assert not is_of_a_command(begun)
    assert float(begun.tags[MAX_RUNTIME_SECONDS_TAG]) > LIMITS.max_runtime_seconds
