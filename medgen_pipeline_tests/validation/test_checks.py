"""Each check measures what its source says, of whom it says it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from medgen_pipeline.reference.provenance import parameters
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.validation.checks import (
    CHECKS,
    COIN,
    CONVENTIONAL,
    DRONE,
    HIGH,
    SARIN,
    SLOW,
    STABILISATION,
)
from medgen_pipeline.validation.table import check_table
from medgen_pipeline_tests.dataset.handmade import Row
from medgen_pipeline_tests.validation.casualties import commit, hit, ill, lethal, on_days, wound

KIA: Final = hit(outcome="KIA", is_potentially_survivable=False, death_cause="brain_injury")
BLED: Final = hit(outcome="KIA", is_potentially_survivable=True, death_cause="haemorrhage")
CHOKED: Final = BLED | {"death_cause": "airway"}
DOW: Final = hit(outcome="DOW", is_potentially_survivable=True, minutes_to_facility=60.0)
DNB: Final = ill(outcome="DNB")
BACK_SOON: Final = hit(outcome="RTD", hours=20.0)
BACK_LATE: Final = hit(outcome="RTD", hours=96.0)
SHOT: Final = hit(mechanism_group="gunshot")


def limb(outcome: str, *, before: bool | None, also: Sequence[Row] = ()) -> Row:
    wounds = [lethal("extremity"), wound(), *also]
    return hit(outcome=outcome, tourniquet_before_shock=before, wounds=wounds)


def torso(outcome: str, max_ais: int = 5) -> Row:
    return hit(outcome=outcome, max_ais=max_ais, wounds=[lethal("truncal"), lethal("extremity")])


def sorted_as(true: str, assigned: str, minutes_to_facility: float | None = 30.0) -> Row:
    return hit(triage_true=true, triage_assigned=assigned, minutes_to_facility=minutes_to_facility)


def poisoned(dose: float, minutes: float | None, treated_at: float | None = None) -> Row:
    """Return a casualty of nerve agent who died of it after some minutes, or did not."""
    return hit(
        chemical_dose_mg_min_m3=dose,
        outcome="EVACUATED" if minutes is None else "KIA",
        death_cause=None if minutes is None else "chemical",
        hours=100.0 if minutes is None else minutes / 60,
        treated_at=treated_at,
    )


# By check: who there is by scenario, then the value of each part, counted by hand.
CASES: Final[dict[str, tuple[dict[str, list[Row]], list[float]]]] = {
    "O1": ({COIN: [hit(), hit(), SHOT, KIA, ill()]}, [200 / 3]),
    "O2": ({COIN: [hit(), hit(), SHOT, KIA | {"mechanism_group": "gunshot"}]}, [100 / 3]),
    "O3": (
        {
            COIN: [
                hit(wounds=[wound("eyes"), wound("thorax"), wound(), wound("other")]),
                BACK_SOON | {"wounds": [wound()]},
                KIA | {"wounds": [wound("abdomen")]},
                ill(wounds=[wound("head")]),
            ]
        },
        [25.0, 25.0, 0.0, 50.0],
    ),
    "O4": (
        {
            COIN: [
                hit(injury_count=5),
                BACK_LATE | {"injury_count": 3},
                BACK_SOON | {"injury_count": 1},
                KIA | {"injury_count": 9},
            ]
        },
        [4.0],
    ),
    "O5": (
        {
            CONVENTIONAL: [
                hit(wounds=[wound(), wound(), wound("other"), wound("head")]),
                KIA | {"wounds": [wound()]},
            ]
        },
        [50.0],
    ),
    "O6": ({COIN: [KIA, DOW, hit(), BACK_SOON, BACK_LATE, DNB, ill()]}, [40.0]),
    "O7": ({HIGH: [KIA, DOW, hit(), BACK_SOON, BACK_LATE, DNB, ill()]}, [40.0]),
    "O8": ({HIGH: [DOW, hit(), hit(outcome="IN_CARE"), BACK_LATE, BACK_SOON, KIA, DNB]}, [25.0]),
    "O9": ({COIN: [KIA, BLED, CHOKED, DOW, DNB, hit()]}, [75.0]),
    "O10": ({COIN: [BLED, KIA, KIA, KIA, DOW, hit()]}, [25.0]),
    "O11": (
        {COIN: [BLED, BLED, CHOKED, KIA | {"death_cause": "haemorrhage"}, DOW, hit()]},
        [200 / 3],
    ),
    "O12": ({CONVENTIONAL: [hit(), DOW, BACK_SOON, KIA, DNB]}, [3.0]),
    "O13": (
        {CONVENTIONAL: [*on_days(3, 1, 0, 0), KIA, ill()]},
        [1.0, math.sqrt(10 / 4 - 1)],
    ),
    "O14": ({HIGH: [*on_days(6, 2, 0, 0), KIA]}, [math.sqrt(40 / 4 - 4) / 2]),
    "O15": (
        {
            STABILISATION: [ill(), ill(casualty_class="non_battle_injury"), hit()],
            CONVENTIONAL: [ill()],
            HIGH: [hit(), ill(day=4), ill(day=2), DNB],
        },
        [0.5, 0.25, 0.75],
    ),
    "O16": (
        {COIN: [hit(age_years=20), hit(age_years=31, sex="female"), KIA, ill(age_years=50)]},
        [25.5, 50.0],
    ),
    "O17": (
        {
            COIN: [
                hit(iss=4, minutes_to_facility=50.0),
                hit(iss=16, minutes_to_facility=50.0),
                hit(iss=75),
                DOW | {"iss": 50},
                SHOT | {"iss": 25, "minutes_to_facility": 50.0},
            ]
        },
        [10.0, 6.0],
    ),
    "O18": (
        {
            COIN: [
                limb("EVACUATED", before=True),
                limb("RTD", before=True),
                limb("DOW", before=True),
                limb("KIA", before=False),
                limb("EVACUATED", before=False),
                limb("KIA", before=None),
                limb("KIA", before=True, also=[lethal("truncal")]),
                hit(outcome="KIA", tourniquet_before_shock=False, wounds=[wound()]),
            ]
        },
        [200 / 3, 50.0],
    ),
    "O19": (
        {
            DRONE: [
                hit(minutes_to_surgery=300.0),
                hit(minutes_to_surgery=600.0),
                hit(minutes_to_surgery=900.0),
                hit(),
                ill(minutes_to_surgery=6.0),
            ]
        },
        [10.0, 15.0],
    ),
    "O20": (
        {
            COIN: [torso("KIA"), torso("EVACUATED"), torso("KIA", max_ais=6), KIA],
            SLOW: [torso("KIA"), torso("DOW"), torso("KIA"), torso("RTD"), hit()],
            DRONE: [torso("KIA"), torso("KIA"), hit()],
        },
        [2.0, 25.0, 25.0],
    ),
    "O21": (
        {
            COIN: [
                sorted_as("T1", "T1"),
                sorted_as("T1", "T1"),
                sorted_as("T1", "T2"),
                sorted_as("T2", "T1"),
                sorted_as("T2", "T2"),
                sorted_as("T3", "T2"),
                sorted_as("T4", "T4"),
                sorted_as("T1", "T3", minutes_to_facility=None),
            ]
        },
        [200 / 3, 75.0],
    ),
    "O22": (
        {
            SARIN: [
                poisoned(31.0, 10.0),
                poisoned(50.0, 20.0),
                poisoned(40.0, None, treated_at=15.0),
                poisoned(5.0, None),
                poisoned(29.0, 12.0),
                hit(),
            ]
        },
        [20.0, 50.0],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_check_has_the_value_counted_by_hand(name: str, tmp_path: Path) -> None:
    """Those it is not about are there too, and do not count."""
    casts, expected = CASES[name]
    measured = check_table(commit(tmp_path, casts, days=4), casts.keys()).checks
    (result,) = [one for one in measured if one.check.id == name]
    assert [part.found.value for part in result.parts] == pytest.approx(expected)


def test_every_check_is_counted_by_hand() -> None:
    """There are the 22 of the validation suite, and each has its case."""
    assert [check.id for check in CHECKS] == [f"O{number}" for number in range(1, 23)]
    assert list(CASES) == [check.id for check in CHECKS]


def test_a_target_would_pass() -> None:
    """A value equal to the published one lies in the band of every part."""
    for check in CHECKS:
        for part in check.parts:
            least, most = part.band
            assert least <= part.target <= (math.inf if most is None else most), check.id


def test_what_a_figure_was_fitted_to_is_not_called_emergent() -> None:
    """A figure names the checks it was fixed by, beside its value or in its source."""
    fitted = {name for one in parameters() for name in one.origin.check.split(", ")}
    assert {check.id for check in CHECKS if check.basis == "emergent"} & fitted == set()


def test_checks_are_made_on_scenarios_that_ship() -> None:
    named = {name for check in CHECKS for name in check.scenarios}
    assert named <= set(Catalogue().ids())
