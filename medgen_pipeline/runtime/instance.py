"""Opening the Dagster instance of a deployment from outside its services."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.runtime.home import INSTANCE

SQLITE: Final = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


class NotServedError(MedgenError):
    """There is no deployment to look at: nobody has ever served one from this home."""


class KeptInstance:
    """The instance of a home, opened when it is first wanted, and then kept.

    Nothing is made: a home in which nobody has served yet is left as it is.
    """

    def __init__(self, home: Path, *, is_sqlite: bool) -> None:
        self.home = home
        self.is_sqlite = is_sqlite
        self._lock = threading.Lock()
        self._open = contextlib.ExitStack()
        self._instance: dg.DagsterInstance | None = None

    def get(self) -> dg.DagsterInstance:
        """Return the instance; raises NotServedError, and what opening its storage raises."""
        with self._lock:
            if self._instance is None:
                needed = (INSTANCE, *(SQLITE if self.is_sqlite else ()))
                if not all((self.home / each).exists() for each in needed):
                    raise NotServedError(f"no deployment was ever served from {self.home}")
                found = dg.DagsterInstance.from_config(str(self.home))
                self._instance = self._open.enter_context(found)
            return self._instance

    def close(self) -> None:
        """Let go of the instance."""
        with self._lock:
            self._instance = None
            self._open.close()


@contextlib.contextmanager
def instance_at(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the instance of a home; where Dagster has never served, one that knows no run."""
    if not (home / INSTANCE).exists():
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
        return
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
