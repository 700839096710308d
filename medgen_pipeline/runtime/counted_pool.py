"""A pool of connections that counts what happens to them, by events and not by looking.

It is SQLAlchemy's QueuePool. Its events say nothing of how long one waited, nor why a connection
was closed when it was handed out; so handing out is watched here.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, TimeoutError  # noqa: A004  its own
from sqlalchemy.pool import QueuePool

from medgen_pipeline.runtime.pool_figures import (
    COUNTERS,
    ERROR_KINDS,
    QUERY_KINDS,
    SLOW_QUERY_SECONDS,
    WAIT_BOUNDS,
    Histogram,
    PoolFigures,
    no_queries,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine, ExceptionContext
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

QUERY_CANCELED: Final = "57014"  # SQLSTATE


class Tally:
    """What has happened so far. Any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process does that was forked off another."""
        self._lock = threading.Lock()
        self._counts = dict.fromkeys((*COUNTERS, "waiting"), 0)
        self._errors = dict.fromkeys(ERROR_KINDS, 0)
        self._wait = Histogram.empty(WAIT_BOUNDS)
        self._queries = no_queries()

    def figures(self, part: str, pool: QueuePool) -> PoolFigures:
        """Return what has happened, and how things stand with a pool."""
        with self._lock:
            # The pool also has places for connections that are closed, or not open yet.
            is_open = self._counts["created"] - self._counts["closed"]
            active = max(0, min(pool.checkedout(), is_open))
            return PoolFigures(
                part=part,
                taken_at=time.time(),
                size=pool.size(),
                max_overflow=pool._max_overflow,  # noqa: SLF001  it tells it to nobody
                active=active,
                idle=is_open - active,
                overflow=max(0, is_open - pool.size()),
                wait_seconds=self._wait,
                query_seconds=dict(self._queries),
                errors=dict(self._errors),
                **self._counts,
            )

    def add(self, *names: str, error: str | None = None) -> None:
        """Count one of each."""
        with self._lock:
            for name in names:
                self._counts[name] += 1
            if error is not None:
                self._errors[error] += 1

    @contextmanager
    def handing_out(self) -> Iterator[None]:
        """Count a connection that is handed out meanwhile, and how long that took."""
        started = time.perf_counter()
        self.add("waiting")
        self._here.is_handing_out = True
        try:
            yield
            with self._lock:
                self._counts["checkouts"] += 1
                self._wait = self._wait.with_one(time.perf_counter() - started)
        except TimeoutError:
            self.add("checkout_timeouts", error="pool_timeout")
            raise
        finally:
            self._here.is_handing_out = False
            with self._lock:
                self._counts["waiting"] -= 1

    def invalidated(
        self, _connection: object, entry: "ConnectionPoolEntry", _exception: object
    ) -> None:
        """Note a connection that was found broken; it is closed next."""
        self._here.broken = entry
        self.add("invalidated")

    def closed(self, entry: "ConnectionPoolEntry", pool: QueuePool) -> None:
        """Count a connection that is closed, and why if that is known."""
        self.add("closed")
        broken, self._here.broken = getattr(self._here, "broken", None), None
        if broken is entry or not getattr(self._here, "is_handing_out", False):
            return
        opened_at: float = entry.last_connect_time  # type: ignore[attr-defined]
        if time.time() - opened_at > pool._recycle:  # noqa: SLF001  it tells it to nobody
            self.add("recycled")
        elif pool._invalidate_time > opened_at:  # noqa: SLF001  the same
            self.add("invalidated")

    def query_starts(self) -> None:
        """Note when this thread sends a statement."""
        self._here.query_started = time.perf_counter()

    def query_ends(self, statement: str) -> None:
        """Count a statement that was answered, with rows or an error."""
        started = getattr(self._here, "query_started", None)
        if started is None:
            return
        self._here.query_started = None
        seconds, kind = time.perf_counter() - started, kind_of(statement)
        with self._lock:
            self._queries[kind] = self._queries[kind].with_one(seconds)
            self._counts["slow_queries"] += seconds > SLOW_QUERY_SECONDS

    def fails(self, context: "ExceptionContext") -> None:
        """Count what went wrong."""
        if context.statement is not None:
            self.query_ends(context.statement)
        if context.is_pre_ping:
            self.add("failed_validations", error="disconnect")
        elif context.connection is not None:  # else none could be opened, which is counted there
            self.add(error=error_kind(context))


class CountedPool(QueuePool):
    """A QueuePool whose tally goes on when the pool is made anew."""

    def __init__(
        self,
        creator: Callable[[], Any],
        *args: Any,  # noqa: ANN401  as its base
        tally: Tally | None = None,
        **options: Any,  # noqa: ANN401  the same
    ) -> None:
        self.tally = tally or Tally()
        super().__init__(creator, *args, **options)

    def connect(self) -> "PoolProxiedConnection":
        """Hand out a connection that works; raises TimeoutError when none is free in time."""
        with self.tally.handing_out():
            return super().connect()

    def recreate(self) -> Self:
        """Return a pool of the same kind without connections."""
        anew = super().recreate()
        assert isinstance(anew, type(self))  # noqa: S101  as its base does it
        anew.tally = self.tally
        return anew


def counted_creator(connect: Callable[[], Any], tally: Tally) -> Callable[[], Any]:
    """Return what opens a connection and counts it."""

    def create() -> Any:  # noqa: ANN401  a connection of the driver
        try:
            opened = connect()
        except Exception:
            tally.add("failed_connects", error="connect")
            raise
        tally.add("created")
        return opened

    return create


def listen(engine: "Engine", tally: Tally) -> None:
    """Have an engine and its pool tell a tally what happens."""

    @event.listens_for(engine, "close")
    def close(_connection: object, entry: "ConnectionPoolEntry") -> None:
        assert isinstance(engine.pool, QueuePool)  # noqa: S101  made so
        tally.closed(entry, engine.pool)

    event.listen(engine, "invalidate", tally.invalidated)

    @event.listens_for(engine, "before_cursor_execute")
    def before(*_: object) -> None:
        tally.query_starts()

    @event.listens_for(engine, "after_cursor_execute")
    def after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        tally.query_ends(statement)

    event.listen(engine, "handle_error", tally.fails)


def kind_of(statement: str) -> str:
    """Return which of QUERY_KINDS a statement is, by its first word."""
    word = statement.split(None, 1)[0].lower() if statement.strip() else ""
    if word == "with":
        return "select"
    return word if word in QUERY_KINDS else "other"


def error_kind(context: "ExceptionContext") -> str:
    """Return which of ERROR_KINDS an error of a statement is."""
    if context.is_disconnect:
        return "disconnect"
    if getattr(context.original_exception, "pgcode", None) == QUERY_CANCELED:
        return "statement_timeout"
    if isinstance(context.sqlalchemy_exception, IntegrityError):
        return "conflict"
    return "other"
