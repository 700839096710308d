"""The end of a deployment is the end of its runs, and of no others in its home."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from medgen_pipeline.dataset.layout import staging_folder
from medgen_pipeline.dataset.store import FolderStore
from medgen_pipeline.runtime import drain as module
from medgen_pipeline.runtime.drain import drain, sweep
from medgen_pipeline.runtime.home import write_instance
from medgen_pipeline.runtime.instance import instance_at
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline.runtime.tags import in_process_tags
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.runtime.test_coordinator import QUEUED, STARTED, add

CANCELED: Final = dg.DagsterRunStatus.CANCELED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a deployment that has stopped but for its runs."""
    monkeypatch.setattr(module, "CANCEL_SECONDS", 0.0)
    folder = tmp_path / "home"
    folder.mkdir()
    write_instance(folder, Settings())
    return folder


@pytest.fixture(scope="module")
def dead() -> Worker:
    """Return a process that is over."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        return dataclasses.replace(Worker.here(), pid=started.pid)


def run_of(home: Path, command: Worker | None) -> str:
    """Return a run that goes on: of a command, or one of the deployment that has just begun."""
    with instance_at(home) as instance:
        run = add(instance, STARTED)
        if command is not None:
            instance.add_run_tags(run.run_id, in_process_tags(run.run_id, command))
    return run.run_id


def status_of(home: Path, run_id: str) -> dg.DagsterRunStatus:
    with instance_at(home) as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def stopped(home: Path) -> list[str]:
    """End the runs of a deployment that has no patience; return what it says."""
    said: list[str] = []
    drain(home, lambda: False, said.append)
    return said


@pytest.mark.parametrize("host", [Worker.here().host, "elsewhere"])
def test_a_command_that_shares_the_home_goes_on(host: str, home: Path, tmp_path: Path) -> None:
    """Its run is neither waited for nor ended, and what it stages stays; it claims it or not."""
    run_id = run_of(home, dataclasses.replace(Worker.here(), host=host))
    staged = tmp_path / staging_folder(run_id, "0123456789ab")
    with FolderStore(tmp_path).claim(staging_folder(run_id, "0123456789ab")):
        assert stopped(home) == []
        sweep(home, str(tmp_path))
        assert status_of(home, run_id) is STARTED
        assert staged.is_dir()
    staged.mkdir(exist_ok=True)
    sweep(home, str(tmp_path))
    assert staged.is_dir()


def test_a_command_is_told_apart_from_one_that_has_its_number(home: Path) -> None:
    """A process of that number that was started at another time is no sign of life."""
    run_id = run_of(home, dataclasses.replace(Worker.here(), created=1.0))
    assert f"cancelling run {run_id}" in stopped(home)
    assert status_of(home, run_id) is CANCELED


def test_what_a_dead_command_has_left_is_removed(home: Path, tmp_path: Path, dead: Worker) -> None:
    run_id = run_of(home, dead)
    (tmp_path / staging_folder(run_id, "0123456789ab")).mkdir(parents=True)
    assert f"cancelling run {run_id}" in stopped(home)
    sweep(home, str(tmp_path))
    assert status_of(home, run_id) is CANCELED
    assert list((tmp_path / "_staging").iterdir()) == []


def test_runs_of_the_deployment_end_with_it(home: Path, tmp_path: Path) -> None:
    """Queued ones wait for the next start; what nobody knows the run of is left to the janitor."""
    run_id = run_of(home, None)
    with instance_at(home) as instance:
        queued = add(instance, QUEUED).run_id
    for each in (run_id, "generate"):
        (tmp_path / staging_folder(each, "0123456789ab")).mkdir(parents=True)
    said = stopped(home)
    assert said[0] == "1 runs go on; waiting for them"
    assert said[1:] == [f"cancelling run {run_id}", f"killing run {run_id}"]
    sweep(home, str(tmp_path))
    assert status_of(home, run_id) is CANCELED
    assert status_of(home, queued) is QUEUED
    assert [each.name for each in (tmp_path / "_staging").iterdir()] == ["generate.0123456789ab"]
