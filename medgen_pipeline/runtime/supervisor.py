"""The parent of a deployment's processes: starts them, keeps them going, stops them all.

It serves nothing itself and holds no library that does, so nothing takes its signals from it.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.runtime.log_files import open_log, path_of, rotate, tail
from medgen_pipeline.runtime.processes import kill_descendants
from medgen_pipeline.runtime.services import Service

SECONDS_BETWEEN_LOOKS: Final = 0.25
SECONDS_BETWEEN_ROTATIONS: Final = 10.0
START_SECONDS: Final = 180.0  # on a busy machine; it takes 15 on two idle cores
STOP_SECONDS: Final = 15.0  # from SIGTERM to SIGKILL
BACK_OFF_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
STEADY_SECONDS: Final = 60.0  # a process that lived so long starts anew without delay
PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
PR_SET_CHILD_SUBREAPER: Final = 36

Say = Callable[[str], None]
Drain = Callable[[Callable[[], bool]], None]


class NotStartedError(MedgenError):
    """A service of the deployment did not start; the message holds the end of its log."""


@dataclass(slots=True)
class Running:
    """A service and its present process."""

    service: Service
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0  # by the clock on the wall, as heartbeats are
    failures: int = 0  # in a row
    start_at: float = 0.0  # monotonic
    was_ready: bool = False


class Supervisor:
    """Runs services until it is told to stop."""

    def __init__(
        self,
        services: Sequence[Service],
        logs: Path,
        environ: Mapping[str, str],
        say: Say,
        *,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._running = [Running(service) for service in services]
        self._logs = logs
        self._environ = environ
        self._say = say
        self._stop_seconds = stop_seconds
        self._signals = 0
        self._libc = ctypes.CDLL(None)

    def run(self, drain: Drain, grace_seconds: float) -> None:
        """Start everything, watch it until a signal comes, then drain and stop everything.

        Raises NotStartedError if a service does not come up at first; nothing is left running.
        """
        # What a service that dies leaves behind becomes ours, and ends when we do.
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        with self._own_signals():
            try:
                self._start_all()
                if not self._signals:
                    self._watch()
                patience = self._patience(grace_seconds)  # a signal may come while the daemon ends
                self._say(f"stopping; runs have {grace_seconds:g} s, another signal cancels them")
                self._stop(["daemon"])  # it takes runs from the queue
                drain(patience)
            finally:
                self._stop([each.service.name for each in reversed(self._running)])
                kill_descendants(psutil.Process())
                reap([])

    def _start_all(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._signals and not all(each.was_ready for each in self._running):
            for each in self._running:
                if each.process is None and self._may_start(each):
                    self._start(each)
                self._check_first_start(each, deadline)
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _check_first_start(self, each: Running, deadline: float) -> None:
        """Note whether a service answers; raise if it has ended, or is not in time."""
        name, process = each.service.name, each.process
        if process is None or each.was_ready:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            why = "ended" if process.poll() is not None else "does not answer"
            path = path_of(self._logs, name)
            raise NotStartedError(f"the {name} {why}; {path} ends with\n{tail(path)}")
        if each.service.is_ready(each.started):
            each.was_ready = True
            self._say(f"{name} answers after {time.time() - each.started:.0f} s")

    def _watch(self) -> None:
        self._say("ready; Ctrl-C or SIGTERM stops it")
        rotated = time.monotonic()
        while not self._signals:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            now = time.monotonic()
            for each in self._running:
                self._revive(each, now)
            if now - rotated > SECONDS_BETWEEN_ROTATIONS:
                rotated = now
                for each in self._running:
                    rotate(path_of(self._logs, each.service.name))
                reap([each.process.pid for each in self._running if each.process])

    def _revive(self, each: Running, now: float) -> None:
        """Start a process that has ended again, the later the more often it has."""
        if each.process is not None and each.process.poll() is not None:
            each.failures = 0 if time.time() - each.started > STEADY_SECONDS else each.failures
            delay = BACK_OFF_SECONDS[min(each.failures, len(BACK_OFF_SECONDS) - 1)]
            code = each.process.returncode
            self._say(f"{each.service.name} ended ({_exit(code)}); starting again in {delay:g} s")
            each.process, each.failures, each.start_at = None, each.failures + 1, now + delay
        elif each.process is None and now >= each.start_at:
            self._start(each)

    def _may_start(self, each: Running) -> bool:
        return all(
            other.was_ready for other in self._running if other.service.name == each.service.needs
        )

    def _start(self, each: Running) -> None:
        log = open_log(self._logs, each.service.name)
        try:
            each.started = time.time()
            each.process = subprocess.Popen(  # noqa: S603  our own commands
                each.service.command,
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor alone
                preexec_fn=self._as_child,  # noqa: PLW1509  there is one thread here
            )
        finally:
            os.close(log)

    def _stop(self, names: Sequence[str]) -> None:
        """End services: with SIGTERM, and with SIGKILL whoever is not gone in time."""
        stopping = [each for each in self._running if each.service.name in names and each.process]
        processes = [each.process for each in stopping if each.process]
        for process in processes:
            process.send_signal(signal.SIGTERM)  # nothing if it has ended
        deadline = time.monotonic() + self._stop_seconds
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in processes:
            process.kill()
            process.wait()
        for each in stopping:
            each.process = None

    def _patience(self, seconds: float) -> Callable[[], bool]:
        """Return whether to wait on: for so long, and until one more signal."""
        signals, deadline = self._signals, time.monotonic() + seconds
        return lambda: self._signals <= signals and time.monotonic() < deadline

    @contextlib.contextmanager
    def _own_signals(self) -> Iterator[None]:
        """Count signals to stop meanwhile. A hang-up that is ignored, as under nohup, stays so."""
        wanted = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            wanted.append(signal.SIGHUP)
        previous = {each: signal.signal(each, self._count) for each in wanted}
        try:
            yield
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)

    def _count(self, _signal: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _as_child(self) -> None:
        """Set up a process that is about to become a service.

        Dagster gives SIGTERM the disposition of SIGINT, and what a shell starts in the background
        has SIGINT ignored: such a service could only be killed. One that outlives its supervisor
        is told to end.
        """
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def reap(own: Collection[int]) -> None:
    """Wait for orphans that have ended, so that their numbers are free again."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _exit(code: int) -> str:
    """Return in words how a process ended."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
