"""Rows for tests of the dataset: of the right shape and random content, no simulation behind."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.store import Store
from medgen_pipeline.dataset.writer import BatchWriter
from medgen_pipeline.simulation.rows import Column, Dictionary, Lists, Rows, Strings

START: Final = 1_767_225_600_000_000  # 2026-01-01 in microseconds since 1970-01-01
SCENARIO: Final = {"id": "sample", "seed": 7, "replicates_per_batch": 3, "title": "A sample"}
PLACES: Final = tuple(f"place-{number}" for number in range(40))


def scenario(**changes: object) -> dict[str, Any]:
    """Return the sample scenario with some changes."""
    return SCENARIO | changes


def strings(words: list[str]) -> Strings:
    """Return words as the simulation hands them out."""
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return Strings(offsets, np.frombuffer(b"".join(encoded), np.uint8))


def rows(table: str, count: int, seed: int = 0) -> Rows:
    """Return random rows of a table, nulls where they may be."""
    random = np.random.default_rng([seed, count])
    columns: dict[str, Column] = {}
    dictionaries: dict[str, Dictionary] = {}
    for column in schema.TABLES[table].columns[1:]:
        columns[column.name] = _values(column, count, random)
        if column.is_coded and column.words is None:
            dictionaries[column.name] = PLACES
    return Rows(table, columns, dictionaries)


def _values(column: schema.Column, count: int, random: np.random.Generator) -> Column:
    if column.type in _SPECIAL:
        return _SPECIAL[column.type](column, count, random)
    return random.integers(int(column.low or 0), int(column.high or 200) + 1, count, dtype=np.int32)


def _codes(column: schema.Column, count: int, random: np.random.Generator) -> Column:
    words = column.words or PLACES
    return random.integers(-1 if column.nullable else 0, len(words), count, dtype=np.int16)


def _bools(column: schema.Column, count: int, random: np.random.Generator) -> Column:
    return random.integers(-1 if column.nullable else 0, 2, count, dtype=np.int8)


def _floats(column: schema.Column, count: int, random: np.random.Generator) -> Column:
    values: npt.NDArray[np.float32] = random.normal(30, 10, count).astype(np.float32)
    return np.where(values < 20, np.float32(np.nan), values) if column.nullable else values


def _times(_: schema.Column, count: int, random: np.random.Generator) -> Column:
    return START + np.sort(random.integers(0, 86_400_000_000, count))


def _dates(_: schema.Column, count: int, random: np.random.Generator) -> Column:
    return random.integers(0, 20_000, count, dtype=np.int32)


def _texts(_: schema.Column, count: int, random: np.random.Generator) -> Column:
    return strings([f"N{number:06d}" for number in random.integers(0, 10**6, count)])


def _lists(_: schema.Column, count: int, random: np.random.Generator) -> Column:
    offsets = np.cumsum([0, *random.integers(0, 3, count)]).astype(np.int32)
    return Lists(offsets, random.integers(0, len(PLACES), offsets[-1], dtype=np.int16))


def _subjects(_: schema.Column, count: int, random: np.random.Generator) -> Column:  # noqa: ARG001
    return np.arange(1, count + 1)


_Maker = Callable[[schema.Column, int, np.random.Generator], Column]
_SPECIAL: Final[dict[pa.DataType, _Maker]] = {
    schema.CODED: _codes,
    schema.BOOL: _bools,
    schema.FLOAT: _floats,
    schema.TIME: _times,
    schema.DATE: _dates,
    schema.STRING: _texts,
    schema.CODES: _lists,
    schema.INT64: _subjects,
}


def cut(whole: Rows, cuts: list[int]) -> list[Rows]:
    """Return the same rows in pieces that begin at the given rows, empty ones among them."""
    edges = [0, *sorted(cuts), len(whole)]
    return [_piece(whole, start, stop) for start, stop in itertools.pairwise(edges)]


def _piece(whole: Rows, start: int, stop: int) -> Rows:
    columns: dict[str, Column] = {}
    for name, values in whole.columns.items():
        if isinstance(values, Strings):
            columns[name] = Strings(values.offsets[start : stop + 1], values.data)
        elif isinstance(values, Lists):
            columns[name] = Lists(values.offsets[start : stop + 1], values.codes)
        else:
            columns[name] = values[start:stop]
    return Rows(whole.table, columns, whole.dictionaries)


def write(root: Store | Path, batch: int = 0, *, count: int = 20, seed: int = 0) -> Manifest:
    """Write and commit one batch of three replicates with `count` rows each of every table."""
    with writer(root, batch) as opened:
        fill(opened, count=count, seed=seed)
        return opened.commit(outcomes={"RTD": 3 * count})


def writer(root: Store | Path, batch: int = 0, **changes: object) -> BatchWriter:
    """Return a writer of a batch of the sample scenario."""
    return BatchWriter(root, scenario(**changes), batch, run_id="run-1", generator_version="1.0")


def fill(opened: BatchWriter, *, count: int = 20, seed: int = 0) -> None:
    """Write `count` rows of each table for each replicate."""
    for replicate in opened.replicates:
        for table in schema.TABLES:
            opened.write(rows(table, count, seed), replicate)
