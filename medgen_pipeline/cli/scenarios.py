"""`medgen scenarios`: what can be generated, and what is wrong with a file of one's own."""

import dataclasses
import json
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from medgen_pipeline.cli import options
from medgen_pipeline.errors import ScenarioError
from medgen_pipeline.scenario.catalogue import Catalogue, Entry, check_file, to_yaml
from medgen_pipeline.settings import Settings

FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.group()
def scenarios() -> None:
    """List, show, check and add scenarios."""


@scenarios.command("list")
@options.as_json
@click.pass_obj
def list_scenarios(settings: Settings, *, as_json: bool) -> None:
    """List the scenarios that ship with the package and those of MEDGEN_SCENARIO_DIR."""
    entries = Catalogue(settings.scenario_dir).entries()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], default=str))
        return
    table = Table("id", "title", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(entry.id, _about(entry), style="red" if entry.problem else None)
    Console().print(table)


def _about(entry: Entry) -> str:
    if entry.problem:
        return f"cannot be used: {entry.problem}"
    return f"{entry.title} (from {entry.path})" if entry.replaces_shipped else entry.title


@scenarios.command()
@click.argument("scenario")
@click.pass_obj
def show(settings: Settings, *, scenario: str) -> None:
    """Print SCENARIO, an id or a file, as YAML with every default written out."""
    click.echo(to_yaml(Catalogue(settings.scenario_dir).get(scenario)), nl=False)


@scenarios.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@options.as_json
@click.pass_context
def check(context: click.Context, *, files: tuple[Path, ...], as_json: bool) -> None:
    """Report every fault of scenario FILES at once, and what is surely not meant."""
    checked = [check_file(path) for path in files]
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "file": one.name,
                        "faults": [dataclasses.asdict(fault) for fault in one.faults],
                        "warnings": [str(warning) for warning in one.warnings],
                    }
                    for one in checked
                ]
            )
        )
        context.exit(2 if any(one.faults for one in checked) else 0)
    for one in checked:
        for warning in one.warnings:
            click.echo(f"{one.name}: warning: {warning}")
        if one.scenario is not None:
            click.echo(f"{one.name}: scenario {one.scenario.id} can be generated")
    for one in checked:
        if one.faults:
            click.echo(str(ScenarioError(one.name, one.faults)), err=True)
    context.exit(2 if any(one.faults for one in checked) else 0)


@scenarios.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Take the place of a file with the same id.")
@click.pass_obj
def add(settings: Settings, *, file: Path, replace: bool) -> None:
    """Copy a scenario FILE into MEDGEN_SCENARIO_DIR, once it is without fault."""
    click.echo(f"added {Catalogue(settings.scenario_dir).add(file, replace=replace)}")
