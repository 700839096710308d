"""Committed files that are missing, cut short or damaged, as an error that names them.

What Arrow and DuckDB raise for those becomes a DatasetError here and nowhere else. A fault in a
query of ours is none of it and stays a bug.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from medgen_pipeline.dataset import schema
from medgen_pipeline.errors import DatasetError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIX: Final = ".parquet"


@contextmanager
def readable_file(where: str) -> Iterator[None]:
    """Turn what Arrow raises for a file into an error that names it."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{where} cannot be read: {_said(error)}") from error


@contextmanager
def readable_tables(connection: "DuckDBPyConnection") -> Iterator[None]:
    """Turn what DuckDB raises for the files of a dataset into an error that names one, or a table.

    DuckDB 2.0 names a file that is missing, cut or of another kind, and raises its bare base class,
    without a name, for pages and footers that make no sense: every table is read for that one.
    """
    import duckdb  # noqa: PLC0415  who only scans needs no database

    try:
        yield
    except duckdb.Error as error:
        said = _said(error)
        about_files = isinstance(error, (duckdb.IOException, duckdb.InvalidInputException))
        if about_files and SUFFIX in said:
            raise DatasetError(f"the dataset cannot be read: {said}") from error
        table = _damaged(connection) if type(error) is duckdb.Error else None
        if table is None:
            raise
        raise DatasetError(f"table {table} cannot be read: {said}") from error


@contextmanager
def readable_view(table: str) -> Iterator[None]:
    """Turn what DuckDB raises while it makes the view of a table into an error that names it."""
    import duckdb  # noqa: PLC0415  who only scans needs no database

    try:
        yield
    except duckdb.Error as error:
        if type(error) not in {duckdb.Error, duckdb.IOException, duckdb.InvalidInputException}:
            raise
        raise DatasetError(f"table {table} cannot be read: {_said(error)}") from error


def _damaged(connection: "DuckDBPyConnection") -> str | None:
    """Return the first table of which not every value can be read."""
    import duckdb  # noqa: PLC0415  who only scans needs no database

    for table in schema.TABLES:
        try:
            connection.execute(f"select max(hash(t)) from memory.main.{table} t").fetchone()
        except duckdb.Error:
            return table
    return None


def _said(error: Exception) -> str:
    """Return what was said in one line.

    DuckDB repeats the query below it, and puts the traceback before what `mount` raised.
    """
    lines = [line for line in str(error).splitlines() if line and not line.startswith(_LEFT_OUT)]
    return lines[0].strip() if lines else type(error).__name__


_LEFT_OUT: Final = ("Traceback ", " ")
