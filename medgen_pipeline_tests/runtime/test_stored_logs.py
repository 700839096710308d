"""What runs print is kept beside the dataset, and read there by who was not on their machine."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

from medgen_pipeline.dataset.janitor import find_litter
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.runtime import compute_logs, stored_logs
from medgen_pipeline.runtime.stored_logs import StoredComputeLogManager

KEY = ["run-1", "compute_logs", "steps"]
OUT = "_logs/run-1/compute_logs/steps.out"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoredComputeLogManager]:
    """Return the manager of a node, in a process that executes a run."""
    monkeypatch.setattr(compute_logs, "serves_a_run", lambda: True)
    yield from opened(tmp_path, monkeypatch, "node")


def opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> Iterator[StoredComputeLogManager]:
    monkeypatch.setattr(stored_logs, "local_folder", lambda: tmp_path / machine)
    found = StoredComputeLogManager(str(tmp_path / "data"))
    yield found
    found.dispose()


def read(manager: StoredComputeLogManager, kind: ComputeIOType = ComputeIOType.STDOUT) -> bytes:
    """Return a log as the UI reads it."""
    data, _ = manager.get_log_data_for_type(KEY, kind, 0, None)
    return data or b""


def test_a_log_is_read_on_another_machine(
    manager: StoredComputeLogManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager.capture_logs(KEY):
        sys.stdout.write("said\n")
        sys.stdout.flush()
    assert not list((tmp_path / "node").rglob("*.out")), "the node keeps nothing"
    for elsewhere in opened(tmp_path, monkeypatch, "head"):
        assert elsewhere.is_capture_complete(KEY)
        assert read(elsewhere) == b"said\n"
        assert read(elsewhere, ComputeIOType.STDERR) == b""
        where = elsewhere.get_log_metadata(KEY).stdout_location
        assert where == f"{tmp_path}/data/{OUT}"


def test_a_log_is_read_while_it_grows(
    manager: StoredComputeLogManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last copy, which goes when the whole is there."""
    with manager.capture_logs(KEY):
        for word in ("one ", "two "):
            sys.stdout.write(word)
            sys.stdout.flush()
            manager.on_progress(KEY)  # type: ignore[no-untyped-call]
            for elsewhere in opened(tmp_path, monkeypatch, "head"):
                assert not elsewhere.is_capture_complete(KEY)
                assert read(elsewhere).endswith(word.encode())
    kept = {path.name for path in (tmp_path / "data/_logs").rglob("*.*")}
    assert kept == {"steps.out", "steps.err"}


def test_logs_go_by_run_or_by_key(manager: StoredComputeLogManager, tmp_path: Path) -> None:
    for delete in ({"log_key": KEY}, {"prefix": ["run-1"]}):
        with manager.capture_logs(KEY):
            pass
        assert (tmp_path / "data" / OUT).exists()
        manager.delete_logs(**delete)
        assert not list((tmp_path / "data/_logs").rglob("*.*"))


def test_logs_of_sensors_stay_here(manager: StoredComputeLogManager, tmp_path: Path) -> None:
    """They are written every few seconds, and a bucket charges for each."""
    with manager.open_log_stream(["sensor", "tick"], ComputeIOType.STDERR) as stream:
        assert stream is not None
        stream.write("nothing new")
    assert not (tmp_path / "data").exists()
    assert manager.get_log_keys_for_log_key_prefix(["sensor"], ComputeIOType.STDERR) == [
        ["sensor", "tick"]
    ]


def test_logs_are_no_data(manager: StoredComputeLogManager, tmp_path: Path) -> None:
    """Neither a reader nor the janitor takes them for any."""
    with manager.capture_logs(KEY):
        pass
    data = Dataset(tmp_path / "data")
    assert data.partitions() == []
    assert find_litter(data.store) == []
