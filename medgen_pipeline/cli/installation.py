"""`medgen compile` and `medgen instance-yaml`: what a set-up asks for once."""

import os

import click

from medgen_pipeline.generation.warm import compile_kernels as compile_all
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml


@click.command()
def compile_kernels() -> None:
    """Compile the simulation for this machine, once per version."""
    seconds = compile_all()
    if seconds is None:
        click.echo("the simulation is compiled")
    else:
        click.echo(f"compiled the simulation in {seconds:.0f} s")


@click.command()
def instance_yaml() -> None:
    """Print dagster.yaml as this environment asks for it."""
    click.echo(render_instance_yaml(os.environ), nl=False)
