"""The one engine of a process: what all of it that speaks to the database shares.

Dagster makes instances as it needs them, in a code server one for each tick of a sensor. So the
engine belongs to the process and not to an instance.
"""

import atexit
import logging
import math
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFreeError
from sqlalchemy.pool import QueuePool

from medgen_pipeline.errors import DatabaseError
from medgen_pipeline.runtime.counted_pool import CountedPool, Tally, counted_creator, listen
from medgen_pipeline.runtime.database import Address, in_words
from medgen_pipeline.runtime.parts import Shape, part_here, patience_seconds
from medgen_pipeline.runtime.pool_figures import PoolFigures, together
from medgen_pipeline.runtime.pool_files import leave, tidy
from medgen_pipeline.runtime.processes import Worker

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0  # so that nobody is late by more when the database is back
SECONDS_BETWEEN_WORDS: Final = 30.0
SECONDS_BETWEEN_FIGURES: Final = 5.0

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class PooledEngine:
    """An engine, and who uses it."""

    engine: Engine
    address: Address
    part: str
    tally: Tally
    has_tables: bool = False  # as far as this process has seen

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection; wait for a database that is gone as this thread should.

        Raises DatabaseError when it does not come back in time, or no connection is free.
        """
        opened = self._opened()
        try:
            yield opened
        finally:
            opened.close()

    def figures(self) -> PoolFigures:
        """Return what its pool has done and holds."""
        assert isinstance(self.engine.pool, QueuePool)  # noqa: S101  made so
        return self.tally.figures(self.part, self.engine.pool)

    def _opened(self) -> Connection:
        deadline = time.monotonic() + patience_seconds(self.part)
        pauses, said_at = pauses_seconds(), -math.inf
        while True:
            try:
                opened = self.engine.connect()
            except NoneFreeError as error:
                raise DatabaseError(self._exhausted()) from error
            except (OperationalError, InterfaceError) as error:
                words, now = in_words(str(error), self.address), time.monotonic()
                pause = next(pauses)
                if now + pause > deadline:
                    raise DatabaseError(words) from error
                if now - said_at > SECONDS_BETWEEN_WORDS:
                    said_at = now
                    _log.warning("waiting for the database: %s", words)
                time.sleep(pause)
            else:
                if said_at > -math.inf:
                    _log.warning("the database answers again")
                return opened

    def _exhausted(self) -> str:
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101  made so
        return (
            f"no connection to the database was free within {pool.timeout():g} s: the {self.part} "
            f"has {pool.checkedout()} in use; raise DB_POOL_SIZE, DB_MAX_OVERFLOW or "
            "DB_POOL_TIMEOUT"
        )


def pauses_seconds() -> Iterator[float]:
    """Yield how long to wait before each further attempt: longer and longer, never in step."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  not a secret
        longest = min(2 * longest, LONGEST_PAUSE_SECONDS)


def new_engine(address: Address, shape: Shape, part: str) -> PooledEngine:
    """Return an engine with a pool of its own; nothing is opened yet."""
    tally = Tally()
    pool = CountedPool(
        counted_creator(lambda: address.connect(part), tally),
        tally=tally,
        pool_size=shape.size,
        max_overflow=shape.max_overflow,
        timeout=shape.timeout_seconds,
        recycle=shape.recycle_seconds,
        use_lifo=True,  # what is not needed grows old and is left to the recycling
        pre_ping=True,
    )
    # The pool opens what the address says, so the engine's own URL holds no password to show.
    engine = create_engine("postgresql+psycopg2://", pool=pool, isolation_level="AUTOCOMMIT")
    listen(engine, tally)
    return PooledEngine(engine, address, part, tally)


class Engines:
    """The engines of a process: one, unless its instances name several databases."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[tuple[Address, Shape], PooledEngine] = {}
        self._kept_in: set[Path] = set()
        self._not_kept_in: set[Path] = set()  # for the present, which has been said

    def get(self, address: Address, shape: Shape) -> PooledEngine:
        """Return the engine of this process for an address, made when first asked for."""
        part = part_here()
        key = address, shape.for_part(part)
        with self._lock:
            if not self._made:
                os.register_at_fork(after_in_child=self._after_fork)
            if key not in self._made:
                self._made[key] = new_engine(*key, part)
            return self._made[key]

    def figures(self) -> PoolFigures | None:
        """Return the figures of this process, None when it has no pool."""
        with self._lock:
            made = list(self._made.values())
        if not made:
            return None
        return replace(together(made[0].part, [each.figures() for each in made]), processes=1)

    def keep_figures(self, home: Path) -> None:
        """Leave the figures of this process in a home every few seconds, and when it ends."""
        with self._lock:
            if home in self._kept_in:
                return
            if not self._kept_in:
                atexit.register(self._leave_last)
            self._kept_in.add(home)
        threading.Thread(
            target=self._keep, args=(home,), name="medgen-pool-figures", daemon=True
        ).start()

    def _keep(self, home: Path) -> None:
        worker = Worker.here()
        is_first = True
        while self._leave(home, worker):
            if is_first:
                tidy(home)
            is_first = False
            time.sleep(SECONDS_BETWEEN_FIGURES)
        with self._lock:
            self._kept_in.discard(home)

    def _leave_last(self) -> None:
        worker = Worker.here()
        for home in list(self._kept_in):
            self._leave(home, worker)

    def _leave(self, home: Path, worker: Worker) -> bool:
        """Leave the figures once; return whether to go on, which is while the home is there."""
        figures = self.figures()
        try:
            if figures is not None:
                leave(home, worker, figures)
        except FileNotFoundError:
            return False
        except OSError as error:
            if home not in self._not_kept_in:
                _log.warning("the figures of the connection pool are not kept: %s", error)
            self._not_kept_in.add(home)
        else:
            self._not_kept_in.discard(home)
        return True

    def _after_fork(self) -> None:
        """Leave the connections to the parent; they are not to be used or closed here."""
        self._lock = threading.RLock()
        self._kept_in = set()
        for each in self._made.values():
            each.tally.forget()
            each.engine.dispose(close=False)


ENGINES: Final = Engines()


def pool_figures_here() -> PoolFigures | None:
    """Return the figures of this process, None when it has no pool."""
    return ENGINES.figures()
