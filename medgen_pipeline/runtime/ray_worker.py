"""What Ray starts on a node to execute one run: `python -m ... FINGERPRINT RUN`, both JSON.

Before anything of the run is looked at, the node must be one that can execute it: of the very
versions of the deployment, with the deployment's database, by the right time. A node that is not
ends here with one line, which the launcher finds in the job's log and fails the run with.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Final

import psycopg2

from medgen_pipeline.errors import MedgenError, SettingError
from medgen_pipeline.runtime.database import VARIABLE, Address, in_words
from medgen_pipeline.runtime.fingerprint import differences, fingerprint
from medgen_pipeline.runtime.parts import COMMAND
from medgen_pipeline.settings import Settings

REFUSED: Final = 78  # EX_CONFIG of sysexits.h
PREFIX: Final = "medgen: "  # of a line for the user
MOST_SECONDS_APART: Final = 60.0  # our own choice: order of events in a log, ages, deadlines


class NodeError(MedgenError):
    """A node cannot execute runs of the deployment; the message says what to change."""


def main() -> None:
    """Check this node, then execute the run as Dagster does it in any process."""
    wanted, run = sys.argv[1:]
    try:
        check_versions(json.loads(wanted))
        check_database(Settings.from_env(os.environ), time.time)
    except MedgenError as error:
        sys.stdout.write(f"{PREFIX}node {socket.gethostname()}: {error}\n")
        sys.exit(REFUSED)
    from dagster._cli.api import api_cli  # noqa: PLC0415  only on a node that can use it

    api_cli(["execute_run", run], prog_name="medgen")


def check_versions(wanted: Mapping[str, str]) -> None:
    """Raise NodeError if this node has other versions than who launched the run."""
    different = differences(fingerprint(), wanted)
    if different:
        raise NodeError(
            "this node and the deployment differ: "
            + "; ".join(different)
            + ". Install the same package and the same lock on every node"
        )


def check_database(settings: Settings, clock: Callable[[], float]) -> None:
    """Raise MedgenError if the deployment's database cannot be asked, or has another time."""
    if settings.database_url is None:
        raise SettingError(f"{VARIABLE} is not set; set it in the environment of `ray start`")
    address = Address(settings.database_url)
    try:
        there = database_time(address)
    except psycopg2.Error as error:
        raise NodeError(in_words(str(error), address)) from error
    check_clock(clock() - there)


def check_clock(ahead: float) -> None:
    """Raise NodeError if this clock is too far ahead of the database's, or behind it."""
    if abs(ahead) > MOST_SECONDS_APART:
        where = "ahead of" if ahead > 0 else "behind"
        raise NodeError(
            f"the clock of this node is {abs(ahead):.0f} s {where} the database's, and at most "
            f"{MOST_SECONDS_APART:.0f} s are allowed; let both be set by the network (NTP)"
        )


def database_time(address: Address) -> float:
    """Return the time by the clock of a database, seconds since the epoch."""
    with closing(address.connect(COMMAND)) as opened, opened.cursor() as cursor:
        cursor.execute("select extract(epoch from clock_timestamp())")
        return float(cursor.fetchone()[0])


def told(log: str) -> Iterator[str]:
    """Yield what nodes said to the user, from the log of a job."""
    for line in log.splitlines():
        if line.startswith(PREFIX):
            yield line.removeprefix(PREFIX)


if __name__ == "__main__":
    main()
