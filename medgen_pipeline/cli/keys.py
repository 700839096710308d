"""`medgen keys`: who may use the HTTP interface. A key is shown once, when it is made."""

import functools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Column, Table

from medgen_pipeline.cli import options
from medgen_pipeline.errors import SettingError
from medgen_pipeline.service.keys import Key, KeyFile
from medgen_pipeline.settings import Settings

NO_END: Final = 1_000  # characters of a line that a program reads: no key needs as many


@click.group()
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of keys.  [default: MEDGEN_API_KEYS]",
)
@click.pass_context
def keys(context: click.Context, path: Path | None) -> None:
    """Create, list and revoke API keys."""
    settings = context.find_object(Settings) or Settings()
    path = path or settings.api_keys
    context.obj = KeyFile(path) if path else None


def pass_file(function: Callable[..., None]) -> Callable[..., None]:
    """Hand the file of keys to a command when it runs, so that its help needs none."""

    @click.pass_obj
    @functools.wraps(function)
    def with_file(file: KeyFile | None, /, **given: object) -> None:
        if file is None:
            raise SettingError("there is no file of keys; name one with --file or MEDGEN_API_KEYS")
        function(file, **given)

    return with_file


@keys.command()
@click.argument("name")
@click.option("--write", "may_write", is_flag=True, help="May add scenarios and order jobs.")
@click.option("--requests-per-minute", type=click.IntRange(1, 1_000_000), metavar="N")
@click.option("--patients-per-request", type=click.IntRange(1), metavar="N", help="Of a stream.")
@click.option("--patients-per-day", type=click.IntRange(1), metavar="N", help="Of all streams.")
@pass_file
def create(file: KeyFile, /, *, name: str, **rights: int | bool | None) -> None:
    """Make a key for NAME and print it: it cannot be shown again."""
    given = {right: value for right, value in rights.items() if value is not None}
    key, text = file.create(name, **given)
    click.echo(text)
    click.echo(f"key {key.id} of {key.name}; send it as X-API-Key. It is not kept.", err=True)


@keys.command("list")
@options.as_json
@pass_file
def list_keys(file: KeyFile, *, as_json: bool) -> None:
    """List the keys, without what they are known by."""
    found = list(file.keys().values())
    if as_json:
        shown = [key.model_dump(mode="json", exclude={"sha256"}) for key in found]
        click.echo(json.dumps(shown))
        return
    Console(width=None if sys.stdout.isatty() else NO_END).print(table_of(found))


@keys.command()
@click.argument("key_id")
@pass_file
def revoke(file: KeyFile, *, key_id: str) -> None:
    """End the key KEY_ID; a running server sees it at the next request."""
    click.echo(f"revoked key {key_id} of {file.revoke(key_id).name}")


def table_of(found: Sequence[Key]) -> Table:
    """Return the keys as a table that is never too narrow for an id: it is copied to revoke."""
    id_column = Column("id", no_wrap=True, overflow="fold")
    others = ("name", "created", "state", "a minute", "a request", "a day")
    table = Table(id_column, *others, box=None)
    for key in found:
        table.add_row(*_about(key))
    return table


def _about(key: Key) -> tuple[str, ...]:
    state = "revoked" if key.revoked_at else "may write" if key.may_write else "may read"
    return (
        key.id,
        key.name,
        f"{key.created_at:%Y-%m-%d}",
        state,
        f"{key.requests_per_minute:,} requests",
        f"{key.patients_per_request:,} patients",
        f"{key.patients_per_day:,} patients",
    )
