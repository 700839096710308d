"""Runs that have ended are counted once each, whatever changes, is killed or begins anew."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures
from medgen_pipeline.runtime import run_tally
from medgen_pipeline.runtime.instance_view import Ended, InstanceView, Written
from medgen_pipeline.runtime.kept_figures import Kept
from medgen_pipeline.runtime.run_tally import DISTANCE_SECONDS, RunTally

NOW: Final = 1_000_000.0
LABELS: Final = ("generation", "generation", "demo")


def run(run_id: str, ended_at: float = NOW, **changes: object) -> Ended:
    """Return a run that took 40 s after waiting 20 s."""
    given = Ended(
        run_id=run_id,
        job="generation",
        status="success",
        tags={"medgen/workload": "generation", "dagster/priority": "5"},
        scenarios=("demo",),
        created_at=ended_at - 60,
        started_at=ended_at - 40,
        ended_at=ended_at,
        breached=None,
        peak_memory_mb=300.0,
        cpu_seconds=35.0,
    )
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


def batch(batch: int, at: float = NOW, rows: int = 100, **metadata: object) -> Written:
    told = {"dagster/partition_row_count": rows, "bytes": 5_000, **metadata}
    return Written("patients", "demo", f"{batch:04d}|demo", at, told)


class Instance(InstanceView):
    """Runs by the time of their last change, as an instance tells of them."""

    def __init__(self) -> None:
        self.changed: dict[str, tuple[float, Ended]] = {}
        self.batches: dict[str, Sequence[Written]] = {}

    def has(self, *runs: Ended, changed: float | None = None) -> None:
        """Add runs, or change them."""
        for each in runs:
            self.changed[each.run_id] = (changed or each.ended_at, each)

    def ended(self, after: float, limit: int) -> list[Ended]:
        """Return the runs that changed after a time."""
        found = sorted(self.changed.values(), key=lambda pair: pair[0])
        return [each for changed, each in found if changed > after][:limit]

    def written(self, run_id: str) -> Iterator[Written]:
        """Yield nothing, unless a test says so."""
        yield from self.batches.get(run_id, ())


class Store:
    """What is kept: replaced as a whole, or not."""

    def __init__(self) -> None:
        self.text: str | None = None

    def tick(self, instance: Instance, now: float, *, killed_after: int = 1_000) -> int:
        """Return how many runs a tick counts; the figures are kept so many times at most."""
        found = json.loads(self.text) if self.text else {"figures": {}, "progress": {}}
        kept = Kept(Figures.from_dict(found["figures"]), found["progress"])
        kepts = 0

        def keep() -> None:
            nonlocal kepts
            kepts += 1
            if kepts > killed_after:
                raise KeyboardInterrupt
            value = {"figures": kept.figures.as_dict(), "progress": kept.progress}
            self.text = json.dumps(value)

        return RunTally(kept).count_new(instance, keep, clock=lambda: now).total()

    def counted(self) -> dict[str, float]:
        """Return the runs counted so far by outcome."""
        found = json.loads(self.text or "{}")
        numbers = found["figures"]["numbers"].get(metrics.RUNS_FINISHED.name, [])
        counts: dict[str, float] = {}
        for labels, value in numbers:
            counts[labels[-1]] = counts.get(labels[-1], 0) + value
        return counts


@pytest.fixture
def instance() -> Instance:
    return Instance()


@pytest.fixture
def store() -> Store:
    return Store()


def test_each_run_is_counted_once(instance: Instance, store: Store) -> None:
    instance.has(run("a"), run("b", NOW + 5))
    assert store.tick(instance, NOW + 10) == 2
    assert store.tick(instance, NOW + 20) == 0
    instance.has(run("c", NOW + 15))  # seen late: it ended before the tick that missed it
    assert store.tick(instance, NOW + 30) == 1
    assert store.counted() == {"success": 3}


def test_a_run_that_changes_after_its_end_is_not_counted_again(
    instance: Instance, store: Store
) -> None:
    """A tag, such as that of the run that repeats it, makes it new to whoever asks by time."""
    instance.has(run("a"))
    store.tick(instance, NOW + 10)
    much_later = NOW + 10 * DISTANCE_SECONDS
    for at in (NOW + 15, much_later, much_later + 500):
        instance.has(run("a"), changed=at)
        assert store.tick(instance, at + 5) == 0
    assert store.counted() == {"success": 1}


def test_a_tick_that_is_killed_before_it_keeps_counts_nothing(
    instance: Instance, store: Store
) -> None:
    """The figures and how far they go are one value."""
    instance.has(run("a"), run("b", status="failure"))
    with pytest.raises(KeyboardInterrupt):
        store.tick(instance, NOW + 10, killed_after=0)
    assert store.text is None
    assert store.tick(instance, NOW + 20) == 2
    assert store.counted() == {"success": 1, "failure": 1}


def test_a_tick_that_is_killed_halfway_goes_on_from_there(
    instance: Instance, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if what it counted has changed since, and what it did not is older."""
    monkeypatch.setattr(run_tally, "AT_A_TIME", 3)
    runs = [run(f"run {n}", NOW + n) for n in range(10)]
    instance.has(*runs)
    with pytest.raises(KeyboardInterrupt):
        store.tick(instance, NOW + 500, killed_after=2)
    assert store.counted() == {"success": 6}
    instance.has(runs[0], changed=NOW + 600)
    assert store.tick(instance, NOW + 700) == 4
    assert store.tick(instance, NOW + 800) == 0
    assert store.counted() == {"success": 10}


def test_many_runs_are_left_to_the_next_tick_in_time(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster would give up on a tick that goes on for long."""
    monkeypatch.setattr(run_tally, "AT_A_TIME", 2)
    monkeypatch.setattr(run_tally, "SECONDS_OF_A_TICK", 0.5)
    instance.has(*(run(f"run {n}", NOW + n) for n in range(7)))
    kept, times = Kept(), iter(range(100))
    tally = RunTally(kept)
    counted = [
        tally.count_new(instance, lambda: None, clock=lambda: NOW + 0.3 * next(times)).total()
        for _ in range(5)
    ]
    assert counted == [2, 2, 2, 1, 0]


def test_outcomes_are_told_apart(instance: Instance, store: Store) -> None:
    """A failure by a limit is a breach; a word that is no limit of ours is none."""
    instance.has(
        run("a"),
        run("b", status="failure"),
        run("c", status="failure", breached="max_cpu_seconds"),
        run("d", status="canceled"),
        run("e", status="failure", breached="rubbish"),
    )
    store.tick(instance, NOW + 10)
    assert store.counted() == {"success": 1, "failure": 2, "breached": 1, "canceled": 1}


def test_a_run_that_never_started_has_neither_duration_nor_wait() -> None:
    tally = RunTally(Kept())
    tally.count(run("a", started_at=None, peak_memory_mb=None, cpu_seconds=None), ())
    _, sizes = tally.figures.snapshot()
    assert sizes == {}


def test_times_and_cost_are_counted_by_size() -> None:
    tally = RunTally(Kept())
    tally.count(run("a"), ())
    figures = tally.figures
    assert figures.sizes(metrics.RUN_DURATION)[LABELS].total == 40
    assert figures.sizes(metrics.QUEUE_WAIT)[(*LABELS, "high")].total == 20
    assert figures.sizes(metrics.PEAK_MEMORY)[LABELS].total == 300 * 2**20
    assert figures.sizes(metrics.RUN_CPU)[LABELS].total == 35


def test_what_was_written_is_added_up() -> None:
    """Of what a run tells twice of a batch, once; a plan has no rows."""
    tally = RunTally(Kept())
    plan = Written("casualty_plan", "demo", "demo", NOW, {"strength": 100})
    tally.count(run("a"), [batch(0), batch(1), batch(1), plan])
    figures = tally.figures
    assert figures.numbers(metrics.PATIENTS) == {LABELS: 200}
    assert figures.numbers(metrics.ROWS_WRITTEN) == {("patients", "demo"): 200}
    assert figures.numbers(metrics.BYTES_WRITTEN) == {("patients", "demo"): 10_000}


def test_the_newest_batch_gives_the_shares_of_outcomes() -> None:
    """Runs may be counted in another order than they wrote."""
    outcomes = {"KIA": 10, "DOW": 5, "DNB": 0, "RTD": 60, "EVACUATED": 25, "IN_CARE": 0}
    others = dict.fromkeys(outcomes, 0) | {"RTD": 50}
    tally = RunTally(Kept())
    tally.count(run("a"), [batch(3, NOW, **outcomes)])
    tally.count(run("b"), [batch(7, NOW - 100, **others)])
    tally.count(run("c"), [batch(8, NOW + 100)])  # of a run that failed: no outcomes
    shares = tally.figures.numbers(metrics.OUTCOME_SHARE)
    assert shares["demo", "KIA"] == 0.1
    assert sum(shares.values()) == pytest.approx(1)
    assert tally.figures.number(metrics.LAST_BATCH, "demo") == NOW


def test_labels_stay_within_bounds() -> None:
    """Whatever tags say, and however many scenarios there are."""
    tally = RunTally(Kept())
    for n in range(metrics.MOST_SCENARIOS + 50):
        rubbish = {"medgen/workload": f"rubbish {n}", "dagster/priority": "rubbish"}
        tally.count(run(f"run {n}", scenarios=(f"s-{n}",), tags=rubbish), ())
    tally.count(run("x", scenarios=("a", "b"), tags={}), ())
    tally.count(run("y", scenarios=()), ())
    labels = list(tally.figures.numbers(metrics.RUNS_FINISHED))
    assert {workload for _, workload, _, _ in labels} == {"other", "none", "generation"}
    scenarios = {scenario for _, _, scenario, _ in labels}
    assert len(scenarios) == metrics.MOST_SCENARIOS + 3
    assert {"other", "several", "none"} <= scenarios
    waits = tally.figures.sizes(metrics.QUEUE_WAIT)
    assert {priority for *_, priority in waits} == {"normal", "high"}
