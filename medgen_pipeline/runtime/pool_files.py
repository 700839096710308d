"""Where each process of a deployment leaves the figures of its connection pool.

They are files below DAGSTER_HOME and not rows, for they are wanted most when the database does not
answer, and counting must not add to what is counted. A process replaces its own file every few
seconds. What processes did that have ended is added up in one file, so a restart loses nothing and
counts nothing twice. A run on another host leaves its figures in the home it has there.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from medgen_pipeline.runtime.pool_figures import PARTS, PoolFigures, ended, together
from medgen_pipeline.runtime.processes import Worker

FOLDER: Final = "pools"  # below the home
PAST: Final = "past.json"
LOCK: Final = "past.lock"
SECONDS_UNTIL_GONE: Final = 60.0  # without a word from a process on another host


@dataclass(frozen=True, slots=True)
class Left:
    """What one process has left."""

    name: str  # of its file
    worker: Worker
    figures: PoolFigures

    @property
    def is_alive(self) -> bool:
        """Whether it may still count on; of one elsewhere, whether it was heard of lately."""
        if self.worker.is_local:
            return self.worker.process() is not None
        return time.time() - self.figures.taken_at < SECONDS_UNTIL_GONE


def leave(home: Path, worker: Worker, figures: PoolFigures) -> None:
    """Replace what this process has left before; raises OSError."""
    folder = home / FOLDER
    folder.mkdir(exist_ok=True)
    name = f"{figures.part.replace(' ', '-')}-{worker.pid}-{worker.created:.0f}.json"
    _replace(folder / name, {"worker": asdict(worker), "figures": figures.as_dict()})


def pool_figures_of_deployment(home: Path) -> list[PoolFigures]:
    """Return the figures of each part that has had a pool, in the order of PARTS.

    They are as old as `taken_at` says. Empty where nothing pools connections, as with SQLite.
    """
    folder = home / FOLDER
    with _alone(folder, fcntl.LOCK_SH):
        past, added = _past(folder)
        every = past + [
            each.figures if each.is_alive else ended(each.figures)
            for each in _left(folder)
            if each.name not in added
        ]
    sums = {each.part: each for each in _by_part(every)}
    return [sums[part] for part in PARTS if part in sums]


def tidy(home: Path) -> None:
    """Add what processes did that have ended to the past, and remove their files.

    Whoever is killed in between leaves files that are known to be added already.
    """
    folder = home / FOLDER
    with _alone(folder, fcntl.LOCK_EX):
        past, added = _past(folder)
        gone = [each for each in _left(folder) if not each.is_alive]
        new = [ended(each.figures) for each in gone if each.name not in added]
        if new:
            sums = _by_part(past + new)
            names = [each.name for each in gone]
            _replace(folder / PAST, {"figures": [each.as_dict() for each in sums], "added": names})
        for each in gone:
            (folder / each.name).unlink(missing_ok=True)


def _by_part(figures: list[PoolFigures]) -> list[PoolFigures]:
    """Return the figures of each part, those of its processes added up."""
    return [
        together(part, [each for each in figures if each.part == part])
        for part in {each.part for each in figures}
    ]


def _left(folder: Path) -> Iterator[Left]:
    """Yield what processes have left; a file of another version of this package says nothing."""
    for path in sorted(folder.glob("*.json")):
        if path.name == PAST:
            continue
        with contextlib.suppress(FileNotFoundError, KeyError, TypeError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            figures = PoolFigures.from_dict(found["figures"])
            yield Left(path.name, Worker(**found["worker"]), figures)


def _past(folder: Path) -> tuple[list[PoolFigures], set[str]]:
    """Return the figures of what has ended, and the files that are in them."""
    with contextlib.suppress(FileNotFoundError, KeyError, TypeError, ValueError):
        found = json.loads((folder / PAST).read_text(encoding="utf-8"))
        return [PoolFigures.from_dict(each) for each in found["figures"]], set(found["added"])
    return [], set()


@contextlib.contextmanager
def _alone(folder: Path, how: int) -> Iterator[None]:
    """Keep others from adding up meanwhile; a folder that is not there, or read-only, is alone."""
    lock = None
    with contextlib.suppress(OSError):
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if lock is not None:
            fcntl.flock(lock, how)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _replace(path: Path, content: dict[str, Any]) -> None:
    """Replace a file in one step: someone may be reading it."""
    staged = path.with_suffix(f".{os.getpid()}.new")
    staged.write_text(json.dumps(content), encoding="utf-8")
    staged.replace(path)
