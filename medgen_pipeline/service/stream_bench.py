"""How fast a stream is and what the server's memory does meanwhile, from a real server.

`python -m medgen_pipeline.service.stream_bench` starts `medgen serve` on a free port, asks for
patients as a client on loopback that throws them away, and samples the server's resident memory.
Beside the stream it measures, in this process, what generating and serialising alone can do.
"""

import argparse
import contextlib
import http.client
import itertools
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from medgen_pipeline.generation.finished import finished_patients
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service.courses import batch_of
from medgen_pipeline.service.formats import Format, writer
from medgen_pipeline.simulation.engine import engine

MB: Final = 2**20
SECONDS_TO_START: Final = 120.0
SAMPLE_S: Final = 0.1
PIECE: Final = 2**18
BATCH_SIZE: Final = 1_000
WARM: Final = 5_000  # patients before anything is measured
ALONE: Final = 20_000  # patients for the limits of each part alone
COLUMNS: Final = 60  # of the memory curve

# Targets of the project's plan.
FIRST_BYTE_S: Final = 0.3
GROWTH_MB: Final = 64.0
TARGETS: Final = {Format.NDJSON: 20_000.0, Format.ARROW: 150_000.0}
PATH: Final = "/api/v1/streaming/generate"


@dataclass(slots=True)
class Figures:
    """What one kind of stream did."""

    name: str
    patients: int
    streams: int
    seconds: float = 0.0
    first_byte_s: float = 0.0  # of the slowest to begin
    slowest_share: float = 1.0  # rate of the slowest stream over that of the fastest
    bytes: int = 0
    idle_mb: float = 0.0
    samples_mb: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Patients a second, of all streams together."""
        return self.patients * self.streams / self.seconds

    @property
    def growth_mb(self) -> float:
        """The highest resident memory above that of the idle server."""
        return max(self.samples_mb, default=self.idle_mb) - self.idle_mb


@contextlib.contextmanager
def served() -> Iterator[tuple[psutil.Process, int]]:
    """Start a server of its own; yield its process and port, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "medgen_pipeline.service", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process,  # noqa: S603  our own
    ):
        try:
            _await(port)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def _await(port: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/v1/health/live")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(SAMPLE_S)
    raise TimeoutError("the server did not start")


def measured(
    server: psutil.Process, port: int, kind: Format, patients: int, streams: int, *, course: bool
) -> Figures:
    """Return the figures of some streams at the same time."""
    name = f"{kind.value}{'' if course else ', patients alone'}"
    found = Figures(name, patients, streams, idle_mb=_resident_mb(server))
    query = f"{PATH}?count={patients}&format={kind.value}&batch_size={BATCH_SIZE}"
    query += f"&course={str(course).lower()}"
    first: list[float] = []
    took: list[float] = []
    done = threading.Event()

    def read() -> None:
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        connection.request("GET", query)
        answer = connection.getresponse()
        size = len(answer.read(1))
        first.append(time.perf_counter() - started)
        while piece := answer.read(PIECE):
            size += len(piece)
        took.append(time.perf_counter() - started)
        found.bytes += size
        connection.close()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            found.samples_mb.append(_resident_mb(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    readers = [threading.Thread(target=read) for _ in range(streams)]
    started = time.perf_counter()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    found.seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    found.first_byte_s = max(first)
    found.slowest_share = min(took) / max(took)
    return found


def _resident_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MB


def alone(patients: int) -> dict[str, float]:
    """Return patients a second of generating, and of writing each format, with nothing else."""
    prepared = engine(Catalogue().get("demo"))
    list(itertools.islice(finished_patients(prepared), 2))  # loaded and warm
    started = time.perf_counter()
    made, count = [], 0
    for finished in finished_patients(prepared):
        made.append(finished)
        count += len(finished)
        if count >= patients:
            break
    rates = {"generating": count / (time.perf_counter() - started)}
    batches = [batch_of(finished) for finished in made]
    started = time.perf_counter()
    for finished in made:
        batch_of(finished)
    rates["to Arrow columns"] = count / (time.perf_counter() - started)
    for kind in (Format.NDJSON, Format.ARROW, Format.CSV):
        chosen = batches
        if kind is Format.CSV:
            chosen = [batch_of(finished, with_course=False) for finished in made]
        rates[f"writing {kind.value}"] = count / _seconds(kind, chosen)
    return rates


def _seconds(kind: Format, batches: Sequence[object]) -> float:
    each = writer(kind, with_course=True)
    each.start()
    each.patients(each.rows(batches[0]), BATCH_SIZE)
    started = time.perf_counter()
    for batch in batches:
        each.patients(each.rows(batch), BATCH_SIZE)
    return time.perf_counter() - started


def main() -> int:
    """Measure, print, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m medgen_pipeline.service.stream_bench")
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=10, help="at the same time, at the end")
    wanted = parser.parse_args()
    console = Console()
    for name, rate in alone(ALONE).items():
        console.print(f"{name} alone: {rate:,.0f} patients/s")
    share = max(1, wanted.patients // wanted.streams)
    with served() as (server, port):
        for kind in (Format.NDJSON, Format.ARROW):
            measured(server, port, kind, WARM, 1, course=True)
        idle = _resident_mb(server)
        figures = [
            measured(server, port, Format.NDJSON, wanted.patients, 1, course=True),
            measured(server, port, Format.ARROW, wanted.patients, 1, course=True),
            measured(server, port, Format.ARROW, wanted.patients, 1, course=False),
            measured(server, port, Format.NDJSON, share, wanted.streams, course=True),
        ]
    for each in figures:
        each.idle_mb = idle
    _show(console, figures)
    missed = list(_missed(figures))
    for said in missed:
        console.print(f"MISSED: {said}")
    return 1 if missed else 0


def _show(console: Console, figures: Sequence[Figures]) -> None:
    table = Table(box=None, title="through HTTP on loopback")
    headings = ("format", "streams", "patients each", "patients/s", "MB/s", "first byte ms")
    for heading in (*headings, "above idle MB", "slowest/fastest"):
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for each in figures:
        table.add_row(
            each.name,
            str(each.streams),
            f"{each.patients:,}",
            f"{each.rate:,.0f}",
            f"{each.bytes / each.seconds / MB:,.0f}",
            f"{1000 * each.first_byte_s:,.0f}",
            f"{each.growth_mb:,.0f}",
            f"{each.slowest_share:.2f}",
        )
    console.print(table)
    for each in figures:
        console.print(f"memory of the server, {each.name}, {each.streams} at once: {_curve(each)}")


def _curve(figures: Figures) -> str:
    """Return resident memory over time in MB above idle, a letter for a stretch of time."""
    samples = figures.samples_mb or [figures.idle_mb]
    step = max(1, len(samples) // COLUMNS)
    highs = [max(samples[at : at + step]) - figures.idle_mb for at in range(0, len(samples), step)]
    top = max(*highs, 1.0)
    bars = " ▁▂▃▄▅▆▇█"
    drawn = "".join(bars[round(max(high, 0.0) / top * (len(bars) - 1))] for high in highs)
    return f"|{drawn}| 0 to {top:,.0f} MB above idle"


def _missed(figures: Sequence[Figures]) -> Iterator[str]:
    for each in figures:
        most = GROWTH_MB * each.streams
        if each.growth_mb > most:
            yield f"{each.name}: {each.growth_mb:,.0f} MB above idle; at most {most:,.0f}"
        if each.streams > 1:
            continue
        if each.first_byte_s > FIRST_BYTE_S:
            yield f"{each.name}: first byte after {1000 * each.first_byte_s:,.0f} ms"
        target = TARGETS[Format(each.name.partition(",")[0])]
        if each.rate < target:
            yield f"{each.name}: {each.rate:,.0f} patients/s; at least {target:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
