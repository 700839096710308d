"""The end of runs when a deployment stops: waited for, cancelled, killed, in this order.

Not of runs that a command executes in its own process: one that shares the home goes on.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES

from medgen_pipeline.dataset import layout
from medgen_pipeline.dataset.store import open_store
from medgen_pipeline.runtime.instance import instance_at
from medgen_pipeline.runtime.leftovers import remove_staging
from medgen_pipeline.runtime.processes import kill_tree
from medgen_pipeline.runtime.tags import assignment_of, is_of_a_command

CANCEL_SECONDS: Final = 20.0  # for a cancelled run to unwind; its guard kills it after 10
SECONDS_BETWEEN_LOOKS: Final = 0.5

Patience = Callable[[], bool]  # whether to wait on


def drain(home: Path, may_wait: Patience, say: Callable[[str], None]) -> None:
    """Return once no run goes on: each has ended or is cancelled. Queued runs stay queued."""
    with instance_at(home) as instance:
        going_on = active(instance)
        if going_on:
            say(f"{len(going_on)} runs go on; waiting for them")
        while going_on and may_wait():
            time.sleep(SECONDS_BETWEEN_LOOKS)
            going_on = active(instance)
        for run in going_on:
            say(f"cancelling run {run.run_id}")
            with contextlib.suppress(dg.DagsterError):
                instance.run_coordinator.cancel_run(run.run_id)
        deadline = time.monotonic() + CANCEL_SECONDS
        while going_on and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            going_on = active(instance)
        for run in going_on:
            say(f"killing run {run.run_id}")
            assignment = assignment_of(run)
            if assignment and assignment.worker.is_local:
                kill_tree(assignment.worker)
            instance.report_run_canceled(run, "Killed when the deployment stopped.")


def sweep(home: Path, data_url: str) -> None:
    """Remove what runs of a home have staged, once no process of the deployment is left.

    A run that was killed while it unwound, or before it said who executes it, cleans up nothing.
    A command that executes runs itself is no process of the deployment, and goes on to stage.
    """
    store = open_store(data_url)
    with instance_at(home) as instance:
        for run_id in {layout.parse_staging(each)[0] for each in store.folders(layout.STAGING)}:
            run = instance.get_run_by_id(run_id)
            if run is not None and not is_of_a_command(run):
                remove_staging(store, run_id)


def active(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs that have, or are about to have, a process of the deployment."""
    runs = instance.get_runs(dg.RunsFilter(statuses=ACTIVE_RUN_STATUSES))
    return [run for run in runs if not is_of_a_command(run)]
