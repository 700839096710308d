"""The guard: code that can be stopped fails with the figures, what cannot is killed."""

import dataclasses
import logging
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator

import pytest

from medgen_pipeline.runtime.breach import Breach, Taken
from medgen_pipeline.runtime.guard import SIGNAL, Guard, StopRun, own_peak_mb
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline_tests.runtime import guarded

SHORT = Limits(max_memory_mb=10_000, max_cpu_seconds=1_000, max_runtime_seconds=0.4)


class _Exceeded(Exception):  # noqa: N818
    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.message)
        self.breach = breach


class _Quiet:
    """A ledger that keeps nothing."""

    def record(self, taken: Taken) -> None: ...

    def ended_by(self, breach: Breach) -> None:
        raise AssertionError(breach)

    def is_over(self) -> bool:
        return False

    def remove_staging(self) -> None: ...


def sleep() -> None:
    time.sleep(100)


def spin() -> None:
    while True:
        pass


def swallow_exceptions() -> None:
    while True:
        try:  # noqa: SIM105  as it is written everywhere
            time.sleep(100)
        except Exception:  # noqa: BLE001, S110
            pass


@pytest.mark.parametrize("own", [sleep, spin, swallow_exceptions])
def test_own_code_fails_when_a_limit_is_passed(own: Callable[[], None]) -> None:
    """Whether it sleeps, computes or swallows every Exception, with the figures in the failure."""
    with Guard(SHORT, _Quiet(), failure=_Exceeded) as guard, pytest.raises(_Exceeded) as error:
        guard.stoppable(own)()
    assert error.value.breach.as_dict()["limit"] == "max_runtime_seconds"
    assert error.value.breach.observed > 0.4
    assert isinstance(error.value.__cause__, StopRun), "the traceback says where it was"


def test_what_own_code_has_opened_is_closed() -> None:
    closed = []

    def own() -> None:
        try:
            time.sleep(100)
        finally:
            closed.append(True)

    with Guard(SHORT, _Quiet(), failure=_Exceeded) as guard, pytest.raises(_Exceeded):
        guard.stoppable(own)()
    assert closed


def test_a_generator_is_stopped_between_its_results_and_not_while_it_waits() -> None:
    """Whoever takes its results, Dagster, is never interrupted."""

    def own() -> Iterator[int]:
        yield 1
        time.sleep(100)

    with Guard(SHORT, _Quiet(), failure=_Exceeded) as guard:
        results = guard.stoppable(own)()
        assert next(results) == 1
        while guard.breach is None:
            time.sleep(0.01)
        time.sleep(0.6)  # two looks of the guard
        with pytest.raises(_Exceeded):
            next(results)


def test_an_event_is_never_cut_in_half() -> None:
    """Own code that is within a call into Dagster is stopped once it is out of it."""
    library = types.ModuleType("dagster._core.pretended")
    library.__dict__["time"] = time
    exec("def write():\n    time.sleep(1.2)\n    return 'whole'", library.__dict__)  # noqa: S102
    written = []

    def own() -> None:
        written.append(library.write())
        time.sleep(100)

    with Guard(SHORT, _Quiet(), failure=_Exceeded) as guard, pytest.raises(_Exceeded):
        guard.stoppable(own)()
    assert written == ["whole"]


def test_nothing_is_begun_after_a_breach() -> None:
    begun: list[int] = []
    with Guard(SHORT, _Quiet(), failure=_Exceeded) as guard:
        with pytest.raises(_Exceeded):
            guard.stoppable(sleep)()
        with pytest.raises(_Exceeded):
            guard.stoppable(begun.append)(1)
    assert not begun


def test_what_keeps_its_limits_is_measured_and_left_alone() -> None:
    """Results and exceptions pass through; signals and kernel limits are as they were before."""
    before = signal.getsignal(SIGNAL), resource.getrlimit(resource.RLIMIT_CPU)
    threads = threading.enumerate()
    with Guard(guarded.GENEROUS, _Quiet(), failure=_Exceeded) as guard:
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] > 0
        assert guard.stoppable(max)(3, 4) == 4
        with pytest.raises(ZeroDivisionError):
            guard.stoppable(lambda: 1 / 0)()
        blocks = [bytearray(1 << 20) for _ in range(50)]
    assert (signal.getsignal(SIGNAL), resource.getrlimit(resource.RLIMIT_CPU)) == before
    assert guard.breach is None
    assert len(blocks) < guard.taken.peak_memory_mb <= own_peak_mb() + 1000
    assert guard.taken.runtime_seconds > 0
    assert set(threading.enumerate()) <= set(threads)


def test_a_ledger_that_fails_does_not_stop_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(_Quiet):
        def is_over(self) -> bool:
            raise ConnectionError("no database")

    limits = dataclasses.replace(SHORT, max_runtime_seconds=2.6)
    caplog.set_level(logging.ERROR)
    with Guard(limits, Broken(), failure=_Exceeded) as guard, pytest.raises(_Exceeded):
        guard.stoppable(sleep)()
    assert "no database" in caplog.text


def run(case: str, limit: str, value: float, ledger: str = "plain") -> tuple[int, str]:
    """Return exit code and ledger of a process under guard."""
    done = subprocess.run(
        [sys.executable, "-m", guarded.__name__, case, limit, str(value), ledger],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("case", "limit", "value"),
    [
        ("swallow", "max_runtime_seconds", 0.3),
        ("long_call", "max_cpu_seconds", 0.5),
        ("huge", "max_memory_mb", 300),
    ],
)
def test_what_cannot_be_stopped_is_reported_and_killed(case: str, limit: str, value: float) -> None:
    """Code that catches everything, one long call into C, one allocation beyond all bounds."""
    code, ledger = run(case, limit, value)
    assert code == -signal.SIGKILL
    assert f"ended by {limit} exceeded" in ledger
    assert ledger.endswith("staging removed\n")


def test_memory_of_a_child_counts_and_the_child_is_killed() -> None:
    """The parent is told by its child's end or stopped itself; either way the breach is named."""
    _, ledger = run("in_child", "max_memory_mb", 200)
    assert "max_memory_mb exceeded" in ledger


def test_a_run_that_is_over_ends_with_its_process() -> None:
    """Someone else ended the run: the process has nothing more to report, and goes."""
    code, ledger = run("swallow", "max_runtime_seconds", 100, "over")
    assert code == -signal.SIGKILL
    assert ledger == "staging removed\n"


def test_a_database_that_does_not_answer_keeps_no_breach_alive() -> None:
    code, ledger = run("swallow", "max_runtime_seconds", 0.3, "deaf")
    assert code == -signal.SIGKILL
    assert "staging removed" in ledger
