"""Whether the stored rows of a table are what `schema.py` says: types, nulls, allowed values."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def misfits(
    table: schema.Table, store: Store, manifest: Manifest, connection: "DuckDBPyConnection"
) -> dict[str, int]:
    """Return how many rows of a partition break each rule about a column; none if all fit.

    A column that is missing or of another type counts every row, and no value is looked at then.
    """
    for path in manifest.paths(table.name):
        with store.open_input(path) as source:
            wrong = wrong_types(table, pq.read_schema(source))
        if wrong:
            return dict.fromkeys(wrong, manifest.rows[table.name])
    return broken_rules(table, connection)


def wrong_types(table: schema.Table, stored: pa.Schema) -> list[str]:
    """Return what is wrong with the columns of a file; further ones are allowed."""
    return [
        f"{column.name} is {_stored_type(stored, column.name)}; must be {column.type}"
        for column in table.columns
        if _stored_type(stored, column.name) != str(column.type)
    ]


def _stored_type(stored: pa.Schema, name: str) -> str:
    return str(stored.field(name).type) if name in stored.names else "missing"


def broken_rules(table: schema.Table, connection: "DuckDBPyConnection") -> dict[str, int]:
    """Return how many rows that a connection sees break each rule; rules that hold are left out."""
    rules = [rule for column in table.columns for rule in _rules(column)]
    counts = ", ".join(f"count(*) filter ({condition})" for _, condition in rules)
    counted = connection.execute(f"select {counts} from {table.name}").fetchone() or ()
    return {name: count for (name, _), count in zip(rules, counted, strict=True) if count}


def _rules(column: schema.Column) -> Iterator[tuple[str, str]]:
    """Yield each rule about a column in words, with the SQL that is true of who breaks it."""
    name = column.name
    if not column.nullable:
        yield f"{name} is never null", f"{name} is null"
    if column.words is not None:
        words = ", ".join(f"'{word}'" for word in column.words)
        yield f"{name} is one of its words", f"{name} not in ({words})"
    if column.low is not None:
        yield f"{name} is at least {column.low:g}", f"{name} < {column.low}"
    if column.high is not None:
        yield f"{name} is at most {column.high:g}", f"{name} > {column.high}"
