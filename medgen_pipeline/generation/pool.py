"""Several batches, in this process or in several; the data is the same for any number."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from multiprocessing.synchronize import Event
from queue import Empty
from typing import TYPE_CHECKING, Final, NoReturn, Self

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
SECONDS_BETWEEN_CALLS: Final = 1.0  # to end; the first may end a batch, another the process
LOADED: Final = "medgen_pipeline.generation.loaded"


class Workers:
    """Processes that generate batches.

    They are forked, when first wanted, from one that starts at once to load the simulation. They
    end with the process that made them, whatever ends that.
    """

    def __init__(self, count: int) -> None:
        compile_kernels()  # or the other would, which says nothing
        forkserver.set_forkserver_preload([LOADED])
        resource_tracker.ensure_running()  # which, once started, lets interrupts through again
        with _interrupts_held():
            forkserver.ensure_running()
        context = get_context("forkserver")
        self._words: Queue[Word] = context.Queue()
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_listen, initargs=(self._words, self._stop)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def generate(
        self, jobs: Sequence[Job], root: str, run_id: str | None, progress: Report | None
    ) -> list[BatchResult]:
        """Return the results of jobs in their order; the first error stops all work for good."""
        with _interrupts_held():
            waiting = [
                self._pool.submit(_generate, place, job, root, run_id)
                for place, job in enumerate(jobs)
            ]
        try:
            self._await(waiting, progress)
        except BaseException:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [each.result() for each in waiting]

    def _await(self, waiting: list[Future[BatchResult]], report: Report | None) -> None:
        """Pass on what the processes say until all are done; raise the first error of any."""
        pending = set(waiting)
        while pending:
            done, pending = wait(pending, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            for word in self._heard():
                if report is not None:
                    report(*word)
            for each in done:
                each.result()

    def _heard(self) -> Iterator[Word]:
        with contextlib.suppress(Empty):
            while True:
                yield self._words.get_nowait()


def workers_for(processes: int, jobs: int) -> contextlib.AbstractContextManager["Workers | None"]:
    """Return as many workers as there is work for, None where one process does it all."""
    wanted = min(processes, jobs)
    return Workers(wanted) if wanted > 1 else contextlib.nullcontext()


def generate_batches(
    scenario: Scenario,
    batches: Sequence[int],
    root: str | os.PathLike[str],
    *,
    processes: int = 1,
    workers: Workers | None = None,
    run_id: str | None = None,
    progress: Report | None = None,
) -> list[BatchResult]:
    """Generate and commit batches, as many at a time as there are processes, in the order given.

    `workers` are such processes that are there already. The first error stops the rest; batches
    that were committed before it stay.
    """

    def report(place: int, word: Progress) -> None:
        if progress is not None:
            progress(batches[place], word)

    return generate_jobs(
        [(scenario, batch) for batch in batches],
        root,
        processes=processes,
        workers=workers,
        run_id=run_id,
        progress=report,
    )


def generate_jobs(
    jobs: Sequence[Job],
    root: str | os.PathLike[str],
    *,
    processes: int = 1,
    workers: Workers | None = None,
    run_id: str | None = None,
    progress: Report | None = None,
) -> list[BatchResult]:
    """Generate and commit batches of several scenarios, as `generate_batches` does those of one.

    `progress` is told the place of a job in the list.
    """
    if workers is not None:
        return workers.generate(jobs, os.fspath(root), run_id, progress)
    with workers_for(processes, len(jobs)) as started:
        if started is not None:
            return started.generate(jobs, os.fspath(root), run_id, progress)
    compile_kernels()
    return [
        generate_batch(scenario, batch, root, run_id=run_id, progress=_about(place, progress))
        for place, (scenario, batch) in enumerate(jobs)
    ]


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


# Of a worker process: where it says how far it has come, and whether it is to stop.
_ties: "list[tuple[Queue[Word], Event]]" = []


def _listen(words: "Queue[Word]", stop: Event) -> None:
    _ties[:] = [(words, stop)]
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """Leave when the process that started this one has ended, however it did."""
    starter = parent_process()
    assert starter is not None  # noqa: S101  this is a worker
    starter.join()
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_BETWEEN_CALLS)


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
