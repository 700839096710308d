"""Options that several commands share, and how their text becomes a value."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from medgen_pipeline.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

LAST_BATCH: Final = 999  # the static partitions of a scenario are 0000 to 0999


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers as people write them: `0-9`, `3` or `0,2,5-7`, sorted and once each."""

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name = name
        self.low = low
        self.high = high

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers, or fail with what was wrong and an example."""
        if isinstance(value, tuple):
            return value
        numbers: set[int] = set()
        for piece in str(value).split(","):
            first, dash, last = piece.partition("-")
            try:
                start, end = int(first), int(last if dash else first)
            except ValueError:
                self.fail(f"{piece!r} is no number or range; write 0-9, 3 or 0,2,5-7", param, ctx)
            if start > end:
                self.fail(f"{piece!r} counts down; write {end}-{start}", param, ctx)
            if start < self.low or end > self.high:
                self.fail(f"{piece!r} is outside {self.low}-{self.high}", param, ctx)
            numbers.update(range(start, end + 1))
        return tuple(sorted(numbers))


BATCHES: Final = Numbers("batches", 0, LAST_BATCH)
PROCESSES: Final = Numbers("processes", 1, 1024)


def given_url(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the dataset's place; an empty one would be the current folder."""
    if value is None:
        return None
    if not value.strip():
        raise click.BadParameter(
            f"{value!r} is no place; must be a local folder or s3://bucket/prefix", param=parameter
        )
    return value if "://" in value else str(Path(value).expanduser())


def writable(
    _context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """Return a file to write at the end, if its folder is there: work before would be lost."""
    if value is not None and not (value.parent.is_dir() and os.access(value.parent, os.W_OK)):
        raise click.BadParameter(
            f"{value.parent} is no folder that can be written into", param=parameter
        )
    return value


def data_url(function: F) -> F:
    """Add `--data-url`: the dataset, by default the one of the environment."""
    return click.option(
        "--data-url",
        metavar="URL",
        callback=given_url,
        default=lambda: click.get_current_context().find_object(Settings).data_url,  # type: ignore[union-attr]
        show_default="MEDGEN_DATA_URL, else data",
        help="The dataset: a local folder or s3://bucket/prefix.",
    )(function)


def as_json(function: F) -> F:
    """Add `--json`: one JSON document on standard output instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(
        function
    )


def added(decorators: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Return what adds options in the order in which `--help` shows them."""

    def add(function: F) -> F:
        for decorate in reversed(decorators):
            function = decorate(function)
        return function

    return add


def what(function: F) -> F:
    """Add the options that say which batches are made, how they are changed and where they go."""
    return added(_WHAT)(function)


_WHAT: Final = (
    click.option(
        "--batches",
        type=BATCHES,
        default="0",
        show_default=True,
        metavar="NUMBERS",
        help="Batches to generate: 0-9, 3 or 0,2,5-7.",
    ),
    click.option(
        "--replicates-per-batch",
        type=click.IntRange(1, 10_000),
        metavar="R",
        help="Batch b holds replicates b*R to (b+1)*R-1.  [default: the scenario's]",
    ),
    click.option(
        "--patients",
        type=click.IntRange(1, 90_000_000),
        metavar="N",
        help="Exactly so many in each replicate; facilities grow or shrink with them.",
    ),
    click.option("--keep-capacity", is_flag=True, help="With --patients: facilities as written."),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        metavar="N",
        help="Another seed than the scenario's.",
    ),
    data_url,
)
