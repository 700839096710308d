"""`medgen backfill`: many batches of a scenario through the deployment's queue, in packed runs."""

import dataclasses
import json
import secrets
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

import click

from medgen_pipeline.cli import options
from medgen_pipeline.cli.generate import changed
from medgen_pipeline.cli.results import counted
from medgen_pipeline.dataset.manifest import Manifest, scenario_digest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import MedgenError, SettingError
from medgen_pipeline.generation import packing
from medgen_pipeline.generation.packing import Packing
from medgen_pipeline.generation.version import generator_version
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.service.dagster_runs import (
    PRIORITY_TAG,
    TENANT_TAG,
    WORKLOAD_TAG,
    DagsterRuns,
    Run,
)
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.settings import Settings

TAG: Final = (
    "medgen/backfill"  # of all runs that one call has queued, and of those that repeat them
)
NOBODY: Final = "default"  # the tenant that the queue does not count
INCOMPLETE: Final = 1
SECONDS_BETWEEN_LOOKS: Final = 2.0
# Without an answer: `medgen up` starts a web server again within 30 s, which takes it some 15.
SECONDS_AWAY: Final = 120.0
ENOUGH: Final = 8  # batches to know the rate from
ENDED: Final = ("SUCCESS", "FAILURE", "CANCELED")
FAILED: Final = "FAILURE"
# Dagster's word on a run that failed, and the run that it then queued.
WILL_RETRY_TAG: Final = "dagster/will_retry"
RETRIED_BY_TAG: Final = "dagster/auto_retry_run_id"


@click.command()
@click.argument("scenario")
@options.what
@click.option("--again", is_flag=True, help="Also batches that are there already.")
@click.option(
    "--batches-per-run",
    type=click.IntRange(1, 1_000),
    metavar="K",
    help="Instead of as many as make launches at most a tenth of the work.",
)
@click.option("--wait", is_flag=True, help="Until all are there; exit 1 if some are not.")
@click.option("--dry-run", is_flag=True, help="Say what would be queued, queue nothing.")
@click.option(
    "--dagster-url",
    default="http://127.0.0.1:3000",
    show_default=True,
    metavar="URL",
    help="Dagster's web server.",
)
@options.as_json
@click.pass_context
def backfill(
    context: click.Context,
    /,
    *,
    scenario: str,
    batches: tuple[int, ...],
    data_url: str,
    again: bool,
    batches_per_run: int | None,
    wait: bool,
    dry_run: bool,
    dagster_url: str,
    as_json: bool,
    **changes: Any,  # noqa: ANN401  what `changed` takes
) -> None:
    """Queue what is missing of batches of SCENARIO, an id of the catalogue, in few large runs.

    Called again after a failure it queues what is still missing. The runs show in the UI.
    """
    settings = context.find_object(Settings) or Settings()
    wanted = changed(_named(settings, scenario), **changes)
    dataset = Dataset(data_url)
    there = [] if again else _there(dataset, wanted, batches)
    missing = sorted({*batches} - {manifest.batch for manifest in there})
    packed = packing.pack(
        missing,
        packing.work_of(wanted, _measured(dataset, wanted, there)),
        terms(settings),
        batches_per_run,
    )
    order = Order(wanted, changes, again=again)
    queued = [] if dry_run else _queue(DagsterRuns(dagster_url), order, packed, batches)
    _say(order, packed, queued, len(there), as_json=as_json)
    if wait and queued:
        _wait(DagsterRuns(dagster_url), order.name)
        left = {*missing} - {each.batch for each in _there(dataset, wanted, missing)}
        if left:
            many = counted(len(left), "batch", "batches")
            click.echo(f"medgen: {many} missing; the same command queues them again", err=True)
            context.exit(INCOMPLETE)


class Order:
    """What a backfill asks for: a scenario as it is changed, in runs that bear one name."""

    def __init__(self, scenario: Scenario, changes: dict[str, Any], *, again: bool) -> None:
        self.scenario = scenario
        self.name = f"{scenario.id}-{secrets.token_hex(4)}"
        given = {name: value for name, value in changes.items() if value}
        self.config = {
            **given,
            "only_missing": not again,
            "scenario_sha256": scenario_digest(scenario.model_dump(mode="json")),
        }
        tenant = {} if scenario.tenant == NOBODY else {TENANT_TAG: scenario.tenant}
        self.tags = {
            TAG: self.name,
            WORKLOAD_TAG: "generation",
            PRIORITY_TAG: str(scenario.priority),
            **tenant,
        }


def terms(settings: Settings) -> packing.Terms:
    """Return what a deployment allows a run, and what it costs to launch one."""
    on_ray = settings.ray_address is not None
    return packing.Terms(
        slots=settings.max_concurrent_jobs,
        launch_seconds=packing.LAUNCH_SECONDS_ON_RAY if on_ray else packing.LAUNCH_SECONDS,
        limit_seconds=min(settings.job_max_cpu_seconds, settings.job_max_runtime_seconds),
    )


def _named(settings: Settings, name: str) -> Scenario:
    found = Catalogue(settings.scenario_dir).get(name)
    if found.id != name:
        raise SettingError(
            f"scenario is {name!r}; must be an id of the catalogue, for other processes and "
            "machines generate it: `medgen scenarios add` puts a file there"
        )
    return found


def _there(dataset: Dataset, scenario: Scenario, batches: Sequence[int]) -> list[Manifest]:
    return dataset.made_from(
        scenario.id, scenario.model_dump(mode="json"), generator_version(), batches
    )


def _measured(dataset: Dataset, scenario: Scenario, there: list[Manifest]) -> list[Manifest]:
    """Return some batches that tell what one takes: of the same, else of a changed scenario."""
    others = [partition.batch for partition in dataset.partitions(scenario.id)][:ENOUGH]
    if there or not others:
        return there[:ENOUGH]
    return dataset.manifests(scenario.id, others)


def _queue(runs: DagsterRuns, order: Order, packed: Packing, asked: tuple[int, ...]) -> list[str]:
    """Queue the runs of a packing; return their ids."""
    queued: list[str] = []
    for batches in packed.runs:
        for first, last in stretches(batches, asked):
            try:
                queued.append(runs.queue(order.scenario.id, first, last, order.config, order.tags))
            except ServiceError as error:
                raise MedgenError(f"{error} ({runs.url}; {len(queued)} were queued)") from error
    return queued


def stretches(batches: Sequence[int], asked: Collection[int]) -> list[tuple[int, int]]:
    """Return first and last batch of each range that holds the batches, and none not asked for.

    One that was asked for and is there already may lie within: the run leaves it as it is.
    """
    found = [(batches[0], batches[0])]
    for batch in batches[1:]:
        first, last = found[-1]
        if all(between in asked for between in range(last, batch)):
            found[-1] = (first, batch)
        else:
            found.append((batch, batch))
    return found


def _wait(runs: DagsterRuns, name: str) -> None:
    """Return when no run of a backfill goes on, and none is about to be repeated.

    A web server that is away is waited for as well, but not for ever.
    """
    answered = time.monotonic()
    while True:
        try:
            if not any(is_open(run) for run in runs.tagged(TAG, name)):
                return
            answered = time.monotonic()
        except ServiceError as error:
            if time.monotonic() - answered > SECONDS_AWAY:
                raise MedgenError(
                    f"{error} ({runs.url}; not for {SECONDS_AWAY:g} s, "
                    f"what was queued as {TAG}={name} goes on)"
                ) from error
        time.sleep(SECONDS_BETWEEN_LOOKS)


def is_open(run: Run) -> bool:
    """Whether a run goes on, or one that repeats it has yet to be queued."""
    if run.status not in ENDED:
        return True
    will_retry = run.tags.get(WILL_RETRY_TAG)
    if run.status != FAILED or will_retry == "false":
        return False
    return will_retry is None or RETRIED_BY_TAG not in run.tags


def _say(order: Order, packed: Packing, queued: list[str], there: int, *, as_json: bool) -> None:
    sizes = sorted({len(run) for run in packed.runs})
    if as_json:
        shown = {
            "backfill": order.name,
            "there": there,
            "runs": [list(run) for run in packed.runs],
            "queued": queued,
            **dataclasses.asdict(packed.work),
            "launching": packed.launching,
        }
        click.echo(json.dumps(shown))
        return
    missing = sum(len(run) for run in packed.runs)
    click.echo(
        f"{order.scenario.id}: {there} there, {counted(missing, 'batch', 'batches')} to make"
    )
    if not packed.runs:
        return
    work = packed.work
    known = f"measured on {work.measured_on}" if work.measured_on else "assumed"
    click.echo(
        f"{counted(len(packed.runs), 'run')} of {' or '.join(map(str, sizes))} batches: "
        f"{work.batch_seconds:.1f} s each ({known}), launches are {packed.launching:.0%} of that"
    )
    if queued:
        click.echo(f"queued as {TAG}={order.name}")
