"""What a person sees while batches are generated: a bar in a terminal, plain lines elsewhere.

Everything goes to standard error; standard output is for results.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from medgen_pipeline.generation.batch import Progress

SECONDS_BETWEEN_LINES: Final = 5.0

Report = Callable[[int, Progress], None]


class Aside(Console):
    """Standard error, without which the work goes on: rich would end it when nobody reads."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Say no more, nor fail when the process ends."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Tally:
    """The latest word of every batch, added up."""

    def __init__(self, batches: int, started: float) -> None:
        self.batches = batches
        self.started = started
        self.latest: dict[int, Progress] = {}

    def add(self, batch: int, progress: Progress) -> None:
        """Take in the latest word of a batch."""
        self.latest[batch] = progress

    @property
    def done(self) -> int:
        """Patients generated so far."""
        return sum(progress.patients_done for progress in self.latest.values())

    @property
    def expected(self) -> int:
        """Patients in all; batches not yet heard of count as the mean of the others."""
        known = sum(progress.patients_expected for progress in self.latest.values())
        return round(known / max(len(self.latest), 1) * self.batches)

    def rate(self, now: float) -> float:
        """Patients a second since the start."""
        return self.done / max(now - self.started, 1e-9)

    @property
    def deaths(self) -> str:
        """The counts of KIA and DOW so far, in words."""
        counts: Counter[str] = Counter()
        for progress in self.latest.values():
            counts.update(progress.outcome_counts)
        return f"KIA {counts['KIA']:,}  DOW {counts['DOW']:,}"


@contextmanager
def shown(console: Console, batches: int, *, quiet: bool) -> Iterator[Report]:
    """Show what is reported within: a bar, lines or nothing, as suits who reads."""
    tally = Tally(batches, time.monotonic())
    if quiet:
        yield tally.add
    elif console.is_terminal:
        with _bar(console) as bar:
            yield _on_bar(bar, tally)
    else:
        yield _as_lines(console, tally)


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} patients"),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[deaths]}"),
        console=console,
        transient=True,
    )


def _on_bar(bar: Bar, tally: Tally) -> Report:
    task = bar.add_task("", total=0, rate=0.0, deaths="")

    def report(batch: int, progress: Progress) -> None:
        tally.add(batch, progress)
        bar.update(
            task,
            completed=tally.done,
            total=tally.expected,
            rate=tally.rate(time.monotonic()),
            deaths=tally.deaths,
        )

    return report


def _as_lines(console: Console, tally: Tally) -> Report:
    last = tally.started

    def report(batch: int, progress: Progress) -> None:
        nonlocal last
        tally.add(batch, progress)
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            console.out(line(tally, now), highlight=False)

    return report


def line(tally: Tally, now: float) -> str:
    """Return one plain line on how far the work is."""
    rate = tally.rate(now)
    left = (tally.expected - tally.done) / rate if rate else 0.0
    return (
        f"{tally.done:,} of {tally.expected:,} patients, {rate:,.0f}/s, "
        f"about {left:,.0f} s left, {tally.deaths}"
    )
