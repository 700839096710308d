"""Reading a dataset: as Arrow batches, as pandas, through DuckDB.

Everything here follows manifests, so it sees committed partitions and nothing else. A partition
that is replaced while it is being read may lose its files to the reader; what was opened before
stays readable on a local folder.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset import layout, schema
from medgen_pipeline.dataset.damage import readable_file, readable_view
from medgen_pipeline.dataset.encoding import vocabulary_array
from medgen_pipeline.dataset.manifest import (
    Manifest,
    read_manifest,
    read_manifests,
    scenario_digest,
)
from medgen_pipeline.dataset.store import FolderStore, Store, open_store
from medgen_pipeline.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.compute as pc
    from duckdb import DuckDBPyConnection

BATCH_ROWS: Final = 65_536  # most rows in one batch of a scan
PARTITION_FIELDS: Final = (
    pa.field("scenario", schema.CODED, nullable=False),
    pa.field("batch", schema.UINT16, nullable=False),
)
PARTITION_NAMES: Final = tuple(field.name for field in PARTITION_FIELDS)


class Dataset:
    """All committed partitions below a local folder or `s3://bucket/prefix`."""

    def __init__(self, root: Store | str | PathLike[str]) -> None:
        self.store = root if isinstance(root, Store) else open_store(root)

    def partitions(self, scenario: str | None = None) -> list[layout.Partition]:
        """Return the committed partitions, or those of one scenario, by scenario and batch."""
        listed = self.store.entries(layout.manifest_folder(scenario))
        return sorted(filter(None, (layout.parse_manifest(entry.path) for entry in listed)))

    def scenarios(self) -> list[str]:
        """Return the ids of the scenarios there is data of."""
        return sorted({partition.scenario for partition in self.partitions()})

    def batches(self, scenario: str) -> list[int]:
        """Return the committed batches of a scenario; an unknown one is an error."""
        return [partition.batch for partition in self._partitions_of(scenario)]

    def manifest(self, scenario: str, batch: int) -> Manifest:
        """Return the manifest of one partition."""
        try:
            return read_manifest(self.store, layout.Partition(scenario, batch))
        except FileNotFoundError:
            self._partitions_of(scenario)
            raise DatasetError(f"{self.store.url} has no batch {batch} of {scenario}") from None

    def manifests(
        self, scenario: str | None = None, batches: Collection[int] | None = None
    ) -> list[Manifest]:
        """Return the manifests of all partitions, of a scenario's, or of some of its batches."""
        if scenario is None and batches is None:
            return list(read_manifests(self.store, self.partitions()))
        names = self.scenarios() if scenario is None else [scenario]
        chosen = [
            partition
            for name in names
            for partition in self._partitions_of(name)
            if batches is None or partition.batch in batches
        ]
        missing = sorted(set(batches or ()) - {partition.batch for partition in chosen})
        if missing:
            raise DatasetError(
                f"{self.store.url} has no batch {missing[0]} of {' or '.join(names)}"
            )
        return list(read_manifests(self.store, chosen))

    def made_from(
        self,
        scenario: str,
        resolved: Mapping[str, Any],
        generator_version: str,
        batches: Collection[int],
    ) -> list[Manifest]:
        """Return the manifests of those batches that equal what would be generated now.

        One that cannot be read is none.
        """
        digest = scenario_digest(resolved)
        wanted = [each for each in self.partitions(scenario) if each.batch in batches]
        return [
            manifest
            for manifest in read_manifests(self.store, wanted, skip_corrupted=True)
            if (manifest.scenario_sha256, manifest.generator_version) == (digest, generator_version)
        ]

    def _partitions_of(self, scenario: str) -> list[layout.Partition]:
        found = self.partitions(scenario)
        if not found:
            where = f" in {self.store.url}"
            raise DatasetError(schema.unknown("scenario", scenario, self.scenarios(), where))
        return found

    def scan(
        self,
        table: str,
        *,
        scenario: str | None = None,
        batches: Collection[int] | None = None,
        replicates: Collection[int] | None = None,
        columns: Sequence[str] | None = None,
        filter: "pc.Expression | None" = None,  # noqa: A002  Arrow's own word
        batch_rows: int = BATCH_ROWS,
    ) -> pa.RecordBatchReader:
        """Return rows of a table as a stream of Arrow batches, by scenario, batch and replicate.

        Beside the table's own columns there are `scenario` and `batch`, first when `columns` is
        left out. Only the row groups that hold the replicates asked for are read, one at a time.
        """
        wanted = _Wanted.of(table, columns, replicates, filter)
        manifests = self.manifests(scenario, batches)
        return pa.RecordBatchReader.from_batches(
            wanted.schema,
            (
                batch
                for manifest in manifests
                for batch in _scan_partition(self.store, manifest, wanted, batch_rows)
            ),
        )

    def to_pandas(
        self,
        table: str,
        *,
        scenario: str | None = None,
        batches: Collection[int] | None = None,
        replicates: Collection[int] | None = None,
        columns: Sequence[str] | None = None,
        filter: "pc.Expression | None" = None,  # noqa: A002  Arrow's own word
    ) -> "pd.DataFrame":
        """Return rows of a table as a DataFrame.

        Coded columns are categorical (closed vocabularies with all their words, in their order),
        times `datetime64[us, UTC]`, dates `datetime64[ms]`, bools that may be null `boolean`.
        """
        with self.scan(
            table,
            scenario=scenario,
            batches=batches,
            replicates=replicates,
            columns=columns,
            filter=filter,
        ) as reader:
            frame = reader.read_all().unify_dictionaries().to_pandas(date_as_object=False)
        return _with_dtypes(frame, table)

    def duckdb(
        self, *, scenario: str | None = None, batches: Collection[int] | None = None
    ) -> "DuckDBPyConnection":
        """Return a new connection in memory with one view per table; close it after use.

        The views show the dataset, or a part of it, as it is now.
        """
        import duckdb  # noqa: PLC0415  who only scans needs no database

        manifests = self.manifests(scenario, batches)
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(duckdb.connect())
            connection.execute("set TimeZone = 'UTC'")  # days and hours are those of the scenario
            prefix = self._mount(connection)
            for name in schema.TABLES:
                paths = [prefix + path for manifest in manifests for path in manifest.paths(name)]
                with readable_view(name):
                    connection.execute(_view(name, paths))
            stack.pop_all()
        return connection

    def _mount(self, connection: "DuckDBPyConnection") -> str:
        """Let DuckDB read the store, and return what goes before its paths."""
        if isinstance(self.store, FolderStore):
            return f"{self.store.root}/"
        from medgen_pipeline.dataset.mount import PROTOCOL, StoreFiles  # noqa: PLC0415  fsspec

        connection.register_filesystem(StoreFiles(self.store))
        return f"{PROTOCOL}://"


def _view(table: str, paths: Sequence[str]) -> str:
    """Return the statement that makes the view of a table over some files."""
    columns = ", ".join((*PARTITION_NAMES, *schema.arrow_schema(table).names))
    if not paths:
        nulls = ", ".join(
            f"cast(null as {_SQL_TYPES[field.type]}) as {field.name}"
            for field in (*PARTITION_FIELDS, *schema.arrow_schema(table))
        )
        return f"create view {table} as select {nulls} where false"
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return (
        f"create view {table} as select {columns} from read_parquet([{quoted}], "
        "hive_partitioning = true, hive_types = {'scenario': varchar, 'batch': usmallint})"
    )


_SQL_TYPES: Final = {
    schema.CODED: "varchar",
    schema.STRING: "varchar",
    schema.CODES: "varchar[]",
    schema.TIME: "timestamptz",
    schema.DATE: "date",
    schema.BOOL: "boolean",
    schema.FLOAT: "float",
    schema.INT64: "bigint",
    schema.UINT8: "utinyint",
    schema.UINT16: "usmallint",
    schema.UINT32: "uinteger",
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a scan asks of every file."""

    table: str
    names: tuple[str, ...]  # of the columns to hand out, in order
    read: tuple[str, ...]  # of the columns to read from files
    replicates: npt.NDArray[np.uint32] | None
    condition: Any  # an Arrow expression or None
    schema: pa.Schema

    @classmethod
    def of(
        cls,
        table: str,
        columns: Sequence[str] | None,
        replicates: Collection[int] | None,
        condition: Any,  # noqa: ANN401  an Arrow expression or None
    ) -> "_Wanted":
        """Check what a caller asks for; an unknown table or column is an error."""
        full = pa.schema([*PARTITION_FIELDS, *schema.arrow_schema(table)])
        names = tuple(full.names if columns is None else columns)
        for name in names:
            if name not in PARTITION_NAMES:
                schema.table(table).column(name)
        whole = condition is not None  # it may look at any column
        needed = {*names} if not whole else {*full.names}
        if replicates is not None:
            needed.add("replicate")
        return cls(
            table,
            names,
            tuple(name for name in schema.arrow_schema(table).names if name in needed),
            None if replicates is None else np.unique(np.fromiter(replicates, np.uint32)),
            condition,
            pa.schema([full.field(name) for name in names]),
        )


def _scan_partition(
    store: Store, manifest: Manifest, wanted: _Wanted, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    held = range(manifest.first_replicate, manifest.last_replicate + 1)
    if wanted.replicates is not None and not any(int(r) in held for r in wanted.replicates):
        return
    for path in manifest.paths(wanted.table):
        for batch in _read_file(store, path, wanted, batch_rows):
            yield from _handed_out(batch, manifest, wanted)


def _read_file(
    store: Store, path: str, wanted: _Wanted, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file that are of the replicates wanted."""
    with (
        readable_file(f"{store.url}/{path}"),
        contextlib.closing(store.open_input(path)) as source,
    ):
        file = pq.ParquetFile(source, pre_buffer=not isinstance(store, FolderStore))
        groups = _groups(file, wanted.replicates)
        if not groups:
            return
        read = list(wanted.read) or ["replicate"]  # to count rows, when only the path is wanted
        for batch in file.iter_batches(batch_rows, groups, read, use_threads=False):
            yield from _of_replicates(batch, wanted.replicates)


def _groups(file: pq.ParquetFile, replicates: npt.NDArray[np.uint32] | None) -> list[int]:
    """Return the row groups that may hold one of the replicates, by their statistics."""
    every = range(file.metadata.num_row_groups)
    if replicates is None:
        return list(every)
    bounds = (file.metadata.row_group(group).column(0).statistics for group in every)
    return [
        group
        for group, bound in zip(every, bounds, strict=True)
        if ((replicates >= bound.min) & (replicates <= bound.max)).any()
    ]


def _of_replicates(
    batch: pa.RecordBatch, replicates: npt.NDArray[np.uint32] | None
) -> Iterator[pa.RecordBatch]:
    """Yield the stretches of a batch that are of the replicates; rows are ordered by replicate."""
    if replicates is None:
        yield batch
        return
    is_wanted = np.isin(batch.column("replicate").to_numpy(), replicates)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_wanted, [False]])))
    for start, stop in edges.reshape(-1, 2):
        yield batch.slice(start, stop - start)


def _handed_out(
    batch: pa.RecordBatch, manifest: Manifest, wanted: _Wanted
) -> Iterator[pa.RecordBatch]:
    """Yield a batch with the columns of its partition, filtered, as the caller wants it."""
    whole = dict(zip(batch.schema.names, batch.columns, strict=True))
    whole |= _partition_columns(manifest, len(batch))
    if not wanted.names and wanted.condition is None:
        yield batch.select([])  # which keeps the count of rows; a batch of no arrays has none
        return
    if wanted.condition is None:
        yield pa.RecordBatch.from_arrays(
            [whole[name] for name in wanted.names], schema=wanted.schema
        )
        return
    filtered = pa.table(whole).filter(wanted.condition).select(wanted.names)
    cast = filtered.cast(wanted.schema) if wanted.names else filtered  # a cast of none has no rows
    yield from cast.to_batches()


def _partition_columns(manifest: Manifest, count: int) -> dict[str, pa.Array]:
    codes = pa.py_buffer(np.zeros(count, np.int32))
    batches = pa.py_buffer(np.full(count, manifest.batch, np.uint16))
    indices = pa.Array.from_buffers(pa.int32(), count, [None, codes], 0)
    return {
        "scenario": pa.DictionaryArray.from_arrays(
            indices, vocabulary_array((manifest.scenario,)), safe=False
        ),
        "batch": pa.Array.from_buffers(schema.UINT16, count, [None, batches], 0),
    }


def _with_dtypes(frame: "pd.DataFrame", table: str) -> "pd.DataFrame":
    """Return a frame whose dtypes do not depend on which values happen to be in it."""
    import pandas as pd  # noqa: PLC0415  59 MB, for those who want it

    for column in schema.table(table).columns:
        if column.name not in frame:
            continue
        if column.words is not None:
            words = pd.CategoricalDtype(list(column.words))
            frame[column.name] = frame[column.name].astype(words)
        elif column.type == schema.BOOL and column.nullable:
            frame[column.name] = frame[column.name].astype("boolean")
    return frame
