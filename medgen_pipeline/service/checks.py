"""The looks that health is made of: each is quick, changes nothing, and tells of one part.

Thresholds are our own choices; docs/operations.md says what each is for. Health is answered without
a key, so nothing here names a path, a host or a user.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import psutil

from medgen_pipeline.dataset.layout import manifest_folder
from medgen_pipeline.dataset.store import FolderStore, open_store
from medgen_pipeline.runtime import observation
from medgen_pipeline.runtime.code_server import CodeServerError, repositories
from medgen_pipeline.runtime.home import SOCKET
from medgen_pipeline.runtime.host import available_mb
from medgen_pipeline.runtime.instance import KeptInstance, NotServedError
from medgen_pipeline.runtime.limits import KINDS, MEMORY, Limits
from medgen_pipeline.runtime.observation import AtWork
from medgen_pipeline.runtime.pool_figures import COUNTERS, GAUGES
from medgen_pipeline.runtime.pool_files import pool_figures_of_deployment
from medgen_pipeline.runtime.processes import MIB
from medgen_pipeline.service.dagster_runs import DagsterRuns
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.findings import (
    Api,
    Beat,
    CodeLocation,
    Daemon,
    Database,
    DataRoot,
    Disk,
    Finding,
    JobWorker,
    Memory,
    Pools,
    QueueState,
    Resources,
    Status,
    Use,
    WebServer,
)
from medgen_pipeline.settings import Settings

GB: Final = 1_000_000_000
# Daemons beat every 30 s, so one that died is found out 25 to 55 s later.
HEARTBEAT_SECONDS: Final = 55.0
QUEUE_IDLE_SECONDS: Final = 60.0  # a launch takes 3 s; three tries of a bad one, 30
DISK_WARNING_PERCENT: Final = 90.0
DISK_FULL_PERCENT: Final = 98.0
MEMORY_WARNING_PERCENT: Final = 85.0
MEMORY_FULL_PERCENT: Final = 97.0
ALONE: Final = "no deployment was served from this DAGSTER_HOME: the API runs alone"

Look = Callable[[], Finding]


class Checks:
    """The looks at one deployment."""

    def __init__(self, settings: Settings, kept: KeptInstance, dagster: DagsterRuns) -> None:
        self.settings = settings
        self.kept = kept
        self.dagster = dagster
        self._began = time.monotonic()

    def looks(self) -> dict[str, Look]:
        """Return the looks, by the name under which each is reported."""
        return {
            "api": self.api,
            "database": self._of_dagster(self.database),
            "data_root": self.data_root,
            "disk_space": self.disk_space,
            "memory": self.memory,
            "daemon": self._of_dagster(self.daemon),
            "web_server": self.web_server,
            "code_location": self.code_location,
            "queue": self._of_dagster(self.queue),
            "job_worker": self._of_dagster(self.job_worker),
        }

    def api(self) -> Finding:
        """Tell of this process."""
        return Api(
            status=Status.HEALTHY,
            version=importlib.metadata.version("medgen_pipeline"),
            python_version=platform.python_version(),
            uptime_seconds=round(time.monotonic() - self._began, 1),
        )

    def database(self) -> Finding:
        """Read from what Dagster keeps its runs in."""
        version = observation.database_version(self.kept.get())
        kind = "sqlite" if self.kept.is_sqlite else "postgresql"
        return Database(status=Status.HEALTHY, kind=kind, version=version)

    def pools(self) -> Finding:
        """Tell of the pools of connections that the parts of the deployment have."""
        every = {each.part: asdict(each) for each in pool_figures_of_deployment(self.kept.home)}
        counted = (*COUNTERS, "errors")
        return Pools(
            status=Status.HEALTHY,
            pool={part: {name: each[name] for name in GAUGES} for part, each in every.items()},
            metrics={part: {name: each[name] for name in counted} for part, each in every.items()},
        )

    def data_root(self) -> Finding:
        """List the scenarios there is data of."""
        store = open_store(self.settings.data_url)
        kind = "folder" if isinstance(store, FolderStore) else "bucket"
        fault = _not_usable(store.root) if isinstance(store, FolderStore) else None
        if fault:
            return DataRoot(status=Status.UNHEALTHY, detail=fault, kind=kind)
        found = len(store.folders(manifest_folder(None)))
        return DataRoot(status=Status.HEALTHY, kind=kind, scenarios=found)

    def disk_space(self) -> Finding:
        """Tell of the fuller of the disks that hold the data root and the home."""
        places = {"home": self.kept.home}
        store = open_store(self.settings.data_url)
        if isinstance(store, FolderStore):
            places["data root"] = store.root
        found = {of: psutil.disk_usage(str(_existing(path))) for of, path in places.items()}
        of, fuller = max(found.items(), key=lambda each: each[1].percent)
        status, detail = _fill(
            fuller.percent, DISK_WARNING_PERCENT, DISK_FULL_PERCENT, f"the disk of the {of}"
        )
        return Disk(
            status=status,
            detail=detail,
            of=of,
            total_gb=round(fuller.total / GB, 2),
            used_gb=round(fuller.used / GB, 2),
            free_gb=round(fuller.free / GB, 2),
            percent_used=fuller.percent,
        )

    def memory(self) -> Finding:
        """Tell of the memory that is left, here or in this container."""
        host = psutil.virtual_memory()
        available = available_mb()
        status, detail = _fill(
            host.percent, MEMORY_WARNING_PERCENT, MEMORY_FULL_PERCENT, "the memory of the host"
        )
        needed = self.settings.job_max_memory_mb
        if status is Status.HEALTHY and available < needed:
            status = Status.WARNING
            detail = f"a run may take {needed} MB ({MEMORY.setting}): the queue waits for memory"
        return Memory(
            status=status,
            detail=detail,
            total_gb=round(host.total / GB, 2),
            available_gb=round(available * MIB / GB, 2),
            used_gb=round(host.used / GB, 2),
            percent_used=host.percent,
        )

    def daemon(self) -> Finding:
        """Tell how long ago each daemon last beat."""
        found = observation.heartbeats(self.kept.get(), time.time())
        beats = {each.daemon.lower(): each for each in found}
        dead = [
            name
            for name, each in beats.items()
            if each.age_seconds is None or each.age_seconds > HEARTBEAT_SECONDS
        ]
        is_down = observation.QUEUE_DAEMON.lower() in dead or len(dead) == len(beats)
        status = Status.UNHEALTHY if is_down else Status.WARNING if dead else Status.HEALTHY
        return Daemon(
            status=status,
            detail=f"no heartbeat within {HEARTBEAT_SECONDS:g} s: {', '.join(dead)}"
            if dead
            else None,
            threshold_seconds=HEARTBEAT_SECONDS,
            heartbeats={
                name: Beat(age_seconds=_rounded(each.age_seconds), errors=each.errors)
                for name, each in beats.items()
            },
        )

    def web_server(self) -> Finding:
        """Ask Dagster's web server for its version."""
        try:
            version = self.dagster.version()
        except ServiceError as error:
            return self._missing(str(error))
        return WebServer(status=Status.HEALTHY, dagster_version=version)

    def code_location(self) -> Finding:
        """Ask the code server what it has loaded; without one of ours, the web server."""
        socket = self.kept.home / SOCKET
        try:
            found = repositories(socket) if socket.exists() else self.dagster.repositories()
        except (CodeServerError, ServiceError) as error:
            return self._missing(str(error))
        if not found:
            return self._missing("nothing is loaded")
        return CodeLocation(status=Status.HEALTHY, repositories=len(found))

    def queue(self) -> Finding:
        """Tell whether the queue moves."""
        found = observation.queue(self.kept.get(), time.time())
        status, detail = Status.HEALTHY, None
        if found.idle_seconds > QUEUE_IDLE_SECONDS:
            status = Status.UNHEALTHY
            detail = (
                f"{found.startable} runs could start, and nothing was launched for "
                f"{found.idle_seconds:.0f} s"
            )
        elif found.queued and found.running >= found.open_slots < found.configured_slots:
            status = Status.WARNING
            detail = f"{found.queued} runs wait for memory ({MEMORY.setting})"
        return QueueState(
            status=status,
            detail=detail,
            queued=found.queued,
            running=found.running,
            slots=found.configured_slots,
            open_slots=found.open_slots,
            oldest_queued_seconds=round(found.oldest_seconds, 1),
            startable=found.startable,
            idle_seconds=round(found.idle_seconds, 1),
            threshold_seconds=QUEUE_IDLE_SECONDS,
        )

    def job_worker(self) -> Finding:
        """Tell what each run that goes on uses of what it may."""
        instance = self.kept.get()
        runs = observation.at_work(instance, time.time())
        limits = Limits.of(self.settings)
        open_slots = observation.open_slots(instance)
        over = [fault for run in runs for fault in _over(run)]
        used = [run.usage for run in runs if run.usage]
        return JobWorker(
            status=Status.WARNING if over else Status.HEALTHY,
            detail="; ".join(over) or None,
            active_jobs=len(runs),
            max_concurrent_jobs=self.settings.max_concurrent_jobs,
            can_accept_jobs=len(runs) < open_slots,
            resources=Resources(
                total_memory_mb=round(sum(each.memory_mb for each in used), 1),
                total_cpu_seconds=round(sum(each.cpu_seconds for each in used), 1),
                **limits.as_dict(),
            ),
            jobs={run.run_id: _use(run) for run in runs},
        )

    def _of_dagster(self, look: Look) -> Look:
        """Return a look that says so where there is no deployment to look at."""

        def found() -> Finding:
            try:
                return look()
            except NotServedError:
                return Finding(status=Status.WARNING, detail=ALONE)

        return found

    def _missing(self, detail: str) -> Finding:
        """Return that a service does not do its work, where there is a deployment that needs it."""
        try:
            self.kept.get()
        except NotServedError:
            return Finding(status=Status.WARNING, detail=ALONE)
        return Finding(status=Status.UNHEALTHY, detail=detail)


def _use(run: AtWork) -> Use:
    return Use(
        job=run.job,
        runtime_seconds=round(run.runtime_seconds, 1),
        memory_mb=_rounded(run.usage.memory_mb if run.usage else None),
        cpu_seconds=_rounded(run.usage.cpu_seconds if run.usage else None),
        **(run.limits.as_dict() if run.limits else {}),
    )


def _over(run: AtWork) -> Iterator[str]:
    """Yield each limit that a run has passed without having been ended by now."""
    if run.limits is None:
        return
    used = {"max_runtime_seconds": run.runtime_seconds}
    if run.usage:
        used |= {"max_memory_mb": run.usage.memory_mb, "max_cpu_seconds": run.usage.cpu_seconds}
    for kind in KINDS:
        allowed = getattr(run.limits, kind.name)
        if used.get(kind.name, 0.0) > allowed:
            yield f"run {run.run_id} takes {used[kind.name]:.0f} {kind.unit} of {allowed:g}"


def _not_usable(root: Path) -> str | None:
    """Return why a folder cannot be written, None when it can, or can be made."""
    folder = _existing(root)
    if not folder.is_dir():
        return "the data root is no folder"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "the data root cannot be written"
    return None


def _existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


def _fill(percent: float, warning: float, full: float, of: str) -> tuple[Status, str | None]:
    """Return what it means that so much of something is used."""
    if percent < warning:
        return Status.HEALTHY, None
    status = Status.UNHEALTHY if percent >= full else Status.WARNING
    return status, f"{of} is {percent:g} % used"


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)
