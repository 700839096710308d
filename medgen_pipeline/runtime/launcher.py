"""The run launcher: Dagster's default one, with an eye on the process of each run.

The daemon asks it about every run each few seconds. So it is the second line: it finds what the
guard inside a process cannot report, that process's end while no code server is there to see it,
and what the guard cannot stop, code that never lets go of the interpreter.
"""

import contextlib
import logging
import os
import signal
import time
from typing import Final

import dagster as dg
import psutil
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClassData

from medgen_pipeline.runtime.breach import Breach, Taken, breach_of
from medgen_pipeline.runtime.guard import REPORT_SECONDS, RUNAWAY_FACTOR, with_margin
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker, kill_tree, usage
from medgen_pipeline.runtime.tags import (
    FAILURE_REASON,
    LIMIT_BREACHED,
    OWN_FAULT,
    Assignment,
    assignment_of,
    command_of,
)

# A code server that lives says better how its worker ended; it looks once a second.
SECONDS_FOR_THE_CODE_SERVER: Final = 3.0
# Dagster repeats a failed run once and at once, and gives up if no code server answers then.
SECONDS_FOR_A_NEW_CODE_SERVER: Final = 60.0
SECONDS_FOR_THE_GUARD: Final = REPORT_SECONDS  # to write down why it ends its process, and do so
ALIVE: Final = CheckRunHealthResult(WorkerStatus.RUNNING)

_log: Final = logging.getLogger(__name__)


class GuardedRunLauncher(DefaultRunLauncher):
    """Launches through the code server, and sees to the processes that come of it."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._waiting: dict[str, float] = {}  # since when, by run whose process is gone

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let the daemon ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives within its limits; kill it if it does not."""
        of_command = health_of_command(run)
        if of_command is not None:
            return of_command
        assignment = assignment_of(run)
        if assignment is None or not assignment.worker.is_local:
            return ALIVE  # for all that can be seen from here
        worker = assignment.worker
        if worker.process() is None:
            if self._waits_for_a_code_server(run.run_id):
                return ALIVE
            time.sleep(SECONDS_FOR_THE_CODE_SERVER)
            kill_tree(worker)  # what it had started
            return CheckRunHealthResult(WorkerStatus.FAILED, f"process {worker.pid} is gone")
        breach = breach_unchecked(assignment)
        if breach is None or ends_by_itself(worker):
            return ALIVE
        kill_tree(worker)
        tags = {LIMIT_BREACHED: breach.kind.name, FAILURE_REASON: OWN_FAULT.value}
        self._instance.add_run_tags(run.run_id, tags)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"{breach.message} It did not stop and was killed from outside."
        )

    def _waits_for_a_code_server(self, run_id: str) -> bool:
        """Whether to tell of a dead process later, when there is a code server to repeat its run.

        Asked again and again; not for longer than a code server needs to start.
        """
        with contextlib.suppress(DagsterUserCodeUnreachableError):
            client = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
            if client is None or client.ping("medgen"):
                self._waiting.pop(run_id, None)
                return False
        since = self._waiting.setdefault(run_id, time.monotonic())
        return time.monotonic() - since < SECONDS_FOR_A_NEW_CODE_SERVER

    def terminate(self, run_id: str) -> bool:
        """Ask the process of a run to end: through its code server, or itself if that is gone."""
        try:
            if super().terminate(run_id):  # type: ignore[no-untyped-call]
                return True
        except DagsterUserCodeUnreachableError:
            _log.warning("the code server of run %s does not answer", run_id)
        run = self._instance.get_run_by_id(run_id)
        assignment = assignment_of(run) if run and not run.is_finished else None
        worker = assignment.worker if assignment else None
        process = worker.process() if worker and worker.is_local else None
        if process is None:
            return False
        process.send_signal(signal.SIGINT)  # as its code server has it send itself
        return True


def health_of_command(run: dg.DagsterRun) -> CheckRunHealthResult | None:
    """Return whether the command that executes a run itself goes on; None of any other run."""
    command = command_of(run)
    if command is None:
        return None
    if command.may_live:
        return ALIVE
    return CheckRunHealthResult(WorkerStatus.FAILED, f"its command, process {command.pid}, is gone")


def ends_by_itself(worker: Worker) -> bool:
    """Whether a process ends while its guard, if it is not stuck, has time to see to that."""
    process = worker.process()
    with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        if process is not None:
            process.wait(SECONDS_FOR_THE_GUARD)
    return worker.process() is None


def breach_unchecked(assignment: Assignment) -> Breach | None:
    """Return the limit that a run has passed by so much that its guard must be stuck."""
    process = assignment.worker.process()
    if process is None:
        return None
    used, limits = usage(process), assignment.limits
    taken = Taken(
        peak_memory_mb=used.memory_mb,
        cpu_seconds=used.cpu_seconds,
        runtime_seconds=time.time() - assignment.worker.created,
    )
    return breach_of(
        Limits(
            max_memory_mb=RUNAWAY_FACTOR * limits.max_memory_mb,
            max_cpu_seconds=with_margin(limits.max_cpu_seconds, os.cpu_count() or 1),
            max_runtime_seconds=with_margin(limits.max_runtime_seconds),
        ),
        taken,
    )
