"""Small pictures of one batch for Dagster's UI, drawn from what was committed.

matplotlib is imported when the first picture is drawn: it costs a second and 40 MB, which neither
the code server nor the simulation should pay.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

DOTS_PER_INCH: Final = 80
WIDTH_INCHES: Final = 6.4
HOURLY_INCHES: Final = 2.4  # high
HOURLY_MARGINS: Final = (0.5, 0.42, 1.05, 0.28)  # inches left, bottom, right (legend), top
OUTCOMES_INCHES: Final = 1.1
OUTCOMES_MARGINS: Final = (0.15, 0.42, 0.15, 0.35)
COLOURS_KEPT: Final = 64  # of the PNG's palette: a third of the bytes, no difference to the eye
MOST_LINES: Final = 8  # more would hide each other; the rest is summed into one
# Okabe and Ito's palette, told apart with any colour vision. https://jfly.uni-koeln.de/color/
COLOURS: Final = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B0A000"),
)
OUTCOME_COLOURS: Final = {
    "KIA": "#000000",
    "DOW": "#D55E00",
    "DNB": "#CC79A7",
    "RTD": "#009E73",
    "EVACUATED": "#0072B2",
    "IN_CARE": "#B0B0B0",
}


@dataclass(frozen=True, slots=True)
class HourlySeries:
    """A mean number per hour of the scenario for each of some names."""

    hours: FloatArray  # since the scenario's start
    values: Mapping[str, FloatArray]  # by name, as long as `hours`


def casualties_per_hour(series: HourlySeries) -> str:
    """Return Markdown with the casualties per hour, one front upon the other."""
    figure, axes = _hourly("Casualties per hour, by front", "casualties")
    lines = most(series.values)
    if lines:
        axes.stackplot(
            series.hours / 24, *lines.values(), labels=list(lines), colors=COLOURS, step="post"
        )
    return _finished(figure, axes, series)


def occupancy(series: HourlySeries) -> str:
    """Return Markdown with the occupied beds of each role over the hours."""
    figure, axes = _hourly("Occupied beds, by role", "beds")
    for (name, values), colour in zip(most(series.values).items(), COLOURS, strict=False):
        axes.plot(series.hours / 24, values, color=colour, linewidth=1.2, label=name)
    axes.grid(alpha=0.25, linewidth=0.6)
    return _finished(figure, axes, series)


def outcomes(counts: Mapping[str, int]) -> str:
    """Return Markdown with one bar that shares the casualties out by outcome."""
    figure, axes = _figure(OUTCOMES_INCHES, OUTCOMES_MARGINS)
    total = max(1, sum(counts.values()))
    left = 0.0
    for outcome, colour in OUTCOME_COLOURS.items():
        share = 100 * counts.get(outcome, 0) / total
        label = f"{outcome} {share:.1f}%"
        axes.barh(0, share, left=left, color=colour, label=label)
        left += share
    axes.set_xlim(0, 100)
    axes.set_yticks([])
    axes.set_xlabel("% of casualties", fontsize=8)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, fontsize=7.5, frameon=False,
        handlelength=0.8, handletextpad=0.4, columnspacing=1.0,
    )  # fmt: skip
    return _markdown(figure, "Outcomes")


def _hourly(title: str, unit: str) -> "tuple[Figure, Axes]":
    figure, axes = _figure(HOURLY_INCHES, HOURLY_MARGINS)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_ylabel(unit, fontsize=8)
    axes.set_xlabel("days since start", fontsize=8)
    return figure, axes


def _finished(figure: "Figure", axes: "Axes", series: HourlySeries) -> str:
    """Return the picture, its axes fitted to the series and its legend beside it."""
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, float(series.hours.max(initial=24)) / 24)
    if series.values:
        axes.legend(fontsize=7.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.05))
    return _markdown(figure, axes.get_title(loc="left"))


def most(values: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
    """Return the lines as they are, or the largest with the sum of the others."""
    if len(values) <= MOST_LINES:
        return values
    ranked = sorted(values, key=lambda name: -float(values[name].sum()))
    kept, rest = ranked[: MOST_LINES - 1], ranked[MOST_LINES - 1 :]
    return {
        **{name: values[name] for name in kept},
        f"{len(rest)} others": np.sum([values[name] for name in rest], axis=0),
    }


def _figure(height: float, margins: tuple[float, float, float, float]) -> "tuple[Figure, Axes]":
    """Return a figure and its axes; margins are stated, for to find them is to draw twice."""
    from matplotlib.figure import Figure  # noqa: PLC0415  see the top

    left, bottom, right, top = margins
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH)
    axes = figure.add_axes(
        (
            left / WIDTH_INCHES,
            bottom / height,
            (WIDTH_INCHES - left - right) / WIDTH_INCHES,
            (height - bottom - top) / height,
        )
    )
    axes.tick_params(labelsize=7.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _markdown(figure: "Figure", title: str) -> str:
    """Return the figure as a PNG inside Markdown."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415  comes with matplotlib

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    image = Image.fromarray(pixels).convert("RGB")
    file = io.BytesIO()
    image.quantize(COLOURS_KEPT).save(file, format="png")
    return f"![{title}](data:image/png;base64,{base64.b64encode(file.getvalue()).decode()})"
