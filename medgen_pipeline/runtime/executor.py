"""The executor of every run: its steps in the run's own process, under the watch of a guard.

A process for each step would cost 2.9 s and 150 MB.

Dagster's `execute_in_process` and `materialize` put an executor of their own in the place of any
other, so a run inside somebody else's process is neither bounded nor killed by ours.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from dagster._core.events import EngineEventData, JobFailureData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.objects import StepFailureData, UserFailureData
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor, inprocess_execution_iterator

from medgen_pipeline.generation.memory import give_back
from medgen_pipeline.runtime.breach import Breach, Taken
from medgen_pipeline.runtime.guard import Guard
from medgen_pipeline.runtime.limits import KINDS, Limits
from medgen_pipeline.runtime.processes import Worker, serves_a_run
from medgen_pipeline.runtime.tags import (
    LIMIT_BREACHED,
    OWN_FAULT,
    Assignment,
    assignment_tags,
    taken_tags,
)

if TYPE_CHECKING:
    from dagster._core.execution.context.system import (
        PlanExecutionContext,
        PlanOrchestrationContext,
    )
    from dagster._core.execution.plan.plan import ExecutionPlan

NICENESS: Final = 5  # so that web server and daemon answer while runs use every core
UNWIND_SECONDS: Final = 10.0  # from a cancellation to the kill of a process that ignores it
EXCEEDED: Final = "limit-exceeded"  # label of a step's failure

RemoveStaging = Callable[[str], None]  # of a run id


def guarded_executor(limits: Limits, remove_staging: RemoveStaging) -> dg.ExecutorDefinition:
    """Return the executor of a deployment; a run may lower its limits in config and by tags."""

    @dg.executor(
        name="guarded",
        config_schema={
            kind.name: dg.Field(
                dg.Noneable(float),
                is_required=False,
                description=f"{kind.meaning} At most {getattr(limits, kind.name):g}.",
            )
            for kind in KINDS
        },
    )
    def guarded(_context: dg.InitExecutorContext) -> GuardedExecutor:
        return GuardedExecutor(limits, remove_staging)

    return guarded


class GuardedExecutor(InProcessExecutor):
    """Runs the steps one after another in this process, which its guard may kill."""

    def __init__(self, limits: Limits, remove_staging: RemoveStaging) -> None:
        super().__init__(RetryMode.ENABLED)
        self._limits = limits
        self._remove_staging = remove_staging

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Execute the plan within the run's limits."""
        run = plan_context.dagster_run
        record = RunRecord(plan_context.instance, run, self._remove_staging)
        limits = self._limits.of_run(run.run_config, run.tags)
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a run can be bounded only on the main thread of its process")
        settle()
        record.begins(limits)
        guard = Guard(limits, record, failure=as_failure)
        try:
            with guard:
                for event in self._steps(guard, plan_context, execution_plan):
                    record.sees(event)
                    if event.is_step_start:
                        give_back()  # what the step before it has freed
                    yield event
        finally:
            record.ends(guard.taken, guard.breach)
            self._remove_staging(plan_context.run_id)

    def _steps(
        self,
        guard: Guard,
        plan_context: "PlanOrchestrationContext",
        execution_plan: "ExecutionPlan",
    ) -> Iterator[dg.DagsterEvent]:
        """Execute as Dagster's in-process executor does, each step's function stoppable."""

        def steps(
            job_context: "PlanExecutionContext", execution_plan: "ExecutionPlan"
        ) -> Iterator[dg.DagsterEvent]:
            with all_stoppable(guard, job_context.job_def.all_node_defs):
                yield from inprocess_execution_iterator(job_context, execution_plan)

        yield from ExecuteRunWithPlanIterable(
            execution_plan=execution_plan,
            iterator=steps,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self.step_dependency_config,
            ),
        )


class RunRecord:
    """A run in Dagster's instance, as its guard writes and reads it."""

    def __init__(
        self, instance: dg.DagsterInstance, run: dg.DagsterRun, remove_staging: RemoveStaging
    ) -> None:
        self._instance = instance
        self._run = run
        self._remove_staging = remove_staging
        self._step: dg.DagsterEvent | None = None  # the start of the step at work
        self._unwanted_since: float | None = None

    def begins(self, limits: Limits) -> None:
        """Say who executes it, and within which limits."""
        tags = assignment_tags(self._run, Assignment(Worker.here(), limits))
        self._instance.add_run_tags(self._run.run_id, tags)
        self._says(f"Executing steps in process {os.getpid()}: {limits}.", limits.as_dict())

    def sees(self, event: dg.DagsterEvent) -> None:
        """Remember which step is at work."""
        if event.is_step_start:
            self._step = event
        elif event.is_step_success or event.is_step_failure:
            self._step = None

    def ends(self, taken: Taken, breach: Breach | None) -> None:
        """Write down what it took."""
        breached = {LIMIT_BREACHED: breach.kind.name} if breach else {}
        self._instance.add_run_tags(self._run.run_id, {**taken_tags(taken), **breached})
        self._says(f"Took {taken}.", taken.as_dict())

    def record(self, taken: Taken) -> None:
        """Keep what it has taken so far."""
        self._instance.add_run_tags(self._run.run_id, taken_tags(taken))

    def ended_by(self, breach: Breach) -> None:
        """Fail its step and the run, and free its slots."""
        instance, run = self._instance, self._run
        self.ends(breach.taken, breach)
        self._says(breach.message, breach.as_dict())
        if self._step is not None:
            instance.report_dagster_event(step_failure(self._step, breach), run.run_id)
        instance.report_run_failed(
            run, breach.message, JobFailureData(error=None, failure_reason=OWN_FAULT)
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    def is_over(self) -> bool:
        """Whether someone ended the run, or asked for its end, longer ago than unwinding takes."""
        run = self._instance.get_run_by_id(self._run.run_id)
        if run is not None and run.status is dg.DagsterRunStatus.STARTED:
            self._unwanted_since = None
            return False
        self._unwanted_since = self._unwanted_since or time.monotonic()
        if time.monotonic() - self._unwanted_since < UNWIND_SECONDS:
            return False
        if run is not None and run.status is dg.DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(
                run, f"Its process did not stop within {UNWIND_SECONDS:g} s and was killed."
            )
        return True

    def remove_staging(self) -> None:
        """Remove what it has staged."""
        self._remove_staging(self._run.run_id)

    def _says(self, message: str, metadata: Mapping[str, float | str]) -> None:
        self._instance.report_engine_event(message, self._run, EngineEventData(metadata))


def settle() -> None:
    """Make this process one that can be found with all it starts, and that leaves others room.

    Only a process that was started to execute a run: one at a terminal stays in its group.
    """
    if serves_a_run():
        if os.getpgrp() != os.getpid():  # as it is already where Ray has started it
            os.setpgid(0, 0)
        os.nice(NICENESS)


def as_failure(breach: Breach) -> Exception:
    """Return what fails a step because of a breach."""
    return dg.Failure(breach.message, metadata=breach.as_dict(), allow_retries=False)


def step_failure(start: dg.DagsterEvent, breach: Breach) -> dg.DagsterEvent:
    """Return the failure of a step that is killed, from its start."""
    data = StepFailureData(  # type: ignore[no-untyped-call]
        error=None,
        user_failure_data=UserFailureData(  # type: ignore[no-untyped-call]
            EXCEEDED, breach.message, breach.as_dict()
        ),
    )
    return start._replace(
        event_type_value=dg.DagsterEventType.STEP_FAILURE.value,
        event_specific_data=data,
        message=f'Execution of step "{start.step_key}" failed: {breach.message}',
    )


@contextlib.contextmanager
def all_stoppable(guard: Guard, definitions: Iterable[object]) -> Iterator[None]:
    """Let the guard stop the function of every op meanwhile.

    Between a function and what catches its errors Dagster 1.13 has no other place to stand.
    """
    ops = [each for each in definitions if isinstance(each, dg.OpDefinition)]
    functions = [op.compute_fn for op in ops]
    for op, function in zip(ops, functions, strict=True):
        op._compute_fn = (  # noqa: SLF001  see above
            function._replace(decorated_fn=guard.stoppable(function.decorated_fn))
            if isinstance(function, DecoratedOpFunction)
            else guard.stoppable(function)
        )
    try:
        yield
    finally:
        for op, function in zip(ops, functions, strict=True):
            op._compute_fn = function  # noqa: SLF001  as it was
