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
    """Calls a function in order, with at most `most` calls waiting; leaving waits for all.

    An error of the function is raised by the next call or on leaving; nothing is called after it.
    """

    def __init__(self, function: Callable[P, object], *, most: int) -> None:
        self._function = function
        self._most = most
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="medgen-behind")
        self._waiting: deque[Future[object]] = deque()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the function called; wait while too many calls do."""
        self._catch_up(self._most - 1)
        self._waiting.append(self._thread.submit(self._call, *args, **kwargs))

    def _call(self, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._has_failed:
            return
        try:
            self._function(*args, **kwargs)
        except BaseException:
            self._has_failed = True
            raise

    def _catch_up(self, most: int) -> None:
        while len(self._waiting) > most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()

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
