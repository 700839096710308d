"""A real deployment under nohup: misbehaving runs, a fair queue, killed processes, its own end.

The tests share it, for it takes 15 s to start, and go through it in this order.
"""

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from typing import Final

import dagster as dg
import psutil
import pytest

from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import LIMIT_BREACHED, assignment_of
from medgen_pipeline_tests.defs.live import free_port
from medgen_pipeline_tests.runtime.live import HOSTILE, MEDGEN, Up, up

pytestmark = pytest.mark.xdist_group("live deployment")

# What each of them is launched with, and the limit that ends it.
HOSTILE_RUNS: Final[Mapping[str, tuple[dict[str, str], str]]] = {
    "memory_hog": ({"max_memory_mb": "300"}, "max_memory_mb"),
    "child_hog": ({"max_memory_mb": "400"}, "max_memory_mb"),
    "huge_allocation": ({}, "max_memory_mb"),
    "cpu_loop": ({"max_cpu_seconds": "2"}, "max_cpu_seconds"),
    "sleeper": ({"max_runtime_seconds": "12"}, "max_runtime_seconds"),
    "long_call": ({"max_cpu_seconds": "2"}, "max_cpu_seconds"),
    "swallower": ({"max_runtime_seconds": "12"}, "max_runtime_seconds"),
    "stubborn": ({"max_runtime_seconds": "12"}, "max_runtime_seconds"),
}
SLOTS: Final = 3
SECONDS_TO_END: Final = 60.0  # from its start, on cores that others use; alone, each takes 1 to 9


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("live") / "home"
    with up(home, definitions=HOSTILE, nohup=True, MAX_CONCURRENT_JOBS=str(SLOTS)) as running:
        yield running


@pytest.fixture(scope="module")
def instance(live: Up) -> Iterator[dg.DagsterInstance]:
    with live.instance() as opened:
        yield opened


@pytest.fixture(scope="module")
def hostile(live: Up, instance: dg.DagsterInstance) -> Mapping[str, dg.RunRecord]:
    """Launch every run that misbehaves, and one that does not, and wait for the end of all."""
    launched = {name: live.launch(name, **tags) for name, (tags, _) in HOSTILE_RUNS.items()}
    launched["fine"] = live.launch("fine")
    return {name: ended(live, instance, run_id) for name, run_id in launched.items()}


def ended(live: Up, instance: dg.DagsterInstance, run_id: str) -> dg.RunRecord:
    """Return the record of a run once it has ended."""

    def found() -> dg.RunRecord | None:
        record = instance.get_run_record_by_id(run_id)
        return record if record and record.dagster_run.is_finished else None

    record = live.until(found)
    assert record is not None
    return record


def began(live: Up, instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """Return a run once its process is at work."""

    def found() -> dg.DagsterRun | None:
        run = instance.get_run_by_id(run_id)
        return run if run and assignment_of(run) else None

    run = live.until(found)
    assert run is not None
    return run


def tag(live: Up, instance: dg.DagsterInstance, run_id: str, key: str) -> str:
    """Return a tag of a run once it has it."""

    def found() -> str | None:
        run = instance.get_run_by_id(run_id)
        return run.tags.get(key) if run else None

    value = live.until(found)
    assert value is not None
    return value


def leaves_nothing(live: Up, instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run has no process, no staging folder and no slot."""
    assignment = assignment_of(run)
    assert assignment is not None
    group = [pid for pid in psutil.pids() if _group(pid) == assignment.worker.pid]
    staged = list(live.home.glob(f"data/_staging/{run.run_id}*"))
    slots = instance.event_log_storage.get_concurrency_run_ids()
    return not group and not staged and run.run_id not in slots


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.parametrize("name", HOSTILE_RUNS)
def test_a_run_that_passes_a_limit_fails_and_says_why(
    name: str, hostile: Mapping[str, dg.RunRecord], live: Up, instance: dg.DagsterInstance
) -> None:
    """Its step fails with limit, allowed and observed; it is not repeated and leaves nothing."""
    record, limit = hostile[name], HOSTILE_RUNS[name][1]
    run = record.dagster_run
    assert run.status is dg.DagsterRunStatus.FAILURE
    (failure,) = [
        event.step_failure_data.user_failure_data
        for event in map(_dagster_event, instance.all_logs(run.run_id))
        if event and event.is_step_failure
    ]
    assert failure is not None
    assert (failure.description or "").startswith(f"{limit} exceeded")
    told = {key: value.value for key, value in failure.metadata.items()}
    assert told["limit"] == limit
    assert told["observed"] > told["allowed"] > 0  # type: ignore[operator]
    assert run.tags[LIMIT_BREACHED] == limit
    assert float(run.tags["medgen/peak_memory_mb"]) > 50
    assert tag(live, instance, run.run_id, "dagster/will_retry") == "false"
    assert (record.end_time or 0) - (record.start_time or 0) < SECONDS_TO_END
    live.until(lambda: leaves_nothing(live, instance, run))


def _dagster_event(entry: dg.EventLogEntry) -> dg.DagsterEvent | None:
    return entry.dagster_event


def test_a_run_that_keeps_its_limits_says_what_it_took(
    hostile: Mapping[str, dg.RunRecord], instance: dg.DagsterInstance
) -> None:
    """Memory, CPU and time are in its tags and in its event log."""
    run = hostile["fine"].dagster_run
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert LIMIT_BREACHED not in run.tags
    told = {
        key: value.value
        for event in map(_dagster_event, instance.all_logs(run.run_id))
        if event and (event.message or "").startswith("Took ")
        for key, value in event.engine_event_data.metadata.items()
    }
    for name in ("peak_memory_mb", "cpu_seconds", "runtime_seconds"):
        assert told[name] == pytest.approx(float(run.tags[f"medgen/{name}"]), rel=1e-4)


def test_what_a_run_prints_is_where_the_ui_looks_for_it(
    hostile: Mapping[str, dg.RunRecord], live: Up
) -> None:
    """In a file of the run, and not repeated among what the code server prints."""
    run_id = hostile["fine"].dagster_run.run_id
    (printed,) = live.home.glob(f"storage/{run_id}/compute_logs/*.out")
    assert printed.read_text() == "nothing is wrong\n"
    assert "nothing is wrong" not in (live.home / "process-logs/code-server.log").read_text()


@pytest.mark.parametrize(
    ("tags", "config", "named"),
    [
        ({"max_memory_mb": "lots"}, {}, "tag medgen/max_memory_mb is 'lots'"),
        ({"max_cpu_seconds": "-1"}, {}, "tag medgen/max_cpu_seconds is '-1'"),
        ({"max_runtime_seconds": "601"}, {}, "at most 600, which JOB_MAX_RUNTIME_SECONDS sets"),
        ({}, {"max_memory_mb": 513.0}, "execution.config.max_memory_mb is 513.0"),
    ],
)
def test_limits_that_cannot_be_are_refused_at_launch(
    tags: dict[str, str],
    config: dict[str, float],
    named: str,
    live: Up,
    instance: dg.DagsterInstance,
) -> None:
    """The run fails before it is queued, and names tag or setting, value and what is allowed."""
    run_id = live.launch("fine", {"execution": {"config": config}} if config else None, **tags)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE, "at once, without waiting"
    assert tag(live, instance, run_id, "dagster/will_retry") == "false"
    messages = [entry.message for entry in instance.all_logs(run_id)]
    assert any(named in message for message in messages), messages


def test_a_run_is_cancelled_within_seconds_and_leaves_nothing(
    live: Up, instance: dg.DagsterInstance
) -> None:
    """As with the button in the UI; a run that does not let itself be cancelled is killed."""
    runs = [began(live, instance, live.launch(name)) for name in ("sleeper", "stubborn")]
    for run in runs:
        live.terminate(run.run_id)
    for run in runs:
        record = ended(live, instance, run.run_id)
        assert record.dagster_run.status is dg.DagsterRunStatus.CANCELED
        live.until(functools.partial(leaves_nothing, live, instance, run))


def test_runs_start_by_priority_and_in_the_order_of_their_launch(
    live: Up, instance: dg.DagsterInstance
) -> None:
    """Five runs that may go on only one at a time, launched behind one that holds them up."""
    first = live.launch("gated", workload="housekeeping")
    began(live, instance, first)
    priorities = ["0", "0", "10", "-5", "5"]
    queued = [
        live.launch("fine", workload="housekeeping", priority=priority) for priority in priorities
    ]
    live.gate.touch()
    records = {run_id: ended(live, instance, run_id) for run_id in queued}
    live.gate.unlink()
    in_order = sorted(queued, key=lambda run_id: records[run_id].start_time or 0.0)
    assert [queued.index(run_id) for run_id in in_order] == [2, 4, 0, 1, 3]


def test_a_tenant_cannot_take_every_slot(live: Up, instance: dg.DagsterInstance) -> None:
    """One tenant has one slot less than there are; another's run starts though it came last."""
    first = [live.launch("gated", tenant="a") for _ in range(SLOTS)]
    other = live.launch("gated", tenant="b")
    began(live, instance, other)
    for run_id in first[: SLOTS - 1]:
        began(live, instance, run_id)
    waiting = instance.get_run_by_id(first[-1])
    assert waiting is not None
    assert waiting.status is dg.DagsterRunStatus.QUEUED
    live.gate.touch()
    for run_id in (*first, other):
        assert ended(live, instance, run_id).dagster_run.status is dg.DagsterRunStatus.SUCCESS
    live.gate.unlink()


def test_a_killed_worker_frees_the_only_slot_of_a_pool_and_is_repeated(
    live: Up, instance: dg.DagsterInstance
) -> None:
    """The next run of the pool starts, and so does the killed one again, once."""
    instance.event_log_storage.set_concurrency_slots("generation", 1)
    killed = began(live, instance, live.launch("pooled"))
    following = live.launch("pooled")
    os.kill(worker(killed).pid, signal.SIGKILL)
    began(live, instance, following)
    live.gate.touch()
    again = tag(live, instance, killed.run_id, "dagster/auto_retry_run_id")
    for run_id in (following, again):
        assert ended(live, instance, run_id).dagster_run.status is dg.DagsterRunStatus.SUCCESS
    live.gate.unlink()
    assert ended(live, instance, killed.run_id).dagster_run.status is dg.DagsterRunStatus.FAILURE


def test_runs_outlive_their_code_server(live: Up, instance: dg.DagsterInstance) -> None:
    """They end well, can be cancelled, and are found when their process dies; a new one serves."""
    goes_on, cancelled, dies = [
        began(live, instance, live.launch(name)) for name in ("gated", "sleeper", "gated")
    ]
    live.service("api grpc").kill()
    os.kill(worker(dies).pid, signal.SIGKILL)
    live.terminate(cancelled.run_id)
    assert status(live, instance, cancelled) is dg.DagsterRunStatus.CANCELED
    assert status(live, instance, dies) is dg.DagsterRunStatus.FAILURE
    again = tag(live, instance, dies.run_id, "dagster/auto_retry_run_id")
    live.gate.touch()
    assert status(live, instance, goes_on) is dg.DagsterRunStatus.SUCCESS
    assert ended(live, instance, again).dagster_run.status is dg.DagsterRunStatus.SUCCESS
    live.gate.unlink()
    for run in (goes_on, cancelled):  # what a killed one had staged is the janitor's
        live.until(functools.partial(leaves_nothing, live, instance, run))


def test_daemon_and_web_server_are_started_again(live: Up, instance: dg.DagsterInstance) -> None:
    """What is launched then is launched as before."""
    for word in ("dagster._daemon", "dagster_webserver"):
        live.service(word).kill()
    run_id = live.until(functools.partial(launched, live, "fine")) or ""
    assert ended(live, instance, run_id).dagster_run.status is dg.DagsterRunStatus.SUCCESS
    assert "daemon ended (signal SIGKILL); starting again" in live.output.read_text()


def test_a_second_copy_on_the_same_home_is_refused(live: Up) -> None:
    """At once, and it says who is there; the first one is not disturbed."""
    command = [str(MEDGEN), "up", "--port", str(free_port())]
    for more in ([], ["--check"]):
        second = subprocess.run(
            [*command, *more],
            env={**os.environ, "DAGSTER_HOME": str(live.home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 2
        told = second.stdout + second.stderr
        assert (
            f"DAGSTER_HOME {live.home} is in use by `medgen up`, process {live.process.pid}" in told
        )


def test_it_stops_with_two_runs_going(live: Up, instance: dg.DagsterInstance) -> None:
    """SIGTERM under nohup: runs are cancelled after the grace, exit 0, no process, no staging."""
    runs = [began(live, instance, live.launch(name)) for name in ("sleeper", "cpu_loop")]
    queued = [live.launch("fine", workload="housekeeping", tenant="a") for _ in range(3)]
    code, left = live.stop()
    assert code == 0
    assert left == []
    for run in runs:
        assert status(live, instance, run) is dg.DagsterRunStatus.CANCELED
        assert leaves_nothing(live, instance, run)
    assert not list(live.home.glob("data/_staging/*"))
    final = instance.get_run_by_id(queued[-1])
    assert final is not None
    assert final.status is not dg.DagsterRunStatus.FAILURE


def worker(run: dg.DagsterRun) -> Worker:
    """Return the process of a run at work."""
    assignment = assignment_of(run)
    assert assignment is not None
    return assignment.worker


def status(live: Up, instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """Return how a run ended, once it has."""
    return ended(live, instance, run.run_id).dagster_run.status


def launched(live: Up, job: str) -> str | None:
    """Return the id of a run, None while the web server does not answer."""
    with contextlib.suppress(OSError, RuntimeError):
        return live.launch(job)
    return None
