"""Between two looks: slots taken add up over time, leaks and ticks are counted once."""

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.runtime import kept_figures, pool_tally
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.kept_figures import POOLS, Kept
from medgen_pipeline.runtime.pool_tally import MOST_SECONDS, Look
from medgen_pipeline_tests.runtime.instigated import add_sensor, add_tick, end_tick
from medgen_pipeline_tests.runtime.test_coordinator import STARTED, add

NOW: Final = 1_000_000.0


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def look(instance: dg.DagsterInstance, now: float) -> tuple[Look, Kept]:
    """Look once as the sensor does, and keep what was found."""
    view = InstanceView(instance)
    kept = kept_figures.read(view, POOLS)
    found = pool_tally.look(view, kept, now)
    kept_figures.write(instance, POOLS, kept, now)
    return found, kept_figures.read(view, POOLS)


def test_slots_count_for_as_long_as_they_are_taken(instance: dg.DagsterInstance) -> None:
    """A pause, as of a daemon that was down, counts for a minute at most."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("narrow", 3)
    for step in ("one", "two"):
        storage.claim_concurrency_slot("narrow", add(instance, STARTED).run_id, step)
    for now, seconds in ((NOW, 0.0), (NOW + 15, 30.0), (NOW + 10_000, 30.0 + 2 * MOST_SECONDS)):
        _, kept = look(instance, now)
        assert kept.figures.number(metrics.POOL_SLOT_SECONDS, "narrow") == seconds


def test_a_leaked_slot_is_counted_once(instance: dg.DagsterInstance) -> None:
    """And again when another one leaks."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("narrow", 3)
    counts = []
    for run_id in ("gone", None, "gone too"):
        if run_id:
            storage.claim_concurrency_slot("narrow", run_id, "step")
        found, kept = look(instance, NOW)
        counts.append((found.leaks, kept.figures.number(metrics.POOL_LEAKS, "narrow")))
    assert counts == [(1, 1), (0, 1), (1, 2)]
    storage.free_concurrency_slots_for_run("gone")
    found, kept = look(instance, NOW)
    assert (found.leaks, kept.figures.number(metrics.POOL_LEAKS, "narrow")) == (0, 2)


def test_a_tick_is_counted_once_it_has_ended(instance: dg.DagsterInstance) -> None:
    sensor = add_sensor(instance, "some_sensor")
    add_tick(instance, sensor, 1_000.0, TickStatus.SKIPPED)
    goes_on = add_tick(instance, sensor, 1_030.0, TickStatus.STARTED)
    assert [look(instance, NOW)[0].ticks for _ in range(2)] == [1, 0]
    end_tick(instance, goes_on, TickStatus.FAILURE)
    add_tick(instance, sensor, 1_060.0, TickStatus.SKIPPED)
    found, kept = look(instance, NOW)
    assert found.ticks == 2
    assert kept.figures.numbers(metrics.TICKS) == {
        ("sensor", "some_sensor", "skipped"): 2,
        ("sensor", "some_sensor", "failure"): 1,
    }
