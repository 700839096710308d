"""What each part of a deployment is told to be: by real files, a real instance, a web server."""

import datetime as dt
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
import pytest
from dagster._daemon.types import DaemonHeartbeat

from medgen_pipeline.runtime import coordinator
from medgen_pipeline.runtime.home import SOCKET
from medgen_pipeline.runtime.instance import KeptInstance
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.observation import QUEUE_DAEMON
from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import leave
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import Assignment, assignment_tags
from medgen_pipeline.service import checks as looks
from medgen_pipeline.service.checks import ALONE, HEARTBEAT_SECONDS, QUEUE_IDLE_SECONDS, Checks
from medgen_pipeline.service.dagster_runs import DagsterRuns
from medgen_pipeline.service.findings import (
    Daemon,
    Database,
    DataRoot,
    Disk,
    JobWorker,
    Memory,
    Pools,
    QueueState,
    Status,
)
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.runtime.test_coordinator import STARTED, add
from medgen_pipeline_tests.runtime.test_observation import set_time
from medgen_pipeline_tests.service.test_jobs import WebServer

NOWHERE: Final = DagsterRuns("http://127.0.0.1:1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptInstance]:
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text(render_instance_yaml({}), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)):
        pass  # its storage is made
    kept = KeptInstance(home, is_sqlite=True)
    yield kept
    kept.close()


@pytest.fixture
def instance(kept: KeptInstance, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Return the instance without runs and heartbeats, on a host with plenty of memory."""
    monkeypatch.setattr(coordinator, "available_mb", lambda: 1e6)
    kept.get().wipe()
    kept.get().wipe_daemon_heartbeats()
    return kept.get()


@pytest.fixture
def dagster() -> Iterator[WebServer]:
    with WebServer().serving() as found:
        yield found


@pytest.fixture
def checks(kept: KeptInstance, tmp_path: Path) -> Checks:
    return Checks(Settings(data_url=str(tmp_path / "data")), kept, NOWHERE)


def beat(instance: dg.DagsterInstance, age: float, *daemons: str) -> None:
    for daemon in daemons:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - age, daemon, "id", []))


def test_an_api_alone_says_so(tmp_path: Path) -> None:
    """Where no deployment was ever served nothing is dead, and nothing is called healthy."""
    alone = Checks(
        Settings(data_url=str(tmp_path)), KeptInstance(tmp_path / "home", is_sqlite=True), NOWHERE
    )
    found = {name: look() for name, look in alone.looks().items()}
    told = {name for name, each in found.items() if each.detail == ALONE}
    assert told == {"database", "daemon", "web_server", "code_location", "queue", "job_worker"}
    assert {found[name].status for name in told} == {Status.WARNING}
    assert {found[name].status for name in set(found) - told} <= {Status.HEALTHY, Status.WARNING}


def test_daemons_that_beat_are_healthy(checks: Checks, instance: dg.DagsterInstance) -> None:
    beat(instance, HEARTBEAT_SECONDS - 20, *instance.get_required_daemon_types())
    found = checks.daemon()
    assert isinstance(found, Daemon)
    assert (found.status, found.detail) == (Status.HEALTHY, None)
    assert found.heartbeats[QUEUE_DAEMON.lower()].age_seconds == pytest.approx(35, abs=5)


@pytest.mark.parametrize(
    ("dead", "status"),
    [
        ([QUEUE_DAEMON], Status.UNHEALTHY),
        (["SENSOR"], Status.WARNING),
        (["SENSOR", "BACKFILL", QUEUE_DAEMON], Status.UNHEALTHY),
    ],
)
def test_a_daemon_without_a_heartbeat_is_dead(
    checks: Checks, instance: dg.DagsterInstance, dead: list[str], status: Status
) -> None:
    """The queue's is what the deployment lives by; one of the others is for someone to look at."""
    beat(instance, 1, *set(instance.get_required_daemon_types()) - set(dead))
    beat(instance, HEARTBEAT_SECONDS + 1, *dead)
    found = checks.daemon()
    assert found.status is status
    assert all(each.lower() in (found.detail or "") for each in dead)


def test_a_daemon_that_never_beat_is_dead(checks: Checks, instance: dg.DagsterInstance) -> None:
    assert not instance.get_daemon_heartbeats()
    assert checks.daemon().status is Status.UNHEALTHY


def test_a_queue_that_could_launch_and_does_not_is_unhealthy(
    checks: Checks, instance: dg.DagsterInstance
) -> None:
    run = add(instance)
    assert checks.queue().status is Status.HEALTHY
    set_time(instance, run, "create_timestamp", when(QUEUE_IDLE_SECONDS + 5))
    found = checks.queue()
    assert isinstance(found, QueueState)
    assert found.status is Status.UNHEALTHY
    assert found.idle_seconds == pytest.approx(QUEUE_IDLE_SECONDS + 5, abs=5)
    assert "1 runs could start" in (found.detail or "")


def test_a_queue_that_waits_for_memory_says_so(
    checks: Checks, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add(instance)
    set_time(instance, run, "create_timestamp", when(1_000))
    monkeypatch.setattr(coordinator, "available_mb", lambda: 100.0)
    found = checks.queue()
    assert found.status is Status.WARNING
    assert "JOB_MAX_MEMORY_MB" in (found.detail or "")


def test_runs_are_told_with_what_they_use_and_may(
    checks: Checks, instance: dg.DagsterInstance
) -> None:
    """One that is beyond a limit and lives is for someone to look at: its guard does not work."""
    within = Limits(max_memory_mb=100_000, max_cpu_seconds=100_000, max_runtime_seconds=600)
    run = add(instance, STARTED)
    instance.add_run_tags(run.run_id, assignment_tags(run, Assignment(Worker.here(), within)))
    set_time(instance, run, "start_time", time.time() - 60)
    found = checks.job_worker()
    assert isinstance(found, JobWorker)
    assert (found.status, found.active_jobs, found.can_accept_jobs) == (Status.HEALTHY, 1, True)
    use = found.jobs[run.run_id]
    assert use.runtime_seconds == pytest.approx(60, abs=10)
    assert 0 < (use.memory_mb or 0) < 100_000
    assert found.resources.total_memory_mb == use.memory_mb
    assert use.max_runtime_seconds == 600
    set_time(instance, run, "start_time", time.time() - 700)
    add(instance, STARTED)
    found = checks.job_worker()
    assert isinstance(found, JobWorker)
    assert (found.status, found.can_accept_jobs) == (Status.WARNING, False)
    assert f"run {run.run_id} takes 700 s of 600" in (found.detail or "")


def test_sqlite_is_told_as_such(checks: Checks, instance: dg.DagsterInstance) -> None:
    assert instance
    found = checks.database()
    assert isinstance(found, Database)
    assert (found.status, found.kind) == (Status.HEALTHY, "sqlite")


def test_pools_are_told_by_part(checks: Checks, kept: KeptInstance) -> None:
    empty = checks.pools()
    assert isinstance(empty, Pools)
    assert (empty.pool, empty.metrics) == ({}, {})
    leave(
        kept.home,
        Worker.here(),
        PoolFigures(part="api", taken_at=time.time(), size=10, active=2, checkouts=7),
    )
    found = checks.pools()
    assert isinstance(found, Pools)
    assert (found.pool["api"]["active"], found.pool["api"]["size"]) == (2, 10)
    assert found.metrics["api"]["checkouts"] == 7


def test_a_data_root_that_is_not_made_yet_is_fine(checks: Checks) -> None:
    found = checks.data_root()
    assert isinstance(found, DataRoot)
    assert (found.status, found.kind, found.scenarios) == (Status.HEALTHY, "folder", 0)


def test_a_data_root_with_data_tells_its_scenarios(folder: Path, kept: KeptInstance) -> None:
    found = Checks(Settings(data_url=str(folder / "data")), kept, NOWHERE).data_root()
    assert isinstance(found, DataRoot)
    assert (found.status, found.scenarios) == (Status.HEALTHY, 1)


def test_a_data_root_that_cannot_be_used_is_unhealthy(
    checks: Checks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("a file")
    assert checks.data_root().detail == "the data root is no folder"
    (tmp_path / "data").unlink()
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    found = checks.data_root()
    assert (found.status, found.detail) == (Status.UNHEALTHY, "the data root cannot be written")


@pytest.mark.parametrize(
    ("percent", "status"),
    [(89.9, Status.HEALTHY), (90.0, Status.WARNING), (98.0, Status.UNHEALTHY)],
)
def test_a_disk_is_told_by_how_full_it_is(
    checks: Checks, monkeypatch: pytest.MonkeyPatch, percent: float, status: Status
) -> None:
    """The fuller of two counts."""
    usage = namedtuple("usage", "total used free percent")  # noqa: PYI024  as psutil's
    home = str(checks.kept.home)
    monkeypatch.setattr(
        psutil,
        "disk_usage",
        lambda path: usage(10**9, 0, 0, 10.0 if path == home else percent),
    )
    found = checks.disk_space()
    assert isinstance(found, Disk)
    assert (found.status, found.of, found.percent_used) == (status, "data root", percent)
    assert found.total_gb == 1.0


def test_memory_is_told_by_what_is_left(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little for one more run is for someone to look at."""
    memory = namedtuple("memory", "total used percent")  # noqa: PYI024  as psutil's
    for percent, free_mb, status in (
        (50.0, 10_000, Status.HEALTHY),
        (50.0, 511, Status.WARNING),
        (85.0, 10_000, Status.WARNING),
        (97.0, 10_000, Status.UNHEALTHY),
    ):
        monkeypatch.setattr(psutil, "virtual_memory", lambda p=percent: memory(10**10, 10**9, p))
        monkeypatch.setattr(looks, "available_mb", lambda free=free_mb: free)
        found = checks.memory()
        assert isinstance(found, Memory)
        assert found.status is status
        assert found.available_gb == pytest.approx(free_mb * 2**20 / 1e9, abs=0.01)


def test_a_web_server_is_told_by_its_answer(kept: KeptInstance, dagster: WebServer) -> None:
    with_one = Checks(Settings(), kept, DagsterRuns(dagster.url))
    assert with_one.web_server().status is Status.HEALTHY
    assert Checks(Settings(), kept, NOWHERE).web_server().status is Status.UNHEALTHY


def test_code_that_is_not_loaded_is_unhealthy(kept: KeptInstance, dagster: WebServer) -> None:
    """Asked of the code server; of the web server where there is none of ours."""
    checks = Checks(Settings(), kept, DagsterRuns(dagster.url))
    assert checks.code_location().status is Status.HEALTHY
    dagster.location = {"name": "here", "locationOrLoadError": {"__typename": "PythonError"}}
    assert checks.code_location().detail == "nothing is loaded"
    (kept.home / SOCKET).touch()  # as one that was killed leaves it
    found = checks.code_location()
    (kept.home / SOCKET).unlink()
    assert (found.status, found.detail) == (Status.UNHEALTHY, "the code server does not answer")


def when(seconds_ago: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time() - seconds_ago, dt.UTC)
