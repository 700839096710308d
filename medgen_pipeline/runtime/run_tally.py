"""Adding up runs that have ended, each once.

Dagster may change a run after it has ended, and tells of runs by the time of their last change. So
a run counts if it ended after the time up to which all were counted, and is not among those seen
since. That time follows the clock at a distance: a run's end is written with the time at which it
happened, and may be seen later.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Labels
from medgen_pipeline.runtime.instance_view import Ended, InstanceView, Written
from medgen_pipeline.runtime.kept_figures import Kept
from medgen_pipeline.runtime.processes import MIB

DISTANCE_SECONDS: Final = 120.0  # our own choice: of a slow database, or clocks of two hosts
AT_A_TIME: Final = 200  # runs between two times at which the figures are kept
SECONDS_OF_A_TICK: Final = 20.0  # Dagster gives up on one after 60

WORKLOAD_TAG: Final = "medgen/workload"
PRIORITY_TAG: Final = "dagster/priority"
ROWS: Final = "dagster/partition_row_count"
BYTES: Final = "bytes"
PATIENTS: Final = "patients"  # the table of which a row is a patient
OUTCOMES: Final = ("KIA", "DOW", "DNB", "RTD", "EVACUATED", "IN_CARE")

COMPLETE_TO: Final = "complete_to"  # keys of the progress
SEEN: Final = "seen"
SCENARIOS: Final = "scenarios"


class RunTally:
    """What is known of all runs that have ended."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.figures = kept.figures
        progress = kept.progress
        self._complete_to = float(progress.get(COMPLETE_TO, 0.0))
        self._seen: dict[str, float] = progress.setdefault(SEEN, {})  # end of a run by its id
        self._scenarios: list[str] = progress.setdefault(SCENARIOS, [])

    def count_new(
        self, view: InstanceView, keep: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> Counter[str]:
        """Count the runs that have ended since, and keep the figures; return their outcomes.

        After a long time there may be more than one call gets to.
        """
        counted: Counter[str] = Counter()
        started = clock()
        is_complete = False
        while not is_complete and clock() - started < SECONDS_OF_A_TICK:
            at_most = AT_A_TIME + len(self._seen)
            changed = view.ended(self._complete_to, at_most)
            for run in changed:
                if run.run_id in self._seen:
                    continue
                if run.ended_at > self._complete_to:
                    self.count(run, view.written(run.run_id) if run.started_at else ())
                    counted[outcome_of(run)] += 1
                self._seen[run.run_id] = run.ended_at
            is_complete = len(changed) < at_most
            if is_complete:
                self._move_to(started - DISTANCE_SECONDS)
            keep()
        return counted

    def count(self, run: Ended, written: Iterable[Written]) -> None:
        """Add one run."""
        figures, labels = self.figures, self._labels(run)
        figures.add(metrics.RUNS_FINISHED, *labels, outcome_of(run))
        if run.breached in metrics.LIMITS:
            figures.add(metrics.LIMIT_BREACHES, *labels, run.breached)
        if run.started_at is not None:
            figures.observe(metrics.RUN_DURATION, *labels, value=run.ended_at - run.started_at)
            wait = max(0.0, run.started_at - run.created_at)
            priority = priority_class(run.tags)
            figures.observe(metrics.QUEUE_WAIT, *labels, priority, value=wait)
        if run.peak_memory_mb is not None:
            figures.observe(metrics.PEAK_MEMORY, *labels, value=run.peak_memory_mb * MIB)
        if run.cpu_seconds is not None:
            figures.observe(metrics.RUN_CPU, *labels, value=run.cpu_seconds)
        # What a run tells twice of one partition it has written once.
        told = {(each.asset, each.partition or ""): each for each in written}
        once = [told[key] for key in sorted(told)]
        for each in once:
            self._count_written(labels, each)
        batches = [each for each in once if each.asset == PATIENTS]
        for scenario, last in {each.scenario: each for each in batches}.items():
            if scenario is not None:
                self._remember(self._known(scenario), last)

    def _move_to(self, complete_to: float) -> None:
        self._complete_to = max(self._complete_to, complete_to)
        for run_id in [run_id for run_id, end in self._seen.items() if end <= self._complete_to]:
            del self._seen[run_id]
        self.kept.progress[COMPLETE_TO] = self._complete_to

    def _count_written(self, labels: Labels, written: Written) -> None:
        rows, size = written.metadata.get(ROWS), written.metadata.get(BYTES)
        if written.scenario is None or not isinstance(rows, int) or not isinstance(size, int):
            return  # a plan, or an asset of somebody else
        scenario = self._known(written.scenario)
        self.figures.add(metrics.ROWS_WRITTEN, written.asset, scenario, amount=rows)
        self.figures.add(metrics.BYTES_WRITTEN, written.asset, scenario, amount=size)
        if written.asset == PATIENTS:
            self.figures.add(metrics.PATIENTS, *labels, amount=rows)

    def _remember(self, scenario: str, batch: Written) -> None:
        """Keep the outcomes of a scenario's newest batch."""
        told = [batch.metadata.get(outcome) for outcome in OUTCOMES]
        counts = [count for count in told if isinstance(count, int)]
        newest = self.figures.number(metrics.LAST_BATCH, scenario)
        if batch.at < newest or len(counts) < len(OUTCOMES) or not sum(counts):
            return
        self.figures.set(metrics.LAST_BATCH, scenario, value=batch.at)
        for outcome, count in zip(OUTCOMES, counts, strict=True):
            share = count / sum(counts)
            self.figures.set(metrics.OUTCOME_SHARE, scenario, outcome, value=share)

    def _labels(self, run: Ended) -> Labels:
        return run.job, workload_of(run.tags), self._scenario(run.scenarios)

    def _scenario(self, scenarios: tuple[str, ...]) -> str:
        if len(scenarios) > 1:
            return metrics.SEVERAL
        return self._known(scenarios[0]) if scenarios else metrics.NONE

    def _known(self, scenario: str) -> str:
        """Return a scenario as a label: of so many by name."""
        if scenario not in self._scenarios:
            if len(self._scenarios) >= metrics.MOST_SCENARIOS:
                return metrics.OTHER
            self._scenarios.append(scenario)
        return scenario


def outcome_of(run: Ended) -> str:
    """Return how a run ended, one of OUTCOMES_OF_RUNS."""
    is_breach = run.status == "failure" and run.breached in metrics.LIMITS
    return "breached" if is_breach else run.status


def workload_of(tags: Mapping[str, Any]) -> str:
    """Return what a run does, as a label."""
    workload = tags.get(WORKLOAD_TAG, metrics.NONE)
    return workload if workload in (*metrics.WORKLOADS, metrics.NONE) else metrics.OTHER


def priority_class(tags: Mapping[str, Any]) -> str:
    """Return how urgent a run is, one of PRIORITIES; what Dagster cannot read is normal."""
    low, normal, high = metrics.PRIORITIES
    try:
        priority = int(tags.get(PRIORITY_TAG, 0))
    except ValueError:
        return normal
    return low if priority < 0 else high if priority > 0 else normal
