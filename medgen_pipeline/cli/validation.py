"""`medgen validate`: whether what is generated agrees with the literature and with itself."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from medgen_pipeline.cli import options
from medgen_pipeline.cli.progress import Aside, shown
from medgen_pipeline.cli.results import place, warn_of_mixture
from medgen_pipeline.dataset.invariants import SAMPLE, InvariantResult, check_invariants
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import DatasetError, SettingError
from medgen_pipeline.generation.pool import Job
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.validation import report as reports
from medgen_pipeline.validation import runs
from medgen_pipeline.validation.report import Report
from medgen_pipeline.validation.table import check_table

BROKEN: Final = 1
WIDTH: Final = 220  # of a table that no terminal bounds
STYLES: Final = {"pass": "green", "FAIL": "bold red", "undecided": "yellow"}


@click.command()
@click.option(
    "--data-url",
    envvar="MEDGEN_DATA_URL",
    metavar="URL",
    callback=options.given_url,
    help="The dataset to read; with --seed, an empty place to generate into.  "
    "[default: MEDGEN_DATA_URL where set, else generate and keep nothing]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    help="Generate, with this seed for every scenario.  [default: each its own]",
)
@click.option("--scenario", "scenarios", multiple=True, metavar="ID", help="Only this; repeatable.")
@click.option("--batches", type=options.BATCHES, metavar="NUMBERS", help="Read only these batches.")
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Batches to generate at a time.  [default: one for each core]",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=options.writable,
    help="Also write the report as a page, such as docs/validation.md.",
)
@options.as_json
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def validate(
    context: click.Context,
    *,
    data_url: str | None,
    seed: int | None,
    scenarios: tuple[str, ...],
    batches: tuple[int, ...] | None,
    processes: int | None,
    write: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Hold scenarios against published figures, and every row against the rules.

    Prints each check with its value, interval, target and result, then the invariants, then the
    figures of each scenario. Exits 1 when a check fails or a row breaks a rule.
    """
    if data_url is not None and seed is None:
        report = _of_dataset(data_url, scenarios, batches)
        warn_of_mixture(Dataset(data_url).manifests())
    elif batches is not None:
        raise SettingError("--batches is about a dataset that is there; give --data-url alone")
    else:
        is_asked = context.get_parameter_source("data_url") is ParameterSource.COMMANDLINE
        wanted = _jobs(scenarios, seed)
        with _empty_place(data_url if is_asked else None) as root:
            with shown(Aside(), len(wanted), quiet=quiet) as progress:
                at_a_time = processes or len(os.sched_getaffinity(0))
                runs.run(root, wanted, processes=at_a_time, progress=progress)
            report = _of_runs(root, wanted, seed)
    if as_json:
        click.echo(reports.as_json(report))
    else:
        _show(report)
    if write is not None:
        _write(write, reports.markdown(report))
    context.exit(BROKEN if report.failed or report.broken else 0)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page)
    except OSError as error:
        raise SettingError(
            f"--write is {path}, which cannot be written: {error.strerror}"
        ) from error


def _jobs(scenarios: Sequence[str], seed: int | None) -> list[Job]:
    """Return what to generate; a scenario that no check is made on cannot be asked for."""
    for name in scenarios:
        if name not in runs.REPLICATES:
            known = ", ".join(sorted(runs.REPLICATES))
            raise SettingError(f"no check is made on scenario {name}; there are {known}")
    return runs.jobs(Catalogue(), scenarios or None, seed)


@contextmanager
def _empty_place(data_url: str | None) -> Iterator[str]:
    """Lend a place to generate into: the one asked for, if nothing is there, or a passing one."""
    if data_url is None:
        with tempfile.TemporaryDirectory(prefix="medgen-validate-") as folder:
            yield folder
        return
    there = Dataset(data_url).scenarios()
    if there:
        raise DatasetError(f"{data_url} holds {', '.join(there)}; name a place that is empty")
    yield data_url


def _of_runs(root: str, wanted: Sequence[Job], seed: int | None) -> Report:
    names = dict.fromkeys(scenario.id for scenario, _ in wanted)
    dataset = Dataset(root)
    seeds = "the scenarios' own seeds" if seed is None else f"seed {seed}"
    return Report(
        f"runs of {', '.join(sorted(names))} with {seeds}",
        check_table(dataset, set(names)),
        tuple(check_invariants(dataset, batches=[runs.INVARIANTS_BATCH])),
        f"one batch in {runs.BATCHES} of each scenario",
    )


def _of_dataset(data_url: str, scenarios: Sequence[str], batches: Sequence[int] | None) -> Report:
    dataset = Dataset(data_url)
    checked = [check_invariants(dataset, name, batches) for name in scenarios or (None,)]
    return Report(
        f"the dataset {place(data_url)}",
        check_table(dataset, scenarios or None, batches),
        tuple(_together(checked)),
        "all rows read",
    )


def _together(checked: Iterable[Sequence[InvariantResult]]) -> Iterator[InvariantResult]:
    """Yield each invariant once, with the violations of all scenarios."""
    for of_scenarios in zip(*checked, strict=True):
        yield replace(
            of_scenarios[0],
            violations=sum(one.violations for one in of_scenarios),
            sample=tuple(row for one in of_scenarios for row in one.sample)[:SAMPLE],
        )


def _show(report: Report) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    checks = Table(*reports.CHECK_HEADINGS, title="checks", box=None, pad_edge=False)
    for result in report.table.checks:
        for *cells, outcome in reports.check_cells(result):
            checks.add_row(*cells, f"[{STYLES[outcome]}]{outcome}[/]")
    console.print(checks)
    for reason, count in Counter(result.undecided for result in report.undecided).items():
        console.print(f"undecided, {count}: {reason}", style="yellow", markup=False)
    _show_invariants(report)
    figures = Table(*reports.FIGURE_HEADINGS, title="scenarios", box=None, pad_edge=False)
    for one in report.table.scenarios:
        figures.add_row(*reports.figure_cells(one))
    console.print()
    console.print(figures)
    console.print(f"\n{report.conclusion}; from {report.data}", markup=False)


def _show_invariants(report: Report) -> None:
    click.echo()
    width = max(len(result.name) for result in report.invariants)
    for result in report.invariants:
        line = f"{result.violations:>11,}  {result.name:<{width}}  {result.description}"
        click.secho(line, fg="red" if result.violations else None)
    for result in report.broken:
        for row in result.sample:
            click.secho(f"{result.name}: {row}", fg="red")
    counts = f"{len(report.invariants)} invariants, {len(report.broken)} broken"
    click.echo(f"{counts}, in {report.rows_checked}")
