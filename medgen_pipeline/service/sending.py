"""Sending bytes that a thread makes, at the pace of the client, and stopping when it leaves.

Pieces are made while those before them are sent; there are never more than a few in memory. What
makes them is closed, in whatever way the answer ends.
"""

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio
from anyio.abc import ObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.limits import Limits

T = TypeVar("T")
R = TypeVar("R")

GZIP: Final = 16 + zlib.MAX_WBITS
AT_ONCE: Final = 2  # texts: JSON takes five times as long as the simulation that it tells of
FASTEST: Final = 1  # of zlib's levels: the others are several times as slow for a tenth less
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the streams of this process have done."""

    active: int
    started: int
    completed: int
    abandoned: int  # by a client that left, or one that was too slow
    failed: int
    patients: int
    bytes: int


class Pieces:
    """What is to be sent, made on demand; knows how to say that it broke."""

    def __init__(self) -> None:
        self.patients = 0  # made so far

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; runs in a thread."""
        raise NotImplementedError

    def failure(self, detail: str, request_id: str) -> bytes:
        """Return what tells the reader that the rest is missing; maybe nothing."""
        del detail, request_id
        return b""


def ahead(values: Iterator[T]) -> Iterator[T]:
    """Yield values, each made in another thread while the one before it is used.

    Most of the making is compiled code that leaves Python's lock to others.
    """
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(next, values, None)
        while (value := waiting.result()) is not None:
            waiting = other.submit(next, values, None)
            yield value


def in_order(pool: Executor, function: Callable[[T], R], values: Iterator[T]) -> Iterator[R]:
    """Yield what a function makes of values, in their order, two of them at the same time."""
    waiting: deque[Future[R]] = deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            while waiting and (waiting[0].done() or len(waiting) > AT_ONCE):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait([each for each in waiting if not each.cancel()])


class Streams:
    """The answers that are being sent, bounded in number and in time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._threads = anyio.CapacityLimiter(limits.streams)
        # For all streams together: each text being made takes some tens of MB.
        self.serialisers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="medgen-serialiser")
        self._lock = threading.Lock()
        self._figures = dict.fromkeys(Counts.__slots__, 0)

    def counts(self) -> Counts:
        """Return what was done so far."""
        with self._lock:
            return Counts(**self._figures)

    def count(self, **more: int) -> None:
        """Add to the counts."""
        with self._lock:
            for name, number in more.items():
                self._figures[name] += number

    def take_place(self) -> None:
        """Take the place of one stream; refuse when all are taken. The answer gives it back."""
        with self._lock:
            if self._figures["active"] >= self.limits.streams:
                raise ServiceError(
                    429,
                    f"{self.limits.streams} streams are running, which is the limit",
                    headers={"Retry-After": str(self.limits.retry_after_seconds)},
                )
            self._figures["active"] += 1
            self._figures["started"] += 1

    async def next_of(self, pieces: Iterator[bytes]) -> bytes | None:
        """Return the next piece, made in a thread of the streams' own; None after the last."""
        return await anyio.to_thread.run_sync(next, pieces, None, limiter=self._threads)


def untold(made: int) -> None:
    """Let the patients of an answer go uncounted: those that are read belong to no day."""
    del made


class StreamedAnswer(Response):
    """An ASGI answer of many pieces; whoever makes it has taken a place among the streams.

    `ended` is told how many patients were made, in whatever way the answer ends.
    """

    def __init__(
        self,
        streams: Streams,
        pieces: Pieces,
        headers: Mapping[str, str],
        *,
        gzip: bool,
        ended: Callable[[int], None] = untold,
    ) -> None:
        self.streams = streams
        self.pieces = pieces
        self.ended = ended
        self.status_code = 200
        self.background = None
        self.init_headers(dict(headers) | ({"Content-Encoding": "gzip"} if gzip else {}))
        self.squeeze = zlib.compressobj(FASTEST, wbits=GZIP) if gzip else None
        self.counted = 0  # patients, of those made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; leave it unfinished, so that the client can tell, when it broke."""
        ending = "abandoned"
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_on_leaving, receive, group.cancel_scope)
                with anyio.move_on_after(self.streams.limits.seconds_per_stream):
                    ending = await self._send_all(scope["request_id"], send)
                group.cancel_scope.cancel()
        finally:
            self._count_patients()
            self.ended(self.counted)
            self.streams.count(active=-1, **{ending: 1})

    async def _send_all(self, request_id: str, send: Send) -> str:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        sender, receiver = anyio.create_memory_object_stream[bytes | Exception](1)
        failed: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._make, sender)
            async with receiver:
                async for piece in receiver:
                    if isinstance(piece, Exception):
                        failed = piece
                    else:
                        await self._send(send, piece)
                        self._count_patients()
        if failed is not None:
            trailer = self.pieces.failure(_said(failed, request_id), request_id)
            await self._send(send, self._packed(trailer))
            return "failed"
        rest = self.squeeze.flush() if self.squeeze else b""
        await send({"type": "http.response.body", "body": rest, "more_body": False})
        return "completed"

    async def _make(self, sender: ObjectSendStream[bytes | Exception]) -> None:
        """Make one piece after another, as the client takes them."""
        making = self._bounded()
        async with sender:
            try:
                while (piece := await self.streams.next_of(making)) is not None:
                    await sender.send(piece)
            except Exception as error:  # noqa: BLE001  whatever it is, the client has to be told
                await sender.send(error)
            finally:
                with anyio.CancelScope(shield=True):  # what is being made is finished first
                    await anyio.to_thread.run_sync(making.close)

    def _bounded(self) -> Generator[bytes]:
        deadline = time.monotonic() + self.streams.limits.seconds_per_stream
        for piece in self.pieces:
            if time.monotonic() > deadline:
                raise ServiceError(503, "the stream took longer than it may")
            yield self._packed(piece)

    def _packed(self, piece: bytes) -> bytes:
        if self.squeeze is None:
            return piece
        return self.squeeze.compress(piece) + self.squeeze.flush(zlib.Z_SYNC_FLUSH)

    def _count_patients(self) -> None:
        """Count the patients that were made since it was last done."""
        made = self.pieces.patients
        self.streams.count(patients=made - self.counted)
        self.counted = made

    async def _send(self, send: Send, piece: bytes) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        self.streams.count(bytes=len(piece))


async def _cancel_on_leaving(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _said(error: Exception, request_id: str) -> str:
    """Return what a client may know of an error; the log has the rest."""
    if isinstance(error, ServiceError | MedgenError):
        return str(error)
    _log.error("stream %s broke", request_id, exc_info=error)
    return "an error of ours; the log has it under this request id"
