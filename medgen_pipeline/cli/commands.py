"""The list of commands, and how an error becomes an exit code.

0 done, 1 the dataset breaks a rule, 2 something given cannot be used, 130 and 143 stopped by Ctrl-C
and SIGTERM. Whoever reads the output may stop, which is 0; where it cannot be written, 2. A bug
keeps its traceback.
"""

import copy
import importlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NamedTuple, NoReturn

import click

from medgen_pipeline.dataset.store import FULL
from medgen_pipeline.errors import MedgenError, SettingError
from medgen_pipeline.settings import Settings

CANNOT_BE_USED: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM
WRONG_SETTING: Final = "medgen_pipeline.wrong_setting"  # where a context keeps the error


class Entry(NamedTuple):
    """Where a command is, and what `medgen --help` says of it without importing it."""

    module: str
    function: str
    help: str


COMMANDS: Final = {
    "generate": Entry("generate", "generate", "Generate batches of a scenario, without Dagster."),
    "materialize": Entry("generate", "materialize", "Generate batches through Dagster, here."),
    "backfill": Entry("backfill", "backfill", "Queue many batches, packed into few large runs."),
    "up": Entry("up", "up", "Run the web UI, the queue and the API until told to stop."),
    "serve": Entry("serve", "serve", "Serve patients, datasets and jobs over HTTP."),
    "keys": Entry("keys", "keys", "Create, list and revoke keys of the HTTP interface."),
    "scenarios": Entry("scenarios", "scenarios", "List, show, check and add scenarios."),
    "validate": Entry("validation", "validate", "Published figures and rules, against the data."),
    "parameters": Entry("parameters", "parameters", "Every figure of the model, with its source."),
    "summary": Entry("reports", "summary", "Rows per table, outcomes and rates per scenario."),
    "query": Entry("reports", "query", "Run SQL over the tables of a dataset."),
    "janitor": Entry("janitor", "janitor", "Remove, or list, leftovers and what is past its time."),
    "bench": Entry("bench", "bench", "Measure patients a second, against writing alone."),
    "memory-profile": Entry(
        "memory_profile", "memory_profile", "Weigh patients in memory, list against stream."
    ),
    "compile": Entry(
        "installation", "compile_kernels", "Compile the simulation, once per version."
    ),
    "instance-yaml": Entry(
        "installation", "instance_yaml", "Print dagster.yaml for this environment."
    ),
}


class SeenEnoughError(Exception):
    """The reader of our output has closed it."""


class Commands(click.Group):
    """The commands, each imported when it is called."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:  # noqa: ANN401  click's
        """Return a context, or print the help."""
        with _output():
            return super().make_context(*arguments, **more)

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names, in the order of use."""
        return list(COMMANDS)

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401  what a command returns
        """Read the settings, then run a command until all that it printed is written.

        Wrong settings leave each command its help.
        """
        try:
            context.obj = Settings.from_env(os.environ)
        except SettingError as error:
            context.obj = Settings()  # for the defaults of options, which are read before a run
            context.meta[WRONG_SETTING] = error
        with _output():
            return super().invoke(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if name not in COMMANDS:
            return None
        entry = COMMANDS[name]
        module = importlib.import_module(f"medgen_pipeline.cli.{entry.module}")
        command: click.Command = getattr(module, entry.function)
        error = context.meta.get(WRONG_SETTING)
        return _refusing(command, error) if error else command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list for `--help` without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="medgen_pipeline")
def medgen() -> None:
    """Synthetic military casualties: scenario in, Parquet out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return medgen.main(args=arguments, prog_name="medgen", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return CANNOT_BE_USED
    except MedgenError as error:
        click.echo(f"medgen: {error}", err=True)
        return CANNOT_BE_USED
    except click.Abort:
        click.echo("medgen: interrupted; nothing half-written is left", err=True)
        return INTERRUPTED
    except SeenEnoughError:
        _forget_output()
        return 0
    except OSError as error:
        # Files of a dataset are named by their store; what has no name is standard output.
        if error.filename is not None or error.errno not in FULL:
            raise
        _forget_output()
        click.echo(f"medgen: cannot write to standard output: {error.strerror}", err=True)
        return CANNOT_BE_USED
    finally:
        signal.signal(signal.SIGTERM, previous)


def _refusing(command: click.Command, error: SettingError) -> click.Command:
    """Return a copy of a command, and of those below it, that raises instead of running."""

    def refuse(**_: object) -> NoReturn:
        raise error

    copied = copy.copy(command)
    copied.callback = refuse
    if isinstance(copied, click.Group):
        copied.callback = None  # which runs before a command below it can show its help
        below = copied.commands.items()
        copied.commands = {name: _refusing(each, error) for name, each in below}
    return copied


@contextmanager
def _output() -> Iterator[None]:
    """Raise SeenEnoughError for a closed output, which rich and click make an exit with 1."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # as with `>&-`
                sys.stdout.flush()
    except BrokenPipeError as error:
        if not _is_closed():  # another pipe
            raise
        raise SeenEnoughError from error
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        raise SeenEnoughError from error


def _is_closed() -> bool:
    """Whether nobody reads standard output any more."""
    if sys.stdout is None:
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _forget_output() -> None:
    """Let nothing be written when the process ends, where it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that what is staged is removed."""
    raise SystemExit(TERMINATED)
