"""What `generate` and `materialize` say at their end: what there is, where, and how to ask it."""

import json
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.mixture import mixtures
from medgen_pipeline.reference import vocabulary

EXAMPLE: Final = "select outcome, count(*) as patients from patients group by all order by all"


@dataclass(frozen=True, slots=True)
class Result:
    """What was generated, over all batches."""

    scenario: str
    data_url: str
    batches: tuple[int, ...]
    replicates: int
    rows: Mapping[str, int]  # by table
    outcomes: Mapping[str, int]  # patients by outcome
    seconds: float
    peak_memory_mb: float  # of the largest process

    @property
    def patients_per_second(self) -> float:
        """Patients of all batches over the time from the first to the last."""
        return self.rows["patients"] / self.seconds


def gather(
    manifests: Sequence[Manifest], data_url: str, *, seconds: float, peak_memory_mb: float
) -> Result:
    """Return what some batches of one scenario add up to."""
    rows: Counter[str] = Counter()
    outcomes = Counter(dict.fromkeys(vocabulary.OUTCOMES, 0))
    for manifest in manifests:
        rows.update(manifest.rows)
        outcomes.update(manifest.outcomes)
    return Result(
        scenario=manifests[0].scenario,
        data_url=data_url,
        batches=tuple(manifest.batch for manifest in manifests),
        replicates=sum(manifest.replicates_per_batch for manifest in manifests),
        rows=dict(rows),
        outcomes=dict(outcomes),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb,
    )


def warn_of_mixture(manifests: Iterable[Manifest]) -> None:
    """Say what among batches of a scenario is not of one making."""
    for mixture in mixtures(manifests):
        click.echo(f"warning: {mixture}", err=True)


def show(result: Result, *, as_json: bool) -> None:
    """Print a result, as text that ends with a query to paste, or as one JSON document."""
    if as_json:
        click.echo(json.dumps(asdict(result)))
        return
    console = Console(highlight=False)
    console.print(
        f"{result.scenario}: {counted(result.rows['patients'], 'patient')} in "
        f"{counted(result.replicates, 'replicate')}, {result.seconds:.1f} s, "
        f"{result.patients_per_second:,.0f} patients/s, "
        f"at most {result.peak_memory_mb:,.0f} MB a process",
        soft_wrap=True,
    )
    console.print(f"data: {place(result.data_url)}", soft_wrap=True)
    console.print(rows_table(result.rows))
    console.print(outcomes_line(result.outcomes))
    console.print("\nask it, for example:", style="dim")
    console.print(f"  {command(result.data_url)}", markup=False, soft_wrap=True)


def rows_table(rows: Mapping[str, int]) -> Table:
    """Return tables and their rows, to print."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in rows.items():
        table.add_row(f"  {name}", f"{count:,} rows")
    return table


def outcomes_line(outcomes: Mapping[str, int]) -> str:
    """Return the casualties of each outcome in one line."""
    return "  ".join(f"{outcome} {count:,}" for outcome, count in outcomes.items())


def place(data_url: str) -> str:
    """Return where a dataset is, a local folder in full."""
    return data_url if "://" in data_url else str(Path(data_url).absolute())


def command(data_url: str) -> str:
    """Return a command that works where this one did, and asks the dataset a question."""
    on_path = shutil.which("medgen")
    program = "medgen" if on_path and Path(on_path) == Path(sys.argv[0]) else sys.argv[0]
    return shlex.join([program, "query", EXAMPLE, "--data-url", data_url])


def counted(count: int, word: str, many: str | None = None) -> str:
    """Return a count with its word in the right number."""
    return f"{count:,} {word if count == 1 else many or f'{word}s'}"
