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
from medgen_pipeline.generation.version import generator_version
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.totals import expected_patients
from medgen_pipeline.simulation.engine import BUFFER_ROWS, Replicate, engine
from medgen_pipeline.simulation.rows import Rows

# Our own choice: what the clock hands out at once, of one table each, 2 MB at most.
PORTIONS_BEHIND: Final = 10


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

        def write(portion: Callable[[], Rows], replicate: int) -> None:
            writer.write(portion(), replicate)

        with Behind(write, most=PORTIONS_BEHIND) as write_behind:
            for replicate in writer.replicates:
                running = Replicate(prepared, replicate)
                for portion in running.portions():
                    write_behind(portion, replicate)
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
