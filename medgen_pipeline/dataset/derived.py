"""Tables derived from a committed partition: one small file each, replaced in one step.

    aggregates/{table}/scenario={scenario}/batch={batch}/part-00000.parquet

No manifest lists them: they can be made again from what it lists.
"""

import io
import secrets
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset import layout, parquet
from medgen_pipeline.dataset.schema import Table
from medgen_pipeline.dataset.store import FolderStore, Store

FOLDER: Final = "aggregates"


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """What was written."""

    table: str
    url: str
    rows: int
    bytes: int


def derived_path(table: str, partition: layout.Partition) -> str:
    """Return the path of the file of a derived table."""
    return f"{FOLDER}/{table}/{partition}/part-00000.parquet"


def write_derived(
    store: Store, table: Table, partition: layout.Partition, rows: pa.Table, *, run_id: str
) -> DerivedFile:
    """Put the rows of a derived table in place of those that were there."""
    data = _encoded(table, rows)
    path = derived_path(table.name, partition)
    if isinstance(store, FolderStore):
        staging = layout.staging_folder(run_id, secrets.token_hex(6))
        with store.claim(staging):
            _put(store, f"{staging}/{table.name}.parquet", data)
            store.rename(f"{staging}/{table.name}.parquet", path)
    else:
        _put(store, path, data)  # an upload appears whole or not at all
    return DerivedFile(table.name, f"{store.url}/{path}", len(rows), len(data))


def _put(store: Store, path: str, data: bytes) -> None:
    sink = store.open_sink(path)
    try:
        sink.write(data)
        sink.close()
    except BaseException:
        sink.abort()
        raise


def _encoded(table: Table, rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, **parquet.options(table))
    return buffer.getvalue()
