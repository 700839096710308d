"""Operations to plan in the tests of timing: small, valid, and changed by keyword."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.validation import parse
from medgen_pipeline.simulation.schedule import Schedule
from medgen_pipeline.simulation.timing import plan_casualties, timing_tables
from medgen_pipeline_tests.scenario.examples import smallest

BATTLE_ONLY = {"battle_injury": 1.0, "non_battle_injury": 0.0, "disease": 0.0}
TWO_FRONTS = [
    {"id": "north", "share": 0.7, "strength": 6000, "nations": {"POL": 1}},
    {"id": "south", "share": 0.3, "strength": 2000, "nations": {"EST": 1}},
]


def operation(**changes: Any) -> Scenario:  # noqa: ANN401  values of any field
    """Return the smallest scenario with some of its fields changed; None takes a field away."""
    data = smallest() | changes
    return parse({name: value for name, value in data.items() if value is not None})


def planned(scenario: Scenario, replicate: int = 0, seed: int = 1) -> Schedule:
    """Return one replicate of a scenario."""
    return plan_casualties(timing_tables(scenario), seed, replicate)


def rates(battle: dict[str, Any], other: float = 0.0) -> dict[str, Any]:
    """Return rates by class, those of the other classes constant."""
    constant = {"family": "constant", "mean_per_1000": other}
    return {"battle_injury": battle, "non_battle_injury": constant, "disease": constant}


def assert_share(count: int, total: int, share: float, *, detects: float) -> None:
    """Want a count that a share explains, of a total large enough to tell another share from it.

    A right share is doubted once in 15,000 times (4 standard errors); one that is off by `detects`
    passes once in 1,000 times (3.1 more), or else the total is too small and the test itself fails.
    """
    error = math.sqrt(share * (1 - share) / total)
    assert detects >= 7.1 * error, f"{total} can only tell {7.1 * error:.4f} from {share}"
    assert abs(count / total - share) < 4 * error, f"{count / total:.4f}, wanted {share:.4f}"


def hours_of_clock(schedule: Schedule) -> npt.NDArray[np.int64]:
    """Return how many casualties each hour of the clock has, in a scenario that begins at 00:00."""
    return np.bincount(schedule.injured_s // 3600 % 24, minlength=24)
