"""The processes of a run: who they are, what they use, and their end."""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

MIB: Final = 1024 * 1024
# psutil adds the time since boot to that of the boot, which moves when the clock is set.
CLOCK_SECONDS: Final = 2.0
RAY_WORKER: Final = "medgen_pipeline.runtime.ray_worker"  # the program of a run on Ray


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants take at one moment.

    Memory they share counts for each of them, as the kernel tells resident memory.
    """

    memory_mb: float
    cpu_seconds: float  # of children that ended and were waited for as well


@dataclass(frozen=True, slots=True)
class Worker:
    """The process of a run, told apart from any that gets its number later."""

    host: str
    pid: int
    created: float  # seconds since the epoch, as the kernel says

    @classmethod
    def here(cls) -> "Worker":
        """Return this process."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time())

    @property
    def is_local(self) -> bool:
        """Whether it runs on this host, so that its processes can be seen."""
        return self.host == socket.gethostname()

    @property
    def may_live(self) -> bool:
        """Whether it lives, or is on another host, where nobody here can see that."""
        return not self.is_local or self.process() is not None

    def process(self) -> psutil.Process | None:
        """Return the process if it is alive and still the same."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if self._is(process) and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def owns_its_number(self) -> bool:
        """Whether its number is nobody else's: it lives, or is gone and nobody has it.

        The kernel gives a number to nobody while a process group has it.
        """
        try:
            return self._is(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return True

    def _is(self, process: psutil.Process) -> bool:
        return abs(process.create_time() - self.created) < CLOCK_SECONDS


def serves_a_run() -> bool:
    """Whether this process was started to execute a run: nobody sees what it prints."""
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    return multiprocessing.parent_process() is not None or (
        program is not None and program.name == RAY_WORKER
    )


def usage(root: psutil.Process) -> Usage:
    """Return what a process and its descendants use; those that end meanwhile count nothing."""
    memory = cpu = 0.0
    for process in (root, *_descendants(root)):
        with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
            times = process.cpu_times()
            memory += process.memory_info().rss / MIB
            cpu += times.user + times.system + times.children_user + times.children_system
    return Usage(memory, cpu)


def kill_descendants(root: psutil.Process) -> None:
    """Kill all that a process started, and what these started meanwhile."""
    while children := [each for each in _descendants(root) if _is_running(each)]:
        _kill(children)
        psutil.wait_procs(children, timeout=1)


def kill_group(worker: Worker) -> int:
    """Kill what is left of a dead worker's process group; return how many processes it was.

    A worker leads a group of its own, so that its children can be found when it is gone.
    """
    if not worker.is_local or worker.process() is not None or not worker.owns_its_number():
        return 0
    left = [pid for pid in psutil.pids() if pid != worker.pid and _group(pid) == worker.pid]
    if left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    return len(left)


def kill_tree(worker: Worker) -> None:
    """Kill a worker with all it started."""
    root = worker.process()
    if root is not None:
        children = _descendants(root)
        _kill([root, *children])
        psutil.wait_procs([root], timeout=5)
    kill_group(worker)


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return root.children(recursive=True)
    return []


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return None
