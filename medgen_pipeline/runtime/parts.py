"""Which part of a deployment a process is, and how many connections to the database it may have."""

import math
import multiprocessing
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from medgen_pipeline.runtime.processes import RAY_WORKER
from medgen_pipeline.settings import Settings

API: Final = "api"
CODE_SERVER: Final = "code server"
DAEMON: Final = "daemon"
WEB_SERVER: Final = "web server"
RUN_WORKER: Final = "run worker"
COMMAND: Final = "command"
SERVICES: Final = (API, CODE_SERVER, DAEMON, WEB_SERVER)  # one process each
BRIEF: Final = (RUN_WORKER, COMMAND)

# Words of a command line, the more particular first. `dagster dev` starts services as we do.
_WORDS: Final = (
    (RUN_WORKER, {"execute_run", "execute_step", "execute-run", "execute-step", RAY_WORKER}),
    (API, {"medgen_pipeline.service", "serve"}),
    (WEB_SERVER, {"dagster_webserver", "dagster-webserver"}),
    (DAEMON, {"dagster._daemon", "dagster-daemon"}),
    (CODE_SERVER, {"grpc", "code-server"}),
)

# Two threads of a run speak to the database: its steps, and now and then its guard. A third
# connection is for what comes at once.
BRIEF_SIZE: Final = 2
BRIEF_OVERFLOW: Final = 1
COMMANDS: Final = 1  # `medgen` or `dagster` in a terminal while everything runs

# How long a thread waits for a database that is gone. Work goes on when it is back, so it waits for
# as long as that takes; whoever has asked for an answer gets an error instead.
FOR_ONE_WHO_ASKS_SECONDS: Final = 5.0
FOR_A_GUARD_SECONDS: Final = 1.0  # or it sees no limit meanwhile
FOR_A_COMMAND_SECONDS: Final = 60.0
# Dagster ends neither of these threads well: with the first, a code server never again tells the
# end of a run's process; with the second, the page of a run stands still.
_LASTING_THREADS: Final = ("grpc-server-cleanup", "sql-event-watch-run-id")


@dataclass(frozen=True, slots=True)
class Shape:
    """How many connections a pool holds, for how long, and how long one waits for one."""

    size: int
    max_overflow: int
    timeout_seconds: int
    recycle_seconds: int

    @classmethod
    def of(cls, settings: Settings) -> "Shape":
        """Return that of a service of the deployment."""
        return cls(
            settings.db_pool_size,
            settings.db_max_overflow,
            settings.db_pool_timeout,
            settings.db_pool_recycle,
        )

    @property
    def most(self) -> int:
        """The connections that may be open at once."""
        return self.size + self.max_overflow

    def for_part(self, part: str) -> "Shape":
        """Return that of a part of the deployment: small where it lives for a run."""
        if part not in BRIEF:
            return self
        size = min(self.size, BRIEF_SIZE)
        return replace(self, size=size, max_overflow=min(self.most, 3) - size)


def most_connections(settings: Settings) -> dict[str, int]:
    """Return how many connections each part may have open at once, all its processes together."""
    shape = Shape.of(settings)
    processes = dict.fromkeys(SERVICES, 1)
    processes |= {RUN_WORKER: settings.max_concurrent_jobs, COMMAND: COMMANDS}
    return {part: count * shape.for_part(part).most for part, count in processes.items()}


def part_here() -> str:
    """Return which part this process is."""
    words = [*sys.orig_argv, *sys.argv]
    return part_of(words, is_child=multiprocessing.parent_process() is not None)


def part_of(words: Sequence[str], *, is_child: bool) -> str:
    """Return which part a command is; a child of the code server executes a run."""
    names = {word.rsplit("/", 1)[-1] for word in words} | {
        word.removesuffix("/__main__.py").rsplit("/", 1)[-1] for word in words
    }
    found = next((part for part, marks in _WORDS if marks & names), COMMAND)
    return RUN_WORKER if is_child and found == CODE_SERVER else found


def patience_seconds(part: str) -> float:
    """Return how long the present thread of a part waits for a database that is gone."""
    thread = threading.current_thread()
    if part == DAEMON or thread.name.startswith(_LASTING_THREADS):
        return math.inf
    if part == RUN_WORKER:
        return math.inf if thread is threading.main_thread() else FOR_A_GUARD_SECONDS
    return FOR_A_COMMAND_SECONDS if part == COMMAND else FOR_ONE_WHO_ASKS_SECONDS
