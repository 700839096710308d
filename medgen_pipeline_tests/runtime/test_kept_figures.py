"""What a sensor keeps is one value, and one that cannot be read is as if there were none."""

from collections.abc import Iterator

import dagster as dg
import pytest

from medgen_pipeline.metrics.definitions import BACKFILLS
from medgen_pipeline.runtime import kept_figures
from medgen_pipeline.runtime.instance_view import InstanceView
from medgen_pipeline.runtime.kept_figures import RUNS, Kept


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def test_what_was_written_is_read(instance: dg.DagsterInstance) -> None:
    """It replaces what was there, all of it."""
    for value in (1.0, 2.0):
        kept = Kept(progress={"up to": value})
        kept.figures.set(BACKFILLS, "requested", value=value)
        kept_figures.write(instance, RUNS, kept, 1_000.0)
    found = kept_figures.read(InstanceView(instance), RUNS)
    assert (found.at, found.progress) == (1_000.0, {"up to": 2.0})
    assert found.figures.numbers(BACKFILLS) == {("requested",): 2.0}


def test_there_may_be_nothing(instance: dg.DagsterInstance) -> None:
    found = kept_figures.read(InstanceView(instance), RUNS)
    assert (found.at, found.progress) == (0.0, {})


@pytest.mark.parametrize(
    "text",
    [
        *("", "rubbish", "[]", "{}", '{"figures": {"format": 1}}'),
        '{"figures": {"format": 2}, "progress": {}, "at": 1}',
        '{"figures": {"format": 1, "numbers": 3}, "progress": {}, "at": 1}',
    ],
)
def test_what_cannot_be_read_is_nothing_and_is_told(
    instance: dg.DagsterInstance, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A sensor that fails for ever would count nothing at all."""
    instance.daemon_cursor_storage.set_cursor_values({RUNS: text})
    found = kept_figures.read(InstanceView(instance), RUNS)
    assert (found.at, found.progress) == (0.0, {})
    assert "counting begins anew" in caplog.text
