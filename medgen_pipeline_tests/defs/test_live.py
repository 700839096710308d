"""A real web server, daemon and code server: a partition launched as the UI launches it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline_tests.defs.conftest import TINY, settings_in
from medgen_pipeline_tests.defs.live import Deployment, deployment, wait_for

RUNS_WITHIN_SECONDS: Final = 240
LOCATION: Final = {
    "repositoryName": "__repository__",
    "repositoryLocationName": "medgen_pipeline",
}
ADD_PARTITION: Final = """
    mutation Add($where: RepositorySelector!, $key: String!) {
      addDynamicPartition(
          repositorySelector: $where, partitionsDefName: "scenario", partitionKey: $key) {
        __typename ... on PythonError { message } } }
    """
LAUNCH: Final = """
    mutation Launch($params: ExecutionParams!) {
      launchPipelineExecution(executionParams: $params) {
        __typename
        ... on LaunchRunSuccess { run { runId } }
        ... on PythonError { message }
        ... on RunConfigValidationInvalid { errors { message } } } }
    """
RUN: Final = """
    query Run($id: ID!) { runOrError(runId: $id) { ... on Run {
      status tags { key value } assetChecks { name } assetMaterializations { partition } } } }
    """
LOADED: Final = """
    { workspaceOrError { ... on Workspace { locationEntries {
      name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }
    """


def launch(running: Deployment, batch: int) -> str:
    """Launch one partition of the generation job as the UI's Launchpad does; return the run."""
    tags = {
        "dagster/partition": f"{batch:04d}|{TINY}",
        "dagster/partition/batch": f"{batch:04d}",
        "dagster/partition/scenario": TINY,
    }
    params = {
        "selector": {**LOCATION, "pipelineName": "generation"},
        "mode": "default",
        "runConfigData": {"ops": {"casualty_tables": {"config": {"seed": 77}}}},
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
    }
    launched = running.ask(LAUNCH, params=params)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def finished(running: Deployment, run_id: str) -> dict[str, Any] | None:
    """Return a run that has ended."""
    run: dict[str, Any] = running.ask(RUN, id=run_id)["runOrError"]
    return run if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"} else None


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Deployment]:
    settings = settings_in(tmp_path)
    env = {
        "MEDGEN_DATA_URL": settings.data_url,
        "MEDGEN_SCENARIO_DIR": str(settings.scenario_dir),
    }
    with deployment(tmp_path / "home", env) as running:
        yield running
    assert not [process for process in running.family if process.is_running()]


def test_a_partition_launched_from_the_ui_is_generated(running: Deployment, tmp_path: Path) -> None:
    """The code location loads, the queue launches the run, and the dataset holds the batch."""
    (entry,) = running.ask(LOADED)["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry
    running.ask(ADD_PARTITION, where=LOCATION, key=TINY)
    run_id = launch(running, 3)
    run = wait_for(lambda: finished(running, run_id), RUNS_WITHIN_SECONDS, running.logs)
    assert run["status"] == "SUCCESS", running.logs()
    made = [each["partition"] for each in run["assetMaterializations"]]
    assert made == [f"0003|{TINY}"] * (len(schema.TABLES) + len(AGGREGATES))
    manifest = Dataset(tmp_path / "data").manifest(TINY, 3)
    assert (manifest.rows["patients"], manifest.seed) == (60, 77)
    assert manifest.run.run_id == run_id
