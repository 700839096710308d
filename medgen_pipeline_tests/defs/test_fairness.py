"""Fairness: who has waited long goes next, one of a kind at a time."""

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
import pytest

from medgen_pipeline.defs import fairness
from medgen_pipeline.defs.fairness import LIFTED, fairness_sensor, to_lift
from medgen_pipeline.defs.tags import PRIORITY, TENANT, WORKLOAD
from medgen_pipeline_tests.runtime.test_coordinator import add

NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)


def record(run_id: str, minutes: float, **tags: str) -> dg.RunRecord:
    """Return a queued run that has waited so long."""
    run = dg.DagsterRun(job_name="any", run_id=run_id, tags=tags)
    created = NOW - timedelta(minutes=minutes)
    return dg.RunRecord(0, run, create_timestamp=created, update_timestamp=created)


def lifted(*queued: dg.RunRecord) -> list[str]:
    return [run.run_id for run in to_lift(queued, NOW)]


def test_only_who_has_waited_long_is_lifted_and_of_these_the_oldest() -> None:
    assert lifted(record("a", 30), record("b", 20), record("c", 9)) == ["a"]
    assert lifted(record("c", 9)) == []


def test_one_of_each_kind_is_lifted() -> None:
    """A tenant whose limit is reached holds up nobody else."""
    assert lifted(
        record("a", 30, **{TENANT: "x"}),
        record("b", 29, **{TENANT: "x"}),
        record("c", 28, **{TENANT: "y"}),
        record("d", 27, **{WORKLOAD: "housekeeping"}),
    ) == ["a", "c", "d"]


def test_nobody_else_is_lifted_while_one_of_the_kind_waits() -> None:
    """Or a large backfill would after a while be the most urgent of all."""
    assert lifted(record("a", 30, **{LIFTED: "a"}), record("b", 29)) == []
    assert lifted(record("a", 30, **{LIFTED: "another"}), record("b", 29)) == ["a"]


@pytest.mark.parametrize("priority", ["7", "rubbish", None])
def test_the_sensor_puts_it_above_all_that_wait(
    priority: str | None, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the others ask for; then it says so and lifts no other."""
    monkeypatch.setattr(fairness, "PATIENCE", timedelta(0))
    old = add(instance, tags={PRIORITY: "-10"}).run_id
    add(instance, tags={PRIORITY: priority} if priority else {})
    context = dg.build_sensor_context(instance=instance)
    assert str(fairness_sensor(context)).count("2 runs wait, 1 lifted") == 1
    run = instance.get_run_by_id(old)
    assert run is not None
    assert int(run.tags[PRIORITY]) == (8 if priority == "7" else 1)
    assert "0 lifted" in str(fairness_sensor(context))
