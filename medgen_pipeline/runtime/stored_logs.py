"""What runs print, kept beside the dataset, where the UI finds it whichever machine a run was on.

A run writes to a file of its node, which is copied every ten seconds and at the end. What sensors
and schedules print stays on the machine of the code server: it is little, often, and for operators.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

import dagster as dg
from dagster._core.storage.cloud_storage_compute_log_manager import (
    PollingComputeLogSubscriptionManager,
    TruncatingCloudStorageComputeLogManager,
)
from dagster._core.storage.compute_log_manager import CapturedLogSubscription, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from medgen_pipeline.dataset.layout import LOGS
from medgen_pipeline.dataset.store import Store, open_store
from medgen_pipeline.runtime.compute_logs import QuietComputeLogManager

SECONDS_BETWEEN_COPIES: Final = 10
COPY_BYTES: Final = 2**20  # at a time

LogKey = Sequence[str]


class StoredComputeLogManager(
    TruncatingCloudStorageComputeLogManager[dg.DagsterInstance], ConfigurableClass
):
    """Keeps what runs print below `_logs` of the dataset."""

    def __init__(self, data_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store: Store = open_store(data_url)
        self._inst_data = inst_data
        self._local = QuietComputeLogManager(base_dir=str(local_folder()))
        self._subscriptions = PollingComputeLogSubscriptionManager(  # type: ignore[no-untyped-call]
            self
        )

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What dagster.yaml states."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return what dagster.yaml states: the dataset."""
        return {"data_url": dg.StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the manager that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """The one that catches what this process prints."""
        return self._local

    @property
    def upload_interval(self) -> int:
        """Seconds between copies of what a run has printed so far."""
        return SECONDS_BETWEEN_COPIES

    @contextlib.contextmanager
    def open_log_stream(self, log_key: LogKey, io_type: ComputeIOType) -> Iterator[IO[Any] | None]:
        """Open the file of a sensor or schedule, which stays here."""
        with self._local.open_log_stream(log_key, io_type) as stream:
            yield stream

    def cloud_storage_has_logs(
        self, log_key: LogKey, io_type: ComputeIOType, *args: bool, **kwargs: bool
    ) -> bool:
        """Whether there is a copy, of the whole or `partial`."""
        try:
            self._store.entry(path(log_key, io_type, *args, **kwargs))
        except FileNotFoundError:
            return False
        return True

    def download_from_cloud_storage(
        self, log_key: LogKey, io_type: ComputeIOType, *args: bool, **kwargs: bool
    ) -> None:
        """Make a file of a copy, where the local manager looks for it."""
        name = IO_TYPE_EXTENSION[io_type]
        file = Path(self._local.get_captured_local_path(log_key, name, *args, **kwargs))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self._store.read(path(log_key, io_type, *args, **kwargs)).data)

    def delete_logs(self, log_key: LogKey | None = None, prefix: LogKey | None = None) -> None:
        """Remove the logs of a key, or all below a prefix."""
        self._local.delete_logs(log_key, prefix)
        if log_key:
            kinds = [(kind, partial) for kind in ComputeIOType for partial in (False, True)]
            self._store.delete(path(log_key, kind, partial=partial) for kind, partial in kinds)
        elif prefix:
            below = list(self._store.entries("/".join((LOGS, *prefix))))
            self._store.delete(entry.path for entry in below)

    def display_path_for_type(self, log_key: LogKey, io_type: ComputeIOType) -> str:
        """Return where a log is, for people."""
        return f"{self._store.url}/{path(log_key, io_type)}"

    def download_url_for_type(self, log_key: LogKey, io_type: ComputeIOType) -> None:
        """Return None: the UI shows the log, and hands out no right to read the bucket."""

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: LogKey, io_type: ComputeIOType
    ) -> Sequence[list[str]]:
        """Return the keys below a prefix of sensors or schedules, whose logs are here."""
        keys = self._local.get_log_keys_for_log_key_prefix(log_key_prefix, io_type)
        return [list(key) for key in keys]

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Show a log as it grows."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """Stop showing it."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """Let go of threads."""
        self._subscriptions.dispose()
        super().dispose()  # type: ignore[no-untyped-call]

    def _upload_file_obj(
        self,
        data: IO[bytes],
        log_key: LogKey,
        io_type: ComputeIOType,
        partial: bool = False,  # noqa: FBT001, FBT002  Dagster's signature
    ) -> None:
        sink = self._store.open_sink(path(log_key, io_type, partial=partial))
        while piece := data.read(COPY_BYTES):
            sink.write(piece)
        sink.close()
        if not partial:
            self._store.delete([path(log_key, io_type, partial=True)])


def path(log_key: LogKey, io_type: ComputeIOType, partial: bool = False) -> str:  # noqa: FBT001, FBT002
    """Return where a log is below the dataset."""
    return "/".join((LOGS, *log_key)) + f".{IO_TYPE_EXTENSION[io_type]}" + ".partial" * partial


def local_folder() -> Path:
    """Return this user's folder for what is caught or shown here."""
    return Path(tempfile.gettempdir(), f"medgen-logs-{os.getuid()}")
