"""A run of a range of partitions is stored as that, and a backfill of a job makes all of them."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import pytest
from dagster._core.execution import job_backfill
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.ranges import no_place, of_its_range

ONE = {"dagster/partition/batch": "0000", "dagster/partition/scenario": "demo"}
RANGE = {
    "dagster/asset_partition_range_start": "0000|demo",
    "dagster/asset_partition_range_end": "0003|demo",
}
OTHER = {"medgen/workload": "generation"}
AT_A_TIME: Final = 1  # ranges that a backfill queues; Dagster has 25
PARTITIONS: Final = dg.MultiPartitionsDefinition(
    {
        "scenario": dg.DynamicPartitionsDefinition(name="scenario"),
        "batch": dg.StaticPartitionsDefinition([f"{batch:04d}" for batch in range(20)]),
    }
)


PER_RUN: Final = {"of_one": 1, "of_three": 3, "of_all": None}  # partitions, by job


def table(name: str, per_run: int | None) -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # as for our own assets
        policy = dg.BackfillPolicy(per_run)

        @dg.asset(name=name, partitions_def=PARTITIONS, backfill_policy=policy)
        def made() -> None: ...

    return made


DEFINITIONS: Final = dg.Definitions(
    assets=[table(f"table_{job}", per_run) for job, per_run in PER_RUN.items()],
    jobs=[dg.define_asset_job(job, [f"table_{job}"]) for job in PER_RUN],
)


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (ONE | RANGE | OTHER, RANGE | OTHER),
        (ONE | OTHER, ONE | OTHER),
        (RANGE | OTHER, RANGE | OTHER),
        (OTHER, OTHER),
    ],
)
def test_a_run_of_a_range_is_not_one_of_its_first_partition(
    tags: dict[str, str], kept: dict[str, str]
) -> None:
    assert of_its_range(dg.DagsterRun(job_name="generation", tags=tags)).tags == kept


def test_it_is_stored_so(tmp_path: Path) -> None:
    """As the files of a home have it; Postgres is asked with a real backfill."""
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml({}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        added = instance.add_run(dg.DagsterRun(job_name="generation", tags=ONE | RANGE))
        stored = instance.get_run_by_id(added.run_id)
        assert stored is not None
        assert stored.tags == RANGE
        assert not instance.get_runs(dg.RunsFilter(tags=ONE))  # nor is it found by them


def asked(scenarios: Sequence[str], batches: int) -> list[str]:
    """Return partitions in the order in which the page of a job lists them."""
    return [f"{batch:04d}|{name}" for batch in range(batches) for name in scenarios]


@pytest.fixture
def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Return an instance as a home has it, whose backfills queue one range at a time."""
    monkeypatch.setattr(job_backfill, "CHECKPOINT_COUNT", AT_A_TIME)
    monkeypatch.setattr(job_backfill, "CHECKPOINT_INTERVAL", 0)
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml({}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


class Backfilled:
    """A backfill from the page of a job, gone through by Dagster's own code."""

    def __init__(self, instance: dg.DagsterInstance, job: str, names: list[str]) -> None:
        self.instance = instance
        self.names = names
        target = LoadableTargetOrigin(
            executable_path=sys.executable, module_name=__name__, attribute="DEFINITIONS"
        )
        self.target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target))
        with self._workspace() as workspace:
            [location] = workspace.create_request_context().code_locations
            [repository] = location.get_repositories().values()
            origin = repository.get_partition_set(f"{job}_partition_set").get_remote_origin()
        instance.add_backfill(
            PartitionBackfill(
                backfill_id="filling",
                status=BulkActionStatus.REQUESTED,
                from_failure=False,
                tags={},
                backfill_timestamp=0.0,
                partition_set_origin=origin,
                partition_names=names,
            )
        )

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[WorkspaceProcessContext]:
        with WorkspaceProcessContext(self.instance, self.target) as workspace:
            yield workspace

    def now(self) -> PartitionBackfill:
        """Return it as it is stored."""
        found = self.instance.get_backfill("filling")
        assert found is not None
        return found

    def look(self) -> BulkActionStatus:
        """Have the daemon look at it once; return what it says of it."""
        with (
            self._workspace() as workspace,
            dg.partition_loading_context(dynamic_partitions_store=self.instance),
        ):
            job_backfill.execute_job_backfill_iteration(
                self.now(), logging.getLogger(), workspace, None, self.instance
            )
        return self.now().status

    def made(self) -> list[str]:
        """Return the partitions of its runs, each as often as a run makes it."""
        with dg.partition_loading_context(dynamic_partitions_store=self.instance):
            return [
                str(key)
                for run in self.instance.get_runs()
                for key in (
                    [run.tags["dagster/partition"]]
                    if "dagster/partition" in run.tags
                    else PARTITIONS.get_partition_keys_in_range(
                        dg.PartitionKeyRange(*(run.tags[name] for name in RANGE))
                    )
                )
            ]

    def end_runs(self) -> None:
        """Have all of its runs succeed."""
        for run in self.instance.get_runs():
            self.instance.report_dagster_event(
                dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name),
                run_id=run.run_id,
            )


@pytest.mark.parametrize(
    ("job", "scenarios", "batches"),
    [
        ("of_three", ["a", "b"], 14),
        ("of_three", ["b"], 14),
        ("of_all", ["a", "b", "c", "d"], 5),
        ("of_all", ["a", "b", "c", "d", "e"], 4),
        ("of_one", ["a", "b"], 4),
    ],
)
def test_a_backfill_of_a_job_queues_every_partition_once_and_ends(
    queued: dg.DagsterInstance, job: str, scenarios: list[str], batches: int
) -> None:
    """Of several scenarios too, of which it queues more ranges than it does at a time."""
    queued.add_dynamic_partitions("scenario", scenarios)
    backfill = Backfilled(queued, job, asked(scenarios, batches))
    assert backfill.look() is BulkActionStatus.REQUESTED
    assert sorted(backfill.made()) == sorted(backfill.names)
    assert queued.get_runs_count() > AT_A_TIME
    assert backfill.look() is BulkActionStatus.REQUESTED  # its runs have yet to end
    backfill.end_runs()
    assert backfill.look() is BulkActionStatus.COMPLETED_SUCCESS
    assert sorted(backfill.made()) == sorted(backfill.names)


def test_a_place_that_comes_twice_is_kept(queued: dg.DagsterInstance) -> None:
    """As when a deployment comes to make one partition a run, and what is queued is passed over."""
    queued.add_dynamic_partitions("scenario", ["a"])
    backfill = Backfilled(queued, "of_all", asked(["a"], 4))
    backfill.look()
    for stored in (no_place("0003|a"), "0003|a", "0003|a"):
        assert backfill.now().last_submitted_partition_name == stored
        queued.update_backfill(backfill.now()._replace(last_submitted_partition_name="0003|a"))
    queued.update_backfill(backfill.now()._replace(last_submitted_partition_name="0002|a"))
    assert backfill.now().last_submitted_partition_name == "0002|a", "no range ends there"
