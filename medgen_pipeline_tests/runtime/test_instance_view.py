"""What is read of an instance, held to Dagster itself: a contract for the pinned version."""

import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._daemon.types import DaemonHeartbeat

from medgen_pipeline.runtime.instance import NotServedError
from medgen_pipeline.runtime.instance_view import (
    ALL_VALUES,
    InstanceView,
    TagLimit,
    dagster_version,
    scenario_of,
    viewing,
)
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import LIMIT_BREACHED, Assignment, assignment_tags
from medgen_pipeline_tests.runtime.instigated import add_sensor, add_tick
from medgen_pipeline_tests.runtime.test_coordinator import ORIGIN, QUEUED, STARTED, add

LIMITS: Final = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)
SCENARIOS: Final = dg.DynamicPartitionsDefinition(name="scenario")
BATCHES: Final = dg.StaticPartitionsDefinition([f"{n:04d}" for n in range(10)])
BOTH: Final = dg.MultiPartitionsDefinition({"scenario": SCENARIOS, "batch": BATCHES})
CALM: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.multi_asset(
    specs=[dg.AssetSpec("patients", partitions_def=BOTH)],
    pool="generation",
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def patients(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Fail for batches from 5 on."""
    if any(key >= "0005" for key in context.partition_keys):
        raise dg.Failure("too many")
    return dg.MaterializeResult(metadata={"bytes": 7, "table": dg.MetadataValue.md("- a")})


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    text = render_instance_yaml({"MAX_CONCURRENT_JOBS": "3"})
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    """Return an instance without runs."""
    opened.wipe()
    return opened


@pytest.fixture
def view(instance: dg.DagsterInstance) -> InstanceView:
    return InstanceView(instance)


def materialize(instance: dg.DagsterInstance, first: str, last: str | None = None) -> str:
    """Materialize one batch, or several in one run; return the run."""
    instance.add_dynamic_partitions("scenario", ["demo"])
    tags = {}
    if last is not None:
        tags = {
            "dagster/asset_partition_range_start": f"{first}|demo",
            "dagster/asset_partition_range_end": f"{last}|demo",
        }
    result = dg.materialize(
        [patients],
        instance=instance,
        partition_key=None if last else f"{first}|demo",
        tags=tags,
        raise_on_error=False,
        run_config=CALM,
    )
    return result.run_id


def test_runs_are_counted_by_status(instance: dg.DagsterInstance, view: InstanceView) -> None:
    """Also those that there are none of."""
    for status in (QUEUED, QUEUED, STARTED):
        add(instance, status)
    counts = view.runs_by_status()
    assert (counts["queued"], counts["started"], counts["success"]) == (2, 1, 0)
    assert set(counts) == {status.value.lower() for status in dg.DagsterRunStatus}


def test_the_last_start_is_that_of_the_youngest_run(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    assert view.last_start() is None
    before = time.time()
    materialize(instance, "0000")
    last = view.last_start()
    assert last is not None
    assert before <= last <= time.time()


def test_the_queue_is_told_from_the_oldest_on(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    """With as many slots as dagster.yaml has."""
    first = add(instance, tags={"dagster/priority": "3"})
    second = add(instance)
    add(instance, STARTED)
    queue = view.queue()
    assert [each.run_id for each in queue.waiting] == [first.run_id, second.run_id]
    assert queue.waiting[0].tags["dagster/priority"] == "3"
    assert abs(queue.waiting[0].since.timestamp() - time.time()) < 60
    assert (queue.busy, queue.configured) == (1, 3)
    assert 1 <= queue.open <= 3


def test_limits_are_those_of_dagster_yaml(view: InstanceView) -> None:
    assert view.limits_of_runs() == LIMITS.as_dict()
    assert TagLimit("medgen/tenant", ALL_VALUES, 2) in view.tag_limits()
    assert TagLimit("medgen/workload", "housekeeping", 1) in view.tag_limits()


def test_pools_are_taken_and_wanted_by_runs(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    """A pool that nobody has given a limit has the default."""
    job = dg.Definitions([patients], jobs=[dg.define_asset_job("job", [patients])])
    resolved = job.resolve_job_def("job")
    for status in (STARTED, QUEUED, QUEUED):
        instance.create_run_for_job(resolved, status=status, remote_job_origin=ORIGIN)
    (pool,) = view.queue().pools
    assert (pool.name, pool.slots, pool.claimed, pool.pending) == ("generation", 3, 1, 2)
    assert pool.leaked == ()


def test_a_slot_of_a_run_that_has_ended_is_leaked(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    """Also one of a run that nobody knows any more."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("narrow", 3)
    over, alive = materialize(instance, "0000"), add(instance, STARTED).run_id
    for run_id in (over, alive, "gone"):
        assert storage.claim_concurrency_slot("narrow", run_id, "step").is_claimed
    (pool,) = (each for each in view.queue().pools if each.name == "narrow")
    assert (pool.slots, pool.claimed) == (3, 3)
    assert set(pool.leaked) == {(over, "step"), ("gone", "step")}
    storage.delete_concurrency_limit("narrow")


def test_heartbeats_are_told_with_their_errors(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(1_000.5, "SENSOR", "some id", []))
    found = {each.daemon: each for each in view.heartbeats()}
    assert (found["SENSOR"].at, found["SENSOR"].errors) == (1_000.5, 0)


def test_ticks_are_told_once_they_have_ended(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    sensor = add_sensor(instance, "some_sensor")
    add_sensor(instance, "another", InstigatorStatus.STOPPED)
    first = add_tick(instance, sensor, 1_000.0, TickStatus.SKIPPED)
    second = add_tick(instance, sensor, 1_030.0, TickStatus.FAILURE)
    add_tick(instance, sensor, 1_060.0, TickStatus.STARTED)
    found = {each.name: each for each in view.instigators()}
    some = found["some_sensor"]
    assert (some.kind, some.is_running) == ("sensor", True)
    assert (some.last_at, some.last_seconds) == (1_060.0, 2.0)
    assert (found["another"].is_running, found["another"].last_at) == (False, None)
    told = [(tick.tick_id, tick.status) for tick in view.ticks(some, 0)]
    assert told == [(first.tick_id, "skipped"), (second.tick_id, "failure")]
    assert [tick.tick_id for tick in view.ticks(some, first.tick_id)] == [second.tick_id]


def test_backfills_are_counted_by_status(instance: dg.DagsterInstance, view: InstanceView) -> None:
    instance.add_backfill(
        PartitionBackfill(
            backfill_id="some",
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=time.time(),
            asset_selection=[patients.key],
            serialized_asset_backfill_data="{}",
        )
    )
    counts = view.backfills_by_status()
    assert counts["requested"] == 1
    assert sum(counts.values()) == 1


def test_a_batch_is_materialized_or_its_last_try_failed(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    """In a run of one batch and in a run of many; one that goes on is neither."""
    materialize(instance, "0000")
    materialize(instance, "0001", "0003")
    materialize(instance, "0008", "0009")
    assert view.materialized("patients") == {f"{n:04d}|demo" for n in range(4)}
    assert view.failed("patients") == {"0008|demo", "0009|demo"}
    assert view.dynamic_partitions("scenario") == ["demo"]


def test_the_maker_of_a_partition_is_the_run_that_did_it_last(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    """A run of several makes those that nobody made anew; one that failed has made none."""
    assert view.makers("patients") == {}
    many = materialize(instance, "0000", "0002")
    anew = materialize(instance, "0001")
    materialize(instance, "0001", "0008")
    assert view.makers("patients") == {"0000|demo": many, "0001|demo": anew, "0002|demo": many}


def test_runs_that_have_ended_are_told_by_the_time_of_their_last_change(
    instance: dg.DagsterInstance, view: InstanceView
) -> None:
    before = time.time()
    first = materialize(instance, "0000")
    second = materialize(instance, "0008", "0009")
    add(instance)
    told = view.ended(before - 1, limit=10)
    assert [each.run_id for each in told] == [first, second]
    assert [each.status for each in told] == ["success", "failure"]
    assert [each.scenarios for each in told] == [("demo",), ("demo",)]
    assert all(before <= each.created_at <= each.ended_at for each in told)
    assert all(each.started_at and each.started_at <= each.ended_at for each in told)
    assert view.ended(before - 1, limit=1) == told[:1]
    later = time.time()
    instance.add_run_tags(first, {"some": "tag"})
    assert [each.run_id for each in view.ended(later, limit=10)] == [first]
    assert view.ended(0.0, limit=10)[0].run_id == second


def test_what_a_run_took_is_its_own(instance: dg.DagsterInstance, view: InstanceView) -> None:
    """The tags of the run that it repeats are not."""
    limited = add(instance, STARTED)
    tags = assignment_tags(limited, Assignment(Worker.here(), LIMITS))
    tags |= {LIMIT_BREACHED: "max_cpu_seconds", "medgen/peak_memory_mb": "300.5"}
    instance.add_run_tags(limited.run_id, tags)
    repeats = add(instance, STARTED, tags)
    for run in (limited, repeats):
        instance.report_run_failed(run)
    told = {each.run_id: each for each in view.ended(0.0, limit=10)}
    own = told[limited.run_id]
    assert (own.breached, own.peak_memory_mb, own.cpu_seconds) == ("max_cpu_seconds", 300.5, None)
    other = told[repeats.run_id]
    assert (other.breached, other.peak_memory_mb, other.cpu_seconds) == (None, None, None)


def test_what_a_run_wrote_is_told_by_partition(
    instance: dg.DagsterInstance, view: InstanceView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages it takes; of the metadata numbers and texts."""
    monkeypatch.setattr("medgen_pipeline.runtime.instance_view.EVENTS_AT_A_TIME", 2)
    run_id = materialize(instance, "0000", "0004")
    told = list(view.written(run_id))
    assert sorted(str(each.partition) for each in told) == [f"{n:04d}|demo" for n in range(5)]
    assert {(each.asset, each.scenario) for each in told} == {("patients", "demo")}
    assert all(each.metadata["bytes"] == 7 for each in told)


def test_a_kept_value_is_read_by_its_key(instance: dg.DagsterInstance, view: InstanceView) -> None:
    instance.daemon_cursor_storage.set_cursor_values({"some": "1", "other": "2"})
    assert view.kept("some", "missing") == {"some": "1"}


def test_there_is_no_view_before_there_is_an_instance(instance: dg.DagsterInstance) -> None:
    def nothing() -> dg.DagsterInstance:
        raise NotServedError("nobody has served")

    assert viewing(nothing)() is None
    assert isinstance(viewing(lambda: instance)(), InstanceView)


def test_the_version_is_the_installed_one() -> None:
    assert dagster_version() == version("dagster")
    assert scenario_of("0003|coin") == scenario_of("coin") == "coin"
