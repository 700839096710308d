"""What a run prints, kept in files that the UI shows.

Dagster's own manager also repeats it where the run was started, for which each run has two `tail`
and two Python processes: 22 MB that count against its limit. What a worker prints nobody reads
there.
"""

import contextlib
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Self

import dagster as dg
from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClassData
from dagster._utils import ensure_file, touch_file

from medgen_pipeline.runtime.processes import serves_a_run


class QuietComputeLogManager(LocalComputeLogManager):
    """Keeps it beside the instance, and repeats it only where a person has started the run."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what dagster.yaml states: nothing, the place follows from the instance."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Return a manager; it has its place once it is the instance's."""
        return cls(base_dir="", inst_data=inst_data, **config_value)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Take the place where Dagster's own manager keeps what is printed."""
        super().register_instance(instance)
        self._base_dir = instance.storage_directory()

    @contextlib.contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Send standard output and error to files meanwhile."""
        if not serves_a_run():
            with super().capture_logs(log_key) as context:
                yield context
            return
        with contextlib.ExitStack() as stack:
            for kind, stream in (
                (ComputeIOType.STDOUT, sys.stdout),
                (ComputeIOType.STDERR, sys.stderr),
            ):
                path = self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind])
                ensure_file(path)
                stack.enter_context(redirect_to_file(stream, path))
            yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))  # type: ignore[no-untyped-call]
