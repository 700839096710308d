"""A probe answers within its deadline whatever it looks at, with one thread at most."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import pytest

from medgen_pipeline.service.findings import Finding, Status
from medgen_pipeline.service.probes import Probe, ask_all

FINE = Finding(status=Status.HEALTHY)


class Hanging:
    """A look that does not return until it is let go."""

    def __init__(self) -> None:
        self.looks = 0
        self.go = threading.Event()

    def __call__(self) -> Finding:
        """Wait."""
        self.looks += 1
        self.go.wait(60)
        return FINE


def threads_of(probe: Probe) -> int:
    return sum(each.name == f"probe of {probe.name}" for each in threading.enumerate())


def ask(probe: Probe) -> Finding:
    return asyncio.run(probe.ask())


@pytest.fixture
def hanging() -> Hanging:
    return Hanging()


def test_what_is_found_is_told_with_the_time_it_took() -> None:
    found = ask(Probe("thing", lambda: Finding(status=Status.WARNING, detail="a word")))
    assert (found.status, found.detail) == (Status.WARNING, "a word")
    assert 0 < found.seconds < 60


def test_what_hangs_is_said_to_and_looked_at_once(hanging: Hanging) -> None:
    """Each who asks waits until the deadline of the one look that goes on, then not at all."""
    probe = Probe("thing", hanging, deadline_seconds=0.2)
    try:
        found = [ask(probe) for _ in range(5)]
        assert {each.status for each in found} == {Status.ERROR}
        assert "no answer" in (found[0].detail or "")
        assert hanging.looks == 1
        assert threads_of(probe) == 1
    finally:
        hanging.go.set()


def test_what_answers_again_is_told_again(hanging: Hanging) -> None:
    probe = Probe("thing", hanging, deadline_seconds=0.05)
    assert ask(probe).status is Status.ERROR
    hanging.go.set()
    until(lambda: threads_of(probe) == 0)
    assert ask(probe).status is Status.HEALTHY


def test_all_who_ask_at_once_share_one_look(hanging: Hanging) -> None:
    async def many() -> list[Finding]:
        probe = Probe("thing", hanging, deadline_seconds=60)
        asking = [asyncio.create_task(probe.ask()) for _ in range(50)]
        await asyncio.sleep(0.05)
        hanging.go.set()
        return await asyncio.gather(*asking)

    assert {each.status for each in asyncio.run(many())} == {Status.HEALTHY}
    assert hanging.looks == 1


def test_an_answer_is_given_again_while_it_is_fresh() -> None:
    looks = []
    probe = Probe("thing", lambda: looks.append(1) or FINE, fresh_seconds=60)  # type: ignore[func-returns-value]
    for _ in range(10):
        ask(probe)
    assert len(looks) == 1
    probe.fresh_seconds = 0.0
    ask(probe)
    assert len(looks) == 2


def test_the_event_loop_is_not_held(hanging: Hanging) -> None:
    """Others are served while a look hangs."""

    async def served() -> int:
        asking = asyncio.create_task(Probe("thing", hanging, deadline_seconds=60).ask())
        turns = 0
        while turns < 100:
            await asyncio.sleep(0)
            turns += 1
        assert not asking.done()
        hanging.go.set()
        await asking
        return turns

    assert asyncio.run(served()) == 100


def test_all_are_asked_at_once() -> None:
    """Two that wait for each other both answer."""
    barrier = threading.Barrier(2)

    def look() -> Finding:
        barrier.wait(30)
        return FINE

    found = asyncio.run(ask_all([Probe("one", look), Probe("two", look)]))
    assert {name: each.status for name, each in found.items()} == {
        "one": Status.HEALTHY,
        "two": Status.HEALTHY,
    }


def test_an_error_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """They may name a path or a password; the log has them, once."""

    def look() -> Finding:
        raise OSError("password hunter2 is wrong")

    probe = Probe("thing", look, fresh_seconds=0.0)
    with caplog.at_level(logging.WARNING):
        found = [ask(probe) for _ in range(3)]
    assert {each.status for each in found} == {Status.ERROR}
    assert found[0].detail == "OSError; the API's log has more"
    (record,) = caplog.records
    assert record.exc_info


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
