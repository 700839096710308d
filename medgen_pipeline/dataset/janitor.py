"""What a killed writer leaves behind, and its removal.

Litter is the staging folder of a dead writer, and a data file that no manifest lists and no living
writer is about to. On a local folder a living writer is known by its lock. In a bucket it is known
by its marker, and is taken for dead if its run is, where `is_alive` can say so, else once the
marker is older than `grace`, which must exceed the longest run. A writer wrongly taken for dead
fails at its commit; the dataset stays whole.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from medgen_pipeline.dataset import layout, schema
from medgen_pipeline.dataset.manifest import read_manifest
from medgen_pipeline.dataset.store import Entry, Store
from medgen_pipeline.errors import DatasetError

GRACE: Final = timedelta(days=1)  # our own choice: far above the longest run allowed by default
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Litter:
    """One thing to remove: a data file of a scenario, or the staging folder of a run."""

    path: str
    size: int
    scenario: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class _Writer:
    """A staging folder: whose it is, and whether that writer still works."""

    folder: str
    run: str
    token: str
    size: int
    is_dead: bool


_IsDead = Callable[[str, datetime], bool]


def find_litter(
    store: Store,
    *,
    is_alive: Callable[[str], bool | None] | None = None,
    grace: timedelta = GRACE,
    now: datetime | None = None,
) -> list[Litter]:
    """Return what can be removed: data files first, so that a removal cut short can go on.

    `is_alive` says of a run id, as it was given to the writer, whether the run still goes on, or
    None if it cannot tell.
    """
    oldest = (now or datetime.now(UTC)) - grace

    def is_dead(run: str, modified: datetime) -> bool:
        alive = is_alive(run) if is_alive else None
        return modified < oldest if alive is None else not alive

    files = [
        Litter(entry.path, entry.size, scenario=scenario)
        for scenario in _scenarios(store)
        for entry in _litter_of(store, scenario, is_dead)
    ]
    return files + _staged_by_the_dead(store, is_dead)


def find_staging(store: Store) -> list[Litter]:
    """Return the staging folders whose writer's lock is free, which is quick to find.

    None in a bucket: a writer has no lock there, and its files lie in place.
    """
    return _staged_by_the_dead(store, lambda _run, _modified: False)


def remove(store: Store, litter: Iterable[Litter]) -> int:
    """Remove litter, except what has come to life since it was found; return the bytes freed."""
    found = list(litter)
    freed = 0
    for scenario in sorted({each.scenario for each in found if each.scenario}):
        freed += _remove_files(store, scenario, {each.path for each in found})
    for each in found:
        if each.run is not None:
            store.remove_staging(each.path)
            freed += each.size
    return freed


def _remove_files(store: Store, scenario: str, paths: set[str]) -> int:
    with store.exclusive(layout.manifest_folder(scenario)):
        found = [each for each in _data_files(store, scenario) if each[0].path in paths]
        entries = [entry for entry, _ in _unlisted(store, found)]
        store.delete(entry.path for entry in entries)
    return sum(entry.size for entry in entries)


def _litter_of(store: Store, scenario: str, is_dead: _IsDead) -> list[Entry]:
    """Return the data files of a scenario that are litter.

    Listed in this order a file of a living writer is never among them: it was seen before its
    writer's marker was looked for, and if that was gone by then, the manifest was there already.
    """
    with store.exclusive(layout.manifest_folder(scenario)):
        files = _data_files(store, scenario)
        living = {writer.token for writer in _writers(store, is_dead) if not writer.is_dead}
        return [entry for entry, file in _unlisted(store, files) if file.commit not in living]


def _staged_by_the_dead(store: Store, is_dead: _IsDead) -> list[Litter]:
    writers = _writers(store, is_dead)
    return [Litter(each.folder, each.size, run=each.run) for each in writers if each.is_dead]


def _writers(store: Store, is_dead: _IsDead) -> list[_Writer]:
    writers = []
    for folder in store.folders(layout.STAGING):
        run, token = layout.parse_staging(folder)
        entries = list(store.entries(folder))
        modified = max((entry.modified for entry in entries), default=LONG_AGO)
        claimed = store.is_claimed(folder)
        dead = is_dead(run, modified) if claimed is None else not claimed
        writers.append(_Writer(folder, run, token, sum(e.size for e in entries), dead))
    return writers


def _scenarios(store: Store) -> list[str]:
    """Return every scenario that has a folder of data."""
    folders = (folder for table in schema.TABLES for folder in store.folders(table))
    return sorted({name for folder in folders if (name := layout.parse_scenario(folder))})


_Found = list[tuple[Entry, layout.DataFile]]


def _data_files(store: Store, scenario: str) -> _Found:
    return [
        (entry, file)
        for table in schema.TABLES
        for entry in store.entries(layout.data_folder(table, scenario))
        if (file := layout.parse_data(entry.path))
    ]


def _unlisted(store: Store, files: _Found) -> _Found:
    """Return the files that the manifest of their partition does not list."""
    partitions = {file.partition for _, file in files}
    listed = {partition: _listed(store, partition) for partition in partitions}
    return [
        (entry, file)
        for entry, file in files
        if (paths := listed[file.partition]) is not None and entry.path not in paths
    ]


def _listed(store: Store, partition: layout.Partition) -> frozenset[str] | None:
    """Return the files a partition's manifest lists, None when that cannot be told."""
    try:
        return frozenset(read_manifest(store, partition).paths())
    except FileNotFoundError:
        return frozenset()
    except DatasetError as error:
        _log.warning("files of %s are left alone: %s", partition, error)
        return None
