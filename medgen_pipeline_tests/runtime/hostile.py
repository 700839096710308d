"""A code location of runs that misbehave, each in its own way, for tests of a real deployment.

Every op holds a staging folder of the dataset while it works, as generation does.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import numpy as np

from medgen_pipeline.dataset.layout import staging_folder
from medgen_pipeline.dataset.store import open_store
from medgen_pipeline.runtime.executor import guarded_executor
from medgen_pipeline.runtime.leftovers import remove_staging
from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.runtime.guarded import say

GROW: Final = "kept = []\nwhile True:\n    kept.append(bytearray(20 << 20)); time.sleep(0.05)"


def fine() -> None:
    """Say something, do nothing wrong."""
    say("nothing is wrong")


def memory_hog() -> None:
    """Allocate without end."""
    exec(GROW, {"time": time})  # noqa: S102  the same program as the child's


def child_hog() -> None:
    """Let a child allocate without end."""
    subprocess.run([sys.executable, "-c", f"import time\n{GROW}"], check=True)


def huge_allocation() -> None:
    """Allocate far beyond the limit in one go."""
    np.ones(3 << 27)
    time.sleep(1_000)


def cpu_loop() -> None:
    """Compute without end."""
    while True:
        pass


def sleeper() -> None:
    """Wait without end."""
    time.sleep(10_000)


def long_call() -> None:
    """Be in one call into C for minutes; other threads can run meanwhile."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)


def swallower() -> None:
    """Catch every exception."""
    while True:
        with contextlib.suppress(Exception):
            time.sleep(10_000)


def stubborn() -> None:
    """Catch all that can be caught."""
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(10_000)


def gated() -> None:
    """Wait for a file, which a test makes."""
    while not Path(os.environ["MEDGEN_TEST_GATE"]).exists():
        time.sleep(0.05)


def pooled() -> None:
    """Wait for the same file in the pool of generation."""
    gated()


OPS: Final[tuple[Callable[[], None], ...]] = (
    *(fine, memory_hog, child_hog, huge_allocation, cpu_loop, sleeper, long_call, swallower),
    stubborn,
)


def job(function: Callable[[], None], pool: str | None = None) -> dg.JobDefinition:
    """Return a job that does one thing, while it holds a staging folder."""

    @dg.op(name=f"{function.__name__}_op", description=function.__doc__, pool=pool)
    def act(context: dg.OpExecutionContext) -> None:
        with staged(context.run_id):
            function()

    @dg.job(name=function.__name__, description=function.__doc__)
    def acting() -> None:
        act()

    return acting


@contextlib.contextmanager
def staged(run_id: str) -> Iterator[None]:
    """Hold a staging folder with a file in it."""
    store = open_store(Settings.from_env(os.environ).data_url)
    folder = staging_folder(run_id, "0123abcd")
    with store.claim(folder):
        sink = store.open_sink(f"{folder}/part")
        sink.write(b"not committed")
        sink.close()
        yield


@dg.definitions
def defs() -> dg.Definitions:
    """Return the location, bounded as a deployment is."""
    settings = Settings.from_env(os.environ)
    store = open_store(settings.data_url)
    return dg.Definitions(
        jobs=[*(job(op) for op in OPS), job(gated), job(pooled, pool="generation")],
        executor=guarded_executor(
            Limits.of(settings), lambda run_id: remove_staging(store, run_id)
        ),
    )
