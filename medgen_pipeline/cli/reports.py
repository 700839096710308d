"""`medgen validate`, `summary` and `query`: what a dataset holds, and if it keeps the rules."""

import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeVar

import click
import duckdb
from rich.console import Console

from medgen_pipeline.cli import options
from medgen_pipeline.cli.results import counted, outcomes_line, rows_table, warn_of_mixture
from medgen_pipeline.dataset.damage import readable_tables
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.summary import ScenarioSummary, summarise
from medgen_pipeline.errors import DatasetError

T = TypeVar("T")

MOST_ROWS_SHOWN: Final = 100
INTERRUPT_SECONDS: Final = 0.1  # between two attempts to end a query


@click.command()
@options.data_url
@options.as_json
def summary(*, data_url: str, as_json: bool) -> None:
    """Print rows per table, outcomes and rates of each scenario in a dataset."""
    dataset = _held(data_url)
    manifests = dataset.manifests()
    with closing(dataset.duckdb()) as connection:
        found = stoppable(connection, partial(summarise, connection, manifests))
    warn_of_mixture(manifests)
    if as_json:
        click.echo(json.dumps({"scenarios": [dataclasses.asdict(one) for one in found]}))
        return
    console = Console()
    for one in found:
        print_summary(console, one)


def print_summary(console: Console, one: ScenarioSummary) -> None:
    """Print what there is of one scenario."""
    console.print(
        f"[bold]{one.scenario}[/bold]: {counted(one.replicates, 'replicate')} in "
        f"{counted(one.batches, 'batch', 'batches')}",
        highlight=False,
    )
    console.print(rows_table(one.rows))
    console.print(outcomes_line(one.outcomes), highlight=False)
    console.print(
        f"of {one.battle_casualties:,} battle casualties: case fatality "
        f"{_percent(one.case_fatality_percent)}, %KIA {_percent(one.killed_percent)}, "
        f"%DOW {_percent(one.died_of_wounds_percent)}",
        highlight=False,
    )
    console.print(
        f"died waiting {one.died_waiting:,}, in transit {one.died_in_transit:,}; turned away "
        f"{one.turned_away:,}; bypassed {one.bypassed:,}; "
        f"{one.hours_over_capacity:,.0f} facility hours over capacity\n",
        highlight=False,
    )


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f}%"


@click.command()
@click.argument("sql")
@options.data_url
@options.as_json
def query(*, sql: str, data_url: str, as_json: bool) -> None:
    """Run SQL over the tables of a dataset, each a view by its name."""
    with closing(opened(data_url)) as connection:
        try:
            stoppable(connection, partial(_answer, connection, sql, as_json=as_json))
        except duckdb.Error as error:
            raise DatasetError(f"the query failed: {error}") from error


def _answer(connection: duckdb.DuckDBPyConnection, sql: str, *, as_json: bool) -> None:
    with readable_tables(connection):
        relation = connection.sql(sql)
        if relation is None:  # a statement that returns nothing
            return
        if as_json:
            click.echo(_document(relation))
        else:
            relation.show(max_rows=MOST_ROWS_SHOWN, max_width=shutil.get_terminal_size().columns)


def _document(relation: duckdb.DuckDBPyRelation) -> str:
    """Return rows as JSON, which has no word for what is no number."""
    twice = [name for name, times in Counter(relation.columns).items() if times > 1]
    if twice:
        raise DatasetError(
            f"columns {', '.join(twice)} come more than once; --json needs names of their own, "
            "such as select a.x as first, b.x as second"
        )
    return json.dumps(_finite(relation.to_arrow_table().to_pylist()), default=str, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401  what DuckDB returns
    """Return a value with null for each NaN and infinity in it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def stoppable(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Return what `work` does with a connection; a signal ends it.

    Python hears a signal between two of its own steps in the main thread, of which DuckDB leaves
    it none while it works there.
    """
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(work)
        try:
            return answer.result()
        except BaseException:
            while not answer.done():  # an interrupt before a statement begins is forgotten
                connection.interrupt()
                wait([answer], INTERRUPT_SECONDS)
            raise


def opened(data_url: str) -> duckdb.DuckDBPyConnection:
    """Return a connection to a dataset that holds something, with times in UTC."""
    connection = _held(data_url).duckdb()
    connection.execute("set timezone = 'UTC'")
    return connection


def _held(data_url: str) -> Dataset:
    dataset = Dataset(data_url)
    if not dataset.partitions():
        raise DatasetError(f"{dataset.store.url} holds no committed batch")
    return dataset
