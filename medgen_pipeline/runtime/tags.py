"""The tags by which a run tells what it took, which limit ended it, and where it is at work.

A run of `medgen materialize` goes on in a process that is no deployment's: nothing of a deployment
bounds it or ends it, and it says so by a tag of its own.

Dagster hands the tags of a run on to the run that repeats it, so what is true of one run only
bears its id.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import (
    HIDDEN_TAG_PREFIX,
    MAX_RUNTIME_SECONDS_TAG,
    RUN_FAILURE_REASON_TAG,
)

from medgen_pipeline.runtime.breach import Taken
from medgen_pipeline.runtime.instance_yaml import MAX_RUNTIME_MARGIN_SECONDS
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.processes import Worker

LIMIT_BREACHED: Final = "medgen/limit_breached"  # the limit's name, or NONE of a run that repeats
NONE: Final = "none"
FAILURE_REASON: Final = RUN_FAILURE_REASON_TAG
# Dagster repeats a run whose process died, not one whose own step failed.
OWN_FAULT: Final = RunFailureReason.STEP_FAILURE
WORKER: Final = f"{HIDDEN_TAG_PREFIX}medgen_worker"  # which the UI does not show
IN_PROCESS: Final = f"{HIDDEN_TAG_PREFIX}medgen_in_process"  # likewise, of a run without a WORKER
FOR_EVER: Final = "0"  # of MAX_RUNTIME_SECONDS_TAG: the daemon ends no run that bears it


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which process executes a run, and the limits it enforces."""

    worker: Worker
    limits: Limits


def assignment_tags(run: dg.DagsterRun, assignment: Assignment) -> dict[str, str]:
    """Return the tags of a run that begins."""
    told = json.dumps({"run_id": run.run_id, **asdict(assignment)})
    repeats = {LIMIT_BREACHED: NONE} if LIMIT_BREACHED in run.tags else {}
    if IN_PROCESS in run.tags:  # a command executed what it repeats, as long as that took
        most = assignment.limits.max_runtime_seconds + MAX_RUNTIME_MARGIN_SECONDS
        repeats[MAX_RUNTIME_SECONDS_TAG] = f"{most:g}"
    return {WORKER: told, **taken_tags(Taken()), **repeats}


def assignment_of(run: dg.DagsterRun) -> Assignment | None:
    """Return who executes a run, None if it has not begun."""
    told: dict[str, Any] = json.loads(run.tags.get(WORKER, "{}"))
    if told.get("run_id") != run.run_id:
        return None
    return Assignment(Worker(**told["worker"]), Limits(**told["limits"]))


def in_process_tags(run_id: str, command: Worker) -> dict[str, str]:
    """Return the tags of a run that a command executes in its own process, unbounded."""
    told = json.dumps({"run_id": run_id, "command": asdict(command)})
    return {IN_PROCESS: told, MAX_RUNTIME_SECONDS_TAG: FOR_EVER}


def command_of(run: dg.DagsterRun) -> Worker | None:
    """Return the command that executes a run in its own process, None of any other run."""
    told: dict[str, Any] = json.loads(run.tags.get(IN_PROCESS, "{}"))
    return Worker(**told["command"]) if told.get("run_id") == run.run_id else None


def is_of_a_command(run: dg.DagsterRun) -> bool:
    """Whether a command that goes on, as far as can be seen, executes a run in its own process."""
    command = command_of(run)
    return command is not None and command.may_live


def taken_tags(taken: Taken) -> dict[str, str]:
    """Return the tags that say what a run took."""
    return {f"medgen/{name}": f"{figure:g}" for name, figure in taken.as_dict().items()}
