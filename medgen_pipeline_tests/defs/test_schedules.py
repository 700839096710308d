"""Schedules: which scenarios have one, and which batch a tick asks for."""

import uuid
from collections.abc import Iterable, Mapping

import dagster as dg
import pytest

from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.engine import Engine, generate_batches
from medgen_pipeline.defs.partitions import (
    BATCH_TAG,
    BATCHES,
    RANGE_END_TAG,
    RANGE_START_TAG,
    SCENARIO,
    SCENARIO_TAG,
)
from medgen_pipeline.defs.schedules import under_way
from medgen_pipeline.defs.tags import PRIORITY, TENANT, WORKLOAD
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.conftest import TINY, add_scenario, tiny


class Full(Engine):
    """An engine whose dataset holds every batch."""

    def committed_batches(self, scenario_id: str) -> set[int]:
        """Return all there can be of any scenario."""
        assert scenario_id
        return set(range(BATCHES))


@pytest.fixture
def scheduled(settings: Settings) -> Engine:
    """Return an engine whose tiny scenario has a schedule."""
    assert settings.scenario_dir is not None
    add_scenario(settings.scenario_dir, tiny(schedule="0 3 * * *", priority=4, tenant="north"))
    return Engine(settings)


def schedules(engine: Engine) -> dict[str, dg.ScheduleDefinition]:
    found = build_defs(engine.settings, engine).schedules or []
    return {each.name: each for each in found if isinstance(each, dg.ScheduleDefinition)}


def tick(engine: Engine, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(instance=instance, resources={"engine": engine})
    requested = schedules(engine)[f"generate_{TINY}"](context)
    assert isinstance(requested, dg.RunRequest | dg.SkipReason)
    return requested


def one(batch: int) -> dict[str, str]:
    return {SCENARIO_TAG: TINY, BATCH_TAG: f"{batch:04d}"}


def queue(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.NOT_STARTED,
    job: str = "generation",
    assets: Iterable[str] | None = None,
) -> None:
    selection = None if assets is None else frozenset(map(dg.AssetKey, assets))
    run = dg.DagsterRun(
        job, run_id=str(uuid.uuid4()), status=status, tags=tags, asset_selection=selection
    )
    instance.add_run(run)


def ranged(first: str, last: str) -> dict[str, str]:
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def requested_batch(engine: Engine, instance: dg.DagsterInstance) -> str | None:
    requested = tick(engine, instance)
    assert isinstance(requested, dg.RunRequest)
    return requested.partition_key


def test_only_scenarios_with_a_cron_line_have_a_schedule(engine: Engine, scheduled: Engine) -> None:
    """There is one schedule, in UTC, that a person has to start."""
    assert engine.catalogue.ids()
    found = schedules(scheduled)
    assert f"generate_{TINY}" in found
    assert len(found) < len(engine.catalogue.ids())
    assert found[f"generate_{TINY}"].cron_schedule == "0 3 * * *"
    assert found[f"generate_{TINY}"].execution_timezone == "UTC"
    assert found[f"generate_{TINY}"].default_status is dg.DefaultScheduleStatus.STOPPED


def test_the_request_carries_the_scenarios_tags(
    scheduled: Engine, instance: dg.DagsterInstance
) -> None:
    """Priority and tenant are the scenario's, and its partition exists."""
    instance.delete_dynamic_partition(SCENARIO, TINY)
    requested = tick(scheduled, instance)
    assert isinstance(requested, dg.RunRequest)
    assert requested.tags[WORKLOAD] == "generation"
    assert requested.tags[PRIORITY] == "4"
    assert requested.tags[TENANT] == "north"
    assert instance.has_dynamic_partition(SCENARIO, TINY)


def test_each_tick_asks_for_the_next_missing_batch(
    scheduled: Engine, instance: dg.DagsterInstance
) -> None:
    """What is committed, queued or under way is not asked for again; what failed is."""
    scenario = scheduled.scenario(TINY)
    for batch in (0, 1):
        generate_batches(
            scenario,
            [batch],
            scheduled.settings.data_url,
            run_id="by-hand",
            progress=lambda _batch, _progress: None,
        )
    assert requested_batch(scheduled, instance) == "0002|tiny"
    queue(instance, one(2), dg.DagsterRunStatus.STARTING)
    queue(instance, one(3), dg.DagsterRunStatus.STARTED)
    queue(instance, one(4), dg.DagsterRunStatus.FAILURE)
    assert requested_batch(scheduled, instance) == "0004|tiny"


def test_batches_of_a_range_are_under_way(instance: dg.DagsterInstance) -> None:
    """As a backfill of the command, of a job or of assets queues them, also across scenarios."""
    instance.add_dynamic_partitions(SCENARIO, ["other"])
    queue(instance, ranged("0002|tiny", "0004|tiny"))
    queue(instance, ranged("0010|tiny", "0011|other"), dg.DagsterRunStatus.STARTED)
    queue(
        instance,
        ranged("0020|tiny", "0020|tiny"),
        job="__ASSET_JOB",
        assets=["patients", "patient_stream"],
    )
    queue(instance, ranged("0030|tiny", "0031|tiny"), dg.DagsterRunStatus.CANCELED)
    queue(instance, ranged("0040|other", "0041|other"))
    assert under_way(instance, TINY) == {2, 3, 4, 10, 11, 20}
    assert under_way(instance, "other") == {10, 11, 40, 41}


def test_only_what_generates_is_under_way(instance: dg.DagsterInstance) -> None:
    """Not a run that examines batches or adds them up, nor one without a batch."""
    queue(instance, ranged("0000|tiny", "0004|tiny"), job="validation")
    queue(instance, one(5), job="aggregates")
    queue(instance, one(6), job="__ASSET_JOB", assets=["patient_stream"])
    queue(instance, {}, job="generation")
    assert under_way(instance, TINY) == set()


def test_a_run_of_a_scenario_that_is_gone_is_in_nobodys_way(
    instance: dg.DagsterInstance,
) -> None:
    queue(instance, ranged("0000|gone", "0004|gone"))
    queue(instance, ranged("0002|tiny", "0003|tiny"))
    assert under_way(instance, TINY) == {2, 3}


def test_a_tick_is_skipped_when_there_is_nothing_left(
    scheduled: Engine, instance: dg.DagsterInstance
) -> None:
    """With every batch there, the tick says so."""
    requested = tick(Full(scheduled.settings), instance)
    assert isinstance(requested, dg.SkipReason)
    assert requested.skip_message == "all 1000 batches of tiny are there or under way"
