"""Generated data change only when somebody means them to.

After a change that is meant: `python -m medgen_pipeline_tests.refresh_golden`, review, and commit
`golden.yaml` by itself with the reason.
"""

import pytest

from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline_tests.golden import reviewed, summary


@pytest.mark.parametrize("scenario_id", Catalogue().ids())
def test_the_summary_is_the_one_that_was_reviewed(scenario_id: str) -> None:
    assert summary(scenario_id) == reviewed().get(scenario_id)


def test_nothing_is_kept_of_scenarios_that_are_gone() -> None:
    assert set(reviewed()) == set(Catalogue().ids())
