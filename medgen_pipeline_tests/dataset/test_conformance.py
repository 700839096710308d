"""Conformance: stored rows against the schema, each kind of fault found and counted."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medgen_pipeline.dataset.conformance import misfits, wrong_columns
from medgen_pipeline.dataset.layout import data_path
from medgen_pipeline.dataset.manifest import Manifest, ManifestFile, Run
from medgen_pipeline.dataset.schema import CODED, FLOAT, UINT8, UINT32, Column, Table
from medgen_pipeline.dataset.store import FolderStore

TABLE = Table(
    "wounds",
    "one wound",
    "replicate",
    (),
    (
        Column("replicate", UINT32, "Replicate."),
        Column("side", CODED, "Side.", nullable=True, words=("left", "right")),
        Column("score", UINT8, "Score.", low=1, high=6),
        Column("share", FLOAT, "Share.", nullable=True, low=0, high=1),
    ),
)
GOOD: Mapping[str, list[object]] = {
    "replicate": [0, 0, 1, 1],
    "side": ["left", None, "right", "left"],
    "score": [1, 6, 3, 3],
    "share": [0.0, 1.0, None, 0.5],
}
DIGEST = "0" * 64


def stored(folder: Path, changes: Mapping[str, list[object]], *, group: int = 2) -> Manifest:
    """Write the good rows with some columns changed, in small row groups; return their manifest."""
    fields = [pa.field(c.name, c.type, nullable=c.nullable) for c in TABLE.columns]
    rows = pa.table({**GOOD, **changes}, schema=pa.schema(fields))
    manifest = Manifest(
        scenario="demo",
        batch=0,
        first_replicate=0,
        last_replicate=1,
        replicates_per_batch=2,
        seed=1,
        generator_version="1",
        schema_version=1,
        scenario_sha256=DIGEST,
        resolved_scenario={},
        rows={"wounds": 4},
        outcomes={},
        rates={},
        files=(ManifestFile(table="wounds", part=0, rows=4, bytes=1, sha256=DIGEST),),
        run=Run(run_id="r", commit="abc", created_at=datetime(2030, 1, 1, tzinfo=UTC)),
    )
    path = folder / data_path("wounds", manifest.partition, 0, "abc")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, row_group_size=group)
    return manifest


def test_good_rows_fit(tmp_path: Path) -> None:
    """Rows at every bound, and nulls where they are allowed, break nothing."""
    assert not misfits(TABLE, FolderStore(tmp_path), stored(tmp_path, {}))


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"side": ["left", "up", None, "up"]}, {"side is one of its words": 2}),
        ({"score": [0, 0, 0, 6]}, {"score is at least 1": 3}),
        ({"score": [1, 7, 2, 2]}, {"score is at most 6": 1}),
        ({"share": [-0.1, 1.1, None, -2]}, {"share is at least 0": 2, "share is at most 1": 1}),
        ({"side": [None] * 4}, {}),
        ({"share": [None] * 4}, {}),
    ],
)
def test_rows_that_break_a_rule_are_counted(
    changes: Mapping[str, list[object]], broken: Mapping[str, int], tmp_path: Path
) -> None:
    """Foreign words and values out of bounds are counted over all row groups; nulls are neither."""
    found = misfits(TABLE, FolderStore(tmp_path), stored(tmp_path, changes))
    assert dict(found) == broken


def test_columns_of_another_type_are_named() -> None:
    """A missing column, another type, and a null where none may be are each named."""
    fields = [
        pa.field("replicate", UINT32, nullable=True),
        pa.field("side", pa.string()),
        pa.field("share", FLOAT),
    ]
    assert wrong_columns(TABLE, pa.schema(fields)) == [
        "replicate is uint32 or null; must be uint32",
        f"side is string or null; must be {CODED} or null",
        "score is missing; must be uint8",
    ]


def test_a_file_of_another_shape_counts_every_row(tmp_path: Path) -> None:
    """All rows are wrong where a column is missing, and no value is looked at."""
    manifest = stored(tmp_path, {})
    path = tmp_path / manifest.paths("wounds")[0]
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["score"]), path)
    found = misfits(TABLE, FolderStore(tmp_path), manifest)
    assert dict(found) == {"score is missing; must be uint8": 4}
