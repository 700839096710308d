"""Stores that fail, or kill their process, at a chosen step.

A step is whatever a commit does to the files; `Steps` counts them from 0. Run as a program with a
dataset and a folder, this commits a new partition over the dataset's old one again and again, each
time in a process of its own on a copy of its own, killed one step later than the time before.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from medgen_pipeline.dataset.store import FolderStore, Sink, Store
from medgen_pipeline_tests.dataset import sample

OLD: Final = {"count": 20, "seed": 1}
NEW: Final = {"count": 12, "seed": 2}


class Steps:
    """Counts steps and calls `fault` at one of them, and at each that follows."""

    def __init__(self, fail_at: int, fault: Callable[[], None]) -> None:
        self.left = fail_at
        self.fault = fault
        self.names: list[str] = []

    def step(self, name: str) -> None:
        """Count one step, which is about to be taken."""
        self.names.append(name)
        self.left -= 1
        if self.left < 0:
            self.fault()


def stepped(store: Store, steps: Steps) -> Store:
    """Return the store, whose every step is counted from now on."""
    delete, open_sink = store.delete, store.open_sink

    def counted_delete(paths: Iterable[str]) -> None:
        for path in paths:
            steps.step("delete")
            delete([path])

    def counted_sink(path: str) -> Sink:
        steps.step("open_sink")
        sink = open_sink(path)
        _count(sink, "close", steps)
        return sink

    vars(store).update(delete=counted_delete, open_sink=counted_sink)
    for name in ("claim", "rename", "replace_if"):
        if hasattr(store, name):
            _count(store, name, steps)
    return store


def _count(thing: object, name: str, steps: Steps) -> None:
    method = getattr(thing, name)

    def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  any method's
        steps.step(name)
        return method(*args, **kwargs)

    vars(thing)[name] = counted


def commit_new(store: Store) -> None:
    """Commit the new partition over the old."""
    sample.write(store, **NEW)


def main(dataset: Path, folder: Path) -> None:
    """Kill a commit at each of its steps, leaving a copy of the dataset for each."""
    for die_at in range(1_000):
        copy = folder / f"{die_at:03d}"
        shutil.copytree(dataset, copy)
        child = os.fork()
        if child == 0:
            commit_new(stepped(FolderStore(copy), Steps(die_at, lambda: os._exit(9))))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return
    raise AssertionError("the commit never ends")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
