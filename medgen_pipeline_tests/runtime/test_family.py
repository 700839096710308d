"""The processes of a deployment are found by their commands, its run workers by their parent."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from medgen_pipeline.runtime.family import uses

WAIT: Final = "import time; time.sleep(100)"
# A supervisor of three services; the second starts two workers as the code server does.
SUPERVISOR: Final = """
import subprocess, sys, time
from pathlib import Path
worker = "import subprocess, sys, time;" \
    "[subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']) for _ in '12'];" \
    "time.sleep(100)"
wait = "import time; time.sleep(100)"
python = sys.executable
for program, words in (
    (wait, ["-m", "medgen_pipeline.service"]),
    (worker, ["-m", "dagster", "api", "grpc"]),
    (wait, ["some", "other"]),
):
    subprocess.Popen([python, "-c", program, *words])
time.sleep(100)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR], cwd=tmp_path) as started:
        process = psutil.Process(started.pid)
        deadline = time.monotonic() + 60
        while len(process.children(recursive=True)) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process
        for each in (*process.children(recursive=True), process):
            each.kill()


def test_each_part_is_told_and_workers_together(supervisor: psutil.Process) -> None:
    """Whichever of them looks; what is no part of a deployment is left out."""
    api = next(
        each for each in supervisor.children() if "medgen_pipeline.service" in each.cmdline()
    )
    found = {each.part: each for each in uses(api)}
    assert set(found) == {"supervisor", "api", "code server", "run worker"}
    assert found["api"].memory_bytes == pytest.approx(api.memory_info().rss, rel=0.5)
    assert found["api"].started == api.create_time()
    one = supervisor.memory_info().rss
    assert found["run worker"].memory_bytes > 1.2 * min(one, found["api"].memory_bytes)
    assert found["run worker"].threads == 2


def test_an_api_alone_sees_itself() -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT]) as alone:
        (found,) = uses(psutil.Process(alone.pid))
        alone.kill()
    assert (found.part, found.threads) == ("api", 1)


def test_a_process_that_ends_meanwhile_is_no_error(supervisor: psutil.Process) -> None:
    api = next(
        each for each in supervisor.children() if "medgen_pipeline.service" in each.cmdline()
    )
    killed = [each for each in supervisor.children() if each != api]
    for each in killed:
        each.kill()
    deadline = time.monotonic() + 60
    while any(each.status() != psutil.STATUS_ZOMBIE for each in killed):
        assert time.monotonic() < deadline
    assert {each.part for each in uses(api)} <= {"supervisor", "api", "code server"}
