"""What processes leave of their pools is there while they live, and counted once when they end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medgen_pipeline.runtime.pool_figures import PoolFigures
from medgen_pipeline.runtime.pool_files import FOLDER, leave, pool_figures_of_deployment, tidy
from medgen_pipeline.runtime.processes import Worker
from medgen_pipeline_tests.runtime.test_pool_figures import figures


def a_dead_process() -> Worker:
    """Return a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return Worker(Worker.here().host, process.pid, time.time())


def of(home: Path, part: str) -> PoolFigures:
    return next(each for each in pool_figures_of_deployment(home) if each.part == part)


def test_nothing_pools_nothing_counts(tmp_path: Path) -> None:
    """A deployment on SQLite has no pools, and asking makes no folder."""
    assert pool_figures_of_deployment(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_each_part_is_told_apart(tmp_path: Path) -> None:
    leave(tmp_path, Worker.here(), figures("web server"))
    leave(tmp_path, a_dead_process(), figures("daemon"))
    found = pool_figures_of_deployment(tmp_path)
    assert [(each.part, each.processes) for each in found] == [("daemon", 0), ("web server", 1)]


def test_a_restart_counts_on(tmp_path: Path) -> None:
    """The new process adds to what the old one had counted, however often one tidies up."""
    leave(tmp_path, a_dead_process(), figures(each=5))
    leave(tmp_path, Worker.here(), figures(each=2))
    for _ in range(3):
        found = of(tmp_path, "daemon")
        assert (found.checkouts, found.active, found.processes) == (7, 2, 1)
        tidy(tmp_path)
    assert len(list((tmp_path / FOLDER).glob("*-*.json"))) == 1


def test_who_is_killed_while_tidying_up_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past is written, the files that are in it are still there."""
    leave(tmp_path, a_dead_process(), figures(each=5))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt):
            tidy(tmp_path)
    assert of(tmp_path, "daemon").checkouts == 5
    leave(tmp_path, a_dead_process(), figures(each=1))
    tidy(tmp_path)
    assert of(tmp_path, "daemon").checkouts == 6
    assert list((tmp_path / FOLDER).glob("*-*.json")) == []


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_process_on_another_host_lives_while_it_is_heard_of(tmp_path: Path) -> None:
    elsewhere = Worker("elsewhere", os.getpid(), 0.0)
    leave(tmp_path, elsewhere, figures("run worker", taken_at=time.time()))
    assert of(tmp_path, "run worker").processes == 1
    leave(tmp_path, elsewhere, figures("run worker", taken_at=time.time() - 3_600))
    assert of(tmp_path, "run worker").processes == 0


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A file that is cut off, or of another version, says nothing and stops nobody."""
    leave(tmp_path, Worker.here(), figures())
    (tmp_path / FOLDER / "api-1-2.json").write_text('{"worker": {"ho')
    (tmp_path / FOLDER / "api-1-3.json").write_text('{"worker": {}, "figures": {}}')
    assert [each.part for each in pool_figures_of_deployment(tmp_path)] == ["daemon"]
    tidy(tmp_path)
