"""The supervisor: starts in order, revives what dies, stops all it started, and what they did."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from medgen_pipeline.runtime import supervisor
from medgen_pipeline_tests.runtime import supervised

STOPS_WITHIN_SECONDS = 60


class Supervised:
    """A running supervisor, and what it has said so far."""

    def __init__(self, started: "subprocess.Popen[str]") -> None:
        self.started = started
        self.process = psutil.Process(started.pid)
        self.said: list[str] = []

    def until(self, word: str) -> str:
        """Return the first line with a word that it says from now on."""
        assert self.started.stdout is not None
        for line in self.started.stdout:
            self.said.append(line.strip())
            if word in line:
                return line.strip()
        raise AssertionError(f"never said {word!r}: {self.said}")

    def family(self) -> list[psutil.Process]:
        """Return the processes it has started, and those they have."""
        return self.process.children(recursive=True)


@contextmanager
def supervising(case: str, folder: Path, grace: float = 0) -> Iterator[Supervised]:
    command = [sys.executable, "-m", supervised.__name__, case, str(folder), str(grace)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=ignore_interrupts,  # noqa: PLW1509  no threads
    ) as started:
        running = Supervised(started)
        try:
            yield running
        finally:
            for each in running.family() if started.poll() is None else []:
                each.kill()
            started.kill()


def ignore_interrupts() -> None:
    """Start as what a shell puts into the background: SIGINT is ignored; but not under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def starts(folder: Path, name: str) -> int:
    """Return how often a service was started."""
    return len((folder / f"{name}.starts").read_text())


def stopped(running: Supervised, family: list[psutil.Process]) -> int:
    """Return the exit code once it has ended and none of its processes is left."""
    code = running.started.wait(STOPS_WITHIN_SECONDS)
    assert psutil.wait_procs(family, timeout=10)[1] == []
    return code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(number: signal.Signals, tmp_path: Path) -> None:
    """Also SIGINT where that was ignored at the start; exit 0, nobody left."""
    with supervising("two", tmp_path) as running:
        running.until("ready")
        family = running.family()
        assert len(family) == 2
        running.started.send_signal(number)
        running.until("drained")
        assert stopped(running, family) == 0


def test_a_service_waits_for_what_it_needs(tmp_path: Path) -> None:
    with supervising("two", tmp_path) as running:
        running.until("ready")
        answered = [line.split()[0] for line in running.said if "answers" in line]
        assert answered == ["daemon", "second"]


def test_children_take_signals_as_if_started_by_hand(tmp_path: Path) -> None:
    """With SIGINT ignored Dagster's services would ignore SIGTERM as well."""
    with supervising("two", tmp_path) as running:
        running.until("ready")
        for child in running.family():
            status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
            (ignored,) = [
                int(line.split()[1], 16) for line in status.splitlines() if "SigIgn" in line
            ]
            assert not ignored & (1 << signal.SIGINT - 1)


def test_what_dies_is_started_again_after_growing_delays(tmp_path: Path) -> None:
    with supervising("dies", tmp_path) as running:
        running.until("ready")
        (tmp_path / "go").touch()
        for delay in (1, 2):
            line = running.until("starting again")
            assert line == f"daemon ended (exit code 3); starting again in {delay} s"
        running.started.send_signal(signal.SIGTERM)
        running.until("drained")
        assert stopped(running, []) == 0
        assert starts(tmp_path, "daemon") == 2


def test_what_does_not_start_ends_it_all_and_shows_the_log(tmp_path: Path) -> None:
    with supervising("never", tmp_path) as running:
        running.until("error: the broken ended")
        assert stopped(running, []) == 2
    assert "ZeroDivisionError" in (tmp_path / "logs" / "broken.log").read_text()


def test_runs_have_a_grace_that_a_second_signal_cuts_short(tmp_path: Path) -> None:
    with supervising("two", tmp_path, grace=1000) as running:
        running.until("ready")
        running.started.send_signal(signal.SIGTERM)
        running.until("draining")
        daemons = [each for each in running.family() if "daemon" in " ".join(each.cmdline())]
        assert daemons == [], "nothing is taken from the queue any more"
        running.started.send_signal(signal.SIGTERM)
        running.until("drained")
        assert stopped(running, []) == 0


def test_a_second_signal_counts_while_the_daemon_ends(tmp_path: Path) -> None:
    """Which takes a while, after the promise that another signal cancels runs."""
    with supervising("deaf", tmp_path, grace=1000) as running:
        running.until("ready")
        running.started.send_signal(signal.SIGTERM)
        running.until("stopping")
        running.started.send_signal(signal.SIGTERM)
        running.until("drained")
        assert stopped(running, []) == 0


def test_who_ignores_sigterm_is_killed(
    tmp_path: Path,
) -> None:
    with supervising("deaf", tmp_path) as running:
        running.until("ready")
        family = running.family()
        running.started.send_signal(signal.SIGTERM)
        assert stopped(running, family) == 0


def test_orphans_of_a_service_that_is_killed_end_with_the_supervisor(tmp_path: Path) -> None:
    """They become its children, whatever session they are in."""
    with supervising("orphan", tmp_path) as running:
        running.until("ready")
        while len(family := running.family()) < 2:
            os.sched_yield()
        running.process.children()[0].kill()
        running.until("starting again")
        running.started.send_signal(signal.SIGTERM)
        assert stopped(running, family) == 0


def test_services_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervising("two", tmp_path) as running:
        running.until("ready")
        family = running.family()
        running.started.kill()
        assert stopped(running, family) == -signal.SIGKILL


def test_zombies_of_orphans_are_waited_for() -> None:
    """What has become ours and has ended is reaped; what we still wait for ourselves is not."""
    ours = subprocess.Popen([sys.executable, "-c", ""])
    theirs = subprocess.Popen([sys.executable, "-c", ""])
    for each in (ours, theirs):
        while psutil.Process(each.pid).status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()
    supervisor.reap([ours.pid])
    assert psutil.pid_exists(ours.pid)
    assert not psutil.pid_exists(theirs.pid)
    ours.wait()
    theirs.returncode = 0  # it was taken from under it
