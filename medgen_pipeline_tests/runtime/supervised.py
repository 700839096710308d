"""A supervisor of small services, for the tests that see it from outside: `python -m ... CASE`.

What it says goes to standard output; each service is a few lines of Python with one file to tell
how often it was started.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from medgen_pipeline.runtime.services import Service
from medgen_pipeline.runtime.supervisor import NotStartedError, Supervisor
from medgen_pipeline_tests.runtime.guarded import say

SLEEP: Final = "import time; time.sleep(100)"
DEAF: Final = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
ORPHAN: Final = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], "
    f"start_new_session=True); {SLEEP}"
)


def wait_for(file: Path) -> str:
    """Return a program that waits for a file."""
    return (
        "import os, time; "
        f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(file)!r}), True)]"
    )


def service(name: str, program: str, folder: Path, needs: str | None = None) -> Service:
    """Return a service that is ready once it has run its first line."""
    starts = folder / f"{name}.starts"
    begin = f"open({str(starts)!r}, 'a').write('x'); "
    return Service(
        name,
        (sys.executable, "-c", begin + program),
        lambda _started: starts.exists(),
        "here",
        needs=needs,
    )


def drain(may_wait: Callable[[], bool]) -> None:
    """Wait as long as there is patience, as for a run that does not end."""
    say("draining")
    while may_wait():
        pass
    say("drained")


def main() -> int:
    """Supervise what a case asks for."""
    case, folder, grace = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    services = {
        "two": [
            service("second", SLEEP, folder, needs="daemon"),
            service("daemon", SLEEP, folder),
        ],
        "dies": [service("daemon", f"{wait_for(folder / 'go')}; raise SystemExit(3)", folder)],
        "never": [
            service("daemon", SLEEP, folder),
            Service("broken", (sys.executable, "-c", "1 / 0"), lambda _started: False, "nowhere"),
        ],
        "deaf": [service("daemon", DEAF, folder)],
        "orphan": [service("daemon", ORPHAN, folder)],
    }[case]
    supervisor = Supervisor(services, folder / "logs", os.environ, say, stop_seconds=2)
    try:
        supervisor.run(drain, grace)
    except NotStartedError as error:
        say(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
