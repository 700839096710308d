"""What is read of an instance like a deployment's: heartbeats by age, a queue that moves or not."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
import pytest
from dagster._daemon.types import DaemonHeartbeat

from medgen_pipeline.runtime import coordinator, observation
from medgen_pipeline.runtime.instance import KeptInstance, NotServedError
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.runtime.observation import QUEUE_DAEMON
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import Assignment, assignment_tags
from medgen_pipeline_tests.runtime.test_coordinator import QUEUED, STARTED, add

LIMITS: Final = Limits(max_memory_mb=512, max_cpu_seconds=300, max_runtime_seconds=600)
TENANT: Final = {"medgen/tenant": "a"}
SLOTS: Final = 2
LATER: Final = 100.0  # seconds, by which a look is told that the clock has moved on


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text(render_instance_yaml({}), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def opened(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Return an instance without runs, on a host with plenty of memory."""
    opened.wipe()
    monkeypatch.setattr(coordinator, "available_mb", lambda: 1e6)
    return opened


def test_a_home_that_was_never_served_is_left_as_it_is(tmp_path: Path) -> None:
    """Also one whose storage is not made yet: that is for the web server to do."""
    kept = KeptInstance(tmp_path, is_sqlite=True)
    with pytest.raises(NotServedError):
        kept.get()
    (tmp_path / "dagster.yaml").write_text(render_instance_yaml({}), encoding="utf-8")
    with pytest.raises(NotServedError):
        kept.get()
    assert list(tmp_path.iterdir()) == [tmp_path / "dagster.yaml"]


def test_an_instance_is_opened_once(home: Path, opened: dg.DagsterInstance) -> None:
    kept = KeptInstance(home, is_sqlite=True)
    assert kept.get() is kept.get()
    assert kept.get().root_directory == opened.root_directory
    kept.close()


def test_a_heartbeat_is_told_by_its_age(instance: dg.DagsterInstance) -> None:
    """Dagster calls one of ten minutes ago healthy."""
    now = time.time()
    instance.add_daemon_heartbeat(DaemonHeartbeat(now - 600, QUEUE_DAEMON, "id", []))
    found = {each.daemon: each for each in observation.heartbeats(instance, now)}
    assert found[QUEUE_DAEMON].age_seconds == pytest.approx(600, abs=1)
    assert set(found) == set(instance.get_required_daemon_types())
    assert found["SENSOR"].age_seconds is None
    assert instance.get_daemon_statuses()[QUEUE_DAEMON].healthy


def test_an_empty_queue_does_nothing_and_could_not(instance: dg.DagsterInstance) -> None:
    found = observation.queue(instance, time.time())
    assert (found.queued, found.running, found.startable) == (0, 0, 0)
    assert (found.configured_slots, found.open_slots) == (SLOTS, SLOTS)
    assert found.oldest_seconds == found.idle_seconds == 0


def test_a_run_that_could_start_and_does_not_lets_the_queue_be_idle(
    instance: dg.DagsterInstance,
) -> None:
    for _ in range(SLOTS + 1):
        add(instance)
    found = observation.queue(instance, time.time() + LATER)
    assert (found.queued, found.startable) == (SLOTS + 1, SLOTS)
    assert found.idle_seconds == pytest.approx(LATER, abs=10)
    assert found.oldest_seconds == pytest.approx(LATER, abs=10)


@pytest.mark.parametrize(
    "going_on", [{}, TENANT], ids=["every slot is taken", "a tag's limit is reached"]
)
def test_a_run_that_may_not_start_leaves_the_queue_in_order(
    instance: dg.DagsterInstance, going_on: dict[str, str]
) -> None:
    """Runs that wait for a slot, or for others of their tenant, are no sign of a dead queue."""
    for _ in range(1 if going_on else SLOTS):
        add(instance, STARTED, going_on)
    add(instance, QUEUED, TENANT)
    found = observation.queue(instance, time.time() + LATER)
    assert (found.queued, found.startable, found.idle_seconds) == (1, 0, 0)


def test_no_memory_is_no_idleness(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue waits, and the slots that are open say why."""
    add(instance)
    monkeypatch.setattr(coordinator, "available_mb", lambda: 100.0)
    found = observation.queue(instance, time.time() + LATER)
    assert (found.queued, found.open_slots, found.configured_slots) == (1, 0, SLOTS)
    assert found.idle_seconds == 0


def test_a_launch_and_an_end_move_the_queue(instance: dg.DagsterInstance) -> None:
    """From then on it is counted anew; what a run at work writes of itself moves nothing."""
    now = time.time()
    waiting, going_on = add(instance), add(instance, STARTED)
    for run in (waiting, going_on):
        for column in ("create_timestamp", "update_timestamp"):
            set_time(instance, run, column, datetime.fromtimestamp(now - 1_000, UTC))
    instance.add_run_tags(going_on.run_id, {"medgen/cpu_seconds": "7"})
    set_time(instance, going_on, "start_time", now - 500)
    assert observation.queue(instance, now).idle_seconds == pytest.approx(500, abs=5)
    set_time(instance, going_on, "end_time", now - 20)
    assert observation.queue(instance, now).idle_seconds == pytest.approx(20, abs=5)
    add(instance, dg.DagsterRunStatus.STARTING)
    assert observation.queue(instance, now).idle_seconds < 5


def test_a_run_at_work_is_told_with_what_it_uses_and_may(instance: dg.DagsterInstance) -> None:
    run = add(instance, STARTED)
    instance.add_run_tags(run.run_id, assignment_tags(run, Assignment(Worker.here(), LIMITS)))
    add(instance, dg.DagsterRunStatus.STARTING)
    set_time(instance, run, "start_time", time.time() - 60)
    found = {each.run_id: each for each in observation.at_work(instance, time.time())}
    here = found.pop(run.run_id)
    assert here.job == run.job_name
    assert here.runtime_seconds == pytest.approx(60, abs=10)
    assert here.limits == LIMITS
    assert here.usage is not None
    assert here.usage.memory_mb > psutil.Process().memory_info().rss / 2**21
    assert here.usage.cpu_seconds > 0
    (starting,) = found.values()
    assert (starting.usage, starting.limits, starting.runtime_seconds) == (None, None, 0)


def test_a_run_elsewhere_is_told_without_what_it_uses(instance: dg.DagsterInstance) -> None:
    run = add(instance, STARTED)
    away = Assignment(Worker("elsewhere", 1, 1.0), LIMITS)
    instance.add_run_tags(run.run_id, assignment_tags(run, away))
    (found,) = observation.at_work(instance, time.time())
    assert (found.usage, found.limits) == (None, LIMITS)


def test_the_database_is_read(instance: dg.DagsterInstance) -> None:
    assert observation.database_version(instance).startswith("3.")


def set_time(
    instance: dg.DagsterInstance, run: dg.DagsterRun, column: str, when: float | datetime
) -> None:
    """Let a run have started or ended."""
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(
            f"UPDATE runs SET {column} = ? WHERE run_id = ?",  # noqa: S608
            (when if isinstance(when, float) else f"{when:%Y-%m-%d %H:%M:%S.%f}", run.run_id),
        )
