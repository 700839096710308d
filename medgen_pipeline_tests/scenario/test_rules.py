from typing import Any

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.vocabulary import NATIONS
from medgen_pipeline.scenario.rules import cron_problem
from medgen_pipeline.scenario.validation import check
from medgen_pipeline_tests.scenario.examples import Json, Path, data_of, put, smallest

FRONT = {"id": "second", "share": 0.5, "nations": {"EST": 1.0}}
RATE = {"family": "constant", "mean_per_1000": 1}
RATES = {"battle_injury": RATE, "non_battle_injury": RATE, "disease": RATE}
UNIT = {"units": 1, "beds": 5, "hold_hours": {"T1": 1, "T2": 2, "T3": 3}}


def faults_of(data: Json) -> list[str]:
    return [str(fault) for fault in check(data).faults]


def with_second_front() -> Json:
    data = smallest()
    data["fronts"][0]["share"] = 0.5
    data["fronts"].append(dict(FRONT))
    return data


TOO_MANY_UNITS = (
    "facilities[].units is 30003 in sum over all fronts; must be below 30000; "
    "use fewer units with more beds"
)
CASES: list[tuple[Path, Any, str]] = [
    (("patients",), None, "patients is missing; must be given, or else rates"),
    (
        ("rates",),
        RATES,
        "rates is given together with patients; exactly one of the two must be given",
    ),
    (
        ("class_mix",),
        {"battle_injury": 0.5, "non_battle_injury": 0.5, "disease": 0.2},
        "class_mix is 1.2 in sum; must sum to 1, give or take 0.01",
    ),
    (
        ("fronts", 1, "share"),
        0.3,
        "fronts[].share is 0.8 in sum; must sum to 1, give or take 0.01",
    ),
    (
        ("fronts", 0, "nations"),
        {"POL": 0.5, "LTU": 0.45},
        "fronts[0].nations is 0.95 in sum; must sum to 1, give or take 0.01",
    ),
    (("fronts", 1, "id"), "only", "fronts[1].id is 'only'; must differ from fronts[0].id"),
    (
        ("fronts", 1, "nations"),
        {"XXX": 1.0},
        f"fronts[1].nations.XXX is not a known key; must be one of {', '.join(NATIONS)}",
    ),
    (
        ("special_events",),
        [{"kind": "ambush", "day": 3}],
        "special_events[0].day is 3; must be at most 2, the days of the scenario",
    ),
    (
        ("special_events",),
        [{"kind": "ambush", "casualties": 30}, {"kind": "ambush", "casualties": 21}],
        "special_events[].casualties is 51 in sum; must be at most 50, the patients",
    ),
    (
        ("environment",),
        ["rain", "fog", "rain"],
        "environment[2] is 'rain'; must go: environment[0] says it",
    ),
    (
        ("schedule",),
        "0 25 * * *",
        (
            "schedule is '0 25 * * *'; must be five fields of cron: minute hour day-of-month month "
            "day-of-week, in UTC; wrong hour"
        ),
    ),
    (
        ("force",),
        {"age": {"minimum": 40, "maximum": 30}},
        "force.age.minimum is 40; must be below force.age.maximum, 30",
    ),
    (
        ("facilities", "role1", "operating_tables"),
        1,
        "facilities.role1.operating_tables is 1; must be 0: surgery begins at Role 2",
    ),
    (
        ("fronts", 1, "facilities"),
        {"role1": UNIT | {"operating_tables": 2}},
        "fronts[1].facilities.role1.operating_tables is 2; must be 0: surgery begins at Role 2",
    ),
    (
        ("facilities", "role2", "units"),
        0,
        "facilities.role2.units is 0; must be at least 1: no way leads to Role 3",
    ),
    (
        ("fronts", 1, "facilities"),
        {"role2": UNIT | {"beds": 0}},
        "fronts[1].facilities.role2.beds is 0; must be at least 1: no way leads to Role 3",
    ),
    (
        ("facilities", "role1", "beds"),
        0,
        "facilities.role1.beds is 0; must be at least 1: nobody can be treated there",
    ),
    (
        ("facilities", "role1", "units"),
        15_000,
        TOO_MANY_UNITS,
    ),
]


@pytest.mark.parametrize(("path", "value", "text"), CASES)
def test_a_broken_rule_is_the_one_fault(path: Path, value: object, text: str) -> None:
    """Each rule speaks once, with the path, what was got and what is allowed, and alone."""
    assert faults_of(put(with_second_front(), path, value)) == [text]


def test_all_fronts_may_use_their_own_facilities() -> None:
    """Common facilities that no front uses need not be possible."""
    data = smallest()
    own = data["facilities"]["role2"]
    data["fronts"][0]["facilities"] = {"role2": dict(own)}
    own["units"] = 0
    assert faults_of(data) == []


def test_a_front_may_do_without_role_1() -> None:
    """Casualties then go straight to Role 2, so that it is allowed."""
    assert faults_of(put(smallest(), ("facilities", "role1", "units"), 0)) == []


def test_rates_want_a_spread_only_where_it_has_a_meaning() -> None:
    """A lognormal rate without a standard deviation is no distribution."""
    data = smallest() | {"rates": RATES | {"disease": RATE | {"family": "lognormal"}}}
    del data["patients"]
    assert faults_of(data) == [
        "rates.disease.sd_per_1000 is missing; must be given for a lognormal rate, above 0"
    ]


def test_rates_that_hurt_nobody_are_refused() -> None:
    """A scenario without a casualty has nothing to generate and nothing to scale."""
    nothing = RATE | {"mean_per_1000": 0}
    data = smallest() | {"rates": dict.fromkeys(RATES, nothing)}
    del data["patients"]
    assert faults_of(data) == ["rates is 0 in sum; must hold one mean_per_1000 above 0"]


def test_rates_of_more_than_can_be_numbered_are_refused() -> None:
    """On average, of all fronts and days; the intensity scales those rates that say so."""
    data = put(smallest() | {"rates": RATES, "days": 300}, ("fronts", 0, "strength"), 100_000_000)
    del data["patients"]
    assert faults_of(data) == []
    (text,) = faults_of(data | {"days": 301})
    assert text == (
        "rates is 90300000 casualties on average, of this strength and these days; "
        "must lead to at most 90000000"
    )
    assert faults_of(data | {"intensity": "extreme"}) == []
    data["rates"] = {name: RATE | {"scaled_by_intensity": True} for name in RATES}
    (text,) = faults_of(data | {"intensity": "extreme"})
    assert text.startswith("rates is 180000000 casualties on average")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("intensity",), "total"),
        (("days",), "many"),
        (("fronts", 0, "strength"), "all"),
        (("rates", "disease", "mean_per_1000"), "none"),
    ],
)
def test_rates_are_not_added_up_with_what_is_no_number(path: Path, value: object) -> None:
    """The fault is that of the value alone."""
    rates = {name: dict(RATE) for name in RATES}
    data = put(smallest() | {"rates": rates, "days": 365}, ("fronts", 0, "strength"), 100_000_000)
    del data["patients"]
    (text,) = faults_of(put(data, path, value))
    assert not text.startswith("rates is ")


def test_a_class_mix_beside_rates_is_refused() -> None:
    """Rates are by class already, so that a mix could only contradict them."""
    data = smallest() | {"rates": RATES}
    del data["patients"]
    data["class_mix"] = {"battle_injury": 1, "non_battle_injury": 0, "disease": 0}
    assert faults_of(data) == [
        "class_mix is given together with rates; must go: rates hold the mix"
    ]


def test_a_treatment_nobody_knows_is_refused() -> None:
    """Its effectiveness would otherwise be set in vain."""
    data = smallest() | {"overrides": {"treatment_effectiveness": {"turniquet": 0.5}}}
    (text,) = faults_of(data)
    assert text.startswith("overrides.treatment_effectiveness.turniquet is not a known key; ")
    assert text.endswith("did you mean tourniquet?")


def test_a_sum_is_not_blamed_for_a_share_that_is_no_share() -> None:
    """One fault is one fault: a share out of range is not a wrong sum as well."""
    data = put(smallest(), ("fronts", 0, "share"), 1.4)
    assert faults_of(data) == ["fronts[0].share is 1.4; must be a number, at least 0 and at most 1"]


def test_events_are_not_blamed_for_a_number_of_patients_that_is_none() -> None:
    """A negative one is below what no event at all hurts."""
    (fault,) = faults_of(smallest() | {"patients": -4})
    assert fault.startswith("patients is -4; must be")


def test_every_rule_still_speaks_when_the_shape_is_wrong_too() -> None:
    """A planner does not learn of the second fault only after mending the first."""
    data = put(data_of("demo"), ("title",), 5)
    data["fronts"][1]["id"] = "north"
    data["environment"] = ["rain", "rain"]
    assert len(faults_of(data)) == 3


CRON_PART = st.one_of(
    st.just("*"),
    st.integers(0, 60).map(str),
    st.tuples(st.integers(0, 31), st.integers(0, 31)).map("{0[0]}-{0[1]}".format),
    st.integers(0, 90).map("*/{}".format),
    st.sampled_from(["MON", "jan", "1,2", "L", "LW", "MON#2", "5L", "1-5/2", "sun-sat", "x", ""]),
)


@given(st.lists(CRON_PART, min_size=4, max_size=6).map(" ".join))
def test_a_schedule_we_take_is_one_that_dagster_takes(schedule: str) -> None:
    """A scenario that validates never makes its schedule fail to load."""
    if cron_problem(schedule) is None:
        assert is_valid_cron_string(schedule)


@pytest.mark.parametrize("schedule", ["0 6 * * *", "*/15 0-6 1,15 * MON-FRI", "30 2 29 2 *"])
def test_common_schedules_are_taken(schedule: str) -> None:
    """Every night, every quarter of an hour, leap days."""
    assert cron_problem(schedule) is None


@pytest.mark.parametrize("schedule", ["@daily", "0 0 30 2 *", "0 0 * * * *", "0 0 * *", "daily"])
def test_a_schedule_that_never_comes_or_is_none_is_refused(schedule: str) -> None:
    """Including those that some programs read and others do not."""
    assert cron_problem(schedule) is not None
