"""Reading Dagster's instance: what is queued, running, done; pools, daemons, ticks, partitions.

Most of what is asked here is not in Dagster's documentation, so a new version is held to the tests
of this module. Nothing is written. What is returned is plain values: those who use them need not
know Dagster. What health is judged by is read in `observation`.
"""

import contextlib
import importlib.metadata
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import InstigatorState, InstigatorType, TickStatus
from dagster._core.storage.dagster_run import (
    ACTIVE_RUN_STATUSES,
    FINISHED_STATUSES,
    DagsterRunStatus,
)
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import BulkActionsTable, RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from medgen_pipeline.runtime.coordinator import BoundedRunCoordinator
from medgen_pipeline.runtime.instance import NotServedError
from medgen_pipeline.runtime.tags import LIMIT_BREACHED, NONE, assignment_of

if TYPE_CHECKING:
    from dagster._utils.concurrency import ConcurrencyKeyInfo

ALL_VALUES: Final = "*"  # of a tag, each of which has the limit
MOST_QUEUED: Final = 1_000  # looked at; 0.2 ms each
RECENT: Final = 20
MOST_TICKS: Final = 100
ENDED_TICKS: Final = [TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE]
EVENTS_AT_A_TIME: Final = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the queue."""

    run_id: str
    tags: Mapping[str, str]
    since: datetime
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits, what goes on, and how much may."""

    waiting: Sequence[Waiting]  # the oldest first, at most MOST_QUEUED
    busy: int  # runs that have or are about to have a process
    configured: int  # runs that may go on at once
    open: int  # as many as there is memory for now, those that go on included
    pools: Sequence["Pool"]


@dataclass(frozen=True, slots=True)
class Pool:
    """A Dagster pool."""

    name: str
    slots: int
    claimed: int
    pending: int
    leaked: tuple[tuple[str, str], ...]  # run and step of each slot whose run has ended


@dataclass(frozen=True, slots=True)
class TagLimit:
    """How many runs with a tag may go on at once."""

    tag: str
    value: str  # ALL_VALUES: of each value
    limit: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of a daemon."""

    daemon: str
    at: float  # s since 1970
    errors: int


@dataclass(frozen=True, slots=True)
class Instigator:
    """A sensor or schedule."""

    kind: str
    name: str
    is_running: bool
    last_at: float | None  # of its last tick, s since 1970
    last_seconds: float | None  # of its last tick that has ended
    origin_id: str
    selector_id: str


@dataclass(frozen=True, slots=True)
class Tick:
    """An evaluation that has ended."""

    tick_id: int
    status: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended."""

    run_id: str
    job: str
    status: str  # success, failure, canceled
    tags: Mapping[str, str]
    scenarios: tuple[str, ...]
    created_at: float  # s since 1970
    started_at: float | None
    ended_at: float
    breached: str | None  # the limit that ended it
    peak_memory_mb: float | None
    cpu_seconds: float | None


@dataclass(frozen=True, slots=True)
class Written:
    """A materialization: what a run wrote of one partition of one asset."""

    asset: str
    scenario: str | None  # of the partition
    partition: str | None
    at: float  # s since 1970
    metadata: Mapping[str, Any]  # numbers and texts


class InstanceView:
    """One instance, read only."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def runs_by_status(self) -> dict[str, int]:
        """Return how many runs there are of each status, in lower case."""
        return self._by_status(RunsTable.c.status, DagsterRunStatus)

    def last_start(self) -> float | None:
        """Return when a run last started, of those that changed last; s since 1970."""
        recent = self._instance.get_run_records(limit=RECENT, order_by="update_timestamp")
        return max((each.start_time for each in recent if each.start_time), default=None)

    def queue(self) -> Queue:
        """Return what waits for what."""
        records = self._instance.get_run_records(
            dg.RunsFilter(statuses=[DagsterRunStatus.QUEUED]), limit=MOST_QUEUED, ascending=True
        )
        waiting = [
            Waiting(
                each.dagster_run.run_id,
                each.dagster_run.tags,
                each.create_timestamp,
                _pools_of(each.dagster_run),
            )
            for each in records
        ]
        going_on = self._instance.get_runs(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES))
        coordinator = self._instance.run_coordinator
        configured, open_ = len(going_on), len(going_on)
        if isinstance(coordinator, QueuedRunCoordinator):
            open_ = configured = coordinator.get_run_queue_config().max_concurrent_runs
        if isinstance(coordinator, BoundedRunCoordinator):
            configured = coordinator.slots
        return Queue(
            waiting, len(going_on), configured, open_, list(self._pools(waiting, going_on))
        )

    def limits_of_runs(self) -> dict[str, float]:
        """Return what one run may take; empty where no coordinator of ours bounds it."""
        coordinator = self._instance.run_coordinator
        if isinstance(coordinator, BoundedRunCoordinator):
            return coordinator.limits.as_dict()
        return {}

    def tag_limits(self) -> list[TagLimit]:
        """Return how many runs with certain tags may go on at once."""
        config = self._instance.get_concurrency_config().run_queue_config
        limits = config.tag_concurrency_limits if config else []
        return [
            TagLimit(
                each["key"],
                each["value"] if isinstance(each.get("value"), str) else ALL_VALUES,
                each["limit"],
            )
            for each in limits
        ]

    def heartbeats(self) -> list[Heartbeat]:
        """Return the last sign of life of each daemon."""
        return [
            Heartbeat(each.daemon_type, each.timestamp, len(each.errors or ()))
            for each in self._instance.get_daemon_heartbeats().values()
        ]

    def instigators(self) -> list[Instigator]:
        """Return the sensors and schedules that were ever evaluated or switched."""
        return [self._instigator(each) for each in self._states()]

    def ticks(self, instigator: Instigator, after: int) -> list[Tick]:
        """Return ticks that have ended and came after another one, the oldest first."""
        found = self._instance.get_ticks(
            instigator.origin_id, instigator.selector_id, limit=MOST_TICKS, statuses=ENDED_TICKS
        )
        ticks = [Tick(each.tick_id, each.status.value.lower()) for each in found]
        return sorted((each for each in ticks if each.tick_id > after), key=lambda t: t.tick_id)

    def backfills_by_status(self) -> dict[str, int]:
        """Return how many backfills there are of each status, in lower case."""
        return self._by_status(BulkActionsTable.c.status, BulkActionStatus)

    def dynamic_partitions(self, definition: str) -> list[str]:
        """Return the partitions that were added to a dynamic definition."""
        return list(self._instance.get_dynamic_partitions(definition))

    def materialized(self, asset: str) -> set[str]:
        """Return the partitions of an asset that were ever materialized."""
        return self._instance.event_log_storage.get_materialized_partitions(dg.AssetKey(asset))

    def makers(self, asset: str) -> dict[str, str]:
        """Return which run has materialized each partition of an asset last.

        Dagster gives the event or its number; to read 10,000 events takes seconds.
        """
        storage = self._instance.event_log_storage
        if not isinstance(storage, SqlEventLogStorage):
            raise TypeError(f"{type(storage).__name__} keeps events in no table")
        events = SqlEventLogStorageTable.c
        last = (
            sa.select(sa.func.max(events.id))
            .where(
                events.asset_key == dg.AssetKey(asset).to_string(),
                events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                events.partition.is_not(None),
            )
            .group_by(events.partition)
        )
        found = sa.select(events.partition, events.run_id).where(events.id.in_(last))
        with storage.index_connection() as connection:
            return {row.partition: row.run_id for row in connection.execute(found)}

    def failed(self, asset: str) -> set[str]:
        """Return the partitions of an asset whose last try failed."""
        storage = self._instance.event_log_storage
        tried = (
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(
                dg.AssetKey(asset)
            )
        )
        runs = {run_id for run_id, _ in tried.values()}
        over = {
            each.run_id
            for each in self._runs(runs)
            if each.status in (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
        }
        return {partition for partition, (run_id, _) in tried.items() if run_id in over}

    def ended(self, after: float, limit: int) -> list[Ended]:
        """Return finished runs that changed after a time (s since 1970), the first to do so first.

        A run may change after it has ended, when a tag is added.
        """
        records = self._instance.get_run_records(
            dg.RunsFilter(statuses=FINISHED_STATUSES, updated_after=_moment(after)),
            limit=limit,
            order_by="update_timestamp",
            ascending=True,
        )
        return [_ended(each) for each in records]

    def written(self, run_id: str) -> Iterator[Written]:
        """Yield what a run has materialized."""
        cursor: str | None = None
        while True:
            page = self._instance.get_records_for_run(
                run_id,
                cursor,
                of_type=dg.DagsterEventType.ASSET_MATERIALIZATION,
                limit=EVENTS_AT_A_TIME,
            )
            yield from (_written(each.event_log_entry) for each in page.records)
            if not page.has_more:
                return
            cursor = page.cursor

    def kept(self, *keys: str) -> Mapping[str, str]:
        """Return values of the instance's key-value store, those that are there."""
        return self._instance.daemon_cursor_storage.get_cursor_values(set(keys))

    def _by_status(self, column: sa.Column[Any], statuses: type[Enum]) -> dict[str, int]:
        """Return how many rows have which status; Dagster would ask for each by itself."""
        storage = self._instance.run_storage
        if not isinstance(storage, SqlRunStorage):
            raise TypeError(f"{type(storage).__name__} keeps runs in no table")
        number = sa.func.count().label("number")
        rows = storage.fetchall(sa.select(column, number).group_by(column))
        none = dict.fromkeys((status.value.lower() for status in statuses), 0)
        return none | {str(row["status"]).lower(): row["number"] for row in rows}

    def _pools(
        self, waiting: Sequence[Waiting], going_on: Sequence[dg.DagsterRun]
    ) -> Iterator[Pool]:
        """Yield the pools that have a limit or that a run needs.

        Where pools are counted by run, as here, no step claims a slot: the runs that go on do.
        """
        storage = self._instance.event_log_storage
        if not storage.supports_global_concurrency_limits:
            return
        taken = Counter(pool for run in going_on for pool in _pools_of(run))
        wanted = Counter(pool for each in waiting for pool in each.pools)
        config = self._instance.get_concurrency_config().pool_config
        names = {*storage.get_concurrency_keys(), *taken, *wanted}
        names |= {each.name for each in storage.get_pool_limits()}
        infos = storage.get_concurrency_infos(sorted(names))
        holders = {slot.run_id for info in infos.values() for slot in info.claimed_slots}
        alive = {run.run_id for run in self._runs(holders) if not run.is_finished}
        by_run = config.pool_granularity is not None and config.pool_granularity.value == "run"
        for name in sorted(names):
            info: ConcurrencyKeyInfo = infos[name]
            slots = info.limit if info.limit is not None else config.default_pool_limit
            yield Pool(
                name,
                slots or 0,
                (taken[name] if by_run else 0) + info.active_slot_count,
                (wanted[name] if by_run else 0) + info.pending_step_count,
                tuple(
                    (slot.run_id, slot.step_key)
                    for slot in info.claimed_slots
                    if slot.run_id not in alive
                ),
            )

    def _runs(self, run_ids: Collection[str]) -> Sequence[dg.DagsterRun]:
        """Return the runs that there are of some ids; a filter of no ids would be none at all."""
        if not run_ids:
            return []
        return self._instance.get_runs(dg.RunsFilter(run_ids=sorted(run_ids)))

    def _states(self) -> Iterator[InstigatorState]:
        for state in self._instance.all_instigator_state():
            if state.instigator_type in (InstigatorType.SENSOR, InstigatorType.SCHEDULE):
                yield state

    def _instigator(self, state: InstigatorState) -> Instigator:
        last = self._instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        ended = next((tick for tick in last if tick.end_timestamp), None)
        return Instigator(
            state.instigator_type.value.lower(),
            state.name,
            state.is_running,
            last[0].timestamp if last else None,
            (ended.end_timestamp or 0.0) - ended.timestamp if ended else None,
            state.instigator_origin_id,
            state.selector_id,
        )


def viewing(opened: Callable[[], dg.DagsterInstance]) -> Callable[[], InstanceView | None]:
    """Return what looks at an instance that is opened when it is wanted; None while none is."""

    def view() -> InstanceView | None:
        with contextlib.suppress(NotServedError):
            return InstanceView(opened())
        return None

    return view


def dagster_version() -> str:
    """Return the version of Dagster."""
    return importlib.metadata.version("dagster")


def age(of: float) -> float:
    """Return the seconds since a time (s since 1970), at least 0: clocks differ."""
    return max(0.0, time.time() - of)


def _pools_of(run: dg.DagsterRun) -> tuple[str, ...]:
    """Return the pools that a run needs a slot of."""
    concurrency = run.run_op_concurrency
    return tuple(sorted(concurrency.all_pools or ())) if concurrency else ()


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None


def scenario_of(partition: str) -> str:
    """Return the scenario of a partition: of a batch, its second dimension by name; or a plan."""
    return partition.rpartition("|")[2]


def _ended(record: dg.RunRecord) -> Ended:
    run = record.dagster_run
    # A run that repeats another bears its tags, until it begins.
    told = run.tags if assignment_of(run) else {}
    breached = told.get(LIMIT_BREACHED, NONE)
    return Ended(
        run_id=run.run_id,
        job=run.job_name,
        status=run.status.value.lower(),
        tags=run.tags,
        scenarios=_scenarios(run.tags),
        created_at=record.create_timestamp.timestamp(),
        started_at=record.start_time,
        ended_at=record.end_time or record.update_timestamp.timestamp(),
        breached=None if breached == NONE else breached,
        peak_memory_mb=_taken(told, "medgen/peak_memory_mb"),
        cpu_seconds=_taken(told, "medgen/cpu_seconds"),
    )


def _scenarios(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the scenarios of a run's partitions, as far as its tags tell."""
    ends = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG, PARTITION_NAME_TAG)
    return tuple(sorted({scenario_of(tags[each]) for each in ends if each in tags}))


def _taken(tags: Mapping[str, str], name: str) -> float | None:
    """Return what a run has written that it took; None before it has."""
    return float(tags.get(name, "0")) or None


def _written(entry: dg.EventLogEntry) -> Written:
    materialization = entry.asset_materialization
    if materialization is None:
        raise TypeError(f"event of run {entry.run_id} is no materialization")
    partition = materialization.partition
    return Written(
        asset=materialization.asset_key.to_user_string(),
        scenario=None if partition is None else scenario_of(partition),
        partition=partition,
        at=entry.timestamp,
        metadata={
            name: value.value
            for name, value in materialization.metadata.items()
            if isinstance(value.value, (int, float, str))
        },
    )
