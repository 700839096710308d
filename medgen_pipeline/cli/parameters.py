"""`medgen parameters`: every figure of the model, with its source and what that is worth."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from medgen_pipeline.cli import options
from medgen_pipeline.reference.provenance import Origin, Parameter
from medgen_pipeline.reference.provenance import parameters as all_parameters

MARKS = {
    "V": "read in the source",
    "V2": "read second-hand",
    "D": "derived",
    "M": "from memory",
    "X": "our own choice",
}


@click.command()
@options.as_json
def parameters(*, as_json: bool) -> None:
    """List every figure of the model by its source, with marks and the checks that fixed it."""
    found = all_parameters()
    if as_json:
        click.echo(json.dumps({"parameters": [_entry(parameter) for parameter in found]}))
        return
    click.echo("; ".join(f"{mark}: {meaning}" for mark, meaning in MARKS.items()))
    for (file, origin), same in itertools.groupby(found, lambda one: (one.file, one.origin)):
        click.echo(f"\n{file}.toml: {_words(origin)}")
        for parameter in same:
            click.echo(f"  {_line(parameter)}")


def _entry(parameter: Parameter) -> dict[str, Any]:
    entry = dataclasses.asdict(parameter)
    origin: dict[str, str] = entry.pop("origin")
    return entry | origin


def _words(origin: Origin) -> str:
    fixed = f"; fixed by {origin.check}" if origin.check else ""
    return f"{origin.source}  ({origin.mark}{fixed})"


def _line(parameter: Parameter) -> str:
    unit = f" {parameter.unit}" if parameter.unit else ""
    return f"{parameter.path} = {_text(parameter.value)}{unit}"


def _text(value: Any) -> str:  # noqa: ANN401  a TOML value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_text(each) for each in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
