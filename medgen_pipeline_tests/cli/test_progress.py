"""Progress adds up the latest word of every batch."""

import io

from rich.console import Console

from medgen_pipeline.cli.progress import Tally, line, shown
from medgen_pipeline.generation.batch import Progress


def progress(done: int, expected: int = 100, **outcomes: int) -> Progress:
    return Progress(
        patients_done=done,
        patients_expected=expected,
        replicate=0,
        replicates=1,
        outcome_counts=outcomes,
    )


def test_batches_are_added_up() -> None:
    """The latest word of a batch replaces its earlier one."""
    tally = Tally(batches=2, started=10.0)
    tally.add(0, progress(10, KIA=1))
    tally.add(0, progress(30, KIA=2, DOW=1))
    tally.add(7, progress(20, KIA=1))
    assert tally.done == 50
    assert tally.expected == 200
    assert tally.rate(now=12.0) == 25.0
    assert tally.deaths == "KIA 3  DOW 1"


def test_batches_not_heard_of_are_expected_as_the_others() -> None:
    tally = Tally(batches=10, started=0.0)
    tally.add(0, progress(1, expected=90))
    tally.add(1, progress(1, expected=110))
    assert tally.expected == 1000


def test_a_line_says_how_far_how_fast_and_how_long() -> None:
    tally = Tally(batches=1, started=0.0)
    tally.add(0, progress(2_000, expected=10_000, KIA=12))
    assert line(tally, now=4.0) == "2,000 of 10,000 patients, 500/s, about 16 s left, KIA 12  DOW 0"


def test_a_terminal_gets_a_bar() -> None:
    """Patients, rate and deaths are drawn on it."""
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=120)
    with shown(console, 1, quiet=False) as report:
        report(0, progress(40, KIA=3))
    assert "40/100 patients" in drawn.getvalue()
    assert "KIA 3" in drawn.getvalue()


def test_quiet_is_quiet_and_a_quick_run_needs_no_line() -> None:
    written = io.StringIO()
    for quiet in (True, False):
        with shown(Console(file=written), 1, quiet=quiet) as report:
            report(0, progress(100))
    assert written.getvalue() == ""
