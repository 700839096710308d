"""`medgen up`: code server, daemon, web server and API as one command, and their orderly end."""

import contextlib
import os
from typing import Final

import click

from medgen_pipeline.runtime import deployment
from medgen_pipeline.runtime.services import DEFINITIONS
from medgen_pipeline.service.reach import expect_reachable
from medgen_pipeline.settings import Settings

CANNOT_START: Final = 2


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=3000,
    show_default=True,
    help="The web server; the API has METRICS_PORT.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="From a signal to the end. Runs that go on are cancelled 15 s before it is over.",
)
@click.option(
    "--definitions",
    metavar="MODULE",
    default=DEFINITIONS,
    show_default=True,
    help="What the code server serves.",
)
@click.option(
    "--check", is_flag=True, help="Say what would run and what is in its way; exit 2 if so."
)
@click.pass_context
def up(
    context: click.Context, *, host: str, port: int, grace: float, definitions: str, check: bool
) -> None:
    """Run everything until Ctrl-C or SIGTERM; then let runs end, and stop it all.

    Its home is DAGSTER_HOME, else .dagster in the current folder.
    """
    settings = context.find_object(Settings) or Settings()
    plan = deployment.plan(
        settings,
        host=host,
        port=port,
        grace_seconds=grace,
        definitions=definitions,
        expect_reachable=expect_reachable,
    )
    if check:
        context.exit(_checked(plan))
    deployment.up(plan, os.environ, _say)


def _checked(plan: deployment.Plan) -> int:
    for line in plan.facts():
        click.echo(line)
    for line in plan.doubts():
        click.echo(f"warning: {line}")
    in_use = plan.in_use()
    hindrances = [in_use] if in_use else list(plan.hindrances())
    for line in hindrances:
        click.secho(f"cannot start: {line}", fg="red")
    return CANNOT_START if hindrances else 0


def _say(line: str) -> None:
    """Print a line at once; a terminal that is gone is no reason to stop."""
    with contextlib.suppress(OSError):
        click.echo(f"medgen: {line}")
