"""A deployment of two nodes: batches spread, are whole, outlive a node, and refuse what is wrong.

The tests share it, for it takes a minute to start, and go through it in this order.
"""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg
import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

import medgen_pipeline
from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.janitor import find_litter
from medgen_pipeline.dataset.layout import MANIFESTS
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.generation.pool import generate_batches
from medgen_pipeline.runtime.tags import LIMIT_BREACHED, assignment_of
from medgen_pipeline.scenario import scaling
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service.dagster_runs import DagsterRuns
from medgen_pipeline_tests.cluster import holding

if TYPE_CHECKING:
    from medgen_pipeline_tests.cluster.deployed import Deployed

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

SCENARIO: Final = "demo"
PATIENTS: Final = 1_000
ENDLESS: Final = 10_000  # replicates: minutes
BATCHES: Final = 8
MANY: Final = 40
MANY_SCENARIO: Final = "conventional"
MANY_PATIENTS: Final = 10_000
RUNS_WITHIN_SECONDS: Final = 400
BARE: Final = Path(sys.base_prefix) / "bin/python3"  # without what `.venv` has
# Fast detection of the test's Ray 7 s, the daemon's look 5 s, the repeat's launch; on busy cores.
REPEATED_WITHIN_SECONDS: Final = 240


@pytest.fixture(scope="module")
def instance(live: "Deployed") -> Iterator[dg.DagsterInstance]:
    with live.instance() as opened:
        yield opened


def ended(live: "Deployed", instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """Return a run once it has ended."""

    def found() -> dg.DagsterRun | None:
        run = instance.get_run_by_id(run_id)
        return run if run and run.is_finished else None

    run = live.running.until(found, RUNS_WITHIN_SECONDS)
    assert run is not None
    return run


def queue(
    live: "Deployed", batch: int, *, replicates: int = 1, tags: Mapping[str, str] | None = None
) -> str:
    """Queue one batch that is not repeated; return its run."""
    runs = DagsterRuns(f"http://127.0.0.1:{live.running.port}")
    config = {"patients": PATIENTS, "replicates_per_batch": replicates}
    given = {"dagster/max_retries": "0", **(tags or {})}
    return runs.queue(SCENARIO, batch, batch, config, given)


def told(live: "Deployed", instance: dg.DagsterInstance, run_id: str) -> str:
    """Return all that the log of a failed run says."""
    run = ended(live, instance, run_id)
    assert run.status is dg.DagsterRunStatus.FAILURE
    events = [entry.dagster_event for entry in instance.all_logs(run_id)]
    said = [entry.message for entry in instance.all_logs(run_id)]
    for event in events:
        if event is not None and event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            said.append(str(failure.description if failure else event.step_failure_data.error))
    return "\n".join(said)


@pytest.fixture(scope="module")
def spread(live: "Deployed") -> list[str]:
    """Make some batches in runs of two; return the runs."""
    asked = ["--batches", f"0-{BATCHES - 1}", "--patients", str(PATIENTS), "--batches-per-run", "2"]
    queued = live.backfill(SCENARIO, *asked, "--wait")
    assert queued["runs"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    runs: list[str] = queued["queued"]
    return runs


def test_batches_made_on_two_nodes_equal_those_of_one_process(
    live: "Deployed", spread: list[str], tmp_path: Path
) -> None:
    """Their manifests do, but for times and run ids; and both nodes were at work."""
    assert len({live.job(run_id).driver_node_id for run_id in spread}) == 2
    scenario = scaling.with_patients(Catalogue().get(SCENARIO), PATIENTS, keep_capacity=False)
    generate_batches(scenario, range(BATCHES), tmp_path)
    here, there = (data.manifests(SCENARIO) for data in (Dataset(tmp_path), live.dataset))
    assert [each.comparable() for each in there] == [each.comparable() for each in here]
    assert {each.run.run_id for each in there} == set(spread)


def test_what_is_there_is_not_queued_again(live: "Deployed", spread: list[str]) -> None:
    """The same command asks for nothing more; for one batch more it asks for that alone."""
    assert spread
    asked = ["--patients", str(PATIENTS), "--dry-run"]
    again = live.backfill(SCENARIO, "--batches", f"0-{BATCHES - 1}", *asked)
    assert (again["there"], again["runs"]) == (BATCHES, [])
    more = live.backfill(SCENARIO, "--batches", f"0-{BATCHES}", *asked)
    assert (more["there"], more["runs"], more["measured_on"]) == (BATCHES, [[BATCHES]], BATCHES)


def test_what_a_run_logged_and_printed_is_where_the_ui_looks(
    live: "Deployed", spread: list[str], instance: dg.DagsterInstance
) -> None:
    """Events in the database, standard error beside the dataset, whichever node it was on."""
    for run_id in spread:
        messages = [entry.message for entry in instance.all_logs(run_id)]
        assert any(message.startswith("Took peak memory") for message in messages)
        kept = [entry.path for entry in live.dataset.store.entries(f"_logs/{run_id}")]
        (printed,) = [path for path in kept if path.endswith(".err")]
        key = printed.removeprefix("_logs/").removesuffix(".err").split("/")
        data, _ = instance.compute_log_manager.get_log_data_for_type(
            key, ComputeIOType.STDERR, 0, None
        )
        assert data is not None
        assert b"Finished execution of step" in data


def test_a_run_that_passes_its_limit_fails_and_says_why(
    live: "Deployed", instance: dg.DagsterInstance
) -> None:
    """The guard works inside what Ray has started, and leaves nothing behind."""
    run_id = queue(live, 20, replicates=ENDLESS, tags={"medgen/max_cpu_seconds": "8"})
    assert "max_cpu_seconds exceeded" in told(live, instance, run_id)
    run = ended(live, instance, run_id)
    assert run.tags[LIMIT_BREACHED] == "max_cpu_seconds"
    live.running.until(lambda: not live.dataset.store.folders("_staging"))
    live.running.until(functools.partial(is_over, live, run_id))


def test_a_run_is_cancelled_as_with_the_button_in_the_ui(
    live: "Deployed", instance: dg.DagsterInstance
) -> None:
    """Its process ends, its job is over, nothing is staged, and no batch appears."""
    run_id = queue(live, 21, replicates=ENDLESS)
    live.running.until(functools.partial(began, instance, run_id), RUNS_WITHIN_SECONDS)
    live.running.terminate(run_id)
    assert ended(live, instance, run_id).status is dg.DagsterRunStatus.CANCELED
    live.running.until(functools.partial(is_over, live, run_id))
    live.running.until(lambda: not live.dataset.store.folders("_staging"))
    assert 21 not in live.dataset.batches(SCENARIO)


def is_over(live: "Deployed", run_id: str) -> bool:
    """Whether Ray has done with a run."""
    return bool(live.job(run_id).status.is_terminal())


def began(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and assignment_of(run) is not None


@pytest.fixture(scope="module")
def other_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with this package, one line longer."""
    folder = tmp_path_factory.mktemp("other")
    copy = folder / "medgen_pipeline"
    source = Path(medgen_pipeline.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "__compiled__"))
    with (copy / "errors.py").open("a") as errors:
        errors.write("# another version\n")
    return folder


def test_nodes_that_cannot_execute_a_run_are_named(
    live: "Deployed", instance: dg.DagsterInstance, other_version: Path
) -> None:
    """Without the package, with another version, refused by S3: one clear message in the run."""
    odd = {
        f"MEDGEN_PYTHON={BARE}": "a node has no medgen_pipeline",
        "MEDGEN_PYTHON=/no/python": "a node has no such Python",
        f"PYTHONPATH={other_version}": "this node and the deployment differ: medgen_pipeline: ",
        "AWS_SECRET_ACCESS_KEY=wrong": "the credentials are refused",
        "MEDGEN_DATA_URL=s3://nowhere/data": "there is no such bucket",
    }
    own = f"MEDGEN_DATA_URL={live.url}"
    queued = {
        setting: queue(live, 22 + place, tags={"dagster-ray/config": config_of(own, setting)})
        for place, setting in enumerate(odd)
    }
    for setting, run_id in queued.items():
        assert odd[setting] in told(live, instance, run_id), setting


def config_of(*env_vars: str) -> str:
    """Return the tag that starts a run in an environment of its own."""
    listed = ", ".join(f'"{each}"' for each in env_vars)
    return f'{{"env_vars": [{listed}]}}'


def test_a_node_that_is_killed_loses_no_batch_and_doubles_none(
    live: "Deployed", instance: dg.DagsterInstance
) -> None:
    """At half time one of two goes; its runs fail, are repeated on the other, and all is whole."""
    asked = ["--batches", f"0-{MANY - 1}", "--patients", str(MANY_PATIENTS)]
    queued = live.backfill(MANY_SCENARIO, *asked, "--batches-per-run", "5")
    store = live.dataset.store

    def at_half_time() -> bool:
        return len(list(store.entries(f"{MANIFESTS}/scenario={MANY_SCENARIO}"))) >= MANY // 2

    live.running.until(at_half_time, RUNS_WITHIN_SECONDS)
    live.nodes[-1].kill()
    runs = DagsterRuns(f"http://127.0.0.1:{live.running.port}")

    def lost() -> list[str]:
        tagged = runs.tagged("medgen/backfill", queued["backfill"])
        return [run.run_id for run in tagged if run.status == "FAILURE"]

    live.running.until(lost, REPEATED_WITHIN_SECONDS)
    live.add_node()

    def is_done() -> bool:
        tagged = runs.tagged("medgen/backfill", queued["backfill"])
        are_over = all(each.status in {"SUCCESS", "FAILURE"} for each in tagged)
        return are_over and len(tagged) >= len(queued["queued"]) + len(lost())

    live.running.until(is_done, RUNS_WITHIN_SECONDS)
    manifests = live.dataset.manifests(MANY_SCENARIO)
    assert [each.batch for each in manifests] == [*range(MANY)]
    assert {each.rows["patients"] for each in manifests} == {MANY_PATIENTS}
    listed = {path for each in manifests for path in each.paths()}
    files = {entry.path for entry in store.entries() if entry.path.endswith(".parquet")}
    of_scenario = {
        path
        for path in files
        if f"scenario={MANY_SCENARIO}/" in path and path.split("/")[0] in schema.TABLES
    }
    litter = {each.path for each in find_litter(store, is_alive=lambda _: False)}
    assert of_scenario - litter == listed
    with live.dataset.duckdb(scenario=MANY_SCENARIO) as connection:
        rows, ids = connection.execute(
            "select count(*), count(distinct subject_id) from patients"
        ).fetchall()[0]
    assert rows == ids == MANY * MANY_PATIENTS
    for run_id in lost():
        assert "Ray" in told(live, instance, run_id) or "actor" in told(live, instance, run_id)


def test_of_two_writers_of_one_batch_one_wins(live: "Deployed") -> None:
    """Both begin before either commits; the other says why it failed, and the dataset is whole."""
    command = [sys.executable, "-m", holding.__name__, "generate", SCENARIO, "--batches", "30"]
    command += ["--processes", "1", "--data-url", live.url, "--quiet"]
    writers = [
        subprocess.Popen(
            [*command, "--seed", str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
    printed = [writer.communicate("\n", timeout=120) for writer in writers]
    codes = [writer.returncode for writer in writers]
    assert sorted(codes) == [0, 2], printed
    assert "batch=0030.json was replaced by another writer meanwhile" in printed[codes.index(2)][1]
    assert live.dataset.manifest(SCENARIO, 30).seed == 1 + codes.index(0)
    assert not [
        each.path
        for each in find_litter(live.dataset.store, is_alive=lambda _: False)
        if "batch=0030" in each.path
    ]


def test_no_ray_at_the_address_is_said_before_anything_starts(live: "Deployed") -> None:
    checked = live.medgen("up", "--check", MEDGEN_RAY_ADDRESS="http://127.0.0.1:9")
    assert checked.returncode == 2
    said = "cannot start: no Ray at http://127.0.0.1:9 (MEDGEN_RAY_ADDRESS): [Errno 111]"
    assert said in checked.stdout + checked.stderr
