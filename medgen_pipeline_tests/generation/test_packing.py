"""Batches are packed so that launches are a tenth of the work, slots are busy and limits far."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.generation.packing import (
    MOST_LAUNCHING,
    SECONDS_PER_BATCH,
    Terms,
    Work,
    pack,
    work_of,
)
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients, with_replicates_per_batch
from medgen_pipeline_tests.dataset import sample

RAY = Terms(slots=2, launch_seconds=9, limit_seconds=300)


def sizes(batches: int, seconds: float, terms: Terms = RAY) -> list[int]:
    packing = pack(range(batches), Work(seconds, 1.0, 0), terms)
    return [len(run) for run in packing.runs]


@pytest.mark.parametrize(
    ("batches", "seconds", "expected"),
    [
        (40, 15.0, [7, 6, 7, 7, 6, 7]),  # 90 s or more of work for each launch of 9 s
        (40, 1.0, [40]),  # too little for even one launch
        (1_000, 1.0, [100] * 10),
        (40, 200.0, [1] * 40),  # a batch that takes more than a launch wants
        (2, 100.0, [1, 1]),
        (1, 0.1, [1]),
        (0, 1.0, []),
    ],
)
def test_sizes(batches: int, seconds: float, expected: list[int]) -> None:
    assert sizes(batches, seconds) == expected


def test_a_limit_comes_before_the_cost_of_launches() -> None:
    """A run is planned to take half of what it may."""
    assert sizes(40, 1.0, Terms(slots=2, launch_seconds=9, limit_seconds=20)) == [10] * 4


@given(
    st.integers(1, 1_000),
    st.floats(0.01, 1_000),
    st.builds(Terms, st.integers(1, 100), st.floats(1, 60), st.floats(60, 100_000)),
)
def test_every_batch_is_in_one_run_and_the_policy_holds(
    batches: int, seconds: float, terms: Terms
) -> None:
    """Unless a limit says otherwise or there is little to do, launches are a tenth at most."""
    packing = pack(range(batches), Work(seconds, 1.0, 0), terms)
    assert [*itertools.chain(*packing.runs)] == [*range(batches)]
    lengths = [len(run) for run in packing.runs]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) * seconds <= max(seconds, terms.limit_seconds / 2)
    least = terms.launch_seconds / MOST_LAUNCHING / seconds
    if batches >= 2 * least and least + 1 < terms.limit_seconds / 2 / seconds:
        assert packing.launching <= MOST_LAUNCHING * 1.001


def test_a_number_given_stands() -> None:
    packing = pack([3, 1, 2, 9], Work(1.0, 1.0, 0), RAY, per_run=3)
    assert packing.runs == ((1, 2), (3, 9))


def test_what_a_batch_takes_is_measured_or_assumed() -> None:
    """From the rate of batches that are there; the scenario says how many patients one has."""
    demo = with_replicates_per_batch(with_patients(Catalogue().get("demo"), 1_000), 100)
    assumed = work_of(demo, [])
    assert (assumed.measured_on, assumed.patients_per_second) == (0, 50_000)
    assert assumed.batch_seconds == pytest.approx(SECONDS_PER_BATCH + 1.6 * 2)


def test_the_rate_is_that_of_the_middle(tmp_path: object) -> None:
    made = sample.write(tmp_path, count=100)  # type: ignore[arg-type]
    runs = [
        made.run.model_copy(update={"measured": {"wall_seconds": seconds} if seconds else {}})
        for seconds in (1.0, 3.0, 100.0, None)
    ]
    manifests = [made.model_copy(update={"run": run}) for run in runs]
    demo = with_patients(Catalogue().get("demo"), 1_000)
    work = work_of(demo, manifests)
    assert (work.measured_on, work.patients_per_second) == (3, 100.0)
    assert work.batch_seconds == pytest.approx(SECONDS_PER_BATCH + 1.6 * 10)
