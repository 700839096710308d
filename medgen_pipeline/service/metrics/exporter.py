"""Keeping figures for a few seconds, and the last good ones for as long as a source fails.

Each collector works in a thread of its own, at most once at a time. Whoever asks waits until a
deadline and no longer; a thread that hangs stays until what it waits for lets go.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from medgen_pipeline.metrics import definitions as metrics
from medgen_pipeline.metrics.figures import Figures
from medgen_pipeline.service.metrics.collectors import Collector

DEADLINE_SECONDS: Final = 3.0  # our own choice: Prometheus gives up after 10 by default

_log: Final = logging.getLogger(__name__)


class Attempt:
    """One collection under way."""

    def __init__(self, collector: Collector) -> None:
        self.began = time.monotonic()
        self.ended = self.began
        self.is_late = False  # has passed its deadline, and that is counted
        self.figures: Figures | None = None
        self.error: Exception | None = None
        self.done = threading.Event()
        name = f"collector {collector.name}"
        # A daemon: one that hangs keeps no process from ending.
        threading.Thread(target=self._run, args=(collector,), name=name, daemon=True).start()

    def _run(self, collector: Collector) -> None:
        try:
            self.figures = collector.collect()
        except Exception as error:  # noqa: BLE001  whatever it is, the last figures are served
            self.error = error
        self.ended = time.monotonic()
        self.done.set()


class Source:
    """A collector, and the last figures that it gave."""

    def __init__(self, collector: Collector, deadline_seconds: float) -> None:
        self.collector = collector
        self.deadline_seconds = deadline_seconds
        self.figures: Figures | None = None
        self.taken = 0.0  # monotonic
        self.seconds = 0.0  # that it took
        self.is_up = False
        self.errors = 0
        self._attempt: Attempt | None = None

    def begin(self) -> None:
        """Begin to collect anew, unless that goes on or the figures are good."""
        self.take()
        is_good = self.is_up and time.monotonic() - self.taken < self.collector.seconds_kept
        if self._attempt is None and not is_good:
            self._attempt = Attempt(self.collector)

    def settle(self) -> None:
        """Wait for what goes on until its deadline."""
        attempt = self._attempt
        if attempt is None:
            return
        left = attempt.began + self.deadline_seconds - time.monotonic()
        if attempt.done.wait(max(0.0, left)):
            self.take()
        elif not attempt.is_late:
            attempt.is_late = True
            self._fail(f"no answer within {self.deadline_seconds:g} s", None)

    def take(self) -> None:
        """Take what an attempt that has ended brought."""
        attempt = self._attempt
        if attempt is None or not attempt.done.is_set():
            return
        self._attempt = None
        if attempt.figures is None:
            self._fail(repr(attempt.error), attempt.error)
            return
        if not self.is_up and self.errors:
            _log.warning("figures of %s are collected again", self.collector.name)
        self.figures, self.taken = attempt.figures, attempt.ended
        self.seconds = attempt.ended - attempt.began
        self.is_up = True

    def _fail(self, why: str, error: Exception | None) -> None:
        self.errors += 1
        if self.is_up or self.errors == 1:  # once, and not at every scrape
            _log.warning(
                "figures of %s cannot be collected: %s", self.collector.name, why, exc_info=error
            )
        self.is_up = False


class Exporter:
    """All figures of `/metrics`."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        live: Sequence[Callable[[], Figures]],
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Take what is collected and kept, and what is at hand at any time."""
        self._sources = [Source(each, deadline_seconds) for each in collectors]
        self._live = live
        self._lock = threading.Lock()
        self._scrapes = 0
        self._last_seconds: float | None = None

    def begin(self) -> None:
        """Begin to collect, so that who asks first need not wait for what is loaded then."""
        with self._lock:
            for source in self._sources:
                source.begin()

    def figures(self) -> list[Figures]:
        """Return the figures of every source, and of this one."""
        with self._lock:  # who comes second finds all fresh
            began = time.monotonic()
            for source in self._sources:
                source.begin()
            for source in self._sources:
                source.settle()
            self._scrapes += 1
            found = [source.figures for source in self._sources if source.figures]
            own = self._own()
            self._last_seconds = time.monotonic() - began
        return [*found, *(each() for each in self._live), own]

    def _own(self) -> Figures:
        found, now = Figures(), time.monotonic()
        for source in self._sources:
            name = source.collector.name
            found.set(metrics.COLLECTOR_UP, name, value=source.is_up)
            found.set(metrics.COLLECTOR_ERRORS, name, value=source.errors)
            if source.figures is not None:
                found.set(metrics.COLLECTOR_STALENESS, name, value=now - source.taken)
                found.set(metrics.COLLECTOR_DURATION, name, value=source.seconds)
        found.set(metrics.SCRAPES, value=self._scrapes)
        if self._last_seconds is not None:
            found.set(metrics.SCRAPE_DURATION, value=self._last_seconds)
        return found
