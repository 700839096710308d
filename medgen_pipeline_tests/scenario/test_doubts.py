import pytest

from medgen_pipeline.scenario.validation import check
from medgen_pipeline_tests.scenario.examples import SHIPPED_IDS, Path, data_of, put, smallest

VEHICLES = ("evacuation", "vehicles")


@pytest.mark.parametrize(
    ("path", "value", "said", "consequence"),
    [
        (
            ("facilities", "role2", "operating_tables"),
            0,
            "operating_tables of Role 2, front only is 0",
            "the first surgery is at Role 3",
        ),
        (
            ("facilities", "role2", "operating_tables"),
            5,
            "operating_tables of Role 2, front only is 5 a unit",
            "a Role 2 has 1 to 4; nobody will wait",
        ),
        (
            ("facilities", "role1", "beds"),
            21,
            "beds of front only is 42 at Role 1, 20 at Role 2",
            "casualties will pile up before Role 2",
        ),
        (
            ("facilities", "role1", "units"),
            0,
            "units of Role 1, front only is 0",
            "everyone goes straight to Role 2",
        ),
        (
            ("patients",),
            901,
            "beds of all facilities is 90 for 901 expected casualties",
            "most will wait without a bed",
        ),
        (
            VEHICLES,
            {"ground_ambulances": 0, "helicopters": 0},
            "evacuation.vehicles is without ambulance or helicopter for a front",
            "no litter casualty leaves the point of injury",
        ),
        (
            VEHICLES,
            {"ground_ambulances": 0, "helicopters": 0, "buses": 0},
            "evacuation.vehicles is without ambulance, helicopter or bus for a front",
            "nobody leaves the point of injury",
        ),
        (
            VEHICLES,
            {"theatre_ambulances": 0, "theatre_helicopters": 0},
            "evacuation.vehicles is without any from Role 2 to Role 3",
            "Role 2 fills and stays full",
        ),
        (
            VEHICLES,
            {"strategic_aircraft": 0},
            "evacuation.vehicles.strategic_aircraft is 0",
            "nobody leaves the theatre; Role 3 fills",
        ),
        (
            VEHICLES,
            {"helicopters": 6},
            "evacuation.vehicles.helicopters is 6 for each front",
            "more than 5 are seldom there",
        ),
        (
            ("evacuation", "role1_to_role2"),
            {"ground_minutes": 60},
            "evacuation.vehicles.helicopters is 2",
            "no leg before Role 2 has air_minutes; none flies",
        ),
        (
            ("evacuation", "role2_to_role3"),
            {"ground_minutes": 60},
            "evacuation.vehicles.theatre_helicopters is 2",
            "role2_to_role3 has no air_minutes",
        ),
        (
            ("follow_up_days",),
            6,
            "follow_up_days is 6, below the 7 of evacuation.policy_days",
            "many will still be IN_CARE when the clock ends",
        ),
        (
            ("fronts", 0, "strength"),
            49,
            "patients is 50 of a strength of 49",
            "more are hurt than there are; raise the fronts' strength",
        ),
    ],
)
def test_what_is_hardly_meant_is_said_with_its_consequence(
    path: Path, value: object, said: str, consequence: str
) -> None:
    """Each doubt speaks alone, and refuses nothing."""
    checked = check(put(smallest(), path, value))
    assert checked.scenario is not None
    assert [str(doubt) for doubt in checked.warnings] == [f"{said}: {consequence}"]


@pytest.mark.parametrize(
    "name", ["wounds_per_casualty_factor", "lethality_factor", "bleeding_factor"]
)
def test_a_factor_far_from_what_was_fitted_is_doubted(name: str) -> None:
    """From 0.5 to 3, ends included, none is."""
    for factor in (0.5, 1, 3):
        assert check(smallest() | {"overrides": {name: factor}}).warnings == ()
    for factor in (0.49, 3.01):
        (doubt,) = check(smallest() | {"overrides": {name: factor}}).warnings
        assert str(doubt) == (
            f"overrides.{name} is {factor}: outside 0.5 to 3 wounds and deaths are far from the "
            "published figures that the model follows"
        )


def test_aircraft_alone_are_doubted_where_they_cannot_fly() -> None:
    """On a leg without a flying time, and in weather that keeps them down."""
    data = put(smallest(), VEHICLES, {"ground_ambulances": 0})
    data["environment"] = ["storm", "fog"]
    said = "evacuation.vehicles is helicopters for a front, and no ground ambulance: "
    assert [str(doubt) for doubt in check(data).warnings] == [
        said + "point_of_injury_to_role1 has no air_minutes; no litter casualty is moved on it",
        said + "no litter casualty is moved in the hours of fog",
        said + "no litter casualty is moved in the hours of storm",
    ]


def test_no_surgery_anywhere_is_possible_and_deadly() -> None:
    """Both surgical roles without a table is one doubt, worded as what it is."""
    data = put(smallest(), ("facilities", "role2", "operating_tables"), 0)
    data["facilities"]["role3"]["operating_tables"] = 0
    (doubt,) = check(data).warnings
    assert doubt.consequence == "nobody is operated on; who needs it dies or waits"


def test_a_replicate_beyond_the_memory_is_doubted() -> None:
    """A million fits; one more may not."""
    data = smallest() | {"patients": 1_000_001}
    data["fronts"][0]["strength"] = 10_000_000
    data["facilities"]["role3"]["beds"] = 200_000
    (doubt,) = check(data).warnings
    assert doubt.consequence == "a replicate may need more than 512 MB"


def test_special_events_beyond_the_battle_injuries_are_doubted() -> None:
    """They are battle casualties, and the mix has fewer."""
    data = smallest() | {"special_events": [{"kind": "ambush", "casualties": 26}]}
    data["class_mix"] = {"battle_injury": 0.5, "non_battle_injury": 0.5, "disease": 0}
    (doubt,) = check(data).warnings
    assert str(doubt) == (
        "special_events[].casualties is 26 in sum, of 25 battle injuries expected: "
        "the other classes make room for them, or the total grows"
    )


def test_what_rates_leave_without_effect_is_said() -> None:
    """A share that differs from the strength's, and a spread that a family does not have."""
    data = data_of("high-intensity")
    data["rates"]["battle_injury"]["sd_per_1000"] = 3
    second = dict(data["fronts"][0], id="second", share=0.5)
    data["fronts"] = [dict(data["fronts"][0], share=0.5, strength=30_000), second]
    assert [doubt.path for doubt in check(data).warnings] == [
        "fronts[0].share",
        "fronts[1].share",
        "rates.battle_injury.sd_per_1000",
    ]


@pytest.mark.parametrize("scenario_id", SHIPPED_IDS)
def test_no_shipped_scenario_raises_a_doubt(scenario_id: str) -> None:
    """What ships is meant as it stands."""
    assert check(data_of(scenario_id)).warnings == ()
