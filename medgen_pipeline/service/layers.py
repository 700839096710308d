"""What surrounds every request: its id, plain headers, a bound on its body, who asks.

Pure ASGI, so that a stream passes through untouched. The outermost comes first.
"""

import re
import secrets
from typing import Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medgen_pipeline.service import access
from medgen_pipeline.service.faults import ServiceError, problem
from medgen_pipeline.service.limits import Limits

_GIVEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
OPEN_PATHS: Final = re.compile(r"/metrics|/api/v1/health(/.*)?")  # answered without a key


class RequestIds:
    """Gives each request an id, its own if it brought a plain one, and sets headers for all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        brought = Headers(scope=scope).get("x-request-id", "")
        given = brought if _GIVEN.fullmatch(brought) else secrets.token_hex(8)
        scope["request_id"] = given

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = given
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, with_headers)


class Keys:
    """Lets in who has a key, when there are keys, and counts what each asks for."""

    def __init__(self, app: ASGIApp, gate: "access.Gate") -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its caller, or refuse it."""
        if scope["type"] != "http" or OPEN_PATHS.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            caller = self.gate.admit(Headers(scope=scope).get(access.HEADER))
        except ServiceError as error:
            answer = problem(error.status, error.detail, scope["request_id"], headers=error.headers)
            await answer(scope, receive, send)
            return
        scope["caller"] = caller

        async def with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(caller.headers())
            await send(message)

        await self.app(scope, receive, with_limits)


class BoundedBodies:
    """Refuses a body that is too large or too slow, before anything looks at it."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its whole body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except ServiceError as error:
            answer = problem(
                error.status, error.detail, scope["request_id"], headers={"Connection": "close"}
            )
            await answer(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replayed(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; None when the client left before its end."""
        most = self.limits.body_bytes
        too_large = ServiceError(413, f"the body must be at most {most} bytes")
        stated = Headers(scope=scope).get("content-length", "0")
        if stated.isdecimal() and int(stated[:20]) > most:
            raise too_large
        body = bytearray()
        try:
            with anyio.fail_after(self.limits.seconds_for_body):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise too_large
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise ServiceError(408, "the body took too long to arrive") from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then what the server has to say."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
