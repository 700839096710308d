"""Writing one partition: gather, encode, stage, and commit all tables or none.

The commit, in order: the files are moved in (in a bucket they were uploaded in place, under names
nobody else uses), the manifest is replaced in one step, the files that the old manifest listed are
deleted. Before the manifest is replaced the old partition stands, after it the new one does; what a
crash leaves behind is litter that no manifest lists, and the janitor's.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from os import PathLike
from types import TracebackType
from typing import Any, Final, Protocol, Self

from medgen_pipeline.dataset import layout, schema
from medgen_pipeline.dataset.encoding import check_columns
from medgen_pipeline.dataset.manifest import (
    Manifest,
    ManifestFile,
    Run,
    content_commit,
    parse_manifest,
    scenario_digest,
)
from medgen_pipeline.dataset.parquet import ParquetFile
from medgen_pipeline.dataset.row_group import RowGroup
from medgen_pipeline.dataset.store import ConflictError, FolderStore, Sink, Store, open_store
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.simulation.rows import Rows

# Row groups in one file, a constant of the format: 8.4 M patients, 16.8 M rows of other tables,
# about half a GB, which a reader can still fetch in one piece.
GROUPS_PER_FILE: Final = 256

_log: Final = logging.getLogger(__name__)


class BatchWriter:
    """Writes one batch of a scenario; leaving the context without `commit` changes nothing."""

    def __init__(
        self,
        root: Store | str | PathLike[str],
        scenario: Mapping[str, Any],
        batch: int,
        *,
        run_id: str,
        generator_version: str,
    ) -> None:
        self.store = root if isinstance(root, Store) else open_store(root)
        self.scenario = dict(scenario)
        self.partition = layout.Partition(self.scenario["id"], batch)
        self.run_id = run_id
        self.generator_version = generator_version
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        token = secrets.token_hex(6)
        self._staging = layout.staging_folder(self.run_id, token)
        self._context.enter_context(self.store.claim(self._staging))
        with self._context as context:
            self._before = _Before.of(self.store, self.partition)
            self._placement = _placement(self.store, self.partition, self._staging, token)
            self._tables = {
                name: _TableWriter(table, self._placement) for name, table in schema.TABLES.items()
            }
            self._proposed: bytes | None = None
            self._context = context.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    @property
    def replicates(self) -> range:
        """The replicates that belong to this batch."""
        count = int(self.scenario["replicates_per_batch"])
        first = self.partition.batch * count
        return range(first, first + count)

    @property
    def bytes_written(self) -> int:
        """Bytes of Parquet so far."""
        return sum(table.bytes_written for table in self._tables.values())

    def write(self, rows: Rows, replicate: int) -> None:
        """Append rows of one replicate to their table; replicates come in ascending order."""
        table = self._tables[schema.table(rows.table).name]
        if replicate not in self.replicates:
            raise ValueError(f"replicate {replicate} is not in {self.partition}: {self.replicates}")
        table.write(rows, replicate)

    def commit(
        self,
        *,
        outcomes: Mapping[str, int],
        measured: Mapping[str, float | int | str | None] | None = None,
    ) -> Manifest:
        """Make what was written the partition; ConflictError if another writer was first.

        `outcomes` counts the patients by outcome, `measured` is what the run took.
        """
        files = tuple(file for table in self._tables.values() for file in table.finish())
        manifest = self._manifest(files, outcomes, measured or {})
        with self.store.exclusive(layout.manifest_folder(self.partition.scenario)):
            self._before.check_still(self.store, self.partition)
            try:
                self._placement.publish(files, manifest.run.commit)
                self._replace_manifest(manifest)
            except BaseException:
                self._withdraw()  # while nobody else can commit files of the same names
                raise
            self._clear_away(self._before.paths - set(manifest.paths()))
        self._proposed = None
        self._placement.placed.clear()
        self._context.close()
        return manifest

    def _replace_manifest(self, manifest: Manifest) -> None:
        self._proposed = manifest.encode()
        self.store.replace_if(
            layout.manifest_path(self.partition),
            self._proposed,
            self._before.version,
            staging=self._staging,
        )

    def _manifest(
        self,
        files: tuple[ManifestFile, ...],
        outcomes: Mapping[str, int],
        measured: Mapping[str, float | int | str | None],
    ) -> Manifest:
        rows = {
            name: sum(file.rows for file in files if file.table == name) for name in self._tables
        }
        patients = rows["patients"]
        if sum(outcomes.values()) != patients:
            raise ValueError(f"{patients} patients have {sum(outcomes.values())} outcomes")
        return Manifest(
            scenario=self.partition.scenario,
            batch=self.partition.batch,
            first_replicate=self.replicates[0],
            last_replicate=self.replicates[-1],
            replicates_per_batch=len(self.replicates),
            seed=self.scenario["seed"],
            generator_version=self.generator_version,
            schema_version=schema.SCHEMA_VERSION,
            scenario_sha256=scenario_digest(self.scenario),
            resolved_scenario=self.scenario,
            rows=rows,
            outcomes=dict(outcomes),
            rates={name: count / max(patients, 1) for name, count in outcomes.items()},
            files=files,
            run=Run(
                run_id=self.run_id,
                commit=self._placement.commit_id(files),
                created_at=datetime.now(UTC),
                measured=dict(measured),
            ),
        )

    def abort(self) -> None:
        """Forget what was written and not committed; harmless after `commit`."""
        with self._context:
            for table in self._tables.values():
                table.abort()
            self._withdraw()

    def _withdraw(self) -> None:
        """Remove the files that were put in place, unless they may have been committed."""
        placed = self._placement.placed
        if placed and not self._may_be_committed():
            self._clear_away(set(placed) - self._before.paths)
        placed.clear()

    def _clear_away(self, paths: Iterable[str]) -> None:
        """Delete files that no manifest lists; what cannot be deleted now does no harm."""
        try:
            self.store.delete(sorted(paths))
        except DatasetError as error:
            _log.warning("%s: left to the janitor: %s", self.partition, error)

    def _may_be_committed(self) -> bool:
        """Whether the manifest is, or for all that can be known might be, the one proposed."""
        if self._proposed is None:
            return False
        try:
            found = self.store.read(layout.manifest_path(self.partition)).data
        except FileNotFoundError:
            return False
        except DatasetError:
            return True
        return found == self._proposed


class _Before:
    """The partition as it was when the writer began."""

    def __init__(self, version: str | None, paths: frozenset[str]) -> None:
        self.version = version
        self.paths = paths

    @classmethod
    def of(cls, store: Store, partition: layout.Partition) -> Self:
        path = layout.manifest_path(partition)
        try:
            blob = store.read(path)
        except FileNotFoundError:
            return cls(None, frozenset())
        manifest = parse_manifest(blob.data, f"{store.url}/{path}", partition)
        return cls(blob.version, frozenset(manifest.paths()))

    def check_still(self, store: Store, partition: layout.Partition) -> None:
        """Raise ConflictError if the partition was replaced since."""
        path = layout.manifest_path(partition)
        try:
            version = store.read(path).version
        except FileNotFoundError:
            version = None
        if version != self.version:
            raise ConflictError(f"{store.url}/{path} was replaced by another writer meanwhile")


class _Placement(Protocol):
    """How files get from being written to being in the dataset."""

    placed: list[str]  # where a manifest may list them, and readers may see them before it does

    def open(self, table: str, part: int) -> Sink:
        """Begin a file."""

    def commit_id(self, files: Iterable[ManifestFile]) -> str:
        """Return the id that the names of the committed files bear."""

    def publish(self, files: Iterable[ManifestFile], commit: str) -> None:
        """Have the files where a manifest will list them."""


def _placement(store: Store, partition: layout.Partition, staging: str, token: str) -> _Placement:
    if isinstance(store, FolderStore):
        return _Moved(store, partition, staging)
    return _Uploaded(store, partition, token)


class _Moved:
    """Files are written in staging and moved in; their names follow from their bytes."""

    def __init__(self, store: FolderStore, partition: layout.Partition, staging: str) -> None:
        self.store = store
        self.partition = partition
        self.staging = staging
        self.placed: list[str] = []

    def open(self, table: str, part: int) -> Sink:
        return self.store.open_sink(self._staged(table, part))

    def _staged(self, table: str, part: int) -> str:
        return f"{self.staging}/{table}-{part:05d}.parquet"

    def commit_id(self, files: Iterable[ManifestFile]) -> str:
        return content_commit(files)

    def publish(self, files: Iterable[ManifestFile], commit: str) -> None:
        for file in files:
            path = layout.data_path(file.table, self.partition, file.part, commit)
            self.placed.append(path)
            self.store.rename(self._staged(file.table, file.part), path)


class _Uploaded:
    """Files are uploaded in place, under names that no other writer uses."""

    def __init__(self, store: Store, partition: layout.Partition, token: str) -> None:
        self.store = store
        self.partition = partition
        self.token = token
        self.placed: list[str] = []

    def open(self, table: str, part: int) -> Sink:
        path = layout.data_path(table, self.partition, part, self.token)
        self.placed.append(path)
        return self.store.open_sink(path)

    def commit_id(self, files: Iterable[ManifestFile]) -> str:  # noqa: ARG002  known from the start
        return self.token

    def publish(self, files: Iterable[ManifestFile], commit: str) -> None:
        """Refuse if a janitor took this writer for dead and removed what it had uploaded."""
        for file in files:
            path = layout.data_path(file.table, self.partition, file.part, commit)
            try:
                self.store.entry(path)
            except FileNotFoundError:
                raise DatasetError(
                    f"{self.store.url}/{path} was removed before it was committed: "
                    "its run was taken for dead"
                ) from None


class _TableWriter:
    """The files of one table."""

    def __init__(self, table: schema.Table, placement: _Placement) -> None:
        self.table = table
        self.placement = placement
        self.files: list[ManifestFile] = []
        self._group = RowGroup(table)
        self._groups = 0
        self._file: ParquetFile | None = None
        self._replicate = 0

    @property
    def bytes_written(self) -> int:
        return sum(f.bytes for f in self.files) + (self._file.sink.size if self._file else 0)

    def write(self, rows: Rows, replicate: int) -> None:
        if replicate < self._replicate:
            raise ValueError(f"{self.table.name}: replicate {replicate} after {self._replicate}")
        self._replicate = replicate
        check_columns(self.table, rows)
        start, count = 0, len(rows)
        while start < count:
            stop = min(count, start + self._group.room)
            self._group.take(rows, start, stop, replicate)
            if not self._group.room:
                self._flush()
            start = stop

    def _flush(self) -> None:
        self._open().write(self._group.drain())
        self._groups += 1
        if self._groups == GROUPS_PER_FILE:
            self._close()

    def _open(self) -> ParquetFile:
        if self._file is None:
            sink = self.placement.open(self.table.name, len(self.files))
            self._file = ParquetFile(self.table, sink)
        return self._file

    def _close(self) -> None:
        file = self._open()
        file.close()
        self._file = None
        self._groups = 0
        self.files.append(
            ManifestFile(
                table=self.table.name,
                part=len(self.files),
                rows=file.rows,
                bytes=file.sink.size,
                sha256=file.sink.sha256(),
            )
        )

    def finish(self) -> list[ManifestFile]:
        """Write what is left; a table without rows has one file without rows."""
        if self._group.rows:
            self._flush()
        if self._file or not self.files:
            self._close()
        return self.files

    def abort(self) -> None:
        if self._file:
            self._file.abort()
            self._file = None
