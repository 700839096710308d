"""`medgen bench`: patients a second, against writing alone."""

import dataclasses
import json
import os

import click
from rich.console import Console
from rich.table import Table

from medgen_pipeline import bench as measuring
from medgen_pipeline.cli import options
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.settings import Settings


def one_and_all() -> tuple[int, ...]:
    """Return one process, and one for each core."""
    return tuple(sorted({1, len(os.sched_getaffinity(0))}))


@click.command()
@click.argument("scenario", default="conventional")
@click.option(
    "--patients",
    type=click.IntRange(1, 90_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="In each process.",
)
@click.option(
    "--processes",
    type=options.PROCESSES,
    default=one_and_all,
    show_default="one, and one for each core",
    metavar="NUMBERS",
    help="Numbers of processes to measure: 1,2.",
)
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=3, show_default=True, help="Medians of these."
)
@options.as_json
@click.pass_obj
def bench(
    settings: Settings,
    *,
    scenario: str,
    patients: int,
    processes: tuple[int, ...],
    repeats: int,
    as_json: bool,
) -> None:
    """Generate SCENARIO, then write the same rows from memory, and compare."""
    wanted = with_patients(Catalogue(settings.scenario_dir).get(scenario), patients)
    measured = list(measuring.measurements(wanted, processes, repeats=repeats))
    if as_json:
        rows = [dataclasses.asdict(one) for one in measured]
        click.echo(json.dumps({"scenario": wanted.id, "measurements": rows}))
        return
    table = Table(title=f"{wanted.id}, medians of {repeats}", box=None, pad_edge=False)
    for heading in ("processes", "patients", "(a) patients/s", "s", "(b) writing alone, s"):
        table.add_column(heading, justify="right")
    table.add_column("(c) a/b", justify="right")
    table.add_column("(d) peak MB", justify="right")
    for one in measured:
        table.add_row(
            str(one.processes),
            f"{one.patients:,}",
            f"{one.patients_per_second:,.0f}",
            f"{one.seconds:.2f}",
            f"{one.write_seconds:.2f}",
            f"{one.ratio:.2f}",
            f"{one.peak_memory_mb:,.0f}",
        )
    Console().print(table)
