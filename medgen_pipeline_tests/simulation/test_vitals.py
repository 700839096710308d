"""Vital signs follow from the state of the casualty, in the right direction and within range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.simulation import vitals
from medgen_pipeline.simulation.state import FLAG, NEVER, VITALS
from medgen_pipeline_tests.simulation.casualties import Record, a_casualty, a_world

WORLD = a_world()


def seen(live: Record, now: int = 0, pain: float = 3.0) -> Record:
    """Return what is seen of a casualty."""
    row = np.zeros(1, VITALS)
    vitals.observe(WORLD, live, row[0], now, pain)
    return row[0]


def bled_to(share: float, subject: int = 0, /, **values: float) -> Record:
    """Return a casualty with that share of blood left."""
    return a_casualty(subject, log_blood=math.log(share), **values)


@pytest.mark.parametrize(
    ("column", "sign", "down_to"),
    [
        ("systolic_mmhg", -1, 0.40),
        ("blood_volume_ml", -1, 0.40),
        ("spo2_percent", -1, 0.40),
        ("temperature_c", -1, 0.40),
        ("gcs_motor", -1, 0.40),
        ("heart_rate_bpm", 1, 0.50),
        ("respiratory_rate_bpm", 1, 0.50),
    ],
)
def test_signs_go_one_way_as_blood_is_lost(column: str, sign: int, down_to: float) -> None:
    """Noise held still: heart and breathing rise until half the blood is gone, all else falls."""
    shares = np.arange(1.0, down_to - 1e-9, -0.02)
    for subject in range(20):
        values = [sign * float(seen(bled_to(share, subject))[column]) for share in shares]
        assert values == sorted(values)
        assert values[-1] > values[0]


@pytest.mark.parametrize(
    ("share", "heart", "systolic"),
    [(1.0, (60, 95), (110, 140)), (0.65, (110, 140), (70, 100)), (0.45, (95, 150), (40, 75))],
)
def test_the_typical_casualty_lies_in_the_bands_of_atls(
    share: float, heart: tuple[int, int], systolic: tuple[int, int]
) -> None:
    """Medians over many: class I is near normal, class III fast and low, class IV lower still."""
    rows = [seen(bled_to(share, subject), pain=0.0) for subject in range(400)]
    assert heart[0] <= np.median([row["heart_rate_bpm"] for row in rows]) <= heart[1]
    assert systolic[0] <= np.median([row["systolic_mmhg"] for row in rows]) <= systolic[1]


@pytest.mark.parametrize(
    ("problem", "column", "sign"),
    [
        ("pneumothorax_at", "spo2_percent", -1),
        ("pneumothorax_at", "respiratory_rate_bpm", 1),
        ("airway_at", "spo2_percent", -1),
    ],
)
def test_a_threat_shows_more_the_nearer_it_is(problem: str, column: str, sign: int) -> None:
    far, near = (seen(bled_to(1.0, **{problem: at})) for at in (40_000, 120))
    free = seen(bled_to(1.0))
    values = [sign * int(row[column]) for row in (free, far, near)]
    assert values == sorted(values)
    assert values[2] > values[0]


def test_a_graver_brain_injury_shows_a_lower_coma_score() -> None:
    def coma(**values: float) -> int:
        row = seen(bled_to(1.0, **values))
        return sum(int(row[f"gcs_{part}"]) for part in ("eye", "verbal", "motor"))

    assert coma(brain_ais=0) == 15
    scores = [coma(brain_ais=ais) for ais in (3, 4, 5)]
    assert scores == sorted(scores, reverse=True)
    assert coma(flags=FLAG.UNSURVIVABLE, brain_at=100) == 3


def test_a_mild_brain_injury_scores_13_to_15() -> None:
    """AIS 3, a third each; 600 casualties, 4 standard errors are 0.08."""
    rows = [seen(bled_to(1.0, subject, brain_ais=3)) for subject in range(600)]
    scores = [int(row["gcs_eye"] + row["gcs_verbal"] + row["gcs_motor"]) for row in rows]
    shares = np.bincount(scores, minlength=16) / len(scores)
    assert shares[13:16] == pytest.approx([1 / 3] * 3, abs=0.08)
    assert shares[13:16].sum() == pytest.approx(1.0)


def test_the_parts_of_the_coma_score_add_up_to_it() -> None:
    """For each number of points lost, and no part gains when another point is lost."""
    parts = np.array([WORLD[f"gcs_{part}"] for part in ("eye", "verbal", "motor")])
    assert parts.sum(axis=0).tolist() == list(range(15, 2, -1))
    assert (np.diff(parts, axis=1) <= 0).all()


@given(
    st.floats(0.3, 1.0),
    st.integers(0, 6),
    st.floats(0.0, 200.0),
    st.sampled_from([NEVER, 1, 5_000]),
    st.sampled_from([NEVER, 1, 5_000]),
    st.floats(0.0, 10.0),
    st.integers(0, 10_000),
)
def test_every_sign_is_within_the_range_of_its_column(
    share: float,
    brain_ais: int,
    dose: float,
    airway_at: int,
    pneumothorax_at: int,
    pain: float,
    subject: int,
) -> None:
    live = bled_to(
        share,
        subject,
        brain_ais=brain_ais,
        agent_dose=dose,
        airway_at=airway_at,
        pneumothorax_at=pneumothorax_at,
    )
    row = seen(live, pain=pain)
    for column in TABLES["observations"].columns:
        if column.name in (VITALS.names or ()) and column.name not in ("observed_at", "role"):
            assert (column.low or 0) <= row[column.name] <= (column.high or math.inf), column.name
    assert row["systolic_mmhg"] >= row["diastolic_mmhg"] > 0
    assert 3 <= row["gcs_eye"] + row["gcs_verbal"] + row["gcs_motor"] <= 15


def test_noise_differs_by_casualty_and_contact_and_not_by_time() -> None:
    first = seen(bled_to(1.0))
    assert seen(bled_to(1.0), now=500)["heart_rate_bpm"] == first["heart_rate_bpm"]
    rates = {int(seen(bled_to(1.0, subject))["heart_rate_bpm"]) for subject in range(50)}
    assert len(rates) > 10
    contacts = {
        tuple(seen(bled_to(1.0, contact=contact, legs=contact)).tolist()[4:7])
        for contact in range(4)
    }
    assert len(contacts) == 4


def signs(**values: float) -> Record:
    """Return a healthy set of signs with some changed."""
    row = np.zeros(1, VITALS)[0]
    healthy = {
        "gcs_eye": 4,
        "gcs_verbal": 5,
        "gcs_motor": 6,
        "systolic_mmhg": 120,
        "respiratory_rate_bpm": 16,
        "heart_rate_bpm": 75,
    }
    for name, value in (healthy | values).items():
        row[name] = value
    return row


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({}, 7.8408),
        ({"systolic_mmhg": 80}, 7.8408 - 0.7326),
        ({"gcs_eye": 1, "gcs_verbal": 1, "gcs_motor": 1}, 7.8408 - 4 * 0.9368),
        ({"respiratory_rate_bpm": 33}, 7.8408 - 0.2908),
    ],
)
def test_the_revised_trauma_score_of_signs(changes: dict[str, float], score: float) -> None:
    """Weights as printed in medical-anchors 5.2."""
    assert vitals.revised_trauma_score(signs(**changes)) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "is_immediate"),
    [
        ({}, False),
        ({"respiratory_rate_bpm": 11}, True),
        ({"respiratory_rate_bpm": 12}, False),
        ({"respiratory_rate_bpm": 22}, True),
        ({"heart_rate_bpm": 99}, False),
        ({"heart_rate_bpm": 100}, True),
        ({"gcs_verbal": 4}, False),
        ({"gcs_verbal": 3}, True),
    ],
)
def test_the_triage_tool_reads_the_signs_at_its_thresholds(
    changes: dict[str, float],
    is_immediate: bool,  # noqa: FBT001
) -> None:
    assert vitals.reads_as_immediate(signs(**changes)) is is_immediate
