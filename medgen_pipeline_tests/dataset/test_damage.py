"""A file that cannot be read is named, whoever reads it; a fault in a query of ours is not it."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import pytest
from obstore.store import MemoryStore

from medgen_pipeline.cli import main
from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.bucket import BucketStore
from medgen_pipeline.dataset.conformance import misfits
from medgen_pipeline.dataset.damage import readable_tables
from medgen_pipeline.dataset.invariants import check_invariants
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.store import FolderStore, Store
from medgen_pipeline.dataset.summary import summarise
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.validation.table import check_table
from medgen_pipeline_tests.dataset import sample

Capture = pytest.CaptureFixture[str]

TABLE: Final = "patients"  # which every command reads
FOOTER: Final = 8  # bytes at the end: the length of what is before, and the magic word
COUNT: Final = 3_000  # rows of a replicate, enough that most of the file is pages


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def emptied(_: bytes) -> bytes:
    return b""


def removed(_: bytes) -> None:
    return None


def flipped(whole: bytes) -> bytes:
    """Flip every bit of the pages, and leave the footer."""
    length = int.from_bytes(whole[-FOOTER : -FOOTER // 2], "little")
    end = len(whole) - FOOTER - length
    return whole[:4] + bytes(255 - byte for byte in whole[4:end]) + whole[end:]


def footless(whole: bytes) -> bytes:
    """Flip every bit of the footer, and leave its length."""
    length = int.from_bytes(whole[-FOOTER : -FOOTER // 2], "little")
    start = len(whole) - FOOTER - length
    flipped_bytes = bytes(255 - byte for byte in whole[start:-FOOTER])
    return whole[:start] + flipped_bytes + whole[-FOOTER:]


DAMAGES: Final = (cut, emptied, removed, flipped, footless)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path)
    return BucketStore(MemoryStore(), "memory://")


def damaged(store: Store, damage: Callable[[bytes], bytes | None]) -> tuple[Manifest, str]:
    """Commit a batch, damage a file of it and return that file's path."""
    manifest = sample.write(store, count=COUNT)
    (path,) = manifest.paths(TABLE)
    hurt(store, path, damage)
    return manifest, path


def hurt(store: Store, path: str, damage: Callable[[bytes], bytes | None]) -> None:
    """Put in place of a file what a damage leaves of it."""
    with closing(store.open_input(path)) as source:
        left = damage(bytes(source.read()))
    store.delete([path])
    if left is not None:
        sink = store.open_sink(path)
        sink.write(left)
        sink.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_scan_and_the_check_of_a_schema_name_the_file(
    store: Store, damage: Callable[[bytes], bytes | None]
) -> None:
    manifest, path = damaged(store, damage)
    with pytest.raises(DatasetError, match=f"{path} cannot be read: ."):
        Dataset(store).scan(TABLE).read_all()
    with pytest.raises(DatasetError, match=f"{path} cannot be read: ."):
        misfits(schema.TABLES[TABLE], store, manifest)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("read", [check_invariants, check_table])
def test_what_asks_duckdb_names_the_file_or_the_table(
    store: Store, damage: Callable[[bytes], bytes | None], read: Callable[[Dataset], object]
) -> None:
    damaged(store, damage)
    with pytest.raises(DatasetError, match=rf"\b{TABLE}\b.*") as caught:
        read(Dataset(store))
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("damage", [cut, removed, flipped])
def test_damage_after_the_views_were_made_is_named_too(
    store: Store, damage: Callable[[bytes], bytes | None]
) -> None:
    manifest = sample.write(store, count=COUNT)
    (path,) = manifest.paths(TABLE)
    with closing(Dataset(store).duckdb()) as connection:
        hurt(store, path, damage)
        with pytest.raises(DatasetError, match=rf"\b{TABLE}\b.*"):
            summarise(connection, [manifest])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "command", [["summary"], ["validate"], ["query", "select max(hash(t)) from patients t"]]
)
def test_a_command_says_it_in_one_line_and_exits_2(
    tmp_path: Path,
    command: list[str],
    damage: Callable[[bytes], bytes | None],
    capsys: Capture,
) -> None:
    damaged(FolderStore(tmp_path), damage)
    assert main([*command, "--data-url", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("medgen: ")
    assert TABLE in said[0]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("select no_column from patients", duckdb.BinderException),
        ("select * from read_csv('/nowhere.csv')", duckdb.IOException),
        ("select regexp_matches('a', '(')", duckdb.InvalidInputException),
    ],
)
def test_a_fault_in_a_query_stays_one(tmp_path: Path, query: str, kind: type[Exception]) -> None:
    sample.write(tmp_path)
    with (
        closing(Dataset(tmp_path).duckdb()) as connection,
        pytest.raises(kind),
        readable_tables(connection),
    ):
        connection.execute(query).fetchall()
