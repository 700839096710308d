"""The processes of a deployment on this host, by part, as any of them sees them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from medgen_pipeline.runtime.parts import API, CODE_SERVER, RUN_WORKER, SERVICES, part_of

SUPERVISOR: Final = "supervisor"


@dataclass(frozen=True, slots=True)
class Use:
    """What a part takes now; of run workers, all together."""

    part: str
    memory_bytes: int
    cpu_seconds: float
    threads: int
    started: float  # s since 1970, of the oldest


def uses(own: psutil.Process | None = None) -> list[Use]:
    """Return what each part takes; of an API without a supervisor, that of this process alone."""
    own = own or psutil.Process()
    parent = own.parent()
    services = dict(_services(parent)) if parent else {}
    if parent is None or CODE_SERVER not in services:
        return [*_used(API, [own])]
    workers = _children(services[CODE_SERVER])
    return [
        *_used(SUPERVISOR, [parent]),
        *(use for part, process in services.items() for use in _used(part, [process])),
        *_used(RUN_WORKER, workers),
    ]


def _services(supervisor: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    with contextlib.suppress(psutil.Error):
        for child in supervisor.children():
            with contextlib.suppress(psutil.Error):
                part = part_of(child.cmdline(), is_child=False)
                if part in SERVICES:
                    yield part, child


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _used(part: str, processes: list[psutil.Process]) -> Iterator[Use]:
    """Yield what the processes of a part that live take together; nothing when none does."""
    found: list[Use] = []
    for process in processes:
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            found.append(
                Use(
                    part,
                    process.memory_info().rss,
                    times.user + times.system,
                    process.num_threads(),
                    process.create_time(),
                )
            )
    if found:
        yield Use(
            part,
            sum(each.memory_bytes for each in found),
            sum(each.cpu_seconds for each in found),
            sum(each.threads for each in found),
            min(each.started for each in found),
        )
