"""What a deployment should be rid of, found first and removed after: `medgen janitor`.

Processes and slots of runs that are over, batches past their time, leftovers of killed writers, and
runs that nobody asks for any more. Ticks of sensors and schedules Dagster removes itself.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any, Final

import dagster as dg
import psutil
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from medgen_pipeline.dataset import janitor
from medgen_pipeline.dataset.layout import MANIFESTS, Partition, parse_manifest
from medgen_pipeline.dataset.manifest import Manifest, read_manifest
from medgen_pipeline.dataset.retention import expired, remove_partition
from medgen_pipeline.dataset.store import Store
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.processes import kill_tree
from medgen_pipeline.runtime.tags import assignment_of

# Our own choices. A run that has ended may still be unwinding; a process that outlives its run has
# been looked for thousands of times after a week; old runs wait for the next pass.
TO_UNWIND: Final = timedelta(minutes=1)
LOOKED_FOR: Final = timedelta(days=7)
MOST_RUNS: Final = 1_000
RUNS_AT_A_TIME: Final = 1_000  # that are looked at
DEAD_WRITER: Final = "its writer is dead"

There = Callable[[Collection[Partition]], Collection[str]]  # of the batches that are there

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to be rid of."""

    kind: str
    name: str
    why: str
    bytes: int
    item: Any  # what its remover takes


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long things are kept; what is not named stays."""

    batches: Mapping[str, timedelta]  # by scenario
    runs: timedelta
    # Assets whose makers no manifest names, each with which of its partitions are there.
    history: Mapping[str, There] = field(default_factory=dict)


class House:
    """A deployment to be kept in order."""

    def __init__(
        self, store: Store, instance: dg.DagsterInstance, keeping: Keeping, now: datetime
    ) -> None:
        self.store = store
        self.instance = instance
        self.keeping = keeping
        self.now = now

    def findings(self) -> Iterator[Finding]:
        """Yield what is to be removed, in the order in which that is done."""
        yield from self._processes()
        yield from self._slots()
        manifests = list(self._manifests())
        yield from self._batches(manifests)
        yield from self._litter()
        yield from self._runs(self._makers(manifests))

    def of_runs(self) -> Iterator[Finding]:
        """Yield processes and slots of runs that are over, and what killed writers have staged."""
        yield from self._processes()
        yield from self._slots()
        for each in janitor.find_staging(self.store):
            yield Finding("staging", each.path, DEAD_WRITER, each.size, each)

    def remove(self, findings: Iterable[Finding]) -> None:
        """Remove what was found, unless it has come to life or has gone meanwhile."""
        removers: dict[str, Callable[[list[Any]], None]] = {
            "process": self._kill,
            "slot": self._free,
            "batch": self._remove_batches,
            "file": self._remove_litter,
            "staging": self._remove_litter,
            "run": self._delete_runs,
        }
        for kind, found in groupby(findings, lambda finding: finding.kind):
            removers[kind]([finding.item for finding in found])

    def _processes(self) -> Iterator[Finding]:
        groups = {group for group in map(_group, psutil.pids()) if group}
        ended = self.instance.get_run_records(
            dg.RunsFilter(statuses=FINISHED_STATUSES, updated_after=self.now - LOOKED_FOR)
        )
        unwound = (self.now - TO_UNWIND).timestamp()
        for record in ended:
            assignment = assignment_of(record.dagster_run)
            if assignment is None or (record.end_time or 0.0) > unwound:
                continue
            worker = assignment.worker
            if worker.is_local and worker.pid in groups and worker.owns_its_number():
                run_id = record.dagster_run.run_id
                yield Finding("process", str(worker.pid), f"run {run_id} is over", 0, worker)

    def _slots(self) -> Iterator[Finding]:
        for run_id in sorted(self.instance.event_log_storage.get_concurrency_run_ids()):
            run = self.instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                yield Finding("slot", run_id, "its run is over", 0, run_id)

    def _manifests(self) -> Iterator[Manifest]:
        for entry in self.store.entries(MANIFESTS):
            partition = parse_manifest(entry.path)
            if partition is not None:
                try:
                    yield read_manifest(self.store, partition)
                except (DatasetError, FileNotFoundError) as error:
                    _log.warning("%s is left alone: %s", partition, error)

    def _batches(self, manifests: list[Manifest]) -> Iterator[Finding]:
        for manifest in expired(manifests, self.keeping.batches, self.now):
            days = self.keeping.batches[manifest.scenario].days
            yield Finding(
                "batch",
                str(manifest.partition),
                f"committed {manifest.run.created_at:%Y-%m-%d}, kept for {days} days",
                sum(file.bytes for file in manifest.files),
                manifest,
            )

    def _litter(self) -> Iterator[Finding]:
        for each in janitor.find_litter(self.store, is_alive=self._is_alive, now=self.now):
            kind, why = ("staging", DEAD_WRITER) if each.run else ("file", "in no manifest")
            yield Finding(kind, each.path, why, each.size, each)

    def _is_alive(self, run_id: str) -> bool | None:
        """Whether a run goes on; None for what is no run of this deployment."""
        run = self.instance.get_run_by_id(run_id)
        return None if run is None else not run.is_finished

    def _makers(self, manifests: Sequence[Manifest]) -> set[str]:
        """Return the runs that made what is there: their events are its history."""
        batches = [manifest.partition for manifest in manifests]
        makers = {manifest.run.run_id for manifest in manifests}
        view = InstanceView(self.instance)
        for asset, there in self.keeping.history.items():
            partitions = there(batches)
            made_by = view.makers(asset)
            makers |= {run for partition, run in made_by.items() if partition in partitions}
        return makers

    def _runs(self, makers: set[str]) -> Iterator[Finding]:
        """Yield old runs, save those that made what is there."""
        days = self.keeping.runs.days
        useless = (run_id for run_id in self._old_runs() if run_id not in makers)
        for run_id in islice(useless, MOST_RUNS):
            yield Finding("run", run_id, f"ended more than {days} days ago", 0, run_id)

    def _old_runs(self) -> Iterator[str]:
        """Yield the runs whose time is over, the oldest first."""
        old = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=self.now - self.keeping.runs)
        cursor: str | None = None
        while found := self.instance.get_run_records(
            old, cursor=cursor, limit=RUNS_AT_A_TIME, ascending=True
        ):
            run_ids = [record.dagster_run.run_id for record in found]
            yield from run_ids
            cursor = run_ids[-1]

    def _kill(self, workers: list[Any]) -> None:
        for worker in workers:
            kill_tree(worker)

    def _free(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            self.instance.event_log_storage.free_concurrency_slots_for_run(run_id)

    def _remove_batches(self, manifests: list[Manifest]) -> None:
        for manifest in manifests:
            remove_partition(self.store, manifest)

    def _remove_litter(self, litter: list[janitor.Litter]) -> None:
        janitor.remove(self.store, litter)

    def _delete_runs(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            self.instance.compute_log_manager.delete_logs(prefix=[run_id])  # what it has printed
            self.instance.delete_run(run_id)


def _group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return None
