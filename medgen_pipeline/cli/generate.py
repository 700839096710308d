"""`medgen generate` and `medgen materialize`: the same batches, without Dagster and through it."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from medgen_pipeline.cli import options, results
from medgen_pipeline.cli.progress import Aside, shown
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import SettingError
from medgen_pipeline.generation.pool import generate_batches, workers_for
from medgen_pipeline.scenario import scaling
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.doubts import doubts
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

CHECK_FAILED: Final = 1

_HOW: Final = (
    click.option(
        "--processes",
        type=click.IntRange(1, 1024),
        default=lambda: len(os.sched_getaffinity(0)),
        show_default="one for each core",
        metavar="N",
        help="Batches at a time; the data is the same for any.",
    ),
    options.as_json,
    click.option("--quiet", is_flag=True, help="No progress and no warnings."),
)


def _what(function: F) -> F:
    """Add the options that say what is generated, where it goes and how."""
    return click.argument("scenario")(options.what(options.added(_HOW)(function)))


@click.command()
@_what
@click.pass_obj
def generate(
    settings: Settings,
    /,
    *,
    scenario: str,
    batches: tuple[int, ...],
    data_url: str,
    processes: int,
    as_json: bool,
    quiet: bool,
    **changes: Any,  # noqa: ANN401  what `changed` takes
) -> None:
    """Generate batches of SCENARIO, an id or a file, with the engine and the store alone."""
    wanted = changed(Catalogue(settings.scenario_dir).get(scenario), **changes)
    started = time.perf_counter()
    with shown(_errors(wanted, quiet=quiet), len(batches), quiet=quiet) as report:
        generated = generate_batches(
            wanted, batches, data_url, processes=processes, progress=report
        )
    result = results.gather(
        [each.manifest for each in generated],
        data_url,
        seconds=time.perf_counter() - started,
        peak_memory_mb=max(each.peak_memory_mb for each in generated),
    )
    results.show(result, as_json=as_json)
    results.warn_of_mixture(Dataset(data_url).manifests(result.scenario))


@click.command()
@_what
@click.pass_context
def materialize(
    context: click.Context,
    /,
    *,
    scenario: str,
    batches: tuple[int, ...],
    data_url: str,
    processes: int,
    as_json: bool,
    quiet: bool,
    **changes: Any,  # noqa: ANN401  what `changed` takes
) -> None:
    """Generate batches of SCENARIO as Dagster runs in this process.

    The runs show in the UI like any other; their instance is in DAGSTER_HOME, else in .dagster.
    """
    settings = dataclasses.replace(context.find_object(Settings) or Settings(), data_url=data_url)
    wanted = changed(Catalogue(settings.scenario_dir).get(scenario), **changes)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        # They load while this process imports Dagster, which takes over a second: `generate` must
        # not pay for it.
        workers = stack.enter_context(workers_for(processes, len(batches)))
        from medgen_pipeline.defs import in_process  # noqa: PLC0415
        from medgen_pipeline.defs.config import GenerationConfig  # noqa: PLC0415

        report = stack.enter_context(shown(_errors(wanted, quiet=quiet), len(batches), quiet=quiet))
        done = in_process.materialize(
            scenario,
            batches,
            GenerationConfig(**changes),
            settings,
            workers=workers,
            progress=report,
        )
    result = results.gather(
        done.manifests,
        data_url,
        seconds=time.perf_counter() - started,
        peak_memory_mb=done.peak_memory_mb,
    )
    results.show(result, as_json=as_json)
    results.warn_of_mixture(Dataset(data_url).manifests(result.scenario))
    for check in done.failed_checks:
        click.echo(f"medgen: failed check {check}", err=True)
    context.exit(CHECK_FAILED if done.failed_checks else 0)


def changed(
    scenario: Scenario,
    *,
    patients: int | None,
    keep_capacity: bool,
    seed: int | None,
    replicates_per_batch: int | None,
) -> Scenario:
    """Return the scenario with what the command line changes in it."""
    if keep_capacity and patients is None:
        raise SettingError("--keep-capacity is about --patients; give both")
    if patients is not None:
        scenario = scaling.with_patients(scenario, patients, keep_capacity=keep_capacity)
    if seed is not None:
        scenario = scaling.with_seed(scenario, seed)
    if replicates_per_batch is not None:
        scenario = scaling.with_replicates_per_batch(scenario, replicates_per_batch)
    return scenario


def _errors(scenario: Scenario, *, quiet: bool) -> Console:
    """Return standard error, on which what the scenario hardly means has been said."""
    console = Aside()
    if not quiet:
        for doubt in doubts(scenario):
            console.print(f"warning: {doubt}", style="yellow", markup=False, soft_wrap=True)
    return console
