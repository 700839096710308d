"""What counts as a breach, and what is said of it."""

import pytest

from medgen_pipeline.runtime.breach import Breach, Taken, breach_of
from medgen_pipeline.runtime.limits import CPU, MEMORY, RUNTIME, Limit, Limits

LIMITS = Limits(max_memory_mb=100, max_cpu_seconds=10, max_runtime_seconds=20)


@pytest.mark.parametrize(
    ("taken", "kind"),
    [
        (Taken(peak_memory_mb=100.1), MEMORY),
        (Taken(cpu_seconds=10.1), CPU),
        (Taken(runtime_seconds=20.1), RUNTIME),
    ],
)
def test_each_limit_is_passed_by_its_own_figure(taken: Taken, kind: Limit) -> None:
    breach = breach_of(LIMITS, taken)
    assert breach is not None
    assert breach.kind is kind


def test_what_reaches_a_limit_keeps_it() -> None:
    at_the_limits = Taken(peak_memory_mb=100, cpu_seconds=10, runtime_seconds=20)
    assert breach_of(LIMITS, at_the_limits) is None


def test_a_breach_names_limit_allowed_observed_and_what_to_set() -> None:
    breach = Breach(MEMORY, 300.0, Taken(peak_memory_mb=375.94, cpu_seconds=1, runtime_seconds=2))
    assert breach.message == (
        "max_memory_mb exceeded: 375.94 MB > 300 MB. JOB_MAX_MEMORY_MB sets what any run may "
        "take, tag medgen/max_memory_mb less for one."
    )
    assert breach.as_dict() == {
        "limit": "max_memory_mb",
        "allowed": 300.0,
        "observed": 375.94,
        "peak_memory_mb": 375.9,
        "cpu_seconds": 1,
        "runtime_seconds": 2,
    }
