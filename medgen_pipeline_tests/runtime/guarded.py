"""A process under guard, for the tests that see it killed: `python -m ... CASE LIMIT VALUE`.

Every entry of the ledger is a line on standard output.
"""

import contextlib
import dataclasses
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from medgen_pipeline.runtime.breach import Breach, Taken
from medgen_pipeline.runtime.guard import Guard
from medgen_pipeline.runtime.limits import Limits

GENEROUS: Final = Limits(max_memory_mb=10_000, max_cpu_seconds=1_000, max_runtime_seconds=1_000)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class _Printed:
    """A ledger on standard output."""

    def __init__(self, *, over_at: float = float("inf"), deaf: bool = False) -> None:
        self.over_at = time.monotonic() + over_at
        self.deaf = deaf

    def record(self, taken: Taken) -> None:
        say(f"taken {taken}")

    def ended_by(self, breach: Breach) -> None:
        if self.deaf:
            raise ConnectionError("the database is gone")
        say(f"ended by {breach.message}")

    def is_over(self) -> bool:
        return time.monotonic() > self.over_at

    def remove_staging(self) -> None:
        say("staging removed")


def failure(breach: Breach) -> Exception:
    return RuntimeError(breach.message)


def sleep() -> None:
    time.sleep(100)


def swallow() -> None:
    while True:
        with contextlib.suppress(BaseException):  # as hostile as code can be
            time.sleep(100)


def long_call() -> None:
    hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)  # lets other threads run


def huge() -> None:
    np.ones(1 << 30)
    time.sleep(100)


def in_child() -> None:
    program = "kept = []\nwhile True: kept.append(bytearray(10 << 20))"
    subprocess.run([sys.executable, "-c", program], check=True)


CASES: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (sleep, swallow, long_call, huge, in_child)
}


def main() -> None:
    """Run one case under a guard."""
    case, limit, value, kind = sys.argv[1:]
    ledger = {
        "plain": _Printed(),
        "over": _Printed(over_at=0.5),
        "deaf": _Printed(deaf=True),
    }[kind]
    limits = dataclasses.replace(GENEROUS, **{limit: float(value)})
    with Guard(limits, ledger, failure=failure) as guard:
        try:
            guard.stoppable(CASES[case])()
        except RuntimeError as error:
            say(f"failed {error}")


if __name__ == "__main__":
    main()
