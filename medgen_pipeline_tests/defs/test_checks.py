"""What the invariants are checked on: whole replicates, from the first on, within bounds."""

from datetime import UTC, datetime

import pytest

from medgen_pipeline.dataset.manifest import Manifest, Run
from medgen_pipeline.defs.checks import EVERYTHING, examined


def batch(patients: int, replicates: int) -> Manifest:
    return Manifest(
        scenario="demo",
        batch=2,
        first_replicate=2 * replicates,
        last_replicate=3 * replicates - 1,
        replicates_per_batch=replicates,
        seed=1,
        generator_version="1",
        schema_version=1,
        scenario_sha256="0" * 64,
        resolved_scenario={},
        rows={"patients": patients},
        outcomes={},
        rates={},
        files=(),
        run=Run(run_id="r", commit="abc", created_at=datetime(2030, 1, 1, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("patients", "replicates", "at_most", "seen"),
    [
        (1_000, 1, 1_000, range(2, 3)),
        (100_000, 100, 1_000, range(200, 201)),
        (100_000, 100, 2_500, range(200, 202)),
        (20_000, 1, 1_000, range(2, 3)),
        (100, 100, 1_000, range(200, 300)),
        (0, 10, 1_000, range(20, 30)),
        (1_000_000, 1, EVERYTHING, range(2, 3)),
        (1_000_000, 1, 1_000_000, range(2, 3)),
    ],
)
def test_as_many_replicates_as_fit_are_examined(
    patients: int, replicates: int, at_most: int, seen: range
) -> None:
    """At least one replicate, and as many as hold the patients asked for."""
    found = examined(batch(patients, replicates), at_most)
    assert found is not None
    assert found.replicates == seen


def test_a_replicate_that_would_take_minutes_is_left_to_the_validation_job() -> None:
    """A million patients in one replicate are not examined in the run that makes them."""
    assert examined(batch(1_000_000, 1), 1_000) is None
