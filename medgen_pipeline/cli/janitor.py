"""`medgen janitor`: what a deployment should be rid of, listed or removed."""

import json

import click

from medgen_pipeline.cli import options
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.housekeeping import house
from medgen_pipeline.runtime.deployment import require_database
from medgen_pipeline.runtime.home import home_of
from medgen_pipeline.runtime.housekeeping import Finding
from medgen_pipeline.runtime.instance import instance_at
from medgen_pipeline.settings import Settings


@click.command()
@click.option("--dry-run", is_flag=True, help="List, remove nothing.")
@options.as_json
@click.pass_obj
def janitor(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Remove leftovers of killed runs, batches past their time and old records of runs.

    A deployment that runs does this by itself, every hour.
    """
    home = home_of(settings)
    require_database(home, settings)
    with instance_at(home) as instance:
        found_in = house(Engine(settings), instance)
        found = list(found_in.findings())
        if not dry_run:
            found_in.remove(found)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "found": [_shown(each) for each in found]}))
        return
    for each in found:
        click.echo(f"{each.kind:<8} {each.bytes:>14,} bytes  {each.name}: {each.why}")
    total = sum(each.bytes for each in found)
    click.echo(f"{len(found)} things, {total:,} bytes {'to remove' if dry_run else 'removed'}")


def _shown(finding: Finding) -> dict[str, str | int]:
    return {
        "kind": finding.kind,
        "name": finding.name,
        "why": finding.why,
        "bytes": finding.bytes,
    }
