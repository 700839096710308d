"""How fast it is, against the time that writing alone would take on the same machine, in one go.

Each measurement runs in processes of its own, so that memory is that of a run and nothing is warm
that a run would not find warm. The yardstick takes a sample of the rows just generated, holds it
in memory as Arrow and writes it to the same disk with the same settings; its time, scaled by rows,
stands for all of them.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.parquet import ParquetFile
from medgen_pipeline.dataset.store import open_store
from medgen_pipeline.generation.pool import generate_batches
from medgen_pipeline.scenario.model import Scenario

SAMPLE_PATIENTS: Final = 200_000  # of a batch; their rows fill some 300 MB as Arrow


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one number of processes does; times are medians over the repeats, memory the highest."""

    processes: int
    patients: int  # in all processes
    repeats: int
    seconds: float  # from the scenario to the last committed manifest
    patients_per_second: float
    write_seconds: float  # to write the same rows from memory
    ratio: float  # seconds over write_seconds
    peak_memory_mb: float  # of the largest process


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how long it took, its largest process, and what was committed."""

    seconds: float
    peak_memory_mb: float
    manifests: tuple[Manifest, ...]


def measure(scenario: Scenario, processes: int, *, repeats: int, folder: Path) -> Measurement:
    """Return the measurement for a number of processes, each with a batch of its own."""
    pairs = [_repeat(scenario, processes, folder) for _ in range(repeats)]
    seconds = statistics.median(run.seconds for run, _ in pairs)
    write_seconds = statistics.median(writing for _, writing in pairs)
    patients = sum(manifest.rows["patients"] for manifest in pairs[0][0].manifests)
    return Measurement(
        processes=processes,
        patients=patients,
        repeats=repeats,
        seconds=seconds,
        patients_per_second=patients / seconds,
        write_seconds=write_seconds,
        ratio=seconds / write_seconds,
        peak_memory_mb=max(run.peak_memory_mb for run, _ in pairs),
    )


def measurements(
    scenario: Scenario, processes: Sequence[int], *, repeats: int, folder: Path | None = None
) -> Iterator[Measurement]:
    """Yield the measurement for each number of processes; files go below `folder`, and vanish."""
    for number in processes:
        with tempfile.TemporaryDirectory(prefix="medgen-bench-", dir=folder) as root:
            yield measure(scenario, number, repeats=repeats, folder=Path(root))


def _repeat(scenario: Scenario, processes: int, folder: Path) -> tuple[Run, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        run = child.submit(_generate, scenario, processes, str(folder)).result()
    writing = _write_all(folder, run.manifests)
    for each in folder.iterdir():
        shutil.rmtree(each)
    return run, writing


def _generate(scenario: Scenario, processes: int, folder: str) -> Run:
    """Generate one batch for each process, in this process if it is one."""
    started = time.perf_counter()
    results = generate_batches(scenario, range(processes), folder, processes=processes)
    return Run(
        seconds=time.perf_counter() - started,
        peak_memory_mb=max(result.peak_memory_mb for result in results),
        manifests=tuple(result.manifest for result in results),
    )


def _write_all(folder: Path, manifests: Sequence[Manifest]) -> float:
    """Return the seconds that writing all batches takes, each in a process, at the same time."""
    context = get_context("spawn")
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(len(manifests), mp_context=context) as pool,
    ):
        together = manager.Barrier(len(manifests))
        waiting = [pool.submit(_write_again, str(folder), one, together) for one in manifests]
        return max(each.result() for each in waiting)


def _write_again(folder: str, manifest: Manifest, together: Barrier) -> float:
    """Return the seconds that writing a batch's rows takes, scaled up from a sample of them."""
    share = min(1.0, SAMPLE_PATIENTS / max(manifest.rows["patients"], 1))
    samples = {
        table: sample(Path(folder), manifest, table, round(share * manifest.rows[table]))
        for table in schema.TABLES
    }
    together.wait()
    return sum(
        write_seconds(Path(folder), f"again-{manifest.batch}", table, batches)
        * manifest.rows[table]
        / max(sum(map(len, batches)), 1)
        for table, batches in samples.items()
    )


def sample(folder: Path, manifest: Manifest, table: str, rows: int) -> list[pa.RecordBatch]:
    """Return the first row groups of a table, as they were handed to the writer: `rows` or more."""
    batches: list[pa.RecordBatch] = []
    for path in manifest.paths(table):
        with pq.ParquetFile(folder / path) as file:
            for group in range(file.num_row_groups):
                if sum(map(len, batches)) >= rows:
                    return batches
                batches += file.read_row_group(group).combine_chunks().to_batches()
    return batches


def write_seconds(folder: Path, name: str, table: str, batches: Sequence[pa.RecordBatch]) -> float:
    """Return the seconds that writing batches of a table takes, with the settings of a dataset."""
    started = time.perf_counter()
    file = ParquetFile(schema.TABLES[table], open_store(folder).open_sink(f"{name}/{table}"))
    for batch in batches:
        file.write(batch)
    file.close()
    return time.perf_counter() - started
