"""What watches a run from inside its process, and stops it: gently first, then for good.

A thread looks at the run's processes a few times a second. When a limit is passed it raises
`StopRun` in the main thread, within the run's own code; that unwinds as any exception does, and
`except Exception` does not hold it. If the code is not back in time, or memory runs away, the
thread writes down why, removes what is staged and kills the process.

Nothing here knows Dagster: whose code it is, and where a run's end is recorded, is handed in.
"""

import functools
import inspect
import logging
import math
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol, Self

import psutil

from medgen_pipeline.runtime.breach import Breach, Taken, breach_of
from medgen_pipeline.runtime.limits import MEMORY, Limits
from medgen_pipeline.runtime.processes import MIB, kill_descendants, usage

# Our own choices: a breach is to end within seconds, and looking is to cost less than 1 %.
SECONDS_BETWEEN_LOOKS: Final = 0.25
SECONDS_BETWEEN_STOPS: Final = 1.5  # a second StopRun cuts short what the first one unwinds
GRACE_SECONDS: Final = 3.0  # from the breach to the kill
RUNAWAY_FACTOR: Final = 1.5  # of the memory limit: the host is in danger, there is no grace
SECONDS_BETWEEN_RECORDS: Final = 10.0  # of what is known about a run that something else kills
SECONDS_BETWEEN_QUESTIONS: Final = 2.0  # whether the run is still this process's to run
REPORT_SECONDS: Final = 10.0  # a database that does not answer keeps no breach alive
MARGIN_SECONDS: Final = 10.0  # beyond limit and grace, and someone else ends the process
LAST_WORDS_MB: Final = 512  # of address space, for the report on memory that runs away
SIGNAL: Final = signal.SIGUSR1

_log: Final = logging.getLogger(__name__)


class StopRun(BaseException):
    """Raised in a run's own code when it has passed a limit. No Exception, so rarely caught."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.message)
        self.breach = breach


class Ledger(Protocol):
    """Where what becomes of a run is written down."""

    def record(self, taken: Taken) -> None:
        """Keep what the run has taken so far."""

    def ended_by(self, breach: Breach) -> None:
        """Record that a breach has ended the run; its process is killed right after."""

    def is_over(self) -> bool:
        """Whether the run has ended without its process, or has long been asked to end."""

    def remove_staging(self) -> None:
        """Remove what the run has staged."""


class Guard:
    """Watches this process and its descendants on behalf of one run, between enter and exit."""

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        *,
        failure: Callable[[Breach], Exception],
        not_own: str = "dagster",
    ) -> None:
        """Take what StopRun becomes on leaving the run's code, and whose calls it spares.

        Within modules of `not_own`, an event may be half-written.
        """
        self.limits = limits
        self.taken = Taken()
        self.breach: Breach | None = None
        self._ledger = ledger
        self._failure = failure
        self._not_own = not_own
        self._process = psutil.Process()
        self._raised_at = -math.inf
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="medgen-guard", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._cpu_before = usage(self._process).cpu_seconds
        self._previous_handler = signal.signal(SIGNAL, self._stop_own_code)
        self._previous_kernel_limit = limit_by_kernel(self.limits.max_cpu_seconds)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        signal.signal(SIGNAL, self._previous_handler)
        resource.setrlimit(resource.RLIMIT_CPU, self._previous_kernel_limit)
        self._look()

    def stoppable(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the run's own, within which StopRun can be raised.

        It leaves as `failure`, and nothing more is begun once there is a breach. An asynchronous
        function is returned as it is: it can only be killed.
        """
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401  the same
                self._refuse_after_breach()
                results = function(*args, **kwargs)
                try:
                    while True:
                        try:
                            result = self._failing(_next_of_own, results)
                        except StopIteration:
                            return
                        yield result
                finally:
                    results.close()

            return generator

        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return function

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as the function
            self._refuse_after_breach()
            return self._failing(_call_own, functools.partial(function, *args, **kwargs))

        return call

    def _refuse_after_breach(self) -> None:
        if self.breach is not None:
            raise self._failure(self.breach)

    def _failing(self, enter: Callable[[Any], Any], own: Any) -> Any:  # noqa: ANN401  any result
        """Return the result of own code, or raise what StopRun becomes."""
        try:
            return enter(own)
        except StopRun as stop:
            raise self._failure(stop.breach) from stop

    def _stop_own_code(self, _signal: int, frame: FrameType | None) -> None:
        """Raise StopRun if the main thread is where it may be raised; else the guard asks again."""
        if self.breach is not None and is_in_own_code(frame, self._not_own):
            self._raised_at = time.monotonic()
            raise StopRun(self.breach)

    def _watch(self) -> None:
        recorded = asked = self._started
        while not self._done.wait(SECONDS_BETWEEN_LOOKS):
            self._look()
            now = time.monotonic()
            if self.breach is not None:
                self._enforce(self.breach, now)
            if now - recorded >= SECONDS_BETWEEN_RECORDS:
                recorded = now
                self._in_the_ledger(self._ledger.record, self.taken)
            if now - asked >= SECONDS_BETWEEN_QUESTIONS:
                asked = now
                if self._in_the_ledger(self._ledger.is_over):
                    self._kill()

    def _look(self) -> None:
        """Take in what the processes use now."""
        used = usage(self._process)
        self._memory_mb = used.memory_mb
        self.taken = Taken(
            peak_memory_mb=max(self.taken.peak_memory_mb, used.memory_mb, own_peak_mb()),
            cpu_seconds=used.cpu_seconds - self._cpu_before,
            runtime_seconds=time.monotonic() - self._started,
        )
        if self.breach is None:
            self.breach = breach_of(self.limits, self.taken)
            self._breached_at = time.monotonic()

    def _enforce(self, breach: Breach, now: float) -> None:
        if self._memory_mb > RUNAWAY_FACTOR * self.limits.max_memory_mb:
            stop_growing()
            self._end(Breach(MEMORY, self.limits.max_memory_mb, self.taken))
        elif now - self._breached_at > GRACE_SECONDS:
            self._end(breach)
        elif now - self._raised_at > SECONDS_BETWEEN_STOPS:
            signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)

    def _end(self, breach: Breach) -> None:
        kill_descendants(self._process)
        self._in_the_ledger(self._ledger.ended_by, breach)
        self._kill()

    def _kill(self) -> None:
        kill_descendants(self._process)
        self._in_the_ledger(self._ledger.remove_staging)
        os.kill(os.getpid(), signal.SIGKILL)

    def _in_the_ledger(self, entry: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401
        """Return the answer of the ledger, None when it fails or takes too long."""
        answer: list[Any] = [None]

        def ask() -> None:
            try:
                answer[0] = entry(*args)
            except Exception:  # noqa: BLE001  whatever a database raises
                _log.exception("the guard of a run could not write down or read what it needs")

        thread = threading.Thread(target=ask, name="medgen-ledger", daemon=True)
        thread.start()
        thread.join(REPORT_SECONDS)
        return answer[0]


def _call_own(own: Callable[[], Any]) -> Any:  # noqa: ANN401  as the function
    return own()


def _next_of_own(own: Iterator[Any]) -> Any:  # noqa: ANN401  as the generator
    return next(own)


_DOORS: Final = (_call_own.__code__, _next_of_own.__code__)


def is_in_own_code(frame: FrameType | None, not_own: str) -> bool:
    """Whether a frame was reached from a run's own code, and not through modules of `not_own`."""
    innermost = frame
    while frame is not None:
        if frame.f_code in _DOORS:
            return frame is not innermost
        if str(frame.f_globals.get("__name__")).split(".")[0] == not_own:
            return False
        frame = frame.f_back
    return False


def own_peak_mb() -> float:
    """Return the most resident memory that this process has had, 0 where the kernel hides it."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next((int(line.split()[1]) / 1024 for line in status if "VmHWM" in line), 0.0)


def limit_by_kernel(cpu_seconds: float) -> tuple[int, int]:
    """Let the kernel end this process well after its CPU limit; return what was set before.

    This needs no thread to run, but sees one process only.
    """
    before = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time() + with_margin(cpu_seconds, os.cpu_count() or 1))
    bounds = [each for each in before if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_CPU, (min([soft, *bounds]), before[1]))
    return before


def with_margin(seconds: float, cores: int = 1) -> float:
    """Return the time that only a run can have taken whose guard is stuck, on so many cores."""
    return seconds + MARGIN_SECONDS + cores * GRACE_SECONDS


def stop_growing() -> None:
    """Refuse this process more memory than its last words need."""
    reserved = psutil.Process().memory_info().vms + LAST_WORDS_MB * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or reserved < hard:
        resource.setrlimit(resource.RLIMIT_AS, (reserved, hard))
