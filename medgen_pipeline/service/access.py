"""Who may ask, how often, and for how many patients.

Counts are kept in this process and begin anew with it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.keys import NOBODY, Key, KeyFile, parts

HEADER: Final = "x-api-key"
MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0


@dataclass(slots=True)
class _Use:
    """What one key has asked for in the minute and the day that run."""

    minute: int = -1
    requests: int = 0
    day: int = -1
    patients: int = 0


@dataclass(slots=True)
class Caller:
    """Who asks; `key` is None where no keys are set, which only loopback can reach."""

    key: Key | None = None
    use: _Use = field(default_factory=_Use)
    lock: threading.Lock = field(default_factory=threading.Lock)
    clock: Callable[[], float] = time.time

    def headers(self) -> dict[str, str]:
        """Return the limits as headers; none without a key."""
        if self.key is None:
            return {}
        left = max(0, self.key.requests_per_minute - self.use.requests)
        return {
            "X-RateLimit-Limit": str(self.key.requests_per_minute),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(self._seconds_left(MINUTE_S)),
            "X-Patient-Limit": str(self.key.patients_per_request),
            "X-Daily-Limit": str(self.key.patients_per_day),
            "X-Daily-Usage": str(self.use.patients),
        }

    def count_request(self) -> None:
        """Take one request of the minute; refuse when there is none left."""
        if self.key is None:
            return
        with self.lock:
            minute = int(self.clock() // MINUTE_S)
            if minute != self.use.minute:
                self.use.minute, self.use.requests = minute, 0
            if self.use.requests >= self.key.requests_per_minute:
                raise self._too_many("requests a minute", MINUTE_S)
            self.use.requests += 1

    def take_patients(self, count: int) -> int:
        """Take patients of the day, and return which it is; refuse when not so many are left."""
        if self.key is None:
            return 0
        if count > self.key.patients_per_request:
            most = self.key.patients_per_request
            raise ServiceError(403, f"this key may ask for {most} patients at a time")
        with self.lock:
            day = int(self.clock() // DAY_S)
            if day != self.use.day:
                self.use.day, self.use.patients = day, 0
            if self.use.patients + count > self.key.patients_per_day:
                raise self._too_many("patients a day", DAY_S)
            self.use.patients += count
        return day

    def give_back(self, count: int, day: int) -> None:
        """Return patients that were taken of a day and not made; a day that is over has no use."""
        with self.lock:
            if day == self.use.day:
                self.use.patients -= count

    def expect_writer(self) -> None:
        """Refuse who may not change what others read."""
        if self.key is None or not self.key.may_write:
            raise ServiceError(403, "this needs a key that may write: medgen keys create --write")

    def expect_no_reader(self) -> None:
        """Refuse a key that may only read; where no keys are set, whoever gets here may order."""
        if self.key is not None:
            self.expect_writer()

    def _seconds_left(self, period: float) -> int:
        return int(period - self.clock() % period) + 1

    def _too_many(self, what: str, period: float) -> ServiceError:
        wait = str(self._seconds_left(period))
        return ServiceError(429, f"the limit of {what} is reached", headers={"Retry-After": wait})


class Gate:
    """Finds the caller of a request by the key it brings."""

    def __init__(self, keys: KeyFile | None, clock: Callable[[], float] = time.time) -> None:
        self.keys = keys
        self.clock = clock
        self._callers: dict[str, Caller] = {}

    def admit(self, given: str | None) -> Caller:
        """Return the caller, one request of theirs counted; raise ServiceError for strangers."""
        if self.keys is None:
            return Caller()
        key_id, secret = parts(given or "")
        key = self.keys.keys().get(key_id, NOBODY)
        if not key.fits(secret):
            said = "the key is not known" if given else "a key is needed"
            raise ServiceError(
                401, f"{said}; send it as X-API-Key", headers={"WWW-Authenticate": "ApiKey"}
            )
        caller = self._callers.setdefault(key_id, Caller(key, clock=self.clock))
        caller.key = key
        caller.count_request()
        return caller
