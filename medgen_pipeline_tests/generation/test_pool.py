"""Batches in one process or several: the same results, in order; one error stops the rest."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import MedgenError
from medgen_pipeline.generation.pool import generate_batches, generate_jobs
from medgen_pipeline_tests.simulation.running import small

if TYPE_CHECKING:
    from medgen_pipeline.generation.batch import Progress


@pytest.mark.parametrize("processes", [1, 2])
def test_results_are_in_the_order_asked_for_and_progress_names_its_batch(
    processes: int, tmp_path: Path
) -> None:
    told: list[tuple[int, Progress]] = []
    batches = [3, 0, 1]
    results = generate_batches(
        small(),
        batches,
        tmp_path,
        processes=processes,
        run_id="a-run",
        progress=lambda batch, word: told.append((batch, word)),
    )
    assert [result.manifest.batch for result in results] == batches
    assert told
    assert all(batch in batches and word.replicate == batch for batch, word in told)
    assert [m.batch for m in Dataset(str(tmp_path)).manifests()] == sorted(batches)
    assert {m.run.run_id for m in Dataset(str(tmp_path)).manifests()} == {"a-run"}


def test_jobs_may_be_of_several_scenarios(tmp_path: Path) -> None:
    other = small(id="other", patients=20)
    results = generate_jobs([(small(), 0), (other, 2)], tmp_path)
    found = [(r.manifest.scenario, r.manifest.batch, r.manifest.rows["patients"]) for r in results]
    assert found == [("smallest", 0, 50), ("other", 2, 20)]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_dataset_that_cannot_be_written_is_an_error_of_the_users(
    processes: int, tmp_path: Path
) -> None:
    """A file where the folder should be; nothing is left behind."""
    root = tmp_path / "data"
    root.write_text("")
    with pytest.raises(MedgenError, match="data"):
        generate_batches(small(), [0, 1], root, processes=processes)
    assert list(tmp_path.iterdir()) == [root]


def test_batches_before_an_error_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MedgenError("the disk is full")

    generate_batches(small(), [0], tmp_path)
    monkeypatch.setattr("medgen_pipeline.generation.batch.engine", fails)
    with pytest.raises(MedgenError, match="the disk is full"):
        generate_batches(small(), [1, 2], tmp_path)
    assert [manifest.batch for manifest in Dataset(str(tmp_path)).manifests()] == [0]


ASKED_IN_A_WORKER = """
import signal
from medgen_pipeline.generation.pool import Workers
with Workers(1) as workers:
    held = workers._pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
print(signal.SIGINT in held)
"""


def test_ctrl_c_never_reaches_a_worker() -> None:
    """Asked in a process that has started none: one interrupted in between hung at its end."""
    asked = [sys.executable, "-c", ASKED_IN_A_WORKER]
    said = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=120)
    assert said.stdout == "True\n"
