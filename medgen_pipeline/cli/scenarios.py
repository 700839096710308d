"""`medgen scenarios`: what can be generated, and what is wrong with a file of one's own."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from medgen_pipeline.cli import options
from medgen_pipeline.errors import MedgenError, ScenarioError
from medgen_pipeline.scenario.catalogue import Catalogue, Entry, to_yaml
from medgen_pipeline.scenario.validation import Checked
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
@click.argument("given", metavar="SCENARIOS...", nargs=-1, required=True)
@options.as_json
@click.pass_context
def check(context: click.Context, *, given: tuple[str, ...], as_json: bool) -> None:
    """Report every fault of SCENARIOS, ids or files, at once, and what is surely not meant."""
    settings = context.find_object(Settings) or Settings()
    catalogue = Catalogue(settings.scenario_dir)
    found = {one: _checked(catalogue, one) for one in given}
    if as_json:
        click.echo(json.dumps([_as_json(one, checked) for one, checked in found.items()]))
    else:
        for checked in found.values():
            _tell(checked)
    is_fit = all(isinstance(one, Checked) and not one.faults for one in found.values())
    context.exit(0 if is_fit else 2)


def _checked(catalogue: Catalogue, given: str) -> Checked | MedgenError:
    """Return what was found of one, or why nothing was: the others may have faults too."""
    try:
        return catalogue.check(given)
    except MedgenError as error:
        return error


def _as_json(given: str, checked: Checked | MedgenError) -> dict[str, Any]:
    if isinstance(checked, MedgenError):
        return {"file": given, "faults": [], "warnings": [], "problem": str(checked)}
    return {
        "file": checked.name,
        "faults": [dataclasses.asdict(fault) for fault in checked.faults],
        "warnings": [str(warning) for warning in checked.warnings],
        "problem": None,  # why it could not be checked
    }


def _tell(checked: Checked | MedgenError) -> None:
    if isinstance(checked, MedgenError):
        click.echo(f"medgen: {checked}", err=True)
        return
    for warning in checked.warnings:
        click.echo(f"{checked.name}: warning: {warning}")
    if checked.scenario is not None:
        click.echo(f"{checked.name}: scenario {checked.scenario.id} can be generated")
    if checked.faults:
        click.echo(str(ScenarioError(checked.name, checked.faults)), err=True)


@scenarios.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Take the place of a file with the same id.")
@click.pass_obj
def add(settings: Settings, *, file: Path, replace: bool) -> None:
    """Copy a scenario FILE into MEDGEN_SCENARIO_DIR, once it is without fault."""
    click.echo(f"added {Catalogue(settings.scenario_dir).add(file, replace=replace)}")
