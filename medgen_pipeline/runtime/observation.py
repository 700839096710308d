"""What a deployment is doing, read from its Dagster instance: heartbeats, its queue, runs at work.

What Dagster says of itself is not enough: it calls a daemon healthy for 30 minutes after its death,
and a queue that launches nothing is no matter to it. The readings here are values with ages; what
is too old is for whoever asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from medgen_pipeline.runtime.coordinator import BoundedRunCoordinator
from medgen_pipeline.runtime.instance import NotServedError
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Usage, usage
from medgen_pipeline.runtime.tags import assignment_of

QUEUE_DAEMON: Final = QueuedRunCoordinatorDaemon.daemon_type()
LATELY: Final = 20  # runs that are looked at for the queue's last movement


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a daemon last said that it lives."""

    daemon: str
    age_seconds: float | None  # None of one that never did
    errors: int  # that it told with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The run queue at one moment."""

    queued: int
    running: int
    configured_slots: int
    open_slots: int  # as many as there is memory for
    oldest_seconds: float  # since the oldest run that waits was created; 0 when none waits
    startable: int  # what the queue itself would launch now, tags, pools and slots considered
    idle_seconds: float  # for which something could have been launched, and nothing moved


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A run that goes on, and what it uses."""

    run_id: str
    job: str
    runtime_seconds: float
    usage: Usage | None  # None until it has a process, and of one on another host
    limits: Limits | None  # None until it has a process


def heartbeats(instance: dg.DagsterInstance, now: float) -> list[Heartbeat]:
    """Return the last heartbeat of each daemon that the deployment needs."""
    found = instance.get_daemon_heartbeats()
    return [
        Heartbeat(
            daemon,
            now - found[daemon].timestamp if daemon in found else None,
            len(found[daemon].errors or ()) if daemon in found else 0,
        )
        for daemon in instance.get_required_daemon_types()
    ]


def queue(instance: dg.DagsterInstance, now: float) -> Queue:
    """Return the state of the queue, and what it would launch at this moment."""
    coordinator = instance.run_coordinator
    concurrency = instance.get_concurrency_config()
    if concurrency.run_queue_config is None:
        raise NotServedError("the instance has no run queue")
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    startable = daemon._get_runs_to_dequeue(instance, concurrency, None)  # noqa: SLF001  reads
    waiting = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=1, ascending=True
    )
    available = concurrency.run_queue_config.max_concurrent_runs
    configured = coordinator.slots if isinstance(coordinator, BoundedRunCoordinator) else None
    return Queue(
        queued=instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])),
        running=instance.get_runs_count(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES)),
        configured_slots=available if configured is None else configured,
        open_slots=available,
        oldest_seconds=max(
            (now - each.create_timestamp.timestamp() for each in waiting), default=0
        ),
        startable=len(startable),
        idle_seconds=_idle_seconds(instance, startable, now),
    )


def open_slots(instance: dg.DagsterInstance) -> int:
    """Return how many runs may go on at once, with the memory there is."""
    config = instance.get_concurrency_config().run_queue_config
    return config.max_concurrent_runs if config else 0


def at_work(instance: dg.DagsterInstance, now: float) -> list[AtWork]:
    """Return the runs that go on, and what those on this host use."""
    records = instance.get_run_records(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES))
    return [_at_work(record, now) for record in records]


def database_version(instance: dg.DagsterInstance) -> str:
    """Return the version of what the runs are kept in, having read a row of them."""
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):
        return "unknown"
    with storage.connect() as connection:
        connection.execute(sa.text("SELECT 1 FROM runs LIMIT 1")).first()
        version = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
        found = connection.execute(sa.text(version[connection.dialect.name])).scalar_one()
    return str(found)


def _at_work(record: dg.RunRecord, now: float) -> AtWork:
    run = record.dagster_run
    assignment = assignment_of(run)
    process = assignment.worker.process() if assignment and assignment.worker.is_local else None
    return AtWork(
        run_id=run.run_id,
        job=run.job_name,
        runtime_seconds=now - (record.start_time or now),
        usage=usage(process) if process else None,
        limits=assignment.limits if assignment else None,
    )


def _idle_seconds(
    instance: dg.DagsterInstance, startable: Sequence[dg.DagsterRun], now: float
) -> float:
    """Return for how long runs that could start have waited since the queue last moved."""
    if not startable:
        return 0.0
    ids = [run.run_id for run in startable]
    wanted = instance.get_run_records(dg.RunsFilter(run_ids=ids))
    lately = instance.get_run_records(limit=LATELY, order_by="update_timestamp")
    created = min(each.create_timestamp.timestamp() for each in wanted)
    return max(0.0, now - max([created, *map(_moved_at, lately)]))


def _moved_at(record: dg.RunRecord) -> float:
    """Return when a run was launched or ended; 0 of one that waits.

    A run at work is written to every few seconds, which moves no queue.
    """
    if record.end_time or record.start_time:
        return record.end_time or record.start_time or 0.0
    is_launched = record.dagster_run.status in ACTIVE_RUN_STATUSES
    return record.update_timestamp.timestamp() if is_launched else 0.0
