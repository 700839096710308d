"""How many batches one run takes: enough to make up for its launch, few enough for its limits.

A launch costs seconds in which nothing is generated, so a run is to work nine times as long, which
keeps launches at a tenth of the whole. It is not to work longer than that: more runs spread better
over the machines, and less is lost with one of them. Nor may it come near its limits of CPU and
time. What a batch takes is known from those that are committed, else assumed.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.totals import expected_patients

# Measured (docs/scale.md): from a free slot to a run at work; and what a run does beside
# generating, that is checks, aggregates and events, for each second of it and for each batch.
LAUNCH_SECONDS: Final = 4.0
LAUNCH_SECONDS_ON_RAY: Final = 9.0
BESIDE_GENERATING: Final = 0.6
SECONDS_PER_BATCH: Final = 0.5
ASSUMED_PATIENTS_PER_SECOND: Final = 50_000.0  # of one core, where nothing was measured yet
MOST_LAUNCHING: Final = 0.1  # of the work
SHARE_OF_LIMITS: Final = 0.5  # of CPU and time, that a run is planned to take at most


@dataclass(frozen=True, slots=True)
class Work:
    """What a batch of a scenario takes, and how that is known."""

    batch_seconds: float
    patients_per_second: float
    measured_on: int  # batches; 0 is an assumption


@dataclass(frozen=True, slots=True)
class Terms:
    """What the deployment allows and what it costs."""

    slots: int  # runs at a time
    launch_seconds: float
    limit_seconds: float  # the smaller of a run's limits of CPU and time


@dataclass(frozen=True, slots=True)
class Packing:
    """The runs of a backfill: the batches of each, in ascending order."""

    runs: tuple[tuple[int, ...], ...]
    work: Work
    terms: Terms

    @property
    def launching(self) -> float:
        """The time of all launches as a share of the work."""
        batches = sum(len(run) for run in self.runs)
        work = batches * self.work.batch_seconds
        return len(self.runs) * self.terms.launch_seconds / work if work else 0.0


def work_of(scenario: Scenario, manifests: Iterable[Manifest]) -> Work:
    """Return what a batch of a scenario takes, judged by batches that were generated."""
    rates = [rate for manifest in manifests if (rate := _rate(manifest))]
    rate = statistics.median(rates) if rates else ASSUMED_PATIENTS_PER_SECOND
    patients = expected_patients(scenario) * scenario.replicates_per_batch
    seconds = SECONDS_PER_BATCH + (1 + BESIDE_GENERATING) * patients / rate
    return Work(seconds, rate, len(rates))


def _rate(manifest: Manifest) -> float | None:
    seconds = manifest.run.measured.get("wall_seconds")
    patients = manifest.rows["patients"]
    return patients / float(seconds) if seconds and patients else None


def pack(batches: Sequence[int], work: Work, terms: Terms, per_run: int | None = None) -> Packing:
    """Return batches in runs of `per_run`, or of as many as the policy of this module says."""
    size = per_run or batches_per_run(len(batches), work, terms)
    count = math.ceil(len(batches) / size) if batches else 0
    edges = [round(i * len(batches) / count) for i in range(count + 1)] if count else [0]
    ordered = sorted(batches)
    runs = tuple(tuple(ordered[first:last]) for first, last in itertools.pairwise(edges))
    return Packing(runs, work, terms)


def batches_per_run(batches: int, work: Work, terms: Terms) -> int:
    """Return how many batches a run takes at most: all runs about as many, all slots as busy."""
    least = math.ceil(terms.launch_seconds / (MOST_LAUNCHING * work.batch_seconds))
    most = max(1, math.floor(SHARE_OF_LIMITS * terms.limit_seconds / work.batch_seconds))
    if least >= most:
        return most
    runs = max(1, batches // least)
    if runs > terms.slots:
        runs -= runs % terms.slots  # so that no slot is idle in the last round
    return max(1, min(most, math.ceil(batches / runs)))
