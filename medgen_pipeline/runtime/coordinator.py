"""The run queue: Dagster's own, which also refuses limits that cannot be, and waits for memory.

Dagster's daemon asks the coordinator before each pass how many runs may go on at once. The answer
falls below the configured number while the host has too little memory for one more. A run that goes
on is taken to use all it may; one that is queued, the most any run may.
"""

import logging
import math
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import dagster as dg
from dagster._core.events import JobFailureData
from dagster._core.launcher import WorkerStatus
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES
from dagster._serdes import ConfigurableClassData

from medgen_pipeline.runtime.host import available_mb
from medgen_pipeline.runtime.limits import KINDS, MEMORY, LimitError, Limits
from medgen_pipeline.runtime.processes import usage
from medgen_pipeline.runtime.tags import OWN_FAULT, assignment_of

SECONDS_BETWEEN_WORDS: Final = 60.0  # in the daemon's log, on why the queue waits
SECONDS_BETWEEN_LOOKS: Final = 5.0  # at runs that were launched elsewhere and have not begun

_log: Final = logging.getLogger(__name__)


class BoundedRunCoordinator(QueuedRunCoordinator[dg.DagsterInstance]):
    """Queues runs; lets as many go as slots and memory allow."""

    def __init__(self, *, limits: Limits, elsewhere: bool, **queue: Any) -> None:  # noqa: ANN401
        """Take the limits of runs, whether they go to other machines, and what Dagster's takes."""
        super().__init__(**queue)
        self.limits = limits
        self.elsewhere = elsewhere
        self._said_at = self._looked_at = -math.inf

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what dagster.yaml states: the queue's settings and the deployment's limits."""
        return {
            **dict(QueuedRunCoordinator.config_type()),  # type: ignore[arg-type]
            **{kind.name: dg.Field(float, description=kind.meaning) for kind in KINDS},
            "elsewhere": dg.Field(
                bool, default_value=False, description="Whether runs go to other machines."
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the coordinator that dagster.yaml describes."""
        names = {kind.name for kind in KINDS}
        return cls(
            inst_data=inst_data,
            limits=Limits(**{name: config_value[name] for name in names}),
            **{name: value for name, value in config_value.items() if name not in names},
        )

    @property
    def slots(self) -> int:
        """How many runs may go on at once when there is memory for all."""
        return self._max_concurrent_runs

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the settings of the queue, with as many runs at once as there is room for."""
        config = super().get_run_queue_config()
        if self.elsewhere:
            self._look_at_launches()
            return config
        return config._replace(max_concurrent_runs=self._slots_with_memory())

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, or fail it at once if it asks for limits it cannot have."""
        run = context.dagster_run
        try:
            self.limits.of_run(run.run_config, run.tags)
        except LimitError as error:
            self._instance.report_run_failed(
                run, str(error), JobFailureData(error=None, failure_reason=OWN_FAULT)
            )
            return self._instance.get_run_by_id(run.run_id) or run
        return super().submit_run(context)

    def _look_at_launches(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            fail_what_cannot_begin(self._instance)

    def _slots_with_memory(self) -> int:
        """Return how many runs may go on at once, those that do included."""
        free = available_mb()
        if free >= self.slots * self.limits.max_memory_mb:
            return self.slots
        running = self._instance.get_runs(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES))
        promised = sum(still_to_take_mb(run, self.limits) for run in running)
        fit = len(running) + max(0, int((free - promised) // self.limits.max_memory_mb))
        if fit < self.slots:
            self._say(free, promised)
        return min(self.slots, fit)

    def _say(self, free: float, promised: float) -> None:
        now = time.monotonic()
        if now - self._said_at > SECONDS_BETWEEN_WORDS:
            self._said_at = now
            _log.warning(
                "the queue waits for memory: %.0f MB are free, %.0f MB of them promised to runs "
                "that go on, and one more may take %.0f MB (%s)",
                free,
                promised,
                self.limits.max_memory_mb,
                MEMORY.setting,
            )


def fail_what_cannot_begin(instance: dg.DagsterInstance) -> None:
    """Fail runs that were launched and whose process has ended before it began; with its words."""
    launcher = instance.run_launcher
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])):
        health = launcher.check_run_worker_health(run)
        now = instance.get_run_by_id(run.run_id)
        if health.status is WorkerStatus.FAILED and now and now.status is run.status:
            instance.report_run_failed(now, health.msg)


def still_to_take_mb(run: dg.DagsterRun, limits: Limits) -> float:
    """Return the memory a run may take beyond what its processes on this host have by now."""
    assignment = assignment_of(run)
    if assignment is None:
        return limits.max_memory_mb
    process = assignment.worker.process() if assignment.worker.is_local else None
    taken = usage(process).memory_mb if process else 0.0
    return max(0.0, assignment.limits.max_memory_mb - taken)
