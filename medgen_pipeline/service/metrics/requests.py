"""Requests as figures: counted when they have ended, and while they go on."""

import threading
from typing import Final

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures
from medgen_pipeline.service.tracking import Request, Watcher

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}


class RequestFigures(Watcher):
    """Counts requests by the route they came by, never by path: the set is bounded."""

    def __init__(self) -> None:
        self._done = Figures()
        self._lock = threading.Lock()
        self._requests: dict[int, Request] = {}

    def began(self, request: Request) -> None:
        """Note a request."""
        with self._lock:
            self._requests[id(request)] = request

    def ended(self, request: Request) -> None:
        """Count a request."""
        with self._lock:
            self._requests.pop(id(request), None)
        labels = method_of(request), request.route
        self._done.add(metrics.HTTP_REQUESTS, *labels, str(request.status))
        self._done.observe(metrics.HTTP_DURATION, *labels, value=request.seconds)

    def figures(self) -> Figures:
        """Return what was counted, and what goes on."""
        found = Figures()
        found.update(self._done)
        for _, route in {labels[:2] for labels in found.numbers(metrics.HTTP_REQUESTS)}:
            found.set(metrics.HTTP_IN_FLIGHT, route, value=0)
        with self._lock:
            going_on = list(self._requests.values())
        for request in going_on:
            found.add(metrics.HTTP_IN_FLIGHT, request.route_by_now())
        return found


def method_of(request: Request) -> str:
    """Return the method of a request as a label."""
    return request.method if request.method in METHODS else metrics.OTHER
