"""A function that is called in a thread of its own, a few calls behind whoever calls it.

Simulation and Parquet both let go of the interpreter while they work, so that rows are written
while the next ones are made.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, ParamSpec, Self

P = ParamSpec("P")


class Behind(Generic[P]):
    """Calls a function in order, with calls of at most `most` waiting; leaving waits for all.

    Each weighs one, or what `weigh` says of its arguments; one that weighs more waits alone. An
    error of the function is raised by the next call or on leaving; nothing is called after it.
    """

    def __init__(
        self,
        function: Callable[P, object],
        *,
        most: float,
        weigh: Callable[P, float] = lambda *_, **__: 1,
    ) -> None:
        self._function = function
        self._most = most
        self._weigh = weigh
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="medgen-behind")
        self._waiting: deque[tuple[Future[object], float]] = deque()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the function called; wait while too many calls do."""
        weight = self._weigh(*args, **kwargs)
        self._catch_up(self._most - weight)
        self._waiting.append((self._thread.submit(self._call, *args, **kwargs), weight))

    def _call(self, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._has_failed:
            return
        try:
            self._function(*args, **kwargs)
        except BaseException:
            self._has_failed = True
            raise

    def _catch_up(self, most: float) -> None:
        waiting = sum(weight for _, weight in self._waiting)
        while self._waiting and (waiting > most or self._waiting[0][0].done()):
            first, weight = self._waiting.popleft()
            first.result()
            waiting -= weight

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._catch_up(0)
        finally:
            self._thread.shutdown(cancel_futures=True)
