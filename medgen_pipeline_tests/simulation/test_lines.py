"""Who waits is served by triage and by waiting."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.simulation import lines, memory
from medgen_pipeline.simulation.memory import WORLD, live_at, queue_at
from medgen_pipeline.simulation.state import LIVE, NEVER, QUEUE

Ints = npt.NDArray[np.int64]
SLOTS = 64
AGEING_S = 1_000
JOIN, SERVE, LEAVE = range(3)


@numba.njit  # type: ignore[untyped-decorator]
def through_the_line(worlds: Any, steps: Ints, served: Ints) -> None:  # noqa: ANN401
    """Carry out joins, servings and leavings, each a row of (what, slot, triage, now)."""
    world = worlds[0]
    queue = queue_at(world, 0)
    for index in range(len(steps)):
        what, slot, triage, now = steps[index]
        served[index, 0] = -1
        if what == JOIN:
            live_at(world, slot).triage = triage
            live_at(world, slot).waiting_since = now
            lines.join(world, queue, slot)
        elif what == LEAVE:
            lines.leave(world, queue, slot)
        else:
            first = lines.first(world, queue, now, AGEING_S)
            served[index, 0] = first
            if first >= 0:
                lines.leave(world, queue, first)
        served[index, 1] = queue.length
        served[index, 2] = lines.first_since(world, queue)


def a_world(**arrays: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return a world that holds these arrays alone."""
    world = np.zeros(1, WORLD)
    memory.hold(world, **arrays)
    return world


def rank(now: int, waiter: tuple[int, int, int]) -> int:
    """Return who is served first: a category counts as so many seconds of waiting."""
    _, triage, since = waiter
    return triage * AGEING_S - (now - since)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 900)), max_size=60))
def test_the_line_serves_by_triage_and_waiting_and_lets_anyone_leave(
    moves: list[tuple[int, int, int]],
) -> None:
    """As a plain list has it: of each category the first to come, of those the first in rank."""
    steps, expected = [], []
    line: list[tuple[int, int, int]] = []
    now = 0
    for slot, (kind, triage, later) in enumerate(moves):
        now += later
        if kind == 0 and line:
            leaver = line.pop(triage % len(line))
            steps.append((LEAVE, leaver[0], 0, now))
            expected.append(-1)
        elif kind == 1:
            heads = [next(w for w in line if w[1] == t) for t in {w[1] for w in line}]
            heads.sort(key=lambda waiter: (rank(now, waiter), waiter[1]))
            steps.append((SERVE, 0, 0, now))
            expected.append(heads[0][0] if heads else -1)
            line = [w for w in line if not heads or w is not heads[0]]
        else:
            line.append((slot, triage, now))
            steps.append((JOIN, slot, triage, now))
            expected.append(-1)
        assert len(line) <= SLOTS
    queues = np.zeros(1, QUEUE)
    queues["head"] = queues["tail"] = -1
    live = np.zeros(SLOTS, LIVE)
    served = np.zeros((len(steps), 3), np.int64)
    through_the_line(
        a_world(queues=queues, live=live), np.array(steps, np.int64).reshape(-1, 4), served
    )
    assert served[:, 0].tolist() == expected
    if steps:
        assert served[-1, 1] == len(line)
        heads = [next(w for w in line if w[1] == t) for t in {w[1] for w in line}]
        assert served[-1, 2] == min((since for _, _, since in heads), default=NEVER)


def test_waiting_makes_up_for_a_category() -> None:
    """A T2 who has waited a second longer than a category is worth goes before a fresh T1."""
    for waited, first in ((AGEING_S + 1, 0), (AGEING_S - 1, 1)):
        queues = np.zeros(1, QUEUE)
        queues["head"] = queues["tail"] = -1
        live = np.zeros(SLOTS, LIVE)
        steps = [(JOIN, 0, 1, 0), (JOIN, 1, 0, waited), (SERVE, 0, 0, waited)]
        served = np.zeros((3, 3), np.int64)
        through_the_line(a_world(queues=queues, live=live), np.array(steps), served)
        assert served[2, 0] == first
