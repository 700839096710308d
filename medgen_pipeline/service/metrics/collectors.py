"""What each part of `/metrics` is read from, one collector for a source that may fail by itself."""

import os
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from medgen_pipeline.dataset.schema import SCHEMA_VERSION
from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures, Sizes
from medgen_pipeline.runtime import family, kept_figures
from medgen_pipeline.runtime.host import available_mb, total_mb
from medgen_pipeline.runtime.instance_view import InstanceView, age, dagster_version, scenario_of
from medgen_pipeline.runtime.parts import RUN_WORKER
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.runtime.processes import MIB
from medgen_pipeline.runtime.run_tally import PATIENTS, priority_class, workload_of
from medgen_pipeline.service.sending import Counts

BATCHES: Final = 1_000  # of a scenario
SCENARIOS: Final = "scenario"  # the definition of dynamic partitions
SECONDS_KEPT: Final = 4.0
SECONDS_KEPT_LONG: Final = 14.0  # what is dear to ask and slow to change
SECONDS_OF_A_DAY: Final = 86_400.0  # what does not change while a process runs
SENSORS: Final = {
    "run_metrics_sensor": kept_figures.RUNS,
    "pool_metrics_sensor": kept_figures.POOLS,
}
USED_CPU: Final = ("user", "nice", "system", "irq", "softirq", "steal")

View = Callable[[], InstanceView | None]  # None where nobody has served a deployment


@dataclass(frozen=True, slots=True)
class Collector:
    """One source of figures, and for how long they are good."""

    name: str
    collect: Callable[[], Figures]
    seconds_kept: float = SECONDS_KEPT


def collectors(view: View, home: Path, data_url: str) -> list[Collector]:
    """Return the collectors of a deployment."""

    def of_instance(collect: Callable[[InstanceView], Figures]) -> Callable[[], Figures]:
        def collected() -> Figures:
            opened = view()
            return Figures() if opened is None else collect(opened)

        return collected

    return [
        Collector("runs", of_instance(runs)),
        Collector("queue", of_instance(queue)),
        Collector("limits", of_instance(limits)),
        Collector("daemons", of_instance(daemons)),
        Collector("instigators", of_instance(instigators)),
        Collector("backfills", of_instance(backfills)),
        Collector("partitions", of_instance(partitions), SECONDS_KEPT_LONG),
        Collector("sensors", of_instance(sensors)),
        Collector("connections", partial(connections, home)),
        Collector("processes", processes),
        Collector("host", partial(host, data_url)),
        Collector("build", build, SECONDS_OF_A_DAY),
    ]


def runs(view: InstanceView) -> Figures:
    """Return how many runs there are, and when one last started."""
    found = Figures()
    for status, number in view.runs_by_status().items():
        found.set(metrics.RUNS, status, value=number)
    last = view.last_start()
    if last is not None:
        found.set(metrics.LAST_LAUNCH, value=last)
    return found


def queue(view: InstanceView) -> Figures:
    """Return what waits, for run slots and for slots of pools."""
    found, now = Figures(), view.queue()
    for workload in (*metrics.WORKLOADS, metrics.NONE):
        for priority in metrics.PRIORITIES:
            found.set(metrics.QUEUE_RUNS, workload, priority, value=0)
            found.set(metrics.QUEUE_AGE, workload, priority, value=0)
    kinds = [(workload_of(each.tags), priority_class(each.tags)) for each in now.waiting]
    for kind, number in Counter(kinds).items():
        found.set(metrics.QUEUE_RUNS, *kind, value=number)
    for kind, each in reversed(list(zip(kinds, now.waiting, strict=True))):
        found.set(metrics.QUEUE_AGE, *kind, value=age(each.since.timestamp()))
    slots = {"configured": now.configured, "open": now.open, "busy": now.busy}
    for state, number in slots.items():
        found.set(metrics.RUN_SLOTS, state, value=number)
    for pool in now.pools:
        found.set(metrics.POOL_SLOTS, pool.name, value=pool.slots)
        found.set(metrics.POOL_CLAIMED, pool.name, value=pool.claimed)
        found.set(metrics.POOL_PENDING, pool.name, value=pool.pending)
        found.set(metrics.POOL_LEAKED, pool.name, value=len(pool.leaked))
    return found


def limits(view: InstanceView) -> Figures:
    """Return the limits in force."""
    found = Figures()
    for limit, allowed in view.limits_of_runs().items():
        found.set(metrics.RUN_LIMIT, limit, value=allowed)
    for each in view.tag_limits():
        found.set(metrics.TAG_LIMIT, each.tag, each.value, value=each.limit)
    return found


def daemons(view: InstanceView) -> Figures:
    """Return how old the last sign of life of each daemon is."""
    found = Figures()
    for each in view.heartbeats():
        found.set(metrics.HEARTBEAT_AGE, each.daemon.lower(), value=age(each.at))
        found.set(metrics.DAEMON_ERRORS, each.daemon.lower(), value=each.errors)
    return found


def instigators(view: InstanceView) -> Figures:
    """Return the last ticks of sensors and schedules."""
    found = Figures()
    for each in view.instigators():
        labels = each.kind, each.name
        found.set(metrics.INSTIGATOR_RUNNING, *labels, value=each.is_running)
        if each.last_at is not None:
            found.set(metrics.LAST_TICK, *labels, value=each.last_at)
        if each.last_seconds is not None:
            found.set(metrics.LAST_TICK_DURATION, *labels, value=each.last_seconds)
    return found


def backfills(view: InstanceView) -> Figures:
    """Return how many backfills there are."""
    found = Figures()
    for status, number in view.backfills_by_status().items():
        found.set(metrics.BACKFILLS, status, value=number)
    return found


def partitions(view: InstanceView) -> Figures:
    """Return what became of the batches of each scenario."""
    failed = view.failed(PATIENTS)
    good = view.materialized(PATIENTS) - failed
    counts = {
        "materialized": Counter(map(scenario_of, good)),
        "failed": Counter(map(scenario_of, failed)),
    }
    found = Figures()
    named = view.dynamic_partitions(SCENARIOS)
    for scenario in named[: metrics.MOST_SCENARIOS]:
        for state, number in counts.items():
            found.set(metrics.PARTITIONS, scenario, state, value=number[scenario])
        tried = sum(number[scenario] for number in counts.values())
        found.set(metrics.PARTITIONS, scenario, "missing", value=BATCHES - tried)
    return found


def sensors(view: InstanceView) -> Figures:
    """Return what the sensors keep, and how long ago they last did."""
    found = Figures()
    for sensor, key in SENSORS.items():
        kept = kept_figures.read(view, key)
        if kept.at:
            found.update(kept.figures)
            found.set(metrics.SENSOR_AGE, sensor, value=age(kept.at))
    return found


def connections(home: Path) -> Figures:
    """Return what each part has told of its pools of connections."""
    found = Figures()
    for part in pool_figures_of_deployment(home):
        _add_pool(found, part)
    return found


def _add_pool(found: Figures, part: PoolFigures) -> None:
    name = label_of(part.part)
    found.set(metrics.DB_CONNECTIONS, name, "active", value=part.active)
    found.set(metrics.DB_CONNECTIONS, name, "idle", value=part.idle)
    found.set(metrics.DB_OVERFLOW, name, value=part.overflow)
    found.set(metrics.DB_LIMIT, name, value=part.size + part.max_overflow)
    found.set(metrics.DB_WAITING, name, value=part.waiting)
    events = {
        "created": part.created,
        "closed": part.closed,
        "checked_out": part.checkouts,
        "checkout_timeout": part.checkout_timeouts,
        "connect_failed": part.failed_connects,
        "validation_failed": part.failed_validations,
        "recycled": part.recycled,
        "invalidated": part.invalidated,
    }
    for event, number in events.items():
        found.set(metrics.DB_EVENTS, name, event, value=number)
    found.set(metrics.DB_SLOW, name, value=part.slow_queries)
    for kind, number in part.errors.items():
        found.set(metrics.DB_ERRORS, name, kind, value=number)
    wait = part.wait_seconds
    found.put(metrics.DB_WAIT, name, sizes=Sizes(wait.counts, wait.total_seconds))
    for kind, queries in part.query_seconds.items():
        sizes = Sizes(queries.counts, queries.total_seconds)
        found.put(metrics.DB_QUERIES, name, kind, sizes=sizes)


def processes() -> Figures:
    """Return what the processes of the deployment take."""
    found = Figures()
    for each in family.uses():
        name = label_of(each.part)
        found.set(metrics.PROCESS_MEMORY, name, value=each.memory_bytes)
        found.set(metrics.PROCESS_THREADS, name, value=each.threads)
        found.set(metrics.PROCESS_START, name, value=each.started)
        if each.part != RUN_WORKER:
            found.set(metrics.PROCESS_CPU, name, value=each.cpu_seconds)
    return found


def host(data_url: str) -> Figures:
    """Return what the host has, and what is used of it."""
    found = Figures()
    found.set(metrics.HOST_MEMORY, "total", value=total_mb() * MIB)
    found.set(metrics.HOST_MEMORY, "available", value=available_mb() * MIB)
    times = psutil.cpu_times()._asdict()
    found.set(metrics.HOST_CPU, value=sum(times.get(kind, 0.0) for kind in USED_CPU))
    found.set(metrics.HOST_CPUS, value=os.cpu_count() or 1)
    if "://" not in data_url:
        disk = shutil.disk_usage(_that_exists(Path(data_url).absolute()))
        found.set(metrics.DATA_DISK, "total", value=disk.total)
        found.set(metrics.DATA_DISK, "free", value=disk.free)
    return found


def build() -> Figures:
    """Return what is running."""
    found = Figures()
    labels = version("medgen_pipeline"), dagster_version(), platform.python_version()
    found.set(metrics.BUILD_INFO, *labels, str(SCHEMA_VERSION), value=1)
    return found


def streams(counts: Counts) -> Figures:
    """Return what the streams of this process have done."""
    found = Figures()
    found.set(metrics.STREAMS_ACTIVE, value=counts.active)
    found.set(metrics.STREAMS_STARTED, value=counts.started)
    ended: Mapping[str, int] = {
        "completed": counts.completed,
        "abandoned": counts.abandoned,
        "failed": counts.failed,
    }
    for cause, number in ended.items():
        found.set(metrics.STREAMS_ENDED, cause, value=number)
    found.set(metrics.STREAM_PATIENTS, value=counts.patients)
    found.set(metrics.STREAM_BYTES, value=counts.bytes)
    return found


def label_of(part: str) -> str:
    """Return a part of the deployment as a label."""
    return part.replace(" ", "_")


def _that_exists(path: Path) -> Path:
    """Return a path, or the folder that it would be made in."""
    return next(each for each in (path, *path.parents) if each.exists())
