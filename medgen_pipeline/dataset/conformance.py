"""Whether the stored rows of a table are what `schema.py` says: types, nulls, allowed values.

Quick enough to follow every batch: a type and "never null" stand in the file's footer, words are
looked up once per dictionary and not once per row, and only columns with bounds are read for them.
Rows are compared, and counted, only where the least or largest of some breaks a rule: a comparison
with a number makes pyarrow import pandas, half a second and 60 MB.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.damage import readable_file
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.store import Store

Rule = tuple[str, str, Callable[[pa.Array], int]]  # column, in words, rows that break it


def misfits(table: schema.Table, store: Store, manifest: Manifest) -> Mapping[str, int]:
    """Return how many rows of a partition break each rule about a column; none if all fit.

    A column that is missing or of another type counts every row of its file, of which no value is
    looked at then.
    """
    found: Counter[str] = Counter()
    rules = [rule for column in table.columns for rule in _rules(column)]
    for path in manifest.paths(table.name):
        with readable_file(f"{store.url}/{path}"), closing(store.open_input(path)) as source:
            found.update(_misfits(table, rules, pq.ParquetFile(source)))
    return +found


def wrong_columns(table: schema.Table, stored: pa.Schema) -> list[str]:
    """Return what is wrong with the columns of a file; further ones are allowed."""
    return [
        f"{column.name} is {_described(stored, column.name)}; must be {_text(column)}"
        for column in table.columns
        if _described(stored, column.name) != _text(column)
    ]


def _text(column: schema.Column) -> str:
    return f"{column.type}{' or null' if column.nullable else ''}"


def _described(stored: pa.Schema, name: str) -> str:
    if name not in stored.names:
        return "missing"
    field = stored.field(name)
    return f"{field.type}{' or null' if field.nullable else ''}"


def _misfits(table: schema.Table, rules: list[Rule], file: pq.ParquetFile) -> Counter[str]:
    wrong = wrong_columns(table, file.schema_arrow)
    if wrong:
        return Counter(dict.fromkeys(wrong, file.metadata.num_rows))
    found: Counter[str] = Counter()
    for column in {column for column, _, _ in rules}:  # one at a time, to hold no more of it
        for group in range(file.metadata.num_row_groups):
            for chunk in file.read_row_group(group, [column], use_threads=False)[column].chunks:
                found.update(
                    {text: broken(chunk) for name, text, broken in rules if name == column}
                )
    return found


def _rules(column: schema.Column) -> Iterator[Rule]:
    """Yield each rule about the values of a column."""
    name = column.name
    if column.words is not None:
        yield name, f"{name} is one of its words", partial(_foreign, words=column.words)
    is_below_possible = not pa.types.is_unsigned_integer(column.type)
    if column.low is not None and (column.low > 0 or is_below_possible):
        yield name, f"{name} is at least {column.low:g}", partial(_below, low=column.low)
    if column.high is not None:
        yield name, f"{name} is at most {column.high:g}", partial(_above, high=column.high)


def _foreign(values: pa.DictionaryArray, words: tuple[str, ...]) -> int:
    is_foreign = [word not in words for word in values.dictionary.to_pylist()]
    return _count(pa.array(is_foreign).take(values.indices)) if any(is_foreign) else 0


def _below(values: pa.Array, low: float) -> int:
    least = pc.min_max(values)["min"].as_py()
    return 0 if least is None or least >= low else _count(pc.less(values, low))


def _above(values: pa.Array, high: float) -> int:
    most = pc.min_max(values)["max"].as_py()
    return 0 if most is None or most <= high else _count(pc.greater(values, high))


def _count(is_broken: pa.BooleanArray) -> int:
    return int(pc.sum(is_broken).as_py() or 0)
