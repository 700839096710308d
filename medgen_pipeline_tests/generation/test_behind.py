"""Calls are made in order, in another thread, never many behind, and none after an error."""

import threading

import pytest

from medgen_pipeline.generation.behind import Behind


def test_calls_are_made_in_order_in_another_thread() -> None:
    made: list[tuple[int, int]] = []
    with Behind(lambda number: made.append((number, threading.get_ident())), most=3) as call:
        for number in range(100):
            call(number)
    assert [number for number, _ in made] == list(range(100))
    assert {thread for _, thread in made} != {threading.get_ident()}
    assert len({thread for _, thread in made}) == 1


def test_no_more_than_so_many_wait() -> None:
    """The function cannot return before the caller has been told to wait for it."""
    gate = threading.Semaphore(0)
    begun: list[int] = []

    def slow(number: int) -> None:
        begun.append(number)
        gate.acquire()

    with Behind(slow, most=2) as call:
        call(0)
        call(1)
        third = threading.Thread(target=call, args=(2,))
        third.start()
        assert third.is_alive()
        assert 2 not in begun
        gate.release(3)
        third.join()
    assert begun == [0, 1, 2]


def test_what_waits_is_weighed() -> None:
    """Nine light calls wait at once; a heavy one waits for all of them, and goes through alone."""
    gate = threading.Semaphore(0)
    begun: list[int] = []

    def slow(weight: int) -> None:
        begun.append(weight)
        gate.acquire()

    with Behind(slow, most=10, weigh=lambda weight: weight) as call:
        for _ in range(9):
            call(1)
        heavy = threading.Thread(target=call, args=(50,))
        heavy.start()
        gate.release(8)
        heavy.join(timeout=0.5)
        assert heavy.is_alive()  # one light call is still at work
        gate.release(2)
        heavy.join()
    assert begun == [*[1] * 9, 50]


def test_an_error_is_raised_and_ends_the_calls() -> None:
    made: list[int] = []

    def fails_at_two(number: int) -> None:
        made.append(number)
        if number == 2:
            raise ValueError("two")

    def call_all() -> None:
        with Behind(fails_at_two, most=5) as call:
            for number in range(100):
                call(number)

    with pytest.raises(ValueError, match="two"):
        call_all()
    assert made == [0, 1, 2]


def test_an_error_of_the_last_call_is_raised_on_leaving() -> None:
    def fails() -> None:
        raise ValueError("last")

    with pytest.raises(ValueError, match="last"), Behind(fails, most=5) as call:
        call()


def test_leaving_with_an_error_keeps_it_and_drops_what_waits() -> None:
    gate = threading.Event()
    made: list[int] = []

    def slow(number: int) -> None:
        gate.wait()
        made.append(number)

    def breaks_off() -> None:
        with Behind(slow, most=5) as call:
            for number in range(5):
                call(number)
            gate.set()
            raise KeyError

    with pytest.raises(KeyError):
        breaks_off()
    assert made == list(range(len(made)))
