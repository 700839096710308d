"""What is done at each contact, in MARCH order, and what each step changes in the casualty."""

import math
from typing import Any

import numpy as np
import pytest

from medgen_pipeline.reference.vocabulary import MECHANISM_GROUPS, TREATMENTS, WOUND_TYPES
from medgen_pipeline.simulation import care, physiology
from medgen_pipeline.simulation.state import CONTACT, FLAG, NEVER
from medgen_pipeline_tests.simulation.casualties import Record, a_casualty, a_world
from medgen_pipeline_tests.simulation.operations import assert_share

HOUR = 3600
WORLD = a_world()
EXPLOSION, BURN = (MECHANISM_GROUPS.index(word) for word in ("explosion", "burn"))


def named(plan: np.uint64) -> list[str]:
    """Return the treatments of a plan in the order in which they are given."""
    return [word for bit, word in enumerate(TREATMENTS) if int(plan) >> bit & 1]


def planned(
    live: Record,
    max_ais: int = 3,
    group: int = EXPLOSION,
    *,
    has_blood: bool = False,
    **world: Any,  # noqa: ANN401
) -> list[str]:
    """Return the plan for a wounded casualty."""
    policy = a_world(**world)
    return named(care.plan_wounded(live, max_ais, group, policy, has_blood))


def treated(live: Record, treatment: str, now: int = 0) -> float:
    """Carry out a step that works."""
    return care.apply(WORLD, live, TREATMENTS.index(treatment), now)


def test_the_order_of_care_is_march() -> None:
    """Massive bleeding, airway, respiration, circulation, head and warmth, then all else."""
    live = a_casualty(
        bleed_extremity=3.0,
        airway_at=900,
        pneumothorax_at=3_000,
        flags=FLAG.PNEUMOTHORAX,
        brain_ais=3,
    )
    plan = planned(live)
    march = ["tourniquet", "airway_adjunct", "needle_decompression", "intravenous_access"]
    march += ["hypothermia_prevention", "head_elevation", "analgesia"]
    assert [step for step in plan if step in march] == march


@pytest.mark.parametrize(
    ("values", "wanted", "unwanted"),
    [
        ({"bleed_extremity": 3.0}, {"tourniquet"}, {"pressure_dressing", "haemostatic_dressing"}),
        ({}, {"pressure_dressing", "analgesia"}, {"tourniquet", "airway_adjunct", "whole_blood"}),
        ({"bleed_junctional": 2.0}, {"haemostatic_dressing", "junctional_tourniquet"}, {"splint"}),
        ({"airway_at": 900}, {"airway_adjunct", "surgical_airway"}, {"intubation", "chest_seal"}),
        ({"flags": FLAG.PNEUMOTHORAX}, {"chest_seal", "needle_decompression"}, {"chest_tube"}),
        ({"bleed_truncal": 1.0}, {"tranexamic_acid", "crystalloid"}, {"whole_blood", "calcium"}),
        ({"walking": 0}, {"splint"}, {"oxygen"}),
        ({"agent_dose": 20.0}, {"decontamination", "nerve_agent_antidote"}, {"ventilation"}),
    ],
)
def test_the_medic_treats_the_problems_there_are(
    values: dict[str, float], wanted: set[str], unwanted: set[str]
) -> None:
    plan = set(planned(a_casualty(**values)))
    assert wanted <= plan
    assert not unwanted & plan


def test_role_1_can_do_more_than_a_medic() -> None:
    live = a_casualty(contact=CONTACT.ROLE1, airway_at=900, flags=FLAG.PNEUMOTHORAX)
    assert {"intubation", "chest_tube", "oxygen"} <= set(planned(live))


def test_blood_is_given_where_there_is_blood_and_acid_where_it_is_policy() -> None:
    live = a_casualty(bleed_truncal=1.0)
    assert {"whole_blood", "calcium"} <= set(planned(live, has_blood=True))
    assert "crystalloid" not in planned(live, has_blood=True)
    assert "tranexamic_acid" not in planned(live, tranexamic_acid=0.0)


def test_who_cannot_be_saved_is_given_relief_at_the_point_of_injury() -> None:
    live = a_casualty(bleed_truncal=9.0, flags=FLAG.UNSURVIVABLE)
    assert planned(live) == ["analgesia"]


def test_burns_are_dressed() -> None:
    assert "burn_dressing" in planned(a_casualty(), group=BURN)
    assert "burn_dressing" not in planned(a_casualty())


@pytest.mark.parametrize(
    ("severity", "contact", "wound_type", "expected"),
    [
        (0, 1, "disease", ["medication", "rest"]),
        (1, 1, "disease", ["intravenous_access", "rehydration", "medication", "rest"]),
        (0, 1, "stress_reaction", ["psychological_first_aid", "rest"]),
    ],
)
def test_the_sick_are_treated_by_severity(
    severity: int, contact: int, wound_type: str, expected: list[str]
) -> None:
    live = a_casualty(severity=severity, contact=contact)
    assert named(care.plan_sick(live, WOUND_TYPES.index(wound_type))) == expected


def test_intensive_care_is_for_the_severely_sick_from_role_2_on() -> None:
    disease = WOUND_TYPES.index("disease")
    for contact, is_there in ((CONTACT.ROLE1, False), (CONTACT.ROLE2, True)):
        live = a_casualty(severity=2, contact=contact)
        assert ("intensive_care" in named(care.plan_sick(live, disease))) is is_there


@pytest.mark.parametrize(
    ("treatment", "before", "after"),
    [
        ("tourniquet", {"bleed_extremity": 2.0}, {"bleed_extremity": 0.0}),
        ("needle_decompression", {"pneumothorax_at": 50}, {"pneumothorax_at": NEVER}),
        ("surgical_airway", {"airway_at": 50}, {"airway_at": NEVER}),
        ("whole_blood", {"log_blood": math.log(0.6)}, {"log_blood": 0.0}),
    ],
)
def test_a_step_is_left_out_when_it_has_no_purpose_any_more(
    treatment: str, before: dict[str, float], after: dict[str, float]
) -> None:
    step = TREATMENTS.index(treatment)
    assert care.is_needed(WORLD, a_casualty(**before), step)
    assert not care.is_needed(WORLD, a_casualty(**after), step)


def test_a_step_that_worked_is_not_repeated_but_relief_is() -> None:
    live = a_casualty()
    for treatment, is_repeated in (("splint", False), ("analgesia", True)):
        treated(live, treatment)
        assert care.has_had(live, TREATMENTS.index(treatment))
        assert care.is_needed(WORLD, live, TREATMENTS.index(treatment)) is is_repeated


def test_a_step_works_at_its_probability_times_skill_with_luck_of_its_own_at_each_contact() -> None:
    """The same casualty has the same luck with the same step at the same contact."""
    key_0, key_1 = WORLD["key_0"], WORLD["key_1"]

    def worked(subject: int, contact: int) -> bool:
        live = a_casualty(subject, contact=contact)
        return care.works(live, care.NEEDLE, 0.8, 0.5, key_0, key_1)

    first = [worked(subject, 0) for subject in range(2_000)]
    assert_share(sum(first), 2_000, 0.4, detects=0.08)
    assert [worked(subject, 0) for subject in range(2_000)] == first
    again = [worked(subject, 1) for subject in range(2_000)]
    both = sum(a and b for a, b in zip(first, again, strict=True))
    assert_share(both, 2_000, 0.16, detects=0.06)


def test_a_tourniquet_stops_the_limb_and_nothing_else() -> None:
    live = a_casualty(bleed_extremity=3.0, bleed_truncal=1.0, bleed_slope=0.2)
    treated(live, "tourniquet")
    assert live["bleed_extremity"] == pytest.approx(float(WORLD["controlled_per_h"]))
    assert live["bleed_truncal"] == 1.0
    rate = physiology.bleeding_rate(live)
    assert live["bleed_slope"] == pytest.approx(float(WORLD["bleeding_growth"]) * rate)


@pytest.mark.parametrize("treatment", ["haemostatic_dressing", "junctional_tourniquet"])
def test_packing_stops_most_of_a_junctional_bleed(treatment: str) -> None:
    live = a_casualty(bleed_junctional=2.0, bleed_truncal=1.0)
    treated(live, treatment)
    assert live["bleed_junctional"] == pytest.approx(2.0 * float(WORLD["packing_leaves"]))
    assert live["bleed_truncal"] == 1.0


def test_tranexamic_acid_slows_what_cannot_be_pressed() -> None:
    live = a_casualty(bleed_extremity=2.0, bleed_junctional=2.0, bleed_truncal=2.0)
    treated(live, "tranexamic_acid")
    share = float(WORLD["tranexamic_share"])
    assert live["bleed_extremity"] == 2.0
    assert live["bleed_junctional"] == live["bleed_truncal"] == pytest.approx(2.0 * share)


def test_blood_given_is_counted_in_units() -> None:
    """From half the volume, two units are all that a medic carries."""
    live = a_casualty(log_blood=math.log(0.5))
    assert treated(live, "whole_blood") == float(WORLD["most_units"][0]) == 2.0
    expected = 0.5 + 2 * float(WORLD["blood_unit_share"])
    assert math.exp(live["log_blood"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("treatment", ["airway_adjunct", "surgical_airway", "intubation"])
def test_an_open_airway_no_longer_kills(treatment: str) -> None:
    live = a_casualty(airway_at=900, brain_at=5_000)
    treated(live, treatment)
    assert live["airway_at"] == NEVER
    assert live["brain_at"] == 5_000


def test_a_needle_lasts_for_hours_and_a_chest_tube_for_good() -> None:
    live = a_casualty(pneumothorax_at=600)
    treated(live, "needle_decompression", now=500)
    assert live["pneumothorax_at"] == 500 + HOUR * float(WORLD["needle_lasts_h"])
    treated(live, "chest_tube", now=600)
    assert live["pneumothorax_at"] == NEVER


def test_intensive_care_wins_time_for_a_brain_that_can_be_saved() -> None:
    stretch = float(WORLD["brain_care_stretch"])
    for flags, expected in ((0, 1_000 + 4_000 * stretch), (FLAG.UNSURVIVABLE, 5_000)):
        live = a_casualty(brain_at=5_000, flags=flags)
        treated(live, "intensive_care", now=1_000)
        assert live["brain_at"] == expected


@pytest.mark.parametrize(("times_fatal", "saves"), [(2.9, True), (3.1, False)])
def test_an_antidote_makes_up_for_three_fatal_doses(times_fatal: float, saves: bool) -> None:  # noqa: FBT001
    dose = times_fatal * float(WORLD["agent_fatal_dose"])
    live = a_casualty(agent_dose=dose, agent_at=900)
    treated(live, "nerve_agent_antidote", now=300)
    assert live["agent_at"] == (NEVER if saves else 300 + 4 * 600)


@pytest.mark.parametrize("is_definitive", [False, True])
def test_an_operation_stops_every_bleed_and_opens_airway_and_chest(is_definitive: bool) -> None:  # noqa: FBT001
    live = a_casualty(
        bleed_extremity=1.0, bleed_junctional=1.0, bleed_truncal=1.0, bleed_slope=0.1, airway_at=9
    )
    care.operate(WORLD, live, 2.0, is_definitive, True)  # noqa: FBT003  no keywords in compiled code
    assert physiology.bleeding_rate(live) == 0.0
    assert live["bleed_slope"] == 0.0
    assert live["airway_at"] == live["pneumothorax_at"] == NEVER
    assert care.has_flag(live, FLAG.HAD_SURGERY)
    assert care.has_flag(live, FLAG.HAD_DEFINITIVE) is is_definitive


def test_packs_that_do_not_hold_leave_a_part_of_what_bleeds_inside() -> None:
    live = a_casualty(bleed_extremity=1.0, bleed_junctional=2.0, bleed_truncal=3.0, airway_at=9)
    care.operate(WORLD, live, 2.0, False, False)  # noqa: FBT003  no keywords in compiled code
    left = float(WORLD["unheld_leaves"])
    assert live["bleed_extremity"] == 0.0
    assert live["bleed_junctional"] == pytest.approx(2.0 * left)
    assert live["bleed_truncal"] == pytest.approx(3.0 * left)
    assert live["airway_at"] == NEVER


@pytest.mark.parametrize(
    ("hours", "antibiotics", "festers"), [(2, True, False), (2, False, True), (30, True, True)]
)
def test_a_dirty_wound_festers_unless_cleaned_in_time_under_antibiotics(
    hours: float,
    antibiotics: bool,  # noqa: FBT001
    festers: bool,  # noqa: FBT001
) -> None:
    live = a_casualty(late_at=500_000, late_cause=physiology.SEPSIS)
    if antibiotics:
        treated(live, "antibiotics")
    care.operate(WORLD, live, hours, False, True)  # noqa: FBT003  no keywords in compiled code
    assert (live["late_at"] < NEVER) == festers


def test_a_neurosurgeon_saves_the_brain_that_can_be_saved() -> None:
    for flags, expected in ((0, NEVER), (FLAG.UNSURVIVABLE, 5_000)):
        live = a_casualty(brain_at=5_000, flags=flags)
        care.relieve_brain(live)
        assert live["brain_at"] == expected


def test_a_tourniquet_slips_on_some_moves_until_surgery() -> None:
    slips, holds = 0.0, float(WORLD["tourniquet_slip_share"]) + 1e-6
    controlled = float(WORLD["controlled_per_h"])
    for flags, draw, leaves in (
        (0, slips, 2.0 * float(WORLD["tourniquet_slip_leaves"])),
        (0, holds, controlled),
        (FLAG.HAD_SURGERY, slips, controlled),
    ):
        live = a_casualty(bleed_extremity=2.0, limb_per_h=2.0)
        treated(live, "tourniquet")
        live["flags"] = flags
        care.slip(WORLD, live, draw)
        assert live["bleed_extremity"] == pytest.approx(leaves)


def test_organs_fail_later_of_who_was_long_in_shock_and_intensive_care_carries_them() -> None:
    threshold = float(WORLD["organ_failure_debt_share"])
    spared = a_casualty(tolerance_h=1.0, oxygen_debt_h=0.9 * threshold)
    strained = a_casualty(tolerance_h=1.0, oxygen_debt_h=1.1 * threshold)
    median = (1.0 + float(WORLD["refractory_share"])) / 2  # of those whose organs fail
    for live in (spared, strained):
        care.strain_organs(WORLD, live, 100, median)
    assert spared["failing_at"] == NEVER
    days = float(WORLD["organ_failure_days"][0])
    assert strained["failing_at"] == pytest.approx(100 + 86_400 * days, abs=1)
    assert strained["failing_cause"] == physiology.MULTIPLE
    treated(strained, "intensive_care")
    assert strained["failing_at"] == NEVER


def test_blood_that_no_longer_clots_kills_within_hours_whatever_is_done() -> None:
    live = a_casualty(tolerance_h=1.0, oxygen_debt_h=0.9)
    care.strain_organs(WORLD, live, 100, float(WORLD["refractory_share"]) / 2)
    at = pytest.approx(100 + 3_600 * float(WORLD["refractory_hours"][0]), abs=1)
    assert live["failing_at"] == at
    treated(live, "intensive_care")
    assert live["failing_at"] == at
    assert physiology.cause_of_death(live, int(live["failing_at"])) == physiology.HAEMORRHAGE


def test_intensive_care_of_failing_organs_leaves_a_wound_to_fester() -> None:
    values = {"late_at": 500_000, "failing_at": 300_000, "failing_cause": physiology.MULTIPLE}
    live = a_casualty(late_cause=physiology.SEPSIS, **values)
    treated(live, "intensive_care")
    assert live["failing_at"] == NEVER
    assert live["late_at"] == 500_000


def test_fluids_win_time_for_the_burned_and_intensive_care_carries_them() -> None:
    burned = {"failing_at": 40 * HOUR, "failing_cause": physiology.BURNS}
    at_role1 = a_casualty(contact=CONTACT.ROLE1, **burned)
    assert {"intravenous_access", "crystalloid"} <= set(planned(at_role1, group=BURN))
    assert "crystalloid" not in planned(a_casualty(contact=CONTACT.ROLE1), group=BURN)
    treated(at_role1, "crystalloid", now=4 * HOUR)
    stretch = float(WORLD["burn_fluid_stretch"])
    assert at_role1["failing_at"] == pytest.approx((4 + 36 * stretch) * HOUR, abs=1)
    treated(at_role1, "intensive_care", now=5 * HOUR)
    assert at_role1["failing_at"] == NEVER
