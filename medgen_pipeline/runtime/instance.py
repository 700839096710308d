"""Opening the Dagster instance of a deployment from outside its services."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from medgen_pipeline.runtime.home import INSTANCE


@contextlib.contextmanager
def instance_at(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the instance of a home; where Dagster has never served, one that knows no run."""
    if not (home / INSTANCE).exists():
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
        return
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
