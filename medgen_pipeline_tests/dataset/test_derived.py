"""Derived tables: one file each, replaced whole, nothing left in staging."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medgen_pipeline.dataset.derived import derived_path, write_derived
from medgen_pipeline.dataset.layout import STAGING, Partition
from medgen_pipeline.dataset.schema import UINT32, Column, Table
from medgen_pipeline.dataset.store import FolderStore
from medgen_pipeline.errors import DatasetError

TABLE = Table("counts", "one count", "n", ("n",), (Column("n", UINT32, "Count."),))
PARTITION = Partition("demo", 3)


def rows(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, UINT32)})


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_second_write_replaces_the_first(tmp_path: Path) -> None:
    """There is one file, with the rows of the last write."""
    store = FolderStore(tmp_path)
    write_derived(store, TABLE, PARTITION, rows(1, 2, 3), run_id="first")
    written = write_derived(store, TABLE, PARTITION, rows(4), run_id="second")
    assert files(tmp_path) == [derived_path("counts", PARTITION)]
    assert pq.read_table(written.url, partitioning=None)["n"].to_pylist() == [4]
    assert (written.rows, written.bytes) == (1, Path(written.url).stat().st_size)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """Rows that cannot be written, and a disk that fails, change nothing and leave nothing."""
    store = FolderStore(tmp_path)
    written = write_derived(store, TABLE, PARTITION, rows(1), run_id="first")
    Path(written.url).unlink()
    Path(written.url).mkdir()  # nothing can be moved there
    with pytest.raises(DatasetError):
        write_derived(store, TABLE, PARTITION, rows(2), run_id="second")
    assert not [name for name in files(tmp_path) if name.startswith(STAGING)]
