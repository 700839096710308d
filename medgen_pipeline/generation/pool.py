"""Several batches, in this process or in several; the data is the same for any number."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from queue import Empty
from typing import TYPE_CHECKING, Final, NoReturn

from medgen_pipeline.generation.batch import BatchResult, Progress, generate_batch
from medgen_pipeline.generation.warm import compile_kernels
from medgen_pipeline.scenario.model import Scenario

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from types import FrameType

Report = Callable[[int, Progress], None]
Word = tuple[int, Progress]
Job = tuple[Scenario, int]  # a batch of a scenario

SECONDS_BETWEEN_LOOKS: Final = 0.2


def generate_batches(
    scenario: Scenario,
    batches: Sequence[int],
    root: str | os.PathLike[str],
    *,
    processes: int = 1,
    run_id: str | None = None,
    progress: Report | None = None,
) -> list[BatchResult]:
    """Generate and commit batches, as many at a time as there are processes, in the order given.

    The first error stops the rest; batches that were committed before it stay.
    """

    def report(place: int, word: Progress) -> None:
        if progress is not None:
            progress(batches[place], word)

    jobs = [(scenario, batch) for batch in batches]
    return generate_jobs(jobs, root, processes=processes, run_id=run_id, progress=report)


def generate_jobs(
    jobs: Sequence[Job],
    root: str | os.PathLike[str],
    *,
    processes: int = 1,
    run_id: str | None = None,
    progress: Report | None = None,
) -> list[BatchResult]:
    """Generate and commit batches of several scenarios, as `generate_batches` does those of one.

    `progress` is told the place of a job in the list.
    """
    compile_kernels()
    if processes == 1 or len(jobs) <= 1:
        return [
            generate_batch(scenario, batch, root, run_id=run_id, progress=_about(place, progress))
            for place, (scenario, batch) in enumerate(jobs)
        ]
    context = get_context("spawn")
    words: Queue[Word] = context.Queue()
    stop = context.Event()
    with ProcessPoolExecutor(
        min(processes, len(jobs)),
        mp_context=context,
        initializer=_listen,
        initargs=(words, stop),
    ) as pool:
        with _interrupts_held():
            waiting = [
                pool.submit(_generate, place, job, os.fspath(root), run_id)
                for place, job in enumerate(jobs)
            ]
        try:
            _await(waiting, words, progress)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [each.result() for each in waiting]


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes within that never hear Ctrl-C; whoever started them does, and stops them.

    A terminal sends it to all of them at once, and each would leave its own traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _about(place: int, report: Report | None) -> Callable[[Progress], None] | None:
    return None if report is None else lambda progress: report(place, progress)


def _await(waiting: list[Future[BatchResult]], words: "Queue[Word]", report: Report | None) -> None:
    """Pass on what the processes say until all are done; raise the first error of any."""
    pending = set(waiting)
    while pending:
        done, pending = wait(pending, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
        for word in _heard(words):
            if report is not None:
                report(*word)
        for each in done:
            each.result()


def _heard(words: "Queue[Word]") -> Iterator[Word]:
    with contextlib.suppress(Empty):
        while True:
            yield words.get_nowait()


# Of a worker process: where it says how far it has come, and whether it is to stop.
_ties: "list[tuple[Queue[Word], Event]]" = []


def _listen(words: "Queue[Word]", stop: Event) -> None:
    _ties[:] = [(words, stop)]
    signal.signal(signal.SIGTERM, _leave)


def _leave(_signal: int, _frame: "FrameType | None") -> NoReturn:
    """Leave through every `finally`, so that what is staged is removed."""
    raise SystemExit(128 + signal.SIGTERM)


def _generate(place: int, job: Job, root: str, run_id: str | None) -> BatchResult:
    scenario, batch = job
    words, stop = _ties[0]

    def say(progress: Progress) -> None:
        if stop.is_set():
            raise InterruptedError("another batch failed, or the user stopped the run")
        words.put((place, progress))

    return generate_batch(scenario, batch, root, run_id=run_id, progress=say)
