"""Figures of pools add up: counters over all processes, gauges over those that live."""

import json

import pytest

from medgen_pipeline.runtime.parts import BRIEF, SERVICES
from medgen_pipeline.runtime.pool_figures import (
    COUNTERS,
    GAUGES,
    PARTS,
    WAIT_BOUNDS,
    Histogram,
    PoolFigures,
    ended,
    together,
)


def figures(part: str = "daemon", *, taken_at: float = 100.0, each: int = 3) -> PoolFigures:
    """Return figures in which every one of them is the same."""
    return PoolFigures(
        part=part,
        taken_at=taken_at,
        wait_seconds=Histogram.empty(WAIT_BOUNDS).with_one(0.002),
        **{name: each for name in (*GAUGES, *COUNTERS) if name != "processes"},  # type: ignore[arg-type]
    )


def test_a_time_is_in_the_class_whose_bound_it_does_not_pass() -> None:
    found = Histogram.empty((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 7.0):
        found = found.with_one(seconds)
    assert (found.counts, found.total_seconds, found.count) == ((2, 1, 1), 10.0, 4)


def test_histograms_of_different_classes_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Histogram.empty((1.0,)) + Histogram.empty((2.0,))


def test_processes_of_a_part_are_added_up() -> None:
    """What is heard of least lately says how old the whole is."""
    both = together("daemon", [figures(taken_at=100.0), figures(taken_at=90.0)])
    assert (both.processes, both.active, both.checkouts) == (2, 6, 6)
    assert (both.wait_seconds.count, both.taken_at) == (2, 90.0)


def test_a_process_that_has_ended_has_done_but_holds_nothing() -> None:
    """It took its connections with it, so they are closed; its age says nothing any more."""
    gone = ended(figures(taken_at=1.0))
    assert {name: getattr(gone, name) for name in GAUGES} == dict.fromkeys(GAUGES, 0)
    assert gone.closed == 3 + 3 + 3
    assert together("daemon", [gone, figures(taken_at=50.0)]).taken_at == 50.0


def test_json_keeps_them() -> None:
    found = figures()
    assert PoolFigures.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_figures_of_another_version_are_refused() -> None:
    known = figures().as_dict()
    del known["recycled"]
    with pytest.raises(KeyError):
        PoolFigures.from_dict(known)


def test_there_are_figures_for_every_part() -> None:
    assert set(PARTS) == {*SERVICES, *BRIEF}
