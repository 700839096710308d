"""`medgen memory-profile`: what patients weigh in memory, measured here and now."""

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from medgen_pipeline.cli import options
from medgen_pipeline.errors import SettingError
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.settings import Settings

if TYPE_CHECKING:
    from medgen_pipeline.service.memory_profile import Peak, Profile

MISSED = 1
BAR = 50  # letters of the longest bar


@click.command()
@click.argument("scenario", default="demo")
@click.option(
    "--patients",
    type=click.IntRange(100, 1_000_000),
    default=5_000,
    show_default=True,
    metavar="N",
    help="To weigh in each form.",
)
@click.option(
    "--counts",
    default="1000,10000,100000,1000000",
    show_default=True,
    metavar="NUMBERS",
    help="Patients to make, as a list and as a stream.",
)
@click.option(
    "--most-mb",
    type=click.IntRange(64),
    default=2_048,
    show_default=True,
    help="Where a list stops growing.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=options.writable,
    help="Write the curve as PNG too.",
)
@options.as_json
@click.pass_context
def memory_profile(
    context: click.Context,
    *,
    scenario: str,
    patients: int,
    counts: str,
    most_mb: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Weigh patients of SCENARIO as dict, class, slotted class and columns, list against stream.

    Exits with 1 when a target is missed.
    """
    from medgen_pipeline.service.memory_profile import measured  # noqa: PLC0415  an extra

    settings = context.find_object(Settings) or Settings()
    Catalogue(settings.scenario_dir).get(scenario)
    profile = measured(scenario, patients, _numbers(counts), most_mb=most_mb)
    if plot is not None:
        _draw(profile, plot)
    if as_json:
        shown = dataclasses.asdict(profile)
        shown["findings"] = [dataclasses.asdict(finding) for finding in profile.findings]
        click.echo(json.dumps(shown))
    else:
        _show(profile)
    context.exit(MISSED if any(found.holds is False for found in profile.findings) else 0)


def _numbers(text: str) -> list[int]:
    try:
        found = sorted({int(each) for each in text.split(",")})
    except ValueError:
        raise SettingError(f"--counts is {text!r}; must be whole numbers: 1000,10000") from None
    if found[0] < 1:
        raise SettingError(f"--counts is {text!r}; must be whole numbers from 1 on")
    return found


def _show(profile: "Profile") -> None:
    console = Console()
    weights = Table(title=f"{profile.patients:,} patients of {profile.scenario}", box=None)
    for heading in ("held as", "bytes a patient", "with the whole course"):
        weights.add_column(heading, justify="left" if heading == "held as" else "right")
    for weight in profile.weights:
        weights.add_row(weight.form, f"{weight.patient:,.0f}", f"{weight.with_course:,.0f}")
    console.print(weights)
    peaks = Table(title="growth of peak memory", box=None)
    for heading in ("made as", "patients", "MB", ""):
        peaks.add_column(heading, justify="left" if heading in {"made as", ""} else "right")
    highest = max((peak.growth_mb for peak in profile.peaks), default=0.0)
    for peak in profile.peaks:
        peaks.add_row(peak.way, _reached(peak), f"{peak.growth_mb:,.0f}", _bar(peak, highest))
    console.print(peaks)
    for finding in profile.findings:
        mark = {None: " ", True: "met", False: "MISSED"}[finding.holds]
        console.print(f"{mark:>6}  {finding.said}", markup=False, highlight=False, soft_wrap=True)


def _reached(peak: "Peak") -> str:
    if peak.reached == peak.wanted:
        return f"{peak.wanted:,}"
    return f"{peak.wanted:,}, stopped at {peak.reached:,}"


def _bar(peak: "Peak", highest: float) -> str:
    """Return a bar; its length is on a scale of logarithms, for the ends are far apart."""
    return "█" * round(BAR * math.log1p(peak.growth_mb) / math.log1p(max(highest, 1.0)))


def _draw(profile: "Profile", path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6, 4))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for way in dict.fromkeys(peak.way for peak in profile.peaks):
        ours = [peak for peak in profile.peaks if peak.way == way]
        axes.plot([p.reached for p in ours], [p.growth_mb for p in ours], marker="o", label=way)
    axes.set_xscale("log")
    axes.set_xlabel("patients")
    axes.set_ylabel("growth of peak memory, MB")
    axes.legend()
    figure.savefig(path, dpi=120)
