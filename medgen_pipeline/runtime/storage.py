"""Dagster's storage on Postgres, with one pool of connections for each process.

Dagster's own opens a session for nearly every call, three engines for each instance, and in the web
server a pool of its own. Here runs, events and ticks share the engine of the process, whoever makes
an instance. A database that goes away is waited for, as long as the thread can wait; a call that
lost its connection half-way is made again where that does no harm.
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Final, TypeVar

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.runs import InstanceInfo
from dagster._core.storage.runs.base import RunStorage
from dagster._core.storage.schedules.base import ScheduleStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value
from dagster._time import datetime_from_timestamp
from dagster_postgres import (
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from medgen_pipeline.runtime.database import Address
from medgen_pipeline.runtime.engine import ENGINES, PooledEngine, pauses_seconds
from medgen_pipeline.runtime.parts import COMMAND, Shape
from medgen_pipeline.runtime.ranges import WholeRanges

TIMES: Final = 5  # that a call is made which loses its connection
READING: Final = ("get_", "has_", "can_", "fetch_", "all_", "supports_", "check_concurrency_claim")
TABLES: Final = {"runs", "instance_info", "event_logs", "jobs"}  # one of each storage, at least
LOCK_OF_TABLES: Final = 5_310_867_129_318_425_401  # a number of our own for an advisory lock
NO_URL: Final = "postgresql+psycopg2://"  # of engines that are put away before they are used

C = TypeVar("C", bound=type)


def _again(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that is called again when it loses its connection half-way."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as the method
        for pause in (*_first(TIMES - 1, pauses_seconds()), None):
            try:
                return method(*args, **kwargs)
            except DBAPIError as error:
                if pause is None or not error.connection_invalidated:
                    raise
            time.sleep(pause)
        raise AssertionError("unreachable")

    return call


def _first(count: int, each: Iterable[float]) -> list[float]:
    return [value for value, _ in zip(each, range(count), strict=False)]


def repeating(base: type, *writes: str) -> Callable[[C], C]:
    """Return a decorator: what reads, and the writes named, may be called again.

    Those writes say how something is to be, so that saying it twice changes nothing.
    """

    def decorate(storage: C) -> C:
        reads = [name for name in dir(base) if name.startswith(READING)]
        for name in (*reads, *writes):
            method = getattr(storage, name)
            if inspect.isfunction(method):
                setattr(storage, name, _again(method))
        return storage

    return decorate


@repeating(
    RunStorage,
    *("handle_run_event", "add_run_tags", "add_daemon_heartbeat", "set_cursor_values"),
    *("store_backfill", "delete_run", "add_job_snapshot", "add_execution_plan_snapshot"),
)
class PooledRunStorage(WholeRanges, PostgresRunStorage):
    """Runs, heartbeats, backfills and the instance's keys and values."""

    def __init__(self, pooled: PooledEngine) -> None:
        super().__init__(NO_URL, should_autocreate_tables=False)
        self._engine = pooled.engine
        self._pooled = pooled

    def connect(self) -> AbstractContextManager[Connection]:
        """Hand out a connection of the process's pool."""
        return self._pooled.connection()

    def optimize_for_webserver(self, *_: object, **__: object) -> None:
        """Keep the pool."""

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Keep the figures of the pool in the instance's home from now on."""
        super().register_instance(instance)
        ENGINES.keep_figures(Path(instance.root_directory))


@repeating(
    EventLogStorage,
    *("add_dynamic_partitions", "delete_dynamic_partition", "set_concurrency_slots"),
    *("free_concurrency_slots_for_run", "free_concurrency_slot_for_step"),
    *("update_asset_cached_status_data", "initialize_concurrency_limit_to_default"),
)
class PooledEventLogStorage(PostgresEventLogStorage):
    """Events of runs and assets."""

    def __init__(self, pooled: PooledEngine) -> None:
        super().__init__(NO_URL, should_autocreate_tables=False)
        self._engine = pooled.engine
        self._pooled = pooled

    def _connect(self) -> AbstractContextManager[Connection]:
        return self._pooled.connection()

    def optimize_for_webserver(self, *_: object, **__: object) -> None:
        """Keep the pool."""

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event once, also when the connection is lost meanwhile."""
        self._once([event], functools.partial(super().store_event, event))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events once each, also when the connection is lost meanwhile."""
        self._once(events, functools.partial(super().store_event_batch, events))

    def _once(self, events: Sequence[dg.EventLogEntry], store: Callable[[], None]) -> None:
        """Store events; where nobody knows whether they were, take them out and store them anew."""
        try:
            store()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            _again(self._anew)(events, store)

    def _anew(self, events: Sequence[dg.EventLogEntry], store: Callable[[], None]) -> None:
        self._take_out(events)
        store()

    def _take_out(self, events: Sequence[dg.EventLogEntry]) -> None:
        columns = SqlEventLogStorageTable.c
        with self._connect() as connection:
            for event in events:
                connection.execute(
                    SqlEventLogStorageTable.delete().where(
                        columns.run_id == event.run_id,
                        columns.timestamp == datetime_from_timestamp(event.timestamp),
                        columns.event == serialize_value(event),
                    )
                )


@repeating(ScheduleStorage, "update_tick", "update_instigator_state", "purge_ticks")
class PooledScheduleStorage(PostgresScheduleStorage):
    """Ticks of sensors and schedules."""

    def __init__(self, pooled: PooledEngine) -> None:
        super().__init__(NO_URL, should_autocreate_tables=False)
        self._engine = pooled.engine
        self._pooled = pooled

    def connect(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """Hand out a connection of the process's pool."""
        del run_id
        return self._pooled.connection()

    def optimize_for_webserver(self, *_: object, **__: object) -> None:
        """Keep the pool."""


class PooledPostgresStorage(DagsterStorage[dg.DagsterInstance], ConfigurableClass):
    """All that a Dagster instance stores, on Postgres through the pool of the process."""

    def __init__(
        self, pooled: PooledEngine, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self.pooled = pooled
        self._inst_data = inst_data
        self._run_storage = PooledRunStorage(pooled)
        self._event_log_storage = PooledEventLogStorage(pooled)
        self._schedule_storage = PooledScheduleStorage(pooled)
        self._make_tables()
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What it was made from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what dagster.yaml states."""
        return {
            "postgres_url": dg.StringSource,
            "pool_size": int,
            "max_overflow": int,
            "pool_timeout": int,
            "pool_recycle": int,
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Return the storage that dagster.yaml describes."""
        shape = Shape(
            size=config_value["pool_size"],
            max_overflow=config_value["max_overflow"],
            timeout_seconds=config_value["pool_timeout"],
            recycle_seconds=config_value["pool_recycle"],
        )
        return cls(ENGINES.get(Address(config_value["postgres_url"]), shape), inst_data)

    @property
    def run_storage(self) -> PooledRunStorage:
        """Runs."""
        return self._run_storage

    @property
    def event_log_storage(self) -> PooledEventLogStorage:
        """Events."""
        return self._event_log_storage

    @property
    def schedule_storage(self) -> PooledScheduleStorage:
        """Ticks."""
        return self._schedule_storage

    def _make_tables(self) -> None:
        """Make the tables unless they are there; processes that start at once take turns."""
        if self.pooled.has_tables or not self._missing():
            self.pooled.has_tables = True
            return
        with closing(self.pooled.address.connect(COMMAND)) as lock, lock.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK_OF_TABLES,))
            missing = self._missing()
            if "runs" in missing:
                self._run_storage._init_db()  # noqa: SLF001  as its own constructor
                self._run_storage.migrate()
                self._run_storage.optimize()
            elif "instance_info" in missing:
                InstanceInfo.create(self.pooled.engine)
            if "event_logs" in missing:
                self._event_log_storage._init_db()  # noqa: SLF001  the same
                self._event_log_storage.reindex_events()
                self._event_log_storage.reindex_assets()
            if "jobs" in missing:
                self._schedule_storage._init_db()  # noqa: SLF001  the same
        self.pooled.has_tables = True

    def _missing(self) -> set[str]:
        with self.pooled.connection() as connection:
            return TABLES - set(sa.inspect(connection).get_table_names())
