"""Figures add up, and survive being written as JSON and read by a later version."""

import json
import threading
from typing import Any

import pytest

from medgen_pipeline.metrics.definitions import (
    BACKFILLS,
    HTTP_REQUESTS,
    QUEUE_WAIT,
    RUN_DURATION,
    RUNS_FINISHED,
)
from medgen_pipeline.metrics.figures import Figures

LABELS = ("generation", "generation", "demo")


def filled() -> Figures:
    figures = Figures()
    figures.add(RUNS_FINISHED, *LABELS, "success", amount=3)
    figures.set(BACKFILLS, "requested", value=2)
    for seconds in (0.5, 1.0, 7.0, 10_000.0):
        figures.observe(RUN_DURATION, *LABELS, value=seconds)
    return figures


def test_a_value_falls_into_the_class_whose_upper_bound_it_does_not_pass() -> None:
    """A bound belongs to its class, as `le` says; what is above all has a class of its own."""
    sizes = filled().sizes(RUN_DURATION)[LABELS]
    assert sizes.total == 10_008.5
    assert sizes.counts[:4] == (2, 0, 0, 1)
    assert sizes.counts[-1] == 1
    assert sum(sizes.counts) == 4


def test_json_gives_back_what_was_written() -> None:
    read = Figures.from_dict(json.loads(json.dumps(filled().as_dict())))
    assert read.snapshot() == filled().snapshot()
    read.add(RUNS_FINISHED, *LABELS, "success")
    assert read.number(RUNS_FINISHED, *LABELS, "success") == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"numbers": {"medgen_gone_total": [[[], 1.0]]}},
        {"numbers": {RUNS_FINISHED.name: [[["too", "few"], 1.0]]}},
        {"numbers": {RUN_DURATION.name: [[[*LABELS], 1.0]]}},
        {"sizes": {RUN_DURATION.name: [[[*LABELS], [1, 2], 3.0]]}},
        {"sizes": {QUEUE_WAIT.name: [[[*LABELS], [0] * 12, 3.0]]}},
        {"sizes": {BACKFILLS.name: [[["requested"], [1], 3.0]]}},
    ],
)
def test_what_does_not_fit_todays_definitions_is_left_out(changed: dict[str, Any]) -> None:
    """A version with other labels or buckets counts them from the beginning, and the rest on."""
    written = json.loads(json.dumps(filled().as_dict()))
    for part, values in changed.items():
        written[part] = {**written[part], **values}
    read = Figures.from_dict(written)
    assert read.numbers(BACKFILLS) == {("requested",): 2.0}
    numbers, sizes = read.snapshot()
    found: dict[str, dict[str, Any]] = {"numbers": {**numbers}, "sizes": {**sizes}}
    for part, values in changed.items():
        assert not any(found[part].get(name) for name in values)


def test_threads_lose_nothing() -> None:
    figures = Figures()

    def count() -> None:
        for _ in range(2_000):
            figures.add(HTTP_REQUESTS, "GET", "/metrics", "200")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.number(HTTP_REQUESTS, "GET", "/metrics", "200") == 8_000
