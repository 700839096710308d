"""Who waits for darkness before they are moved."""

import numpy as np
import pytest

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline_tests.simulation.running import small, tables

HOUR_US = 3_600_000_000
REQUESTED = vocabulary.EVENT_TYPES.index("evacuation_requested")
BATTLE = vocabulary.CASUALTY_CLASSES.index("battle_injury")


@pytest.mark.parametrize("start", ["2025-06-01T00:00:00Z", "2025-06-01T06:25:00Z"])
def test_who_may_move_only_in_darkness_asks_only_then(start: str) -> None:
    """Whatever hour the scenario starts at, and everyone else asks at any hour."""
    found = tables(small(start=start, evacuation__threat__moves_only_in_darkness=True))
    patients, timeline = found["patients"], found["timeline"]
    forward = timeline["role"] == vocabulary.ROLES.index("POI")
    asked = timeline["event_type"] == REQUESTED
    battle = patients["subject_id"][patients["casualty_class"] == BATTLE]
    is_battle = np.isin(timeline["subject_id"], battle)
    hours = timeline["occurred_at"] // HOUR_US % 24
    is_dark = np.isin(hours, list(warfare().dark_hours()))
    assert is_dark[asked & forward & is_battle].all()
    assert (asked & forward & is_battle).any()
    assert not is_dark[asked & forward & ~is_battle].all()
