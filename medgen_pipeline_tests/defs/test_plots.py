"""The small pictures: real PNG, small, one colour for each thing shown."""

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from medgen_pipeline.defs import plots
from medgen_pipeline.defs.plots import HourlySeries

HOURS = np.arange(72.0)


def picture(markdown: str) -> Image.Image:
    start, _, rest = markdown.partition("(data:image/png;base64,")
    assert start.startswith("![")
    assert rest.endswith(")")
    image = Image.open(io.BytesIO(base64.b64decode(rest[:-1])))
    image.load()
    return image


def share_of(image: Image.Image, colour: str) -> float:
    """Return the share of a picture's pixels that have a colour, near enough for its palette."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    pixels = np.asarray(image.convert("RGB"), dtype=int)
    return float((np.abs(pixels - wanted).max(axis=2) < 12).mean())


def series(count: int) -> HourlySeries:
    return HourlySeries(HOURS, {f"front-{i}": np.full(72, 10.0 + i) for i in range(count)})


@pytest.mark.parametrize("count", [0, 1, 3, 20])
@pytest.mark.parametrize("draw", [plots.casualties_per_hour, plots.occupancy])
def test_hourly_pictures_are_drawn_for_any_number_of_lines(
    draw: Callable[[HourlySeries], str], count: int
) -> None:
    """No line, or more than there are colours, still gives a picture of a few kilobytes."""
    markdown = draw(series(count))
    assert picture(markdown).size == (512, 192)
    assert len(markdown) < 40_000


def test_every_front_shows_in_its_colour() -> None:
    """Three fronts with equal casualties cover three areas of about equal size."""
    image = picture(
        plots.casualties_per_hour(HourlySeries(HOURS, dict.fromkeys("abc", np.ones(72))))
    )
    areas = [share_of(image, colour) for colour in plots.COLOURS[:3]]
    assert min(areas) > 0.1
    assert max(areas) < 1.3 * min(areas)


def test_outcome_bar_is_shared_out_as_the_counts_are() -> None:
    """Three times the evacuated is three times the length."""
    image = picture(plots.outcomes({"RTD": 25, "EVACUATED": 75}))
    rtd = share_of(image, plots.OUTCOME_COLOURS["RTD"])
    evacuated = share_of(image, plots.OUTCOME_COLOURS["EVACUATED"])
    assert evacuated / rtd == pytest.approx(3, rel=0.1)


def test_too_many_lines_are_summed_into_the_last() -> None:
    """The largest keep their line, and nothing is lost from the sum."""
    many = {f"front-{i}": np.full(3, float(i)) for i in range(20)}
    few = plots.most(many)
    assert len(few) == plots.MOST_LINES
    assert list(few)[:2] == ["front-19", "front-18"]
    assert np.sum(list(few.values()), axis=0)[0] == sum(range(20))


def test_no_casualties_still_give_a_bar() -> None:
    """An empty batch is no error."""
    assert picture(plots.outcomes({})).size[0] == 512
