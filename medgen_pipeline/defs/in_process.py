"""Materialising batches in this process, on the deployment's own instance.

The runs are in the UI like any other. Nothing is queued, so no daemon needs to run, and no limit of
the deployment applies: neither those of the queue, though a run that goes on takes a slot of it,
nor those of a run's memory, CPU and time. A tag tells a deployment in the same home whose the run
is: it ends none and removes nothing of it while this process lives, and fails it when that is gone.
Of a process on another host it cannot tell; a run left over from there is ended in the UI.
"""

import contextlib
import gc
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.defs.assets import PLAN, TABLES_OP
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.config import GenerationConfig
from medgen_pipeline.defs.engine import Engine, Generate, generate_batches
from medgen_pipeline.defs.jobs import generation_job
from medgen_pipeline.defs.partitions import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    SCENARIO,
    partition_key,
)
from medgen_pipeline.defs.tags import GENERATION, run_tags
from medgen_pipeline.errors import MedgenError, SettingError
from medgen_pipeline.runtime.deployment import require_database
from medgen_pipeline.runtime.home import INSTANCE, holder, home_of, write_instance
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import in_process_tags
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.settings import Settings

if TYPE_CHECKING:
    from medgen_pipeline.generation.batch import BatchResult, Progress
    from medgen_pipeline.generation.pool import Report, Workers


@dataclass(frozen=True, slots=True)
class Materialized:
    """What was committed, and the runs that did it."""

    manifests: tuple[Manifest, ...]
    run_ids: tuple[str, ...]
    peak_memory_mb: float
    failed_checks: tuple[str, ...]  # each with its batch


def materialize(
    scenario_name: str,
    batches: Iterable[int],
    config: GenerationConfig,
    settings: Settings,
    *,
    workers: "Workers | None" = None,
    progress: "Report | None" = None,
) -> Materialized:
    """Plan a scenario, generate batches of it, check them and make their aggregates.

    `scenario_name` is an id or a file. Raises MedgenError for what a user can mend; what was
    committed before that stays. The run of a batch that fails a check ends there.
    """
    scenario = Engine(settings).catalogue.get(scenario_name)
    config.applied_to(scenario)  # refused before anything is written
    done: list[BatchResult] = []
    engine = Engine(
        settings,
        _collecting(done, workers, progress),
        given={scenario.id: scenario},
    )
    defs = build_defs(settings, engine)
    plan_job = defs.resolve_implicit_global_asset_job_def()
    batch_job = defs.resolve_job_def(generation_job.name)
    # What Dagster loaded stays to the end; going through it once more to leave it took a second.
    gc.freeze()
    with _instance(settings) as instance:
        instance.add_dynamic_partitions(SCENARIO, [scenario.id])
        launch = _Launch(instance, config, run_tags(scenario, GENERATION))
        launch(plan_job, PLAN, scenario.id, scenario.id, [dg.AssetKey(PLAN)])
        for first, last in _ranges(scenario.id, batches):
            launch(batch_job, TABLES_OP, first, last)
    return Materialized(
        manifests=tuple(result.manifest for result in done),
        run_ids=tuple(launch.run_ids),
        peak_memory_mb=max(result.peak_memory_mb for result in done),
        failed_checks=tuple(launch.failed_checks),
    )


class _Launch:
    """Runs jobs in this process, one after another."""

    def __init__(
        self, instance: dg.DagsterInstance, config: GenerationConfig, tags: dict[str, str]
    ) -> None:
        self.instance = instance
        self.config = config
        self.tags = tags
        self.run_ids: list[str] = []
        self.failed_checks: list[str] = []

    def __call__(
        self,
        job: dg.JobDefinition,
        op: str,
        first: str,
        last: str,
        selection: list[dg.AssetKey] | None = None,
    ) -> None:
        """Run a job, of which `op` takes the config, over the partitions from first to last."""
        is_one = first == last
        run_id = str(uuid.uuid4())
        over = {} if is_one else {RANGE_START_TAG: first, RANGE_END_TAG: last}
        result = job.execute_in_process(
            run_config={
                "ops": {op: {"config": self.config.model_dump(exclude_none=True)}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            instance=self.instance,
            partition_key=first if is_one else None,
            asset_selection=selection,
            run_id=run_id,
            tags=self.tags | in_process_tags(run_id, Worker.here()) | over,
            raise_on_error=False,
        )
        self.run_ids.append(run_id)
        failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
        self.failed_checks += [
            f"{each.asset_key.to_user_string()}: {each.check_name} of {each.partition}"
            for each in failed
        ]
        if not result.success and not failed:
            raise _error(result)


def _error(result: dg.ExecuteInProcessResult) -> Exception:
    """Return what ended a run: an error the user can mend, or a bug with its traceback."""
    for event in result.filter_events(lambda event: event.is_step_failure):
        failure = event.step_failure_data
        if failure.user_failure_data is not None:
            return MedgenError(failure.user_failure_data.description)
        return RuntimeError(str(failure.error))
    return RuntimeError(f"run {result.run_id} failed outside its steps")


def _ranges(scenario_id: str, batches: Iterable[int]) -> Iterator[tuple[str, str]]:
    """Yield the first and the last key of each stretch of batches without a gap."""
    wanted = sorted(set(batches))
    edges = [i for i in range(1, len(wanted)) if wanted[i] != wanted[i - 1] + 1]
    for start, stop in zip([0, *edges], [*edges, len(wanted)], strict=True):
        yield (
            str(partition_key(scenario_id, wanted[start])),
            str(partition_key(scenario_id, wanted[stop - 1])),
        )


def _collecting(
    done: "list[BatchResult]", workers: "Workers | None", tell: "Report | None"
) -> Generate:
    """Return a generator of batches that keeps its results, and tells of its progress."""

    def generate(
        scenario: Scenario,
        batches: Sequence[int],
        root: str,
        *,
        run_id: str,
        progress: "Report",
    ) -> "list[BatchResult]":
        def report(batch: int, now: "Progress") -> None:
            progress(batch, now)
            if tell is not None:
                tell(batch, now)

        results = generate_batches(
            scenario,
            batches,
            root,
            run_id=run_id,
            progress=report,
            workers=workers,
        )
        done.extend(results)
        return results

    return generate


@contextlib.contextmanager
def _instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the deployment's instance, and make it first if there is none."""
    home = home_of(settings)
    require_database(home, settings)
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not _stands(home, settings):
            write_instance(home, settings)
    except OSError as error:
        raise SettingError(f"DAGSTER_HOME {home} cannot be written: {error.strerror}") from error
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _stands(home: Path, settings: Settings) -> bool:
    """Whether a dagster.yaml is there that is used as it is.

    The one in DAGSTER_HOME, and the one by which a `medgen up` works; of another in the default
    folder, only what somebody else wrote.
    """
    is_used = settings.dagster_home is not None or holder(home) is not None
    return is_used and (home / INSTANCE).exists()
