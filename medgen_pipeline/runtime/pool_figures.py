"""What the connection pools of a deployment have done and hold: plain values, no database.

Counters only grow, over all processes that a part of the deployment has had; gauges are about
those that live. What counts is in `counted_pool`, what keeps the figures in `pool_files`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

PARTS: Final = ("api", "code server", "daemon", "web server", "run worker", "command")
QUERY_KINDS: Final = ("select", "insert", "update", "delete", "other")
ERROR_KINDS: Final = (
    "connect",  # no connection could be opened
    "disconnect",  # one was lost, at work or when it was tried before use
    "pool_timeout",  # none was free within DB_POOL_TIMEOUT
    "statement_timeout",  # the server ended a statement that took too long
    "conflict",  # a row was there already; Dagster expects some of these
    "other",
)
WAIT_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUERY_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW_QUERY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long."""

    bounds: tuple[float, ...]  # s, the longest of each class; what took longer is in one more
    counts: tuple[int, ...]  # of each class alone, one more than there are bounds
    total_seconds: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Self:
        """Return one that has seen nothing."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    @property
    def count(self) -> int:
        """How many times there were."""
        return sum(self.counts)

    def with_one(self, seconds: float) -> Self:
        """Return it with one more time in it."""
        counts = list(self.counts)
        counts[bisect_left(self.bounds, seconds)] += 1
        return replace(self, counts=tuple(counts), total_seconds=self.total_seconds + seconds)

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return both together; raises ValueError when their classes differ."""
        if self.bounds != other.bounds:
            raise ValueError(f"histograms of {self.bounds} and of {other.bounds} do not add up")
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(self.bounds, counts, self.total_seconds + other.total_seconds)


def no_queries() -> dict[str, Histogram]:
    """Return the times of queries before there was one."""
    return {kind: Histogram.empty(QUERY_BOUNDS) for kind in QUERY_KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """The pools of one part of a deployment, that is of one process or of several alike."""

    part: str  # one of PARTS
    processes: int = 1  # that live
    taken_at: float  # s since 1970; of several processes, of the one heard of least lately

    # Gauges: over the processes that live.
    size: int = 0  # connections they may keep open (DB_POOL_SIZE each)
    max_overflow: int = 0  # and open beyond them for a while (DB_MAX_OVERFLOW each)
    active: int = 0  # connections in use
    idle: int = 0  # open and not in use
    overflow: int = 0  # open beyond `size`
    waiting: int = 0  # threads that wait for a connection

    # Counters: over all processes, those that have ended too.
    created: int = 0  # connections opened
    closed: int = 0  # and closed, for whatever reason; also those that a process took with it
    checkouts: int = 0  # times that one was handed out
    checkout_timeouts: int = 0  # times that none was free in time
    failed_connects: int = 0
    failed_validations: int = 0  # found dead when tried before use
    recycled: int = 0  # closed for their age (DB_POOL_RECYCLE)
    invalidated: int = 0  # closed because they, or all as old as they, were found broken
    slow_queries: int = 0  # longer than SLOW_QUERY_SECONDS
    wait_seconds: Histogram = field(  # from asking for one to having it
        default_factory=lambda: Histogram.empty(WAIT_BOUNDS)
    )
    query_seconds: Mapping[str, Histogram] = field(default_factory=no_queries)  # of QUERY_KINDS
    errors: Mapping[str, int] = field(  # of ERROR_KINDS
        default_factory=lambda: dict.fromkeys(ERROR_KINDS, 0)
    )

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return what `as_dict` was made of; raises KeyError, TypeError or ValueError."""
        values = {each.name: found[each.name] for each in fields(cls)}
        values["wait_seconds"] = _histogram(found["wait_seconds"])
        values["query_seconds"] = {
            kind: _histogram(each) for kind, each in found["query_seconds"].items()
        }
        return cls(**values)


COUNTERS: Final = (
    *("created", "closed", "checkouts", "checkout_timeouts", "failed_connects"),
    *("failed_validations", "recycled", "invalidated", "slow_queries"),
)
GAUGES: Final = ("processes", "size", "max_overflow", "active", "idle", "overflow", "waiting")


def ended(figures: PoolFigures) -> PoolFigures:
    """Return what is left of the pools of processes that have ended: what they have done."""
    closed = figures.closed + figures.active + figures.idle
    nothing: dict[str, Any] = dict.fromkeys(GAUGES, 0)
    return replace(figures, closed=closed, **nothing)


def together(part: str, each: Iterable[PoolFigures]) -> PoolFigures:
    """Return the figures of a part: those of its processes added up."""
    every = list(each)
    alive = [one.taken_at for one in every if one.processes]
    wait = Histogram.empty(WAIT_BOUNDS)
    queries, errors = no_queries(), dict.fromkeys(ERROR_KINDS, 0)
    for one in every:
        wait = wait + one.wait_seconds
        queries = {kind: queries[kind] + one.query_seconds[kind] for kind in queries}
        errors = {kind: errors[kind] + one.errors[kind] for kind in errors}
    sums = {name: sum(getattr(one, name) for one in every) for name in (*GAUGES, *COUNTERS)}
    return PoolFigures(
        part=part,
        taken_at=min(alive) if alive else max((one.taken_at for one in every), default=0.0),
        wait_seconds=wait,
        query_seconds=queries,
        errors=errors,
        **sums,
    )


def _histogram(found: Mapping[str, Any]) -> Histogram:
    return Histogram(tuple(found["bounds"]), tuple(found["counts"]), found["total_seconds"])
