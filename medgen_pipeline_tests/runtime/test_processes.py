"""Process trees: what they use is summed, and a worker is never taken for another."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from medgen_pipeline.runtime.processes import (
    Worker,
    kill_descendants,
    kill_group,
    kill_tree,
    usage,
)

# A process that leads a group, with a child and a grandchild; says when all are there.
FAMILY = """
import os, subprocess, sys, time
os.setpgid(0, 0)
child = "import subprocess, sys; print('up', flush=True); kept = bytearray(60 << 20)"
child += "; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
subprocess.run([sys.executable, "-c", child])
"""


@pytest.fixture
def family() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"up\n"
        root = psutil.Process(started.pid)
        everyone = [root, *root.children(recursive=True)]
        yield root
        for process in everyone:
            if process.is_running():
                process.kill()


def worker(process: psutil.Process) -> Worker:
    return dataclasses.replace(Worker.here(), pid=process.pid, created=process.create_time())


def descendants(root: psutil.Process, count: int) -> list[psutil.Process]:
    """Return a process's descendants once there are so many."""
    while len(found := root.children(recursive=True)) < count:
        os.sched_yield()
    return found


def test_memory_of_children_counts(family: psutil.Process) -> None:
    child, _ = descendants(family, 2)
    while child.memory_info().rss < 60 << 20:
        os.sched_yield()
    assert usage(family).memory_mb > 60 + family.memory_info().rss / 2**20


def test_cpu_of_children_that_ended_counts() -> None:
    before = usage(psutil.Process()).cpu_seconds
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert usage(psutil.Process()).cpu_seconds - before >= 0.28  # counted in ticks of 0.01 s


def test_a_worker_is_its_process_only_while_that_lives(family: psutil.Process) -> None:
    here = worker(family)
    assert here.process() == family
    assert dataclasses.replace(here, created=here.created - 60).process() is None
    assert dataclasses.replace(here, host="elsewhere").is_local is False
    family.kill()
    family.wait()
    assert here.process() is None


def test_killing_a_tree_leaves_nobody(family: psutil.Process) -> None:
    everyone = [family, *descendants(family, 2)]
    kill_tree(worker(family))
    _, alive = psutil.wait_procs(everyone, timeout=10)
    assert alive == []


def test_children_of_a_dead_worker_are_found_by_its_group(family: psutil.Process) -> None:
    orphans = descendants(family, 2)
    here = worker(family)
    assert kill_group(here) == 0, "a worker that lives keeps its group"
    family.kill()
    family.wait()
    assert kill_group(here) == 2
    _, alive = psutil.wait_procs(orphans, timeout=10)
    assert alive == []
    assert kill_group(here) == 0


def test_a_group_is_left_alone_once_its_number_is_someone_elses(family: psutil.Process) -> None:
    descendants(family, 2)
    earlier = dataclasses.replace(worker(family), created=family.create_time() - 60)
    assert kill_group(earlier) == 0
    assert family.is_running()


def test_descendants_are_killed_and_their_root_is_not(family: psutil.Process) -> None:
    """The root ends by itself, for what it waits for has ended."""
    everyone = descendants(family, 2)
    kill_descendants(family)
    _, alive = psutil.wait_procs(everyone, timeout=10)
    assert alive == []
    assert family.wait(timeout=10) == 0
