"""Following each request to its end: by which route it came, how it was answered, how long it took.

What was seen goes to whoever wants it, as the access log does; a bug on the way becomes an answer
in the one shape here, so that it too has its id, its time and its line.
"""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medgen_pipeline.service.faults import problem

NO_ROUTE: Final = (
    "unmatched"  # of a path that is nobody's, and of a request refused before it was read
)
CLIENT_LEFT: Final = 499  # nginx's word for a request whose client did not wait for the answer
MS: Final = 1_000.0
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, as far as it has come."""

    request_id: str
    method: str
    path: str
    client: str  # its address
    began: float  # monotonic
    scope: Scope = field(default_factory=dict)  # in which it is found out
    route: str = NO_ROUTE  # the path's template: a bounded set; once it has ended
    key_id: str | None = None
    status: int = CLIENT_LEFT
    first_byte_seconds: float | None = None
    seconds: float = 0.0  # until the last byte
    bytes: int = 0
    is_whole: bool = False  # False of a stream that broke, or whose client left

    def time(self) -> float:
        """Return the seconds since it came."""
        return time.monotonic() - self.began

    def route_by_now(self) -> str:
        """Return the path's template as soon as it is known which one it is."""
        return getattr(self.scope.get("route"), "path", NO_ROUTE)


class Watcher:
    """Is told of each request when it comes and when it has ended; by itself it does nothing."""

    def began(self, request: Request) -> None:
        """Note a request whose route is not known yet."""

    def ended(self, request: Request) -> None:
        """Note a request that was answered, or left."""


class Tracking:
    """Follows requests, and tells watchers; sets X-Response-Time, ms until the first byte."""

    def __init__(self, app: ASGIApp, watchers: Sequence[Watcher]) -> None:
        self.app = app
        self.watchers = watchers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer 500 when that raises before it has begun to answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self._followed(scope) as request:
            counted = _counted(request, send)
            try:
                await self.app(scope, receive, counted)
            except Exception:
                _log.exception("request %s failed", request.request_id)
                if request.first_byte_seconds is not None:
                    raise  # too late to say so: the answer stays unfinished
                said = "an error of ours; the log has it under this request id"
                await problem(500, said, request.request_id)(scope, receive, counted)

    @contextlib.contextmanager
    def _followed(self, scope: Scope) -> Iterator[Request]:
        request = Request(
            request_id=scope["request_id"],
            method=scope["method"],
            path=scope["path"],
            client=(scope.get("client") or ("",))[0],
            began=time.monotonic(),
            scope=scope,
        )
        for watcher in self.watchers:
            watcher.began(request)
        try:
            yield request
        finally:
            caller = scope.get("caller")
            request.seconds = request.time()
            request.route = request.route_by_now()
            request.key_id = caller.key.id if caller and caller.key else None
            for watcher in self.watchers:
                watcher.ended(request)


def _counted(request: Request, send: Send) -> Send:
    """Return a `send` that notes what passes through it."""

    async def counted(message: Message) -> None:
        if message["type"] == "http.response.start":
            request.status = message["status"]
            request.first_byte_seconds = request.time()
            milliseconds = f"{request.first_byte_seconds * MS:.2f}"
            MutableHeaders(scope=message)["X-Response-Time"] = milliseconds
        await send(message)
        if message["type"] == "http.response.body":
            request.bytes += len(message.get("body", b""))
            request.is_whole = not message.get("more_body", False)

    return counted
