"""One batch: its replicates one after another, from the simulation into the dataset."""

import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.writer import BatchWriter
from medgen_pipeline.generation.behind import Behind
from medgen_pipeline.generation.memory import trim
from medgen_pipeline.generation.version import generator_version
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.totals import expected_patients
from medgen_pipeline.simulation.engine import BUFFER_ROWS, Portion, Replicate, engine

# Our own choices. What waits to be written and the casualties of the replicate in hand share one
# budget: a thousand small replicates come and are written by fits and starts, and with 130,000 rows
# between the two, five of them, each waited for the other; a large one leaves room for no more.
ROWS_OR_CASUALTIES: Final = 300_000
LEAST_ROWS: Final = 130_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch has come. `patients_done` counts those whose outcome is decided."""

    patients_done: int
    patients_expected: int
    replicate: int
    replicates: int
    outcome_counts: Mapping[str, int] = field(default_factory=dict)


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What was committed, and what it took."""

    manifest: Manifest
    peak_memory_mb: float  # of the process, so far
    cpu_seconds: float
    wall_seconds: float


def generate_batch(
    scenario: Scenario,
    batch: int,
    root: str | os.PathLike[str],
    *,
    run_id: str | None = None,
    progress: Report | None = None,
    buffer_rows: int = BUFFER_ROWS,
) -> BatchResult:
    """Generate and commit one batch; on any error the dataset stays as it was.

    Raises MedgenError for what a user can mend. `buffer_rows` changes memory and nothing else.
    """
    try:
        return _generate(scenario, batch, root, run_id, progress, buffer_rows)
    finally:
        trim()  # or the next batch comes on top of what this one had


def _generate(
    scenario: Scenario,
    batch: int,
    root: str | os.PathLike[str],
    run_id: str | None,
    progress: Report | None,
    buffer_rows: int,
) -> BatchResult:
    wall, cpu = time.perf_counter(), time.process_time()
    prepared = engine(scenario, buffer_rows=buffer_rows)
    with BatchWriter(
        root,
        scenario.model_dump(mode="json"),
        batch,
        run_id=run_id or f"process-{os.getpid()}",
        generator_version=generator_version(),
    ) as writer:
        outcomes: Counter[str] = Counter()

        def write(portion: Portion, running: Replicate) -> None:
            writer.write(portion.make(), running.replicate)

        with Behind(write, most=1.0, weigh=_share_of_budget) as write_behind:
            for replicate in writer.replicates:
                running = Replicate(prepared, replicate)
                for portion in running.portions():
                    write_behind(portion, running)
                    if progress is not None:
                        word = _progress(scenario, writer.replicates, replicate, outcomes, running)
                        progress(word)
                outcomes.update(running.outcome_counts)
        return BatchResult(
            manifest=writer.commit(
                outcomes=outcomes,
                measured={
                    "wall_seconds": round(time.perf_counter() - wall, 3),
                    "cpu_seconds": round(time.process_time() - cpu, 3),
                    "peak_memory_mb": round(peak_memory_mb(), 1),
                },
            ),
            peak_memory_mb=peak_memory_mb(),
            cpu_seconds=time.process_time() - cpu,
            wall_seconds=time.perf_counter() - wall,
        )


def _share_of_budget(portion: Portion, running: Replicate) -> float:
    return portion.rows / max(ROWS_OR_CASUALTIES - running.casualties, LEAST_ROWS)


def _progress(
    scenario: Scenario, replicates: range, replicate: int, before: Counter[str], now: Replicate
) -> Progress:
    outcomes = before + Counter(now.outcome_counts)
    if scenario.patients is not None:
        expected = scenario.patients * len(replicates)
    else:
        later = replicates[-1] - replicate
        expected = before.total() + now.casualties + round(expected_patients(scenario) * later)
    return Progress(
        patients_done=outcomes.total(),
        patients_expected=expected,
        replicate=replicate,
        replicates=len(replicates),
        outcome_counts=dict(outcomes),
    )


def peak_memory_mb() -> float:
    """Return the largest resident memory this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
