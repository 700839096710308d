"""Asking what may never answer: a disk that hangs, a database that is gone, a process that stopped.

A probe runs in a thread of its own, at most once at a time, and is shared by all who ask meanwhile.
Whoever asks waits until its deadline and no longer; a thread that hangs stays until what it waits
for lets go, and there is never a second one beside it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from medgen_pipeline.service.findings import Finding, Status

DEADLINE_SECONDS: Final = 3.0  # our own choice: below what probes of orchestrators wait
FRESH_SECONDS: Final = 1.0  # for so long an answer is given again: asking often costs nothing
_log: Final = logging.getLogger(__name__)


class Probe:
    """One thing to look at."""

    def __init__(
        self,
        name: str,
        look: Callable[[], Finding],
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self.name = name
        self.look = look
        self.deadline_seconds = deadline_seconds
        self.fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._latest: Future[Finding] | None = None
        self._began = 0.0
        self._ended = 0.0
        self._said = ""

    async def ask(self) -> Finding:
        """Return what is found, or that nothing was found in time."""
        latest, began = self._current()
        left = began + self.deadline_seconds - time.monotonic()
        if latest.done():
            return latest.result()
        try:
            waiting = asyncio.shield(asyncio.wrap_future(latest))
            return await asyncio.wait_for(waiting, max(0.0, left))
        except TimeoutError:
            return self._silent(time.monotonic() - began)

    def _current(self) -> tuple[Future[Finding], float]:
        """Return the look that goes on or is fresh, else a new one; and when it began."""
        with self._lock:
            latest = self._latest
            is_fresh = time.monotonic() - self._ended < self.fresh_seconds
            if latest is None or (latest.done() and not is_fresh):
                latest = self._latest = Future()
                self._began = time.monotonic()
                name = f"probe of {self.name}"
                # A daemon: one that hangs keeps no process from ending.
                threading.Thread(target=self._run, args=(latest,), name=name, daemon=True).start()
            return latest, self._began

    def _run(self, into: "Future[Finding]") -> None:
        finding = self._looked()
        self._ended = time.monotonic()
        into.set_result(finding.model_copy(update={"seconds": round(self._ended - self._began, 4)}))

    def _looked(self) -> Finding:
        try:
            finding = self.look()
        except Exception as error:  # noqa: BLE001  whatever it is, it is what was found
            said = type(error).__name__
            if said != self._said:  # once, and not at every look
                _log.warning("the %s cannot be told", self.name, exc_info=error)
            self._said = said
            return Finding(status=Status.ERROR, detail=f"{said}; the API's log has more")
        self._said = ""
        return finding

    def _silent(self, seconds: float) -> Finding:
        detail = f"no answer for {seconds:.0f} s; {self.deadline_seconds:g} s are allowed"
        return Finding(status=Status.ERROR, detail=detail, seconds=round(seconds, 4))


async def ask_all(probes: list[Probe]) -> dict[str, Finding]:
    """Return what all of them find, by name; it takes as long as the slowest may."""
    found = await asyncio.gather(*(probe.ask() for probe in probes))
    return {probe.name: each for probe, each in zip(probes, found, strict=True)}
